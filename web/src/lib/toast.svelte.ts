// Short words at the foot of the page, with a way back where there is one.

export interface Told {
  id: number;
  text: string;
  detail: string | null;
  kind: "word" | "fault";
  undo: (() => unknown) | null;
}

class Toasts {
  all = $state<Told[]>([]);
}

export const toasts = new Toasts();

let count = 0;
const timers = new Map<number, number>();

/** Says something for a while: 5 s, or 10 s with an undo. */
export function toast(text: string, options: { undo?: () => unknown; kind?: Told["kind"]; detail?: string | null } = {}): void {
  const id = ++count;
  const one: Told = { id, text, detail: options.detail ?? null, kind: options.kind ?? "word", undo: options.undo ?? null };
  toasts.all = [...toasts.all.slice(-2), one];
  hold(id, options.undo || one.kind === "fault" ? 10_000 : 5_000);
}

/** Says what went wrong. */
export function fault(problem: unknown): void {
  const detail = problem instanceof Error && "detail" in problem ? (problem.detail as string | null) : null;
  toast(problem instanceof Error ? problem.message : String(problem), { kind: "fault", detail });
}

export function hold(id: number, ms: number): void {
  clearTimeout(timers.get(id));
  timers.set(id, window.setTimeout(() => dismiss(id), ms));
}

export function keep(id: number): void {
  clearTimeout(timers.get(id));
}

export function dismiss(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
  toasts.all = toasts.all.filter((one) => one.id !== id);
}
