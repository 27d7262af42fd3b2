// A form's pattern as the server tells it, and a text laid over it place by place while its lines arrive.

export interface ToneCell {
  tone: "平" | "仄" | "中";
  char: string;
  own: "平" | "仄" | "both" | null;
  kept: boolean | null;
  given: boolean;
  rhyme: string;
}

export interface BeatCell {
  beat: boolean;
}

export interface ToneLine {
  cells: ToneCell[];
  mark: string;
  rhyme: string;
  verse: boolean;
  gap: boolean;
}

export interface BeatLine {
  cells: BeatCell[];
  words: { text: string; syllables: number }[];
  text: string;
  syllables: number;
  kept: boolean | null;
  given: string;
  mark: string;
  rhyme: string;
  verse: boolean;
  gap: boolean;
}

export type Pattern = { form: string; templates: string[]; template: number; rhymes: Record<string, string>; more?: string[] } & (
  | { kind: "tones"; lines: ToneLine[] }
  | { kind: "beats"; lines: BeatLine[] }
  | { kind: "free"; lines: [] }
);

const HAN = /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{3ffff}]+/gu;

/** The lines of Chinese verse in a text: its runs of Chinese characters. */
export function verses(text: string): string[] {
  return text.match(HAN) ?? [];
}

const CLOSED = /[，。！？；：、,.!?;:…—”’"')）]$/u;

/** Title and body of a text's rows: a short row without a mark at its end and an empty one below it are the title. */
export function split(rows: readonly string[]): { title: string; body: string[] } {
  const [first = "", second] = rows;
  const headed = second === "" && rows.length > 2 && first !== "" && first.length <= 40 && !CLOSED.test(first);
  return headed ? { title: first, body: rows.slice(2) } : { title: "", body: [...rows] };
}

/** A pattern with lines of verse in its places; what their tones are is not known yet. Longer lines are cut. */
export function filled(lines: readonly ToneLine[], written: readonly string[]): ToneLine[] {
  return lines.map((line, n) => {
    const chars = [...(written[n] ?? "")];
    if (!chars.length) return line;
    return {
      ...line,
      cells: line.cells.map((cell, place) => ({ ...cell, char: chars[place] ?? "", own: null, kept: null, given: cell.given && cell.char === chars[place] })),
    };
  });
}

/** The first so many characters of a text's lines, as while a brush writes them. */
export function inked(written: readonly string[], count: number): string[] {
  const out: string[] = [];
  let left = count;
  for (const line of written) {
    if (left <= 0) break;
    const chars = [...line];
    out.push(chars.slice(0, left).join(""));
    left -= chars.length;
  }
  return out;
}

/** How many characters lines have together. */
export const inkOf = (lines: readonly string[]): number => lines.reduce((sum, line) => sum + [...line].length, 0);

/** Which lines of verse a sentence ends after, so that a page can break there: 0 and 1 stand on one row, 2 and 3 on the next. */
export function rowsOf(lines: readonly { mark: string; cells: readonly unknown[] }[], widest = 16): number[][] {
  const rows: number[][] = [];
  let row: number[] = [];
  let length = 0;
  lines.forEach((line, n) => {
    if (row.length && length + line.cells.length > widest) {
      rows.push(row);
      [row, length] = [[], 0];
    }
    row.push(n);
    length += line.cells.length;
    if (/[。！？；]/.test(line.mark)) {
      rows.push(row);
      [row, length] = [[], 0];
    }
  });
  if (row.length) rows.push(row);
  return rows;
}

const WORD = /[A-Za-zÀ-ÿ]+(?:['’][A-Za-z]+)*/g;

/** An English line as it stands on the page, in pieces between blanks, each with how many syllables it has. */
export function scanned(line: Pick<BeatLine, "text" | "words">): { text: string; start: number; syllables: number }[] {
  let word = 0;
  let start = 0;
  return line.text.split(/\s+/).map((text) => {
    const count = (text.match(WORD) ?? []).length;
    const syllables = line.words.slice(word, word + count).reduce((sum, one) => sum + one.syllables, 0);
    word += count;
    start += syllables;
    return { text, start: start - syllables, syllables };
  });
}

export interface Dot {
  x: number;
  y: number;
  kind: "level" | "oblique" | "either" | "beat" | "weak";
  rhyme: boolean;
}

/** A form in small: its places as dots, for a card of the wall. At most so many lines and places are drawn. */
export function dots(shape: readonly string[], mostLines = 10, mostPlaces = 12): Dot[] {
  const kinds: Record<string, Dot["kind"]> = { 平: "level", 仄: "oblique", 中: "either", "^": "beat", "-": "weak" };
  const out: Dot[] = [];
  shape.slice(0, mostLines).forEach((line, y) => {
    const chars = [...line].filter((char) => char in kinds).slice(0, mostPlaces);
    const rhymes = [...line].some((char) => /[a-zA-Z]/.test(char));
    chars.forEach((char, x) => out.push({ x, y, kind: kinds[char] ?? "either", rhyme: rhymes && x === chars.length - 1 }));
  });
  return out;
}

/** Text with everything from one line on left out: what a text is gone on with after. */
export function before(text: string, line: number): string {
  return text.split("\n").slice(0, line).join("\n").trimEnd();
}
