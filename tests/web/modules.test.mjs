// The small modules behind the canvas, the piano roll and the patterns, without a browser. test_rooms_m.py turns the
// TypeScript into JavaScript and runs this file with `node --test`; MODULES is where it put it.
import assert from "node:assert/strict";
import { test } from "node:test";

const at = (path) => import(`${process.env.MODULES}/${path}.mjs`);
const geometry = await at("canvas/geometry");
const pixels = await at("canvas/pixels");
const { History } = await at("canvas/history");
const roll = await at("music/roll");
const lay = await at("writing/lay");

const plain = (width, height) => ({ data: new Uint8ClampedArray(width * height * 4), width, height });
const alpha = (image) => Array.from({ length: image.width * image.height }, (_, i) => image.data[i * 4 + 3] / 255);

test("a place on the screen is the same place of the drawing however large it is shown", () => {
  const frame = { left: 100, top: 50, width: 480, height: 320 };
  assert.deepEqual(geometry.toDrawing({ x: 340, y: 210 }, frame, { width: 960, height: 640 }), { x: 480, y: 320 });
  assert.deepEqual(geometry.toDrawing({ x: 340, y: 210 }, { ...frame, width: 240 }, { width: 960, height: 640 }).x, 960);
});

test("a pen's pressure makes the line broader; a mouse and a finger draw at full breadth", () => {
  assert.equal(geometry.breadth(20, "mouse", 0.5), 20);
  assert.equal(geometry.breadth(20, "pen", 1), 20);
  assert.ok(geometry.breadth(20, "pen", 0.2) < geometry.breadth(20, "pen", 0.6));
  assert.ok(geometry.breadth(1, "pen", 0.01) >= 1);
});

test("a stroke's box holds all it touches and never leaves the drawing", () => {
  assert.deepEqual(geometry.touched({ x: 2, y: 2, size: 4 }, { x: 98, y: 50, size: 4 }, 100, 60), { x: 0, y: 0, width: 100, height: 54 });
  assert.equal(geometry.touched({ x: -50, y: 5, size: 4 }, { x: -40, y: 5, size: 4 }, 100, 60), null);
});

test("two fingers keep what is under them under them, and the sheet never leaves its frame", () => {
  const at = (view, p) => ({ x: view.x + p.x * view.scale, y: view.y + p.y * view.scale });
  const near = (a, b) => assert.ok(Math.hypot(a.x - b.x, a.y - b.y) < 1e-9, `${JSON.stringify(a)} ${JSON.stringify(b)}`);
  const [a, b] = [{ x: 0.4, y: 0.4 }, { x: 0.6, y: 0.6 }];
  const view = geometry.pinched(geometry.WHOLE, [a, b], [{ x: 0.3, y: 0.4 }, { x: 0.7, y: 0.8 }]);
  assert.ok(Math.abs(view.scale - 2) < 1e-9);
  near(at(view, { x: 0.5, y: 0.5 }), { x: 0.5, y: 0.6 });
  const panned = geometry.pinched(view, [a, b], [{ x: 0.5, y: 0.4 }, { x: 0.7, y: 0.6 }]);
  assert.equal(panned.scale, view.scale);
  near(at(panned, { x: 0.5, y: 0.5 }), { x: 0.6, y: 0.6 });
  assert.deepEqual(geometry.moved(view, a, a, 0.01), { scale: 1, x: 0, y: 0 });
  const corner = geometry.moved(view, { x: 0, y: 0 }, { x: 9, y: -9 }, 100);
  assert.deepEqual(corner, { scale: 8, x: 0, y: -7 });
});

test("brush sizes go up and down again without sticking", () => {
  for (let size = 1; size < 160; size = geometry.resized(size, true)) assert.ok(geometry.resized(size, true) > size);
  for (let size = 160; size > 1; size = geometry.resized(size, false)) assert.ok(geometry.resized(size, false) < size);
  assert.equal(geometry.resized(1, false), 1);
  assert.equal(geometry.resized(160, true), 160);
});

