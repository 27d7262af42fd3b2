// Where a pen is and how broad its line is: plain numbers, no canvas.

export interface Point {
  x: number;
  y: number;
}

/** A place on a stroke, with the line's breadth there, in pixels of the drawing. */
export interface Dab extends Point {
  size: number;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What of the screen the drawing covers, in CSS pixels. */
export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A place on the screen as a place on a drawing of this size; outside the frame it lies outside the drawing. */
export function toDrawing(client: Point, frame: Frame, size: { width: number; height: number }): Point {
  return {
    x: ((client.x - frame.left) * size.width) / Math.max(1, frame.width),
    y: ((client.y - frame.top) * size.height) / Math.max(1, frame.height),
  };
}

const LIGHTEST = 0.3; // share of the brush that the lightest touch of a pen leaves

/** How broad a brush of this size is under a pointer; mice and fingers know no pressure. */
export function breadth(size: number, kind: string, pressure: number): number {
  if (kind !== "pen" || pressure <= 0) return size;
  return Math.max(1, size * (LIGHTEST + (1 - LIGHTEST) * Math.min(1, pressure)));
}

/** The stroke's next dab, drawn towards the one before so that a shaking hand draws a calm line. */
export function steadied(before: Dab | null, now: Dab, calm = 0.35): Dab {
  if (!before) return now;
  return {
    x: before.x + (now.x - before.x) * (1 - calm),
    y: before.y + (now.y - before.y) * (1 - calm),
    size: before.size + (now.size - before.size) * 0.5,
  };
}

/** The whole pixels that a stroke from a to b can touch, cut to the drawing; null where it touches none. */
export function touched(a: Dab, b: Dab, width: number, height: number): Box | null {
  const r = Math.max(a.size, b.size) / 2 + 2;
  return clipped(
    { x: Math.min(a.x, b.x) - r, y: Math.min(a.y, b.y) - r, width: Math.abs(a.x - b.x) + 2 * r, height: Math.abs(a.y - b.y) + 2 * r },
    width,
    height,
  );
}

/** A box as whole pixels of the drawing. */
export function clipped(box: Box, width: number, height: number): Box | null {
  const left = Math.max(0, Math.floor(box.x));
  const top = Math.max(0, Math.floor(box.y));
  const right = Math.min(width, Math.ceil(box.x + box.width));
  const bottom = Math.min(height, Math.ceil(box.y + box.height));
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

/** The smallest box around two. */
export function joined(a: Box | null, b: Box | null): Box | null {
  if (!a || !b) return a ?? b;
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return {
    x,
    y,
    width: Math.max(a.x + a.width, b.x + b.width) - x,
    height: Math.max(a.y + a.height, b.y + b.height) - y,
  };
}

/** The largest frame of this shape that fits into a room of so many CSS pixels. */
export function fitted(width: number, height: number, roomWidth: number, roomHeight: number): { width: number; height: number } {
  const scale = Math.min(roomWidth / width, roomHeight / height);
  return { width: Math.max(1, Math.floor(width * scale)), height: Math.max(1, Math.floor(height * scale)) };
}

/** The next brush size up or down: about a sixth more or less, at least a pixel. */
export function resized(size: number, up: boolean, most = 160): number {
  const step = Math.max(1, Math.round(size / 6));
  return Math.min(most, Math.max(1, up ? size + step : size - Math.max(1, Math.round(size / 7))));
}

/** How a sheet is looked at: `scale` times as large as its frame, its corner at (x, y), in sides of the frame. */
export interface View extends Point {
  scale: number;
}

export const WHOLE: View = { scale: 1, x: 0, y: 0 };
const CLOSEST = 8;

/** The view in which what was seen at `from` is seen at `to`, `factor` times as large; the sheet keeps filling its frame. */
export function moved(view: View, from: Point, to: Point, factor = 1): View {
  const scale = Math.min(CLOSEST, Math.max(1, view.scale * factor));
  const kept = (corner: number, a: number, b: number) => Math.min(0, Math.max(1 - scale, b - (a - corner) * (scale / view.scale)));
  return { scale, x: kept(view.x, from.x, to.x), y: kept(view.y, from.y, to.y) };
}

/** The view after two fingers have gone from one pair of places to another. */
export function pinched(view: View, before: readonly [Point, Point], now: readonly [Point, Point]): View {
  const middle = ([a, b]: readonly [Point, Point]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const apart = ([a, b]: readonly [Point, Point]) => Math.max(1e-3, Math.hypot(a.x - b.x, a.y - b.y));
  return moved(view, middle(before), middle(now), apart(now) / apart(before));
}
