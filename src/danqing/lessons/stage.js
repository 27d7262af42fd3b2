// Draws what a lesson tells (see stage.py) on canvases: one panel, one canvas. Used by the studio's page and by the pages
// that `danqing lesson -o FILE.html` writes, so it needs nothing but a browser.

const KINDS = ["#b23a2e", "#2f6f8f", "#c08a2d", "#5b7f4a", "#7a5195", "#a8577e", "#3f8f86", "#8c6d46", "#566573", "#d2691e"];
const LINES = ["seal", "blue", "gold", "green"];
const SERIF = '"Noto Serif CJK SC", "Songti SC", Georgia, serif';
const SANS = 'system-ui, "Noto Sans CJK SC", "PingFang SC", sans-serif';

/** The colours for dark or light paper. */
export function theme(dark) {
  return dark
    ? { dark, ink: "#ece6da", soft: "#a79f92", faint: "#4a453e", paper: "#211e1b", seal: "#e0675a", blue: "#7fb4d0", gold: "#d9ae5f", green: "#9dbf86" }
    : { dark, ink: "#211d19", soft: "#7b7266", faint: "#d8cfbf", paper: "#fbf8f1", seal: "#b23a2e", blue: "#2f6f8f", gold: "#b07a1e", green: "#5b7f4a" };
}

/** Everything that is on the stage after frames[0 … at]: what a frame leaves out stays as it was. */
export function fold(frames, at) {
  const state = { panels: {}, series: {}, figures: {}, say: null, step: 0, of: 0, count: Math.min(at, frames.length - 1) };
  for (const panel of frames[0]?.scene?.panels ?? []) state.panels[panel.id] = panel.points ? { points: panel.points } : {};
  for (let i = 1; i <= Math.min(at, frames.length - 1); i++) {
    const frame = frames[i];
    for (const [id, data] of Object.entries(frame.panels ?? {})) {
      const old = state.panels[id] ?? {};
      const merged = { ...old, ...data };
      for (const key of ["points", "pictures", "classes"]) if (data[key]) merged[key] = { ...old[key], ...data[key] };
      state.panels[id] = merged;
    }
    for (const [name, value] of Object.entries(frame.figures ?? {})) {
      (state.series[name] ??= []).push([i, value]);
      state.figures[name] = value;
    }
    if (frame.say) state.say = frame.say;
    state.step = frame.step;
    state.of = frame.of;
  }
  return state;
}

/** How many of twelve columns a panel takes on a wide stage, and how many rows of it. */
export function span(panel, panels) {
  const planes = panels.filter((one) => one.kind === "plane").length;
  if (panel.kind === "plane") return planes === 1 ? [7, 3] : [6, 1];
  if (panel.kind === "pictures" || panel.kind === "matrix") return [12, 1];
  return planes === 1 ? [5, 1] : [6, 1];
}

/** How high a panel is best drawn at this width, px. */
export function height(panel, width, data) {
  switch (panel.kind) {
    case "plane":
      return Math.min(width, 560);
    case "curves":
      return 126 + 17 * panel.of.length;
    case "pictures": {
      const columns = columnsOf(panel, width);
      const rows = Math.ceil(panel.items.length / columns);
      return rows * ((width / columns) * (panel.crisp === undefined ? 0.86 : 1) + (panel.items.some((item) => item.label.en) ? 24 : 6));
    }
    case "rolls":
      return Math.max(170, Math.min(250, width * 0.4));
    case "verse": {
      const lines = data?.lines?.length || 4;
      const longest = Math.max(5, ...(data?.lines ?? []).map((line) => line.length));
      const columns = lines > 5 ? 2 : 1;
      const cell = Math.min(54, width / (longest * columns + 1));
      return Math.ceil(lines / columns) * (cell + 10) + 14;
    }
    case "bars":
      return (data?.candidates?.length || 10) * 26 + 10;
    case "matrix":
      return width > 560 ? width / 4 + 34 : width + 60;
    default:
      return 160;
  }
}