test("a hard stroke gives every pixel the whole colour or leaves it alone", () => {
  const image = plain(12, 8);
  pixels.hardStroke(image, { x: 0, y: 0, width: 12, height: 8 }, { x: 2, y: 4, size: 4 }, { x: 9, y: 4, size: 4 }, [40, 90, 170]);
  assert.deepEqual([...new Set(alpha(image))].sort(), [0, 1]);
  const painted = alpha(image).filter(Boolean).length;
  assert.ok(painted > 30 && painted < 44, `${painted} pixels`);
  pixels.hardStroke(image, { x: 0, y: 0, width: 12, height: 8 }, { x: 6, y: 4, size: 40 }, { x: 6, y: 4, size: 40 }, null);
  assert.equal(alpha(image).filter(Boolean).length, 0);
});

test("filling stops at a line and reaches one pixel under its edge", () => {
  const image = plain(9, 5);
  image.data.fill(255);
  for (let y = 0; y < 5; y++) image.data.fill(0, (y * 9 + 4) * 4, (y * 9 + 4) * 4 + 3);
  const area = pixels.flood(image, 1, 1, 40, 1);
  assert.deepEqual(area.box, { x: 0, y: 0, width: 5, height: 5 });
  assert.equal(area.inside.reduce((sum, one) => sum + one, 0), 25);
  assert.equal(pixels.flood(image, 9, 1), null);
  assert.equal(pixels.flood(image, 1, 1, 40, 0).inside.reduce((sum, one) => sum + one, 0), 20);
});

test("filling finds its way round corners", () => {
  const maze = ["....#", ".##.#", ".#..#", ".####", "....."];
  const image = plain(5, 5);
  maze.join("").split("").forEach((char, i) => image.data.fill(char === "#" ? 0 : 255, i * 4, i * 4 + 4));
  const area = pixels.flood(image, 2, 2, 10, 0);
  assert.equal(area.inside.reduce((sum, one) => sum + one, 0), maze.join("").split(".").length - 1);
});

test("a map of regions keeps no pixel open and no colour that is not a region's", () => {
  const image = plain(2, 2);
  image.data.set([130, 188, 230, 255, 0, 0, 0, 0, 44, 88, 168, 255, 255, 255, 255, 100]);
  pixels.settle(image, [[135, 190, 235], [40, 90, 170]], [135, 190, 235]);
  assert.deepEqual([...image.data], [135, 190, 235, 255, 135, 190, 235, 255, 40, 90, 170, 255, 135, 190, 235, 255]);
});

test("a picture's palette has its colours, the commonest first", () => {
  const image = plain(10, 10);
  for (let i = 0; i < 100; i++) image.data.set(i < 70 ? [200, 40, 30, 255] : [20, 60, 160, 255], i * 4);
  const found = pixels.palette(image, 4).map(pixels.hex);
  assert.ok(found.includes("#c8281e") && found.includes("#143ca0"), found.join(" "));
  assert.equal(pixels.palette(plain(3, 3)).length, 0);
});

test("steps go back and forth, a new one ends what was taken back, and old ones give way", () => {
  const history = new History(3, 100);
  for (const name of "abcd") history.push({ name, weight: 10 });
  assert.equal(history.steps, 3);
  assert.equal(history.undo().name, "d");
  assert.equal(history.undo().name, "c");
  assert.equal(history.redo().name, "c");
  history.push({ name: "e", weight: 10 });
  assert.equal(history.canRedo, false);
  assert.equal(history.redo(), null);
  assert.deepEqual([history.undo().name, history.undo().name, history.undo().name, history.undo()], ["e", "c", "b", null]);
});

test("a step that is too heavy for the memory is kept alone", () => {
  const history = new History(50, 100);
  history.push({ weight: 60 });
  history.push({ weight: 500 });
  assert.equal(history.steps, 1);
  assert.equal(history.undo().weight, 500);
});

test("bars are counted as musicians do, and a pickup cannot be written anew", () => {
  const bars = [0, 0.5, 2.5, 4.5];
  assert.deepEqual([0, 0.49, 0.5, 3, 99].map((s) => roll.barAt(bars, s)), [0, 0, 1, 2, 2]);
  assert.equal(roll.barRange(0, 1, true), "1:1");
  assert.equal(roll.barRange(2, 1, true), "1:2");
  assert.equal(roll.barRange(0, 0, true), null);
  assert.equal(roll.barRange(0, 2, false), "1:3");
});

