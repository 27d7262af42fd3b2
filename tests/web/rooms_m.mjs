// Drives the rooms of canvas, writing and music in Chromium with real jobs: `node rooms_m.mjs WEB URL CHROMIUM SCENARIO`.
// Run by test_rooms_m.py. A check that fails ends it with an error.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const [web, base, chromium, scenario] = process.argv.slice(2);
const playwright = createRequire(join(web, "package.json"))("playwright-core");
const browser = await playwright.chromium.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: "en-GB", reducedMotion: "reduce" });
const page = await context.newPage();
page.setDefaultTimeout(150_000);
const complaints = [];
page.on("pageerror", (error) => complaints.push(error.message));
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));

const room = (name) => page.goto(`${base}#/${name}`);

async function stroke(...places) {
  const box = await page.locator(".easel canvas").boundingBox();
  const [first, ...rest] = places.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const place of rest) await page.mouse.move(...place, { steps: 6 });
  await page.mouse.up();
}

/** The colour that is seen at a place of the sheet. */
const seen = (x, y) =>
  page.locator(".easel canvas").evaluate(
    (canvas, [px, py]) =>
      new Promise((done) =>
        requestAnimationFrame(() => requestAnimationFrame(() => done([...canvas.getContext("2d").getImageData(px * canvas.width, py * canvas.height, 1, 1).data.slice(0, 3)].join(",")))),
      ),
    [x, y],
  );

const scenarios = {
  async "a-drawing-survives-a-refresh-and-each-stroke-can-be-taken-back"() {
    await room("canvas");
    const total = () => page.evaluate(() => fetch("/api/works").then(async (answer) => (await answer.json()).total));
    const before = await total();
    await page.locator(".easel canvas").waitFor();
    await page.locator('.swatch[aria-label="cinnabar"]').click();
    await stroke([0.2, 0.5], [0.8, 0.5]);
    assert.equal(await seen(0.5, 0.5), "194,59,34");
    await page.keyboard.press("z");
    assert.equal(await seen(0.5, 0.5), "255,255,255");
    await page.keyboard.press("Shift+Z");
    await page.keyboard.press("e");
    await stroke([0.25, 0.5], [0.4, 0.5]);
    assert.equal(await seen(0.33, 0.5), "255,255,255");
    await page.locator(".draft img").waitFor(); // the first pass of the painting has come by itself
    await page.waitForTimeout(1200); // the drawing is written down 0.7 s after a stroke
    await page.reload();
    await page.locator(".easel canvas").waitFor();
    await page.waitForFunction(() => document.querySelector(".draft img"));
    assert.equal(await seen(0.6, 0.5), "194,59,34");
    assert.equal(await seen(0.33, 0.5), "255,255,255");
    assert.equal(await total(), before); // a preview is no work
  },

  async "a-line-of-a-poem-is-written-anew-and-the-old-one-comes-back"() {
    await room("writing");
    await page.locator('.card:has-text("Jueju, five")').click();
    await page.locator(".verse .cell").first().waitFor();
    assert.equal(await page.locator(".verse .cell").count(), 20);
    await page.locator("button.main").click();
    await page.locator("button.line").nth(3).waitFor();
    const lines = () => page.locator("button.line").evaluateAll((all) => all.map((one) => [...one.querySelectorAll(".char")].map((char) => char.textContent).join("")));
    const before = await lines();
    assert.ok(before.every((line) => /^[\u4e00-\u9fff]{5}$/.test(line)), before.join());
    assert.equal(await page.locator(".verse .wrong").count(), 0);
    await page.locator("button.line").nth(2).click();
    await page.locator("text=Version 2 of 2").waitFor();
    await page.locator("button.line").nth(3).waitFor();
    const after = await lines();
    assert.deepEqual([0, 1, 3].map((n) => after[n]), [0, 1, 3].map((n) => before[n]));
    assert.notEqual(after[2], before[2]);
    await page.keyboard.press("z");
    await page.locator("text=Version 1 of 2").waitFor();
    assert.deepEqual(await lines(), before);
    await page.locator('button:has-text("Report")').click();
    assert.match(await page.locator("dialog .report").innerText(), /Every rule of 五绝 is kept/);
  },

  async "bars-that-are-chosen-on-the-roll-are-written-anew-and-only-they"() {
    await room("music");
    await page.locator('.style:has-text("Chorale")').click();
    await page.locator("input[type=number]").first().fill("4");
    await page.locator("button.main").first().click();
    await page.locator(".score svg .measure").first().waitFor();
    const versions = () => page.evaluate(() => JSON.parse(localStorage.getItem("danqing.music")).versions);
    const notes = (id) => page.evaluate((work) => fetch(`/api/works/${work}/notes`).then((answer) => answer.json()), id);
    const first = await notes((await versions())[0]);
    assert.equal(await page.locator(".score svg .measure").count(), first.bars.length - 1);
    await page.locator(".score .sheet > i").waitFor(); // the cursor stands on the score
    const roll = page.locator(".roll canvas");
    await roll.focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Shift+ArrowRight");
    await page.locator(".under button.main").click();
    await page.locator("text=Version 2 of 2").waitFor();
    const second = await notes((await versions())[1]);
    const bar = first.bars.findLastIndex((start) => start <= first.bars[2] + 0.01);
    const outside = (told) => told.notes.filter(([onset]) => onset < told.bars[bar] - 0.01 || onset >= told.bars[bar + 1] - 0.01).map((note) => note.slice(0, 4).join());
    assert.deepEqual(outside(second), outside(first));
    await page.locator('button[aria-label="Play"]').click();
    await page.locator('button[aria-label="Pause"]').waitFor();
    await page.waitForFunction(() => !/^0:00/.test(document.querySelector(".time").textContent));
  },
};

try {
  await scenarios[scenario]();
  assert.deepEqual(complaints, []);
} finally {
  await browser.close();
}
