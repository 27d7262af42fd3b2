// What a person asks for in Writing, and the versions of what was written; both outlive the page.
import type { FileValue } from "../../lib/api";
import { kept } from "../../lib/kept.svelte";
import type { Both } from "../../lib/messages.svelte";

export interface Form {
  id: string;
  form: string;
  group: string;
  language: "zh" | "en";
  title: Both;
  about: Both;
  shape: string[];
  length: { least: number; most: number; unit: "lines" | "characters" | "words" } | null;
  acrostic: boolean;
  start: boolean;
  poet: boolean;
  rhyme: boolean;
  revise: boolean;
}
export interface Known {
  groups: { name: string; title: Both }[];
  forms: Form[];
  moods: { name: string; title: Both }[];
  poets: { name: string; title: Both }[];
  rhymes: { pingshui: string[]; modern: string[] };
}
export interface Version extends Record<string, unknown> {
  file: FileValue;
  text: string;
  title: string;
  form: string;
  line: number;
}
export interface Finding {
  rule: string;
  line: number;
  state: "kept" | "broken" | "note" | "unknown";
  zh: string;
  en: string;
}
export interface Report {
  form: { name: string; findings: Finding[]; kept: boolean };
  imagery?: { images?: Record<string, string[]>; moods?: Record<string, string[]> };
  originality?: { lines: number[]; longest: string; judged: number } | null;
  perplexity?: number | null;
}

export const LONGEST_START = 2000; // characters of a beginning that are read

export const draft = kept("writing", {
  form: "",
  topic: "",
  mood: "",
  poet: "",
  start: "",
  acrostic: "",
  length: null as number | null,
  book: "pingshui",
  group: "",
  script: "simplified",
  temperature: null as number | null,
  seed: null as number | null,
  model: "",
  versions: [] as Version[],
  at: -1,
  job: "",
  task: "" as "" | "new" | "line" | "on",
  jobLine: -1,
});

/** The rhyme book, or the group of rhymes, as requests take it. */
export function rhyme(): string {
  return draft.group ? (draft.book === "modern" ? `modern:${draft.group}` : draft.group) : draft.book;
}
