// Where notes and bars lie in time: plain numbers behind the piano roll and the cursor on the score.

export type RollNote = [onset: number, duration: number, pitch: number, part: number, velocity: number];

export interface Notes {
  title: string;
  duration_s: number;
  tempo_bpm: number;
  key: { tonic: string; mode: string } | null;
  metre: string;
  bars: number[];
  pickup: boolean;
  parts: { name: string; title: { en: string; zh: string }; program: number; drums: boolean }[];
  notes: RollNote[];
}

/** How many bars there are, the pickup among them. */
export const barCount = (notes: Notes): number => Math.max(0, notes.bars.length - 1);

/** The index (from 0, a pickup counts) of the bar in which a moment lies. */
export function barAt(bars: readonly number[], second: number): number {
  let low = 0;
  let high = bars.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((bars[middle] ?? 0) <= second + 1e-6) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

/** A bar's number as people count: a pickup is 0, the first full bar 1. */
export const barNumber = (index: number, pickup: boolean): number => (pickup ? index : index + 1);

/** Bars from one index to another as `compose` takes them; a pickup cannot be written anew. Null where nothing is left. */
export function barRange(from: number, to: number, pickup: boolean): string | null {
  const first = Math.max(1, barNumber(Math.min(from, to), pickup));
  const last = barNumber(Math.max(from, to), pickup);
  return last >= first ? `${first}:${last}` : null;
}

/** The pitches that a roll shows: those that sound, and a little room around them. */
export function pitchSpan(notes: readonly RollNote[]): { low: number; high: number } {
  let [low, high] = [127, 0];
  for (const note of notes) {
    low = Math.min(low, note[2]);
    high = Math.max(high, note[2]);
  }
  if (low > high) return { low: 54, high: 78 };
  const room = Math.max(2, Math.ceil((16 - (high - low)) / 2));
  return { low: Math.max(0, low - room), high: Math.min(127, high + room) };
}

/** The notes that sound at a moment. */
export function sounding(notes: readonly RollNote[], second: number): RollNote[] {
  return notes.filter(([onset, duration]) => onset <= second && second < onset + duration);
}

/** Seconds as m:ss. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Where a bar's moments are printed: pairs of a moment in seconds and a place across the page, rising. */
export type Marks = { second: number; x: number }[];

/**
 * The moments of one printed bar. `heads` are the places of its note heads, `left` and `right` its edges. Where there are
 * as many columns of heads as moments at which notes begin, each column is a moment; else the bar is walked evenly.
 */
export function marksOf(
  heads: readonly number[],
  onsets: readonly number[],
  bar: { start: number; end: number; left: number; right: number },
  close: number,
): Marks {
  const columns = clustered(heads, close);
  const moments = [...new Set(onsets.map((onset) => Math.round(onset * 1e4) / 1e4))].sort((a, b) => a - b);
  const last = { second: bar.end, x: bar.right };
  if (columns.length && columns.length === moments.length) {
    return [...moments.map((second, i) => ({ second, x: columns[i] as number })), last];
  }
  return [{ second: bar.start, x: columns[0] ?? bar.left }, last];
}

/** Places that lie closer together than `close` are one column. */
export function clustered(places: readonly number[], close: number): number[] {
  const out: number[] = [];
  for (const place of [...places].sort((a, b) => a - b)) {
    if (!out.length || place - (out.at(-1) as number) > close) out.push(place);
  }
  return out;
}

/** The place across the page at a moment, between the marks around it. */
export function placeAt(marks: Marks, second: number): number {
  const first = marks[0];
  if (!first) return 0;
  if (second <= first.second) return first.x;
  for (let i = 1; i < marks.length; i++) {
    const [a, b] = [marks[i - 1] as Marks[0], marks[i] as Marks[0]];
    if (second <= b.second) return a.x + ((b.x - a.x) * (second - a.second)) / Math.max(1e-6, b.second - a.second);
  }
  return (marks.at(-1) as Marks[0]).x;
}

/** The moment at a place across the page. */
export function momentAt(marks: Marks, x: number): number {
  const first = marks[0];
  if (!first) return 0;
  if (x <= first.x) return first.second;
  for (let i = 1; i < marks.length; i++) {
    const [a, b] = [marks[i - 1] as Marks[0], marks[i] as Marks[0]];
    if (x <= b.x) return a.second + ((b.second - a.second) * (x - a.x)) / Math.max(1e-6, b.x - a.x);
  }
  return (marks.at(-1) as Marks[0]).second;
}