/** Draw one panel. look: {width, height, lang, theme, figures (names), total (frames there will be), redraw()}. */
export function draw(context, panel, state, look) {
  const data = state.panels[panel.id] ?? {};
  context.clearRect(0, 0, look.width, look.height);
  context.lineJoin = context.lineCap = "round";
  DRAWERS[panel.kind]?.(context, panel, data, look, state);
}

const DRAWERS = { plane, curves, pictures, rolls, verse, bars, matrix };

// --- the plane -----------------------------------------------------------------------------------------------------

/** The place on a plane under a point of its canvas: [x, y] in its own units, and within it or not. */
export function place(panel, x, y, width, high) {
  const side = Math.min(width, high);
  const left = (width - side) / 2;
  const u = ((x - left) / side) * 2 - 1;
  const v = 1 - (y / side) * 2;
  return { x: clamp(u, -1, 1) * panel.reach, y: clamp(v, -1, 1) * panel.reach, inside: Math.abs(u) <= 1 && Math.abs(v) <= 1 };
}

/** The tile of an atlas at a place: [column, row] from the top left. */
export function tile(panel, atlas, at) {
  const cell = (value) => clamp(Math.floor(((value + panel.reach) / (2 * panel.reach)) * atlas.n), 0, atlas.n - 1);
  return [cell(at.x), atlas.n - 1 - cell(at.y)];
}

function plane(context, panel, data, look) {
  const t = look.theme;
  const side = Math.min(look.width, look.height);
  const left = (look.width - side) / 2;
  const at = (x, y) => [left + (side * (x / 1000 / panel.reach + 1)) / 2, (side * (1 - y / 1000 / panel.reach)) / 2];
  context.save();
  context.beginPath();
  context.rect(left, 0, side, side);
  context.clip();
  context.fillStyle = t.paper;
  context.fillRect(left, 0, side, side);
  if (data.image) {
    if (t.dark) wash(context, left, 0, side, side, "#e9e2d3");
    context.globalAlpha = t.dark ? 0.8 : 0.55;
    picture(context, data.image, left, 0, side, side, look, true);
    context.globalAlpha = 1;
  }
  if (data.field) field(context, data.field, left, side, t);
  if (data.paths) {
    context.strokeStyle = t.blue;
    context.globalAlpha = 0.45;
    context.lineWidth = 1;
    for (const path of data.paths) line(context, path, at);
    context.globalAlpha = 1;
  }
  for (const set of panel.sets) points(context, set, data, at, side, t);
  if (data.arrows) arrows(context, data.arrows, at, t);
  if (data.path) walked(context, data.path, at, t);
  if (look.cursor && data.atlas) cursor(context, panel, data.atlas, look, at, side);
  context.restore();
  context.strokeStyle = t.faint;
  context.lineWidth = 1;
  context.strokeRect(left + 0.5, 0.5, side - 1, side - 1);
}

function field(context, values, left, side, t) {
  const bytes = decoded(values.data);
  const n = values.n;
  const canvas = scratch(n, n);
  const inner = canvas.getContext("2d");
  const pixels = inner.createImageData(n, n);
  const [r, g, b] = t.dark ? [224, 174, 95] : [94, 74, 45];
  for (let row = 0; row < n; row++)
    for (let column = 0; column < n; column++) {
      const level = bytes[(n - 1 - row) * n + column];
      const i = 4 * (row * n + column);
      pixels.data[i] = r;
      pixels.data[i + 1] = g;
      pixels.data[i + 2] = b;
      pixels.data[i + 3] = t.dark ? level * 0.42 : (255 - level) * 0.5;
    }
  inner.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(canvas, left, 0, side, side);
}

