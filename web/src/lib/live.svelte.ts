// What goes on in the studio, as it goes on: one stream of events feeds every room.
import { SvelteMap } from "svelte/reactivity";
import { get, isFileValue, post, type Job, type Work } from "./api";
import { spoken } from "./words";

export interface RunOptions {
  lane?: "long" | "quick";
  /** false: the result is shown but not put on the shelf */
  keep?: boolean;
  /** told at once, and whenever the job has changed */
  onchange?: (job: Job) => void;
}

const FINAL = new Set(["done", "failed", "cancelled"]);
const EVENTS = ["job", "job-removed", "work", "work-removed", "shelf"] as const;

class Live {
  /** Every job that the server keeps, by its id. */
  readonly jobs = new SvelteMap<string, Job>();
  /** Works that were made, changed or asked for since the page was opened, by their id. */
  readonly works = new SvelteMap<string, Work>();
  /** Whether events arrive; false while the server is away. */
  connected = $state(false);
  /** True when the server has been away for some seconds. */
  lost = $state(false);
  /** True once the list of jobs has come for the first time. */
  ready = $state(false);
  /** Counts up whenever a work was made, changed or removed. */
  changes = $state(0);
}

export const live = new Live();

const watchers = new Map<string, Set<(job: Job) => void>>();
const asked = new Map<string, Promise<Work>>();
let source: EventSource | null = null;
let poll = 0;

function take(job: Job): void {
  if (job.error) spoken(job.error);
  const before = live.jobs.get(job.id);
  // A list that was asked for earlier may arrive after a later event.
  if (before && FINAL.has(before.state) && !FINAL.has(job.state) && before.created === job.created && before.ended && !job.started) {
    return;
  }
  live.jobs.set(job.id, job);
  if (job.works.length) note(job);
  for (const told of watchers.get(job.id) ?? []) told(job);
}

const ASKED = "danqing.asked";

/** Notes which files a work was made from, so that it can be made again when its job has been cleared away. */
function note(job: Job): void {
  const files = Object.values(job.request).some((value) => isFileValue(value) || (Array.isArray(value) && value.some(isFileValue)));
  if (!files) return;
  try {
    const known = noted();
    if (known.some(([id]) => id === job.works[0])) return;
    const fresh = job.works.map((id): [string, Record<string, unknown>] => [id, job.request]);
    localStorage.setItem(ASKED, JSON.stringify([...fresh, ...known].slice(0, 300)));
  } catch {
    // no store: only the files have to be chosen again
  }
}

function noted(): [string, Record<string, unknown>][] {
  try {
    return JSON.parse(localStorage.getItem(ASKED) ?? "[]") as [string, Record<string, unknown>][];
  } catch {
    return [];
  }
}

/** What a work of this studio was asked for with, its files as the server knows them; null for other works. */
export function askedFor(id: string): Record<string, unknown> | null {
  const job = [...live.jobs.values()].find((one) => one.works.includes(id));
  return job?.request ?? noted().find(([known]) => known === id)?.[1] ?? null;
}

async function refresh(): Promise<void> {
  const found = await get<{ jobs: Job[] }>("/api/jobs?limit=200");
  const here = new Set(found.jobs.map((job) => job.id));
  for (const id of [...live.jobs.keys()]) if (!here.has(id) && found.jobs.length < 200) live.jobs.delete(id);
  for (const job of found.jobs) {
    if (job.error) spoken(job.error);
    live.jobs.set(job.id, job);
    if (job.works.length) note(job);
    for (const told of watchers.get(job.id) ?? []) told(job);
  }
  live.ready = true;
}

function heard(kind: (typeof EVENTS)[number], data: unknown): void {
  if (kind === "job") take(data as Job);
  else if (kind === "job-removed") live.jobs.delete((data as { id: string }).id);
  else if (kind === "work") {
    live.works.set((data as Work).id, data as Work);
    live.changes++;
  } else if (kind === "shelf") live.changes++; // by another program, perhaps: the terminal
  else {
    live.works.delete((data as { id: string }).id);
    asked.delete((data as { id: string }).id);
    live.changes++;
  }
}

/** Begins to listen; called once by the page. Returns a way to stop. */
export function listen(): () => void {
  void refresh().catch(() => undefined);
  connect();
  // A stream that a sleeping computer or a proxy has cut is taken up again; until then, the list is asked for.
  poll = window.setInterval(() => {
    if (source?.readyState === EventSource.CLOSED) connect();
    if (live.connected) live.lost = false;
    else
      void refresh().then(
        () => (live.lost = false),
        () => (live.lost = true),
      );
  }, 4000);
  return () => {
    clearInterval(poll);
    source?.close();
  };
}

function connect(): void {
  source?.close();
  source = new EventSource("/api/events");
  source.onopen = () => {
    if (live.lost) live.changes++; // who knows what was made meanwhile
    live.connected = true;
    live.lost = false;
    void refresh().catch(() => undefined);
  };
  source.onerror = () => (live.connected = false);
  for (const kind of EVENTS) {
    source.addEventListener(kind, (event) => heard(kind, JSON.parse((event as MessageEvent<string>).data)));
  }
}

/** Starts a job and resolves with it when it is done, failed or cancelled. Raises ApiError where it is refused. */
export async function run(verb: string, request: Record<string, unknown>, options: RunOptions = {}): Promise<Job> {
  const job = await start(verb, request, options);
  return follow(job.id, options.onchange);
}

/** Starts a job and returns it at once. */
export async function start(verb: string, request: Record<string, unknown>, options: RunOptions = {}): Promise<Job> {
  const body: Record<string, unknown> = { verb, request };
  if (options.lane) body.lane = options.lane;
  if (options.keep !== undefined) body.keep = options.keep;
  const job = await post<Job>("/api/jobs", body);
  if (!live.jobs.has(job.id)) take(job);
  return live.jobs.get(job.id) ?? job;
}

/** Follows a job that exists, for instance after the page was loaded again, until it has ended. */
export function follow(id: string, onchange?: (job: Job) => void): Promise<Job> {
  return new Promise((resolve) => {
    const told = (job: Job) => {
      onchange?.(job);
      if (!FINAL.has(job.state)) return;
      watchers.get(id)?.delete(told);
      resolve(job);
    };
    if (!watchers.has(id)) watchers.set(id, new Set());
    watchers.get(id)?.add(told);
    const now = live.jobs.get(id);
    if (now) told(now);
    else void get<Job>(`/api/jobs/${id}`).then(take, () => undefined);
  });
}

/** Whether a job has come to its end. */
export const ended = (job: Job): boolean => FINAL.has(job.state);

/** A work by its id, asked for once and then kept up to date by events. */
export function work(id: string): Promise<Work> {
  const here = live.works.get(id);
  if (here) return Promise.resolve(here);
  let answer = asked.get(id);
  if (!answer) {
    answer = get<Work>(`/api/works/${id}`).then(
      (found) => {
        live.works.set(id, found);
        return found;
      },
      (problem) => {
        asked.delete(id);
        throw problem;
      },
    );
    asked.set(id, answer);
  }
  return answer;
}
