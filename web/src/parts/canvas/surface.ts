// The drawing itself: layers of pixels, strokes on them, steps back and forth. It knows nothing of the page around it.
import { joined, touched, type Box, type Dab } from "./geometry";
import { History } from "./history";
import { coat, flood, hardStroke, hex, rgb, settle, type Rgb } from "./pixels";

/** colours and lines lie on white paper, lines on top; regions and mask are drawings of their own. */
export const LAYERS = ["colours", "lines", "regions", "mask"] as const;
export type LayerName = (typeof LAYERS)[number];

/** A change of one layer within a box. */
interface Patch {
  layer: LayerName;
  box: Box;
  before: ImageData;
  after: ImageData;
  weight: number;
}

/** One step: patches that belong together. */
interface Change {
  patches: Patch[];
  weight: number;
}

export const PAPER = "#ffffff";
const HARD: readonly LayerName[] = ["regions", "mask"]; // every pixel has one colour or none

function sheet(width: number, height: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

function pen(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser has no canvas to draw on");
  return context;
}

export class Surface {
  readonly width: number;
  readonly height: number;
  backdrop: ImageBitmap | null = null;
  readonly history = new History<Change>();
  private readonly layers: Record<LayerName, HTMLCanvasElement>;
  private before: ImageData | null = null; // the layer as it was when the stroke began
  private dirty: Box | null = null;
  private layer: LayerName = "colours";

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    const made = LAYERS.map((name) => [name, sheet(width, height)] as const);
    this.layers = Object.fromEntries(made) as Record<LayerName, HTMLCanvasElement>;
  }

  canvas(name: LayerName): HTMLCanvasElement {
    return this.layers[name];
  }

  private all(name: LayerName): ImageData {
    return pen(this.layers[name]).getImageData(0, 0, this.width, this.height);
  }

  /** Whether nothing is drawn on a layer. */
  blank(name: LayerName): boolean {
    const { data } = this.all(name);
    for (let at = 3; at < data.length; at += 4) if (data[at]) return false;
    return true;
  }

  // --- strokes -------------------------------------------------------------------------------------------------------

  begin(layer: LayerName): void {
    this.layer = layer;
    this.before = this.all(layer);
    this.dirty = null;
  }

  /** A piece of a stroke; colour null is the eraser. */
  stroke(a: Dab, b: Dab, colour: string | null): void {
    const box = touched(a, b, this.width, this.height);
    if (!box) return;
    const context = pen(this.layers[this.layer]);
    if (HARD.includes(this.layer)) {
      const part = context.getImageData(box.x, box.y, box.width, box.height);
      hardStroke(part, box, a, b, colour === null ? null : rgb(colour));
      context.putImageData(part, box.x, box.y);
    } else {
      context.save();
      context.globalCompositeOperation = colour === null ? "destination-out" : "source-over";
      context.strokeStyle = colour ?? "#000000";
      context.lineCap = context.lineJoin = "round";
      context.lineWidth = Math.max(1, (a.size + b.size) / 2);
      context.beginPath();
      context.moveTo(a.x, a.y);
      context.lineTo(b.x + (a.x === b.x && a.y === b.y ? 0.01 : 0), b.y); // a tap is a dot
      context.stroke();
      context.restore();
    }
    this.dirty = joined(this.dirty, box);
  }

  /** Ends the stroke and keeps it as a step; false where it touched nothing. */
  end(): boolean {
    const { before, dirty } = this;
    this.before = this.dirty = null;
    if (!before || !dirty) return false;
    this.history.push(this.changed(this.layer, dirty, before));
    return true;
  }

  /** Takes back a stroke that has not ended: a second finger has come. */
  abandon(): void {
    if (this.before) pen(this.layers[this.layer]).putImageData(this.before, 0, 0);
    this.before = this.dirty = null;
  }

  /** Fills the area around a place; what is seen (lines too) bounds it. False where nothing changed. */
  fill(layer: LayerName, x: number, y: number, colour: string | null): boolean {
    const hard = HARD.includes(layer);
    const seen = hard ? this.all(layer) : pen(this.picture()).getImageData(0, 0, this.width, this.height);
    const area = flood(seen, x, y, hard ? 0 : 40, hard ? 0 : 1);
    if (!area) return false;
    const before = this.all(layer);
    const context = pen(this.layers[layer]);
    const part = context.getImageData(area.box.x, area.box.y, area.box.width, area.box.height);
    coat(part, area.box, area.inside, this.width, colour === null ? null : rgb(colour));
    context.putImageData(part, area.box.x, area.box.y);
    this.history.push(this.changed(layer, area.box, before));
    return true;
  }

  /** Empties layers, as one step; false where they were empty. */
  clear(names: readonly LayerName[]): boolean {
    const full = names.filter((name) => !this.blank(name));
    return this.step(full, (context) => context.clearRect(0, 0, this.width, this.height));
  }

  /** Puts a picture on a layer, as one step, as large as it goes without being cut. */
  place(layer: LayerName, picture: CanvasImageSource & { width: number; height: number }): void {
    this.step([layer], (context) => {
      context.clearRect(0, 0, this.width, this.height);
      context.imageSmoothingEnabled = !HARD.includes(layer);
      context.drawImage(picture, 0, 0, this.width, this.height);
    });
  }

  /** Gives a layer these pixels, as one step. */
  put(layer: LayerName, pixels: ImageData): void {
    this.step([layer], (context) => context.putImageData(pixels, 0, 0));
  }

  private step(names: readonly LayerName[], work: (context: CanvasRenderingContext2D) => void): boolean {
    const whole = { x: 0, y: 0, width: this.width, height: this.height };
    const patches: Patch[] = [];
    for (const name of names) {
      const before = this.all(name);
      work(pen(this.layers[name]));
      patches.push(...this.changed(name, whole, before).patches);
    }
    if (patches.length) this.history.push({ patches, weight: patches.reduce((sum, one) => sum + one.weight, 0) });
    return patches.length > 0;
  }

  private changed(layer: LayerName, box: Box, whole: ImageData): Change {
    const after = pen(this.layers[layer]).getImageData(box.x, box.y, box.width, box.height);
    const before = new ImageData(box.width, box.height);
    for (let y = 0; y < box.height; y++) {
      const from = ((y + box.y) * this.width + box.x) * 4;
      before.data.set(whole.data.subarray(from, from + box.width * 4), y * box.width * 4);
    }
    const weight = box.width * box.height * 8;
    return { patches: [{ layer, box, before, after, weight }], weight };
  }

  undo(): boolean {
    const step = this.history.undo();
    for (const patch of step?.patches ?? []) pen(this.layers[patch.layer]).putImageData(patch.before, patch.box.x, patch.box.y);
    return step !== null;
  }

  redo(): boolean {
    const step = this.history.redo();
    for (const patch of step?.patches ?? []) pen(this.layers[patch.layer]).putImageData(patch.after, patch.box.x, patch.box.y);
    return step !== null;
  }

  // --- what is seen and handed out -------------------------------------------------------------------------------------

  /** Colours and lines on white paper. */
  picture(): HTMLCanvasElement {
    const out = sheet(this.width, this.height);
    const context = pen(out);
    context.fillStyle = PAPER;
    context.fillRect(0, 0, this.width, this.height);
    context.drawImage(this.layers.colours, 0, 0);
    context.drawImage(this.layers.lines, 0, 0);
    return out;
  }

  /** The map of regions with no pixel left open: every one has the nearest region's colour, the open ones the ground's. */
  map(colours: readonly Rgb[], ground: Rgb): HTMLCanvasElement {
    const pixels = this.all("regions");
    settle(pixels, colours, ground);
    const out = sheet(this.width, this.height);
    pen(out).putImageData(pixels, 0, 0);
    return out;
  }

  /** The mask as it is understood everywhere: white where something is to be done, black elsewhere. */
  mask(width = this.width, height = this.height): HTMLCanvasElement {
    const pixels = this.all("mask");
    for (let at = 0; at < pixels.data.length; at += 4) {
      const level = (pixels.data[at + 3] ?? 0) > 127 ? 255 : 0;
      pixels.data.fill(level, at, at + 3);
      pixels.data[at + 3] = 255;
    }
    const flat = sheet(this.width, this.height);
    pen(flat).putImageData(pixels, 0, 0);
    if (width === this.width && height === this.height) return flat;
    const out = sheet(width, height);
    pen(out).drawImage(flat, 0, 0, width, height);
    return out;
  }

  /** The colour at a place of what lies on the table: drawing over backdrop. */
  colourAt(x: number, y: number, layer: LayerName, ground = PAPER): string | null {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return null;
    const out = sheet(1, 1);
    const context = pen(out);
    context.fillStyle = layer === "regions" ? ground : PAPER;
    context.fillRect(0, 0, 1, 1);
    const [left, top] = [-Math.floor(x), -Math.floor(y)];
    if (this.backdrop && layer !== "regions") context.drawImage(this.backdrop, left, top, this.width, this.height);
    const shown: readonly LayerName[] = layer === "regions" ? ["regions"] : ["colours", "lines"];
    for (const name of shown) context.drawImage(this.layers[name], left, top);
    const [r = 0, g = 0, b = 0] = context.getImageData(0, 0, 1, 1).data;
    return hex([r, g, b]);
  }

  /** Draws what the person sees while working on a layer. */
  show(target: CanvasRenderingContext2D, layer: LayerName, veil: number, ground = PAPER): void {
    const { width, height } = this;
    target.globalAlpha = 1;
    target.fillStyle = PAPER;
    target.fillRect(0, 0, width, height);
    if (this.backdrop) target.drawImage(this.backdrop, 0, 0, width, height);
    if (this.backdrop && layer !== "mask") {
      target.globalAlpha = veil;
      target.fillStyle = PAPER;
      target.fillRect(0, 0, width, height);
      target.globalAlpha = 1;
    }
    if (layer === "regions") {
      target.globalAlpha = this.backdrop ? 0.3 + 0.7 * veil : 1;
      target.fillStyle = ground;
      target.fillRect(0, 0, width, height);
      target.drawImage(this.layers.regions, 0, 0);
      target.globalAlpha = 1;
      return;
    }
    if (!(layer === "mask" && this.backdrop)) {
      target.drawImage(this.layers.colours, 0, 0);
      target.drawImage(this.layers.lines, 0, 0);
    }
    if (layer === "mask") {
      target.globalAlpha = 0.55;
      target.drawImage(this.layers.mask, 0, 0);
      target.globalAlpha = 1;
    }
  }

  /** The same drawing on a sheet of another shape; its steps stay behind. */
  reshaped(width: number, height: number): Surface {
    const made = new Surface(width, height);
    made.backdrop = this.backdrop;
    for (const name of LAYERS) {
      const context = pen(made.layers[name]);
      context.imageSmoothingEnabled = !HARD.includes(name);
      context.drawImage(this.layers[name], 0, 0, width, height);
    }
    return made;
  }

  /** A layer of what is kept, put back without a step. */
  restore(layer: LayerName, picture: ImageBitmap): void {
    pen(this.layers[layer]).drawImage(picture, 0, 0);
  }

}

/** A canvas as PNG, its longer side at most so many pixels. */
export function png(canvas: HTMLCanvasElement, longest = Infinity, smooth = true): Promise<Blob> {
  const scale = Math.min(1, longest / Math.max(canvas.width, canvas.height));
  let out = canvas;
  if (scale < 1) {
    out = sheet(Math.max(8, Math.round(canvas.width * scale)), Math.max(8, Math.round(canvas.height * scale)));
    const context = pen(out);
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = "high";
    context.drawImage(canvas, 0, 0, out.width, out.height);
  }
  return new Promise((resolve, reject) => {
    out.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the drawing could not be written as PNG"))), "image/png");
  });
}