test("the cursor stands on the note that begins, also where notes are printed unevenly", () => {
  const bar = { start: 10, end: 12, left: 0, right: 100 };
  const marks = roll.marksOf([10, 10.4, 30, 90], [10, 10, 10.5, 11.5], bar, 2);
  assert.deepEqual(marks.map((mark) => mark.x), [10, 30, 90, 100]);
  assert.equal(roll.placeAt(marks, 10.5), 30);
  assert.equal(roll.placeAt(marks, 11), 60);
  assert.equal(roll.momentAt(marks, 60), 11);
  const even = roll.marksOf([10, 30, 50], [10], bar, 2);
  assert.deepEqual(even, [{ second: 10, x: 10 }, { second: 12, x: 100 }]);
  assert.equal(roll.placeAt(even, 11), 55);
});

test("a roll shows the pitches that sound, and more than one line where only one does", () => {
  const span = roll.pitchSpan([[0, 1, 60, 0, 80]]);
  assert.ok(span.low < 60 && span.high > 60 && span.high - span.low >= 12);
  assert.deepEqual(roll.sounding([[0, 1, 60, 0, 80], [1, 1, 62, 0, 80]], 1).map((note) => note[2]), [62]);
  assert.equal(roll.clock(75.9), "1:15");
});

const cell = (tone, char = "", given = false) => ({ tone, char, own: null, kept: null, given, rhyme: "" });

test("lines that arrive fill a pattern from the left and leave the rest of it to be seen", () => {
  const lines = [0, 1].map(() => ({ cells: [cell("平", "春", true), cell("仄"), cell("平")], mark: "。", rhyme: "", verse: true, gap: false }));
  const out = lay.filled(lines, ["春水", ""]);
  assert.deepEqual(out[0].cells.map((one) => one.char), ["春", "水", ""]);
  assert.equal(out[0].cells[0].given, true);
  assert.equal(out[1].cells[0].char, "春");
  assert.deepEqual(lay.inked(["寂寂柴门", "萧然"], 5), ["寂寂柴门", "萧"]);
  assert.equal(lay.inkOf(["寂寂柴门", "萧然"]), 6);
});

test("a title and the empty row under it are no lines of the poem", () => {
  assert.deepEqual(lay.split(["秋", "", "寂寂柴门，", "萧然。"]), { title: "秋", body: ["寂寂柴门，", "萧然。"] });
  assert.equal(lay.split(["寂寂柴门，", "", "萧然。"]).title, "");
  assert.deepEqual(lay.split(["first line", "second", "", "third"]).body, ["first line", "second", "", "third"]);
  assert.deepEqual(lay.verses("寂寂柴门风雨秋，萧然霜鬓夜飕飕。"), ["寂寂柴门风雨秋", "萧然霜鬓夜飕飕"]);
});

test("a page breaks after sentences, and before a row grows too long", () => {
  const line = (length, mark) => ({ cells: Array(length).fill(0), mark });
  assert.deepEqual(lay.rowsOf([line(7, "，"), line(7, "。"), line(7, "，"), line(7, "。")]), [[0, 1], [2, 3]]);
  assert.deepEqual(lay.rowsOf([line(7, "，"), line(7, "，"), line(7, "。")]), [[0, 1], [2]]);
});

test("a card shows a form's places as dots, its rhymes at the ends of lines", () => {
  const found = lay.dots(["中平仄a，", "-^A"]);
  assert.deepEqual(found.map((dot) => dot.kind), ["either", "level", "oblique", "weak", "beat"]);
  assert.deepEqual(found.map((dot) => dot.rhyme), [false, false, true, false, true]);
});

test("an English line stands word by word over its syllables, marks and all", () => {
  const words = [["Land", 1], ["old", 1], ["emeralds", 3], ["day", 1], ["break", 1]].map(([text, syllables]) => ({ text, syllables }));
  const found = lay.scanned({ text: "Land, old emeralds — day-break.", words });
  assert.deepEqual(found.map((piece) => [piece.text, piece.start, piece.syllables]), [["Land,", 0, 1], ["old", 1, 1], ["emeralds", 2, 3], ["—", 5, 0], ["day-break.", 5, 2]]);
});
