// Work on pixels, RGBA bytes row by row: filling, hard-edged strokes, colours found in a picture.
import type { Box, Dab } from "./geometry";

export type Rgb = readonly [number, number, number];

/** What an ImageData is, without needing a browser. */
export interface Pixels {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}

export function rgb(colour: string): Rgb {
  const value = parseInt(colour.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

export function hex(colour: Rgb): string {
  return "#" + colour.map((level) => Math.round(level).toString(16).padStart(2, "0")).join("");
}

/** Black or white, whichever is read on this colour. */
export function legible(colour: string): string {
  const [r, g, b] = rgb(colour);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111111" : "#ffffff";
}

/**
 * The area of one colour around a place: a byte a pixel, 1 inside, and the box around it. `tolerance` is how far a
 * level may be from the place's own. The area grows by `grow` pixels, to reach under the soft edge of a line.
 */
export function flood(seen: Pixels, x: number, y: number, tolerance = 40, grow = 1): { inside: Uint8Array; box: Box } | null {
  const { width, height, data } = seen;
  const startX = Math.floor(x);
  const startY = Math.floor(y);
  if (startX < 0 || startY < 0 || startX >= width || startY >= height) return null;
  const start = (startY * width + startX) * 4;
  const own = [data[start] ?? 0, data[start + 1] ?? 0, data[start + 2] ?? 0, data[start + 3] ?? 0];
  const alike = (pixel: number): boolean => {
    const at = pixel * 4;
    for (let channel = 0; channel < 4; channel++) {
      if (Math.abs((data[at + channel] ?? 0) - (own[channel] ?? 0)) > tolerance) return false;
    }
    return true;
  };
  const inside = new Uint8Array(width * height);
  const waiting: number[] = [startY * width + startX];
  let [left, right, top, bottom] = [startX, startX, startY, startY];
  while (waiting.length) {
    const seed = waiting.pop() as number;
    if (inside[seed]) continue;
    const row = Math.floor(seed / width);
    let from = seed;
    let to = seed;
    while (from > row * width && !inside[from - 1] && alike(from - 1)) from--;
    while (to < row * width + width - 1 && !inside[to + 1] && alike(to + 1)) to++;
    inside.fill(1, from, to + 1);
    left = Math.min(left, from - row * width);
    right = Math.max(right, to - row * width);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
    for (const next of [row - 1, row + 1]) {
      if (next < 0 || next >= height) continue;
      const shift = (next - row) * width;
      for (let pixel = from + shift, open = false; pixel <= to + shift; pixel++) {
        const free = !inside[pixel] && alike(pixel);
        if (free && !open) waiting.push(pixel);
        open = free;
      }
    }
  }
  for (let n = 0; n < grow; n++) widen(inside, width, height);
  const x0 = Math.max(0, left - grow);
  const y0 = Math.max(0, top - grow);
  const box = { x: x0, y: y0, width: Math.min(width - 1, right + grow) - x0 + 1, height: Math.min(height - 1, bottom + grow) - y0 + 1 };
  return { inside, box };
}

function widen(inside: Uint8Array, width: number, height: number): void {
  const before = inside.slice();
  for (let y = 0, pixel = 0; y < height; y++) {
    for (let x = 0; x < width; x++, pixel++) {
      if (before[pixel]) continue;
      const beside = (x > 0 && before[pixel - 1]) || (x < width - 1 && before[pixel + 1]);
      if (beside || (y > 0 && before[pixel - width]) || (y < height - 1 && before[pixel + width])) inside[pixel] = 1;
    }
  }
}

/** Colours the area within a part of a drawing that begins at `box`; null takes it away. */
export function coat(part: Pixels, box: Box, inside: Uint8Array, width: number, colour: Rgb | null): void {
  for (let y = 0; y < box.height; y++) {
    for (let x = 0; x < box.width; x++) {
      if (inside[(y + box.y) * width + x + box.x]) set(part.data, (y * part.width + x) * 4, colour);
    }
  }
}

/**
 * A stroke from a to b without soft edges, so that every pixel has the colour or what it had: what maps of regions and
 * masks are made of. `part` is the part of the drawing at `box`.
 */
export function hardStroke(part: Pixels, box: Box, a: Dab, b: Dab, colour: Rgb | null): void {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const length = dx * dx + dy * dy;
  for (let y = 0; y < box.height; y++) {
    for (let x = 0; x < box.width; x++) {
      const px = x + box.x + 0.5 - a.x;
      const py = y + box.y + 0.5 - a.y;
      const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
      const radius = Math.max(0.5, (a.size + (b.size - a.size) * along) / 2);
      if ((px - along * dx) ** 2 + (py - along * dy) ** 2 <= radius * radius) set(part.data, (y * part.width + x) * 4, colour);
    }
  }
}

function set(data: Uint8ClampedArray, at: number, colour: Rgb | null): void {
  data[at] = colour?.[0] ?? 0;
  data[at + 1] = colour?.[1] ?? 0;
  data[at + 2] = colour?.[2] ?? 0;
  data[at + 3] = colour ? 255 : 0;
}

/** Gives every pixel the nearest of these colours, the ground's where it is more clear than not. */
export function settle(pixels: Pixels, colours: readonly Rgb[], ground: Rgb): void {
  const { data } = pixels;
  const known = new Map<number, Rgb>();
  for (let at = 0; at < data.length; at += 4) {
    const here: Rgb = [data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0];
    if ((data[at + 3] ?? 0) < 128) {
      set(data, at, ground);
      continue;
    }
    const name = (here[0] << 16) | (here[1] << 8) | here[2];
    let near = known.get(name);
    if (!near) known.set(name, (near = nearest(here, colours)));
    set(data, at, near);
  }
}

/** The colour of these that is nearest to one. */
export function nearest(colour: Rgb, colours: readonly Rgb[]): Rgb {
  let best = colours[0] ?? colour;
  let least = Infinity;
  for (const other of colours) {
    const apart = (other[0] - colour[0]) ** 2 + (other[1] - colour[1]) ** 2 + (other[2] - colour[2]) ** 2;
    if (apart < least) [best, least] = [other, apart];
  }
  return best;
}

/** The colours that a picture is made of, by cutting the box of its colours at medians, the commonest first. */
export function palette(pixels: Pixels, count = 8): Rgb[] {
  const { data } = pixels;
  const step = Math.max(1, Math.floor(data.length / 4 / 6000));
  const found: Rgb[] = [];
  for (let at = 0; at < data.length; at += 4 * step) {
    if ((data[at + 3] ?? 0) > 127) found.push([data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0]);
  }
  if (!found.length) return [];
  const boxes = [found];
  while (boxes.length < count) {
    const spans = boxes.map((box) => widest(box));
    const worst = spans.reduce((best, span, i) => (span.worth > (spans[best]?.worth ?? 0) ? i : best), 0);
    const box = boxes[worst] as Rgb[];
    const span = spans[worst];
    if (!span || span.width < 8) break;
    box.sort((a, b) => a[span.channel] - b[span.channel]);
    const half = box.length >> 1;
    boxes.splice(worst, 1, box.slice(0, half), box.slice(half));
  }
  return boxes.sort((a, b) => b.length - a.length).map(mean);
}

function widest(box: readonly Rgb[]): { channel: 0 | 1 | 2; width: number; worth: number } {
  let channel: 0 | 1 | 2 = 0;
  let width = -1;
  for (const c of [0, 1, 2] as const) {
    let [low, high] = [255, 0];
    for (const colour of box) {
      low = Math.min(low, colour[c]);
      high = Math.max(high, colour[c]);
    }
    if (high - low > width) [channel, width] = [c, high - low];
  }
  return { channel, width, worth: box.length < 2 ? 0 : width * Math.sqrt(box.length) };
}

function mean(box: readonly Rgb[]): Rgb {
  const sum = [0, 0, 0];
  for (const colour of box) for (const c of [0, 1, 2] as const) sum[c] = (sum[c] ?? 0) + colour[c];
  return sum.map((total) => Math.round(total / box.length)) as unknown as Rgb;
}
