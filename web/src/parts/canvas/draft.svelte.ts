// What a person has chosen on the canvas: layer, tool, colours, words. It outlives the page; the drawing is kept by Board.
import type { FileValue, StyleValue } from "../../lib/api";
import { kept } from "../../lib/kept.svelte";
import type { Both } from "../../lib/messages.svelte";
import { INK, PAINTS } from "./paints";
import type { LayerName } from "./surface";

export type Tool = "brush" | "eraser" | "fill" | "pick";

/** A thing that a colour of a map of regions stands for. */
export interface Region {
  name: string;
  title: Both;
  colour: string;
}

const OWN = 12; // colours that were mixed lately

export const draft = kept("canvas", {
  layer: "colours" as LayerName,
  tool: "brush" as Tool,
  sizes: { colours: 40, lines: 4, regions: 56, mask: 56 } as Record<LayerName, number>,
  colour: PAINTS[13]?.colour ?? INK,
  region: "mountain",
  mine: [] as string[],
  veil: 0.5,
  prompt: "",
  style: [] as StyleValue[],
  size: 768,
  seed: null as number | null,
  model: "",
  plain: false,
  live: true,
  backdrop: null as FileValue | null,
  job: "",
  previewSeed: 7,
});

/** Takes a colour up: on the map of regions what it stands for, elsewhere the colour itself. */
export function choose(colour: string, regions: readonly Region[]): void {
  if (draft.layer === "regions") {
    draft.region = regions.find((one) => one.colour === colour)?.name ?? draft.region;
  } else {
    draft.colour = colour;
    const mixed = !PAINTS.some((paint) => paint.colour === colour) && !draft.mine.includes(colour);
    if (mixed) draft.mine = [colour, ...draft.mine].slice(0, OWN);
  }
  if (draft.tool !== "fill") draft.tool = "brush";
}
