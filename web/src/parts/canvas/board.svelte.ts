// The drawing that is on the easel: what is done to it as a whole, what lies beneath it, how the browser keeps it.
import type { FileValue } from "../../lib/api";
import { messages } from "../../lib/messages.svelte";
import { toast } from "../../lib/toast.svelte";
import { VEIL } from "./paints";
import { rgb } from "./pixels";
import { keep, recall } from "./store";
import { LAYERS, png, Surface, type LayerName } from "./surface";

const t = messages(
  {
    colours: "Colours",
    lines: "Lines",
    regions: "Regions",
    mask: "Mask",
    cleared: "{layer}: cleared.",
    reshaped: "The sheet has another shape now.",
    notKept: "This browser keeps nothing: the drawing will be gone when the page is closed.",
  },
  {
    colours: "颜色",
    lines: "线条",
    regions: "分区",
    mask: "蒙版",
    cleared: "{layer}已清空。",
    reshaped: "画纸换了形状。",
    notKept: "此浏览器不让保存：关掉网页，画就没有了。",
  },
);

/** What a layer is called. */
export const layerTitle = (layer: LayerName): string => t(layer);

const LONGEST = 960; // of a sheet shaped after a picture
const PAUSE_MS = 700; // after a change, before the drawing is written down

/** Where a file of the studio's is. */
export const addressOf = (file: FileValue): string => ("work" in file ? `/api/works/${file.work}/file` : `/api/uploads/${file.upload}`);

export async function bitmapOf(file: FileValue): Promise<ImageBitmap> {
  const answer = await fetch(addressOf(file));
  if (!answer.ok) throw new Error(`${answer.status} ${addressOf(file)}`);
  return createImageBitmap(await answer.blob());
}

export class Board {
  surface = $state.raw(new Surface(960, 640));
  /** counts up with every change of the surface */
  version = $state(0);
  /** whether the kept drawing is here: before, nothing is drawn */
  ready = $state(false);
  readonly canUndo = $derived(this.version >= 0 && this.surface.history.canUndo);
  readonly canRedo = $derived(this.version >= 0 && this.surface.history.canRedo);
  private photo: { width: number; height: number } | null = null;
  private writing = 0;
  private warned = false;

  /** told: that something was drawn, taken back or replaced. */
  constructor(private readonly told: () => void) {}

  changed(): void {
    this.version++;
    clearTimeout(this.writing);
    this.writing = window.setTimeout(() => void this.write(), PAUSE_MS);
    this.told();
  }

  // --- how it is kept -------------------------------------------------------------------------------------------------

  /** Puts the kept drawing on the easel. */
  async restore(): Promise<void> {
    try {
      const found = await recall();
      if (!found) return;
      const made = new Surface(found.width, found.height);
      for (const name of LAYERS) {
        const blob = found.layers[name];
        if (blob) made.restore(name, await createImageBitmap(blob));
      }
      this.surface = made;
    } finally {
      this.version++;
      this.ready = true;
    }
  }

  /** Writes down what is not written down yet: the page or the room is left. */
  leave(): void {
    if (this.writing) void this.write();
  }

  private async write(): Promise<void> {
    clearTimeout(this.writing);
    this.writing = 0;
    const now = this.surface;
    const layers = {} as Record<LayerName, Blob | null>;
    for (const name of LAYERS) layers[name] = now.blank(name) ? null : await png(now.canvas(name));
    const done = await keep({ width: now.width, height: now.height, layers, backdrop: null });
    if (done || this.warned) return;
    this.warned = true;
    toast(t("notKept"));
  }

  // --- what is done to it -----------------------------------------------------------------------------------------------

  undo(): void {
    if (this.surface.undo()) this.changed();
  }

  redo(): void {
    if (this.surface.redo()) this.changed();
  }

  clear(layer: LayerName): void {
    const layers: LayerName[] = layer === "colours" ? ["colours", "lines"] : [layer];
    if (!this.surface.clear(layers)) return;
    this.changed();
    const here = this.surface;
    toast(t("cleared", { layer: t(layer) }), { undo: () => here === this.surface && this.undo() });
  }

  reshape(width: number, height: number): void {
    const before = this.surface;
    if (width === before.width && height === before.height) return;
    this.surface = before.reshaped(width, height);
    this.changed();
    if (LAYERS.every((name) => before.blank(name))) return;
    toast(t("reshaped"), {
      undo: () => {
        before.backdrop = this.surface.backdrop;
        this.surface = before;
        this.changed();
      },
    });
  }

  private shapeAfter(picture: { width: number; height: number }): void {
    const scale = LONGEST / Math.max(picture.width, picture.height);
    this.reshape(Math.max(64, Math.round(picture.width * scale)), Math.max(64, Math.round(picture.height * scale)));
  }

  /** Puts a photo beneath the drawing; the sheet takes its shape. */
  async lay(file: FileValue, shaped = true): Promise<void> {
    const bitmap = await bitmapOf(file);
    this.photo = { width: bitmap.width, height: bitmap.height };
    if (shaped) this.shapeAfter(bitmap);
    this.surface.backdrop = bitmap;
    this.version++;
  }

  liftPhoto(): void {
    this.surface.backdrop = null;
    this.photo = null;
    this.version++;
  }

  /** Makes the photo beneath the drawing itself. */
  drawOnPhoto(): void {
    if (!this.surface.backdrop) return;
    this.surface.place("colours", this.surface.backdrop);
    this.changed();
  }

  /** Puts a picture on a layer; of a mask, what is bright in it. */
  place(layer: LayerName, bitmap: ImageBitmap): void {
    if (layer === "mask") {
      const out = new OffscreenCanvas(this.surface.width, this.surface.height).getContext("2d");
      if (!out) return;
      out.drawImage(bitmap, 0, 0, this.surface.width, this.surface.height);
      const pixels = out.getImageData(0, 0, this.surface.width, this.surface.height);
      veiled(pixels, (r, g, b, alpha) => alpha > 127 && 0.299 * r + 0.587 * g + 0.114 * b > 127);
      this.surface.put("mask", pixels);
    } else {
      if (LAYERS.every((name) => this.surface.blank(name))) this.shapeAfter(bitmap);
      this.surface.place(layer === "regions" ? "regions" : "colours", bitmap);
    }
    this.changed();
  }

  /** What was masked is free, and the other way round. */
  invert(): void {
    const pixels = this.surface.canvas("mask").getContext("2d")?.getImageData(0, 0, this.surface.width, this.surface.height);
    if (!pixels) return;
    veiled(pixels, (_r, _g, _b, alpha) => alpha <= 127);
    this.surface.put("mask", pixels);
    this.changed();
  }

  // --- what is handed out -----------------------------------------------------------------------------------------------

  /** Whether nothing is drawn that could become a painting. */
  blank(layer: LayerName): boolean {
    return layer === "regions" ? this.surface.blank("regions") : this.surface.blank("colours") && this.surface.blank("lines");
  }

  /** The mask as large as the photo that it is for. */
  mask(): HTMLCanvasElement {
    return this.photo ? this.surface.mask(this.photo.width, this.photo.height) : this.surface.mask();
  }
}

function veiled(pixels: ImageData, on: (r: number, g: number, b: number, alpha: number) => boolean): void {
  const veil = [...rgb(VEIL), 255];
  for (let at = 0; at < pixels.data.length; at += 4) {
    const [r = 0, g = 0, b = 0, alpha = 0] = pixels.data.subarray(at, at + 4);
    pixels.data.set(on(r, g, b, alpha) ? veil : [0, 0, 0, 0], at);
  }
}