function points(context, set, data, at, side, t) {
  const xy = data.points?.[set.id];
  if (!xy) return;
  const classes = data.classes?.[set.id];
  const radius = Math.max(1.6, side / 190);
  const colour = set.role === "real" ? t.ink : set.role === "made" ? t.seal : t.blue;
  context.globalAlpha = set.role === "real" ? 0.32 : 0.85;
  for (let i = 0; i < xy.length; i += 2) {
    const [x, y] = at(xy[i], xy[i + 1]);
    context.fillStyle = classes ? KINDS[classes[i / 2] % 10] : colour;
    context.beginPath();
    context.arc(x, y, classes ? radius * 1.25 : radius, 0, 7);
    context.fill();
    if (classes) {
      context.strokeStyle = "#fffdf7";
      context.lineWidth = 0.8;
      context.stroke();
    }
  }
  context.globalAlpha = 1;
}

function arrows(context, flat, at, t) {
  context.strokeStyle = t.dark ? t.gold : t.ink;
  context.globalAlpha = 0.55;
  context.lineWidth = 1;
  for (let i = 0; i < flat.length; i += 4) {
    const [x, y] = at(flat[i], flat[i + 1]);
    const [u, v] = at(flat[i] + flat[i + 2], flat[i + 1] + flat[i + 3]);
    const far = Math.hypot(u - x, v - y);
    if (far < 1.5) continue;
    const [a, b] = [(u - x) / far, (v - y) / far];
    const tip = Math.min(5, far / 2);
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(u, v);
    context.moveTo(u - tip * (a + 0.5 * b), v - tip * (b - 0.5 * a));
    context.lineTo(u, v);
    context.lineTo(u - tip * (a - 0.5 * b), v - tip * (b + 0.5 * a));
    context.stroke();
  }
  context.globalAlpha = 1;
}

function line(context, flat, at) {
  context.beginPath();
  for (let i = 0; i < flat.length; i += 2) {
    const [x, y] = at(flat[i], flat[i + 1]);
    if (i) context.lineTo(x, y);
    else context.moveTo(x, y);
  }
  context.stroke();
}

function walked(context, flat, at, t) {
  context.strokeStyle = t.dark ? "#ffcf9d" : t.seal;
  context.lineWidth = 2;
  line(context, flat, at);
  context.fillStyle = context.strokeStyle;
  for (let i = 0; i < flat.length; i += 2) {
    const [x, y] = at(flat[i], flat[i + 1]);
    context.beginPath();
    context.arc(x, y, i === 0 || i === flat.length - 2 ? 5 : 2.5, 0, 7);
    context.fill();
  }
}

function cursor(context, panel, atlas, look, at, side) {
  const image = loaded(atlas.png, look.redraw);
  const [x, y] = at(look.cursor.x * 1000, look.cursor.y * 1000);
  const size = Math.max(72, side / 5);
  const [column, row] = tile(panel, atlas, look.cursor);
  const left = clamp(x + 14, (look.width - side) / 2 + 4, (look.width + side) / 2 - size - 4);
  const top = clamp(y - size - 14, 4, side - size - 4);
  context.strokeStyle = look.theme.seal;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, 6, 0, 7);
  context.stroke();
  if (image) {
    context.fillStyle = "#fff";
    context.fillRect(left - 3, top - 3, size + 6, size + 6);
    context.imageSmoothingEnabled = true;
    context.drawImage(image, column * atlas.side, row * atlas.side, atlas.side, atlas.side, left, top, size, size);
    context.strokeRect(left - 3, top - 3, size + 6, size + 6);
  }
}

// --- curves --------------------------------------------------------------------------------------------------------

