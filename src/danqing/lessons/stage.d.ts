// What stage.js draws: see stage.py for the frames themselves.
export type Words = { en: string; zh: string };
export interface Panel {
  id: string;
  kind: "plane" | "curves" | "pictures" | "rolls" | "verse" | "bars" | "matrix";
  title: Words;
  reach?: number;
  walk?: boolean;
  sets?: { id: string; name: Words; role: string }[];
  eighth_s?: number;
  [more: string]: unknown;
}
export interface Scene {
  panels: Panel[];
  figures: Record<string, Words>;
  pace: number;
}
export interface Frame {
  scene?: Scene;
  step?: number;
  of?: number;
  panels?: Record<string, Record<string, unknown>>;
  figures?: Record<string, number>;
  say?: Words;
}
export interface State {
  panels: Record<string, Record<string, any>>;
  series: Record<string, [number, number][]>;
  figures: Record<string, number>;
  say: Words | null;
  step: number;
  of: number;
  count: number;
}
export interface Theme {
  dark: boolean;
  [colour: string]: string | boolean;
}
export interface Place {
  x: number;
  y: number;
  inside?: boolean;
}
export interface Look {
  width: number;
  height: number;
  lang: "en" | "zh";
  theme: Theme;
  figures: Record<string, Words>;
  total: number;
  redraw?: () => void;
  cursor?: Place | null;
  playing?: { panel: string; number: number; at: number } | null;
}
export function theme(dark: boolean): Theme;
export function fold(frames: Frame[], at: number): State;
export function span(panel: Panel, panels: Panel[]): [columns: number, rows: number];
export function height(panel: Panel, width: number, data?: Record<string, unknown>): number;
export function draw(context: CanvasRenderingContext2D, panel: Panel, state: State, look: Look): void;
export function place(panel: Panel, x: number, y: number, width: number, high: number): Place;
export function tile(panel: Panel, atlas: { n: number; side: number; png: string }, at: Place): [number, number];
