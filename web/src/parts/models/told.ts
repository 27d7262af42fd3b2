// What the server tells of models, recipes and runs, and how a page says it.
import { lang } from "../../lib/messages.svelte";
import { LABELS, ZH } from "../models-zh";

export interface Measure {
  value: number;
  split: string;
  command: string;
}
export interface Card {
  name: string;
  purpose: string;
  rights: "open" | "research";
  licence: string;
  data: { name: string; works: number; rights: string }[];
  parameters: number;
  storage: string;
  sha256: string;
  limits: string[];
  made: { command: string; hours: number; hardware: string; seed: number } | null;
  measured: Record<string, Measure>;
  here: boolean;
  bytes: number;
  source: string;
}
export interface Setting {
  name: string;
  kind: "int" | "float" | "bool" | "text";
  default: number | boolean | string;
  meaning: string;
  first: boolean;
}
export interface Recipe {
  name: string;
  purpose: string;
  data: string;
  pictures: boolean;
  fields: Setting[];
}
export interface Summary {
  name: string;
  recipe: string;
  data: string;
  state: "finished" | "stopped";
  checkpoint: boolean;
  step: number;
  steps: number | null;
  minutes: number;
  touched: string;
  sheet: string | null;
  /** what a finished one can be used in; "" for nothing */
  art: string;
}
export interface Detail extends Summary {
  settings: Record<string, unknown>;
  series: Record<string, [number, number][]>;
  warnings: { name: string; step: number; text: string; advice: string }[];
  sheets: number[];
  measured: Record<string, unknown>;
  folder: string;
}
export interface Estimate {
  parameters: Record<string, number>;
  seconds_a_step: number;
  memory_bytes: number;
  expected_steps: number;
  expected_minutes: number;
}

/** A sentence of a card or a recipe, in the language that is on. */
export const said = (text: string): string => (lang.now === "zh" ? (ZH[text] ?? text) : text).replaceAll("`", "");
/** What a setting is called. */
export const label = (name: string): string => LABELS[name]?.[lang.now] ?? name;
export const millions = (count: number): string => (count / 1e6).toLocaleString(undefined, { maximumFractionDigits: 2 });
export const size = (bytes: number): string => (bytes > 1048576 ? `${(bytes / 1048576).toFixed(1)} MB` : `${Math.ceil(bytes / 1024)} kB`);
export const figure = (value: unknown): string => (typeof value === "number" ? Number(value.toPrecision(4)).toString() : String(value));
export const plain = (words: string): string => words.replaceAll("_", " ");