function curves(context, panel, data, look, state) {
  const t = look.theme;
  const [left, right, top, bottom] = [38, 10, 10, 14 + 17 * panel.of.length];
  const wide = look.width - left - right;
  const high = look.height - top - bottom;
  const all = panel.of.flatMap((name) => (state.series[name] ?? []).map(([, value]) => value));
  let low = panel.low ?? Math.min(...all, panel.base ?? Infinity);
  let most = panel.high ?? Math.max(...all, panel.base ?? -Infinity);
  if (!Number.isFinite(low) || !Number.isFinite(most)) [low, most] = [0, 1];
  if (most - low < 1e-9) most = low + 1;
  if (panel.high === undefined) most += 0.06 * (most - low);
  const total = Math.max(2, look.total);
  const x = (i) => left + (wide * (i - 1)) / (total - 1);
  const y = (value) => top + high * (1 - (value - low) / (most - low));
  context.font = `11px ${SANS}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const share of [0, 0.5, 1]) {
    const value = low + share * (most - low);
    context.strokeStyle = t.faint;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(left, Math.round(y(value)) + 0.5);
    context.lineTo(left + wide, Math.round(y(value)) + 0.5);
    context.stroke();
    context.fillStyle = t.soft;
    context.fillText(shown(value), left - 6, y(value));
  }
  if (panel.base !== undefined) {
    context.setLineDash([4, 4]);
    context.strokeStyle = t.soft;
    context.beginPath();
    context.moveTo(left, y(panel.base));
    context.lineTo(left + wide, y(panel.base));
    context.stroke();
    context.setLineDash([]);
  }
  panel.of.forEach((name, number) => {
    const series = state.series[name] ?? [];
    context.strokeStyle = context.fillStyle = t[LINES[number]];
    context.lineWidth = 2;
    context.beginPath();
    series.forEach(([i, value], k) => (k ? context.lineTo(x(i), y(value)) : context.moveTo(x(i), y(value))));
    context.stroke();
    const last = series.at(-1);
    if (last) {
      context.beginPath();
      context.arc(x(last[0]), y(last[1]), 3.5, 0, 7);
      context.fill();
    }
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    const words = `${look.figures[name]?.[look.lang] ?? name}${last ? `  ${shown(last[1])}` : ""}`;
    const label = look.height - 7 - 17 * (panel.of.length - 1 - number);
    context.fillRect(left, label - 6, 10, 3);
    context.fillStyle = t.soft;
    fitted(context, words, left + 15, label, look.width - left - 16, 11, SANS);
  });
}

// --- pictures ------------------------------------------------------------------------------------------------------

function columnsOf(panel, width) {
  return width < 430 ? Math.min(panel.columns, panel.columns > 5 ? 5 : 3) : panel.columns;
}

function pictures(context, panel, data, look) {
  const t = look.theme;
  const columns = columnsOf(panel, look.width);
  const gap = 8;
  const labelled = panel.items.some((item) => item.label.en);
  const wide = (look.width - gap * (columns - 1)) / columns;
  const rows = Math.ceil(panel.items.length / columns);
  const high = look.height / rows - (labelled ? 22 : 4);
  panel.items.forEach((item, number) => {
    const x = (number % columns) * (wide + gap);
    const y = Math.floor(number / columns) * (look.height / rows);
    const url = data.pictures?.[item.id];
    if (url) contained(context, url, x, y, wide, high, look, panel.crisp !== undefined);
    else {
      context.strokeStyle = t.faint;
      context.setLineDash([3, 4]);
      context.strokeRect(x + 0.5, y + 0.5, wide - 1, high - 1);
      context.setLineDash([]);
    }
    if (labelled && item.label[look.lang]) {
      context.fillStyle = t.soft;
      context.textAlign = "center";
      context.textBaseline = "alphabetic";
      fitted(context, item.label[look.lang], x + wide / 2, y + high + 16, wide, 12, SANS);
    }
  });
}

function contained(context, url, x, y, wide, high, look, crisp) {
  const image = loaded(url, look.redraw);
  if (!image) return;
  const scale = Math.min(wide / image.naturalWidth, high / image.naturalHeight);
  const [w, h] = [image.naturalWidth * scale, image.naturalHeight * scale];
  context.imageSmoothingEnabled = !crisp || look.smooth !== false;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, x + (wide - w) / 2, y + (high - h) / 2, w, h);
}

function picture(context, url, x, y, wide, high, look, smooth) {
  const image = loaded(url, look.redraw);
  if (!image) return;
  context.imageSmoothingEnabled = smooth;
  context.drawImage(image, x, y, wide, high);
}

function wash(context, x, y, wide, high, colour) {
  context.fillStyle = colour;
  context.fillRect(x, y, wide, high);
}

// --- melodies ------------------------------------------------------------------------------------------------------

function rolls(context, panel, data, look) {
  const t = look.theme;
  const melodies = data.rolls ?? [];
  const columns = look.width < 430 ? 1 : 2;
  const rows = Math.ceil(4 / columns);
  const gap = 12;
  const wide = (look.width - gap * (columns - 1)) / columns;
  const high = (look.height - gap * (rows - 1)) / rows;
  for (let number = 0; number < 4; number++) {
    const left = (number % columns) * (wide + gap);
    const top = Math.floor(number / columns) * (high + gap);
    const step = wide / panel.length;
    const tall = high / (panel.high - panel.low + 1);
    wash(context, left, top, wide, high, t.dark ? "#2a2622" : "#f3eee2");
    context.strokeStyle = t.faint;
    context.lineWidth = 1;
    for (let beat = 0; beat <= panel.length; beat += 4) {
      context.beginPath();
      context.moveTo(Math.round(left + beat * step) + 0.5, top);
      context.lineTo(Math.round(left + beat * step) + 0.5, top + high);
      context.stroke();
    }
    for (const [onset, length, pitch] of melodies[number] ?? []) {
      const playing = look.playing?.panel === panel.id && look.playing.number === number && look.playing.at >= onset && look.playing.at < onset + length;
      context.fillStyle = playing ? t.gold : panel.now ? t.seal : t.ink;
      const y = top + (panel.high - pitch) * tall;
      context.beginPath();
      context.roundRect(left + onset * step + 1, y - 1, length * step - 2, Math.max(4, tall + 1), 2);
      context.fill();
    }
  }
}

// --- verse ---------------------------------------------------------------------------------------------------------

function verse(context, panel, data, look) {
  const t = look.theme;
  const lines = data.lines ?? [];
  const columns = lines.length > 5 ? 2 : 1;
  const longest = Math.max(5, ...lines.map((row) => row.length));
  const cell = Math.min(54, look.width / (longest * columns + (columns - 1) * 0.7));
  const left = (look.width - cell * (longest * columns + (columns - 1) * 0.7)) / 2;
  lines.forEach((row, number) => {
    const column = columns === 2 ? number % 2 : 0;
    const y = 6 + (columns === 2 ? Math.floor(number / 2) : number) * (cell + 10);
    row.forEach((one, k) => {
      const x = left + column * (longest + 0.7) * cell + k * cell;
      one_cell(context, panel, one, x, y, cell, t);
    });
  });
}

function one_cell(context, panel, one, x, y, cell, t) {
  const inner = cell - 4;
  if (panel.glow && one.weight > 0.004) {
    context.fillStyle = t.seal;
    context.globalAlpha = 0.08 + 0.75 * Math.sqrt(one.weight);
    context.fillRect(x + 2, y, inner, inner);
    context.globalAlpha = 1;
  }
  context.strokeStyle = one.state === "now" ? t.seal : t.faint;
  context.lineWidth = one.state === "now" ? 2 : 1;
  context.strokeRect(x + 2.5, y + 0.5, inner - 1, inner - 1);
  context.textAlign = "center";
  context.textBaseline = "middle";
  const broken = one.c && one.want && one.want !== "中" && one.tone && one.tone !== "中" && one.tone !== one.want;
  if (one.c) {
    context.fillStyle = one.state === "todo" ? t.faint : broken ? t.seal : t.ink;
    if (panel.glow && one.state === "todo") context.fillStyle = t.soft;
    context.font = `${inner * (one.c.length > 1 ? 0.38 : 0.62)}px ${SERIF}`;
    context.fillText(one.c, x + cell / 2, y + inner * 0.46);
  }
  const want = one.c ? one.tone : one.want;
  if (want) {
    context.fillStyle = one.c ? t.soft : t.gold;
    context.font = `${one.c ? Math.max(8, inner * 0.2) : inner * 0.36}px ${SANS}`;
    context.fillText(want, x + cell / 2, one.c ? y + inner * 0.88 : y + inner * 0.5);
  }
  if (one.rhyme) {
    context.strokeStyle = t.seal;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x + inner - 3, y + 7, 4, 0, 7);
    context.stroke();
  }
}

// --- candidates ----------------------------------------------------------------------------------------------------

function bars(context, panel, data, look) {
  const t = look.theme;
  const all = data.candidates ?? [];
  const most = Math.max(0.02, ...all.map((one) => one.p));
  const row = look.height / Math.max(1, all.length);
  const wide = look.width - 152 - 36;
  all.forEach((one, number) => {
    const y = number * row;
    context.textBaseline = "middle";
    context.textAlign = "center";
    context.font = `17px ${SERIF}`;
    context.fillStyle = one.why ? t.soft : one.chosen ? t.seal : t.ink;
    context.fillText(one.c.trim() || "␣", 16, y + row / 2, 30);
    const length = Math.max(2, (wide * one.p) / most);
    context.fillStyle = one.chosen ? t.seal : one.why ? t.faint : t.dark ? "#8d8577" : "#8f8677";
    context.fillRect(36, y + row / 2 - 5, length, 10);
    if (one.why) {
      context.strokeStyle = t.soft;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(6, y + row / 2);
      context.lineTo(28, y + row / 2);
      context.stroke();
    }
    context.textAlign = "left";
    context.fillStyle = t.soft;
    const words = one.why ? (panel.whys?.[one.why]?.[look.lang] ?? one.why) : percent(one.p);
    fitted(context, words, 36 + length + 6, y + row / 2, look.width - length - 44, 11, SANS);
  });
}

// --- attention -----------------------------------------------------------------------------------------------------

function matrix(context, panel, data, look) {
  const t = look.theme;
  const tables = data.tables ?? [];
  const columns = look.width > 560 ? 4 : 2;
  const gap = 10;
  const side = (look.width - gap * (columns - 1)) / columns;
  tables.forEach((table, number) => {
    const left = (number % columns) * (side + gap);
    const top = Math.floor(number / columns) * (side + 28);
    const n = table.n;
    const bytes = decoded(table.data);
    const canvas = scratch(n, n);
    const inner = canvas.getContext("2d");
    const pixels = inner.createImageData(n, n);
    const [r, g, b] = t.dark ? [232, 120, 104] : [178, 58, 46];
    for (let i = 0; i < n * n; i++) {
      pixels.data.set([r, g, b, bytes[i]], 4 * i);
    }
    inner.putImageData(pixels, 0, 0);
    wash(context, left, top, side, side, t.dark ? "#2a2622" : "#f3eee2");
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, left, top, side, side);
    if (data.row !== undefined) {
      context.strokeStyle = t.ink;
      context.lineWidth = 1;
      context.strokeRect(left + 0.5, top + (data.row * side) / n, side - 1, side / n);
    }
    context.fillStyle = t.soft;
    context.font = `12px ${SANS}`;
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    context.fillText(table.label, left + side / 2, top + side + 16);
  });
}

// --- what all need -------------------------------------------------------------------------------------------------

const IMAGES = new Map();

function loaded(url, redraw) {
  let image = IMAGES.get(url);
  if (!image) {
    if (IMAGES.size > 400) IMAGES.delete(IMAGES.keys().next().value);
    image = new Image();
    image.onload = () => redraw?.();
    image.src = url;
    IMAGES.set(url, image);
  }
  return image.complete && image.naturalWidth ? image : null;
}

function decoded(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

function scratch(wide, high) {
  const canvas = document.createElement("canvas");
  canvas.width = wide;
  canvas.height = high;
  return canvas;
}

function fitted(context, words, x, y, room, size, family) {
  context.font = `${size}px ${family}`;
  const wide = context.measureText(words).width;
  if (wide > room) context.font = `${Math.max(8, (size * room) / wide)}px ${family}`;
  context.fillText(words, x, y, room);
}

function shown(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1).replace(/\.0$/, "") : value.toFixed(2).replace(/\.?0+$/, "");
}

const percent = (p) => (p >= 0.0995 ? `${Math.round(100 * p)}%` : `${(100 * p).toFixed(1)}%`);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
