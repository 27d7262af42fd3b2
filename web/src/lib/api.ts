// What the server says and takes, and the few ways to ask it.
import { nameStyles, spoken } from "./words";

export type Media = "picture" | "text" | "music" | "video";
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** How a file is handed to a job: something uploaded, or a work of the gallery. */
export type FileValue = { upload: string } | { work: string };
/** A style: its name, or a picture that is one. */
export type StyleValue = string | FileValue;

export interface Field {
  name: string;
  flag: string;
  kind: "text" | "int" | "float" | "bool" | "choice" | "file" | "files" | "names" | "ints" | "floats";
  required: boolean;
  default: unknown;
  choices: string[] | null;
  /** may be left empty */
  optional?: boolean;
  /** takes a file as well: a style that is a picture */
  file?: boolean;
  help: string;
}

export interface Art {
  verb: string;
  media: Media;
  result: "work" | "report";
  help: string;
  fields: Field[];
}

export interface Style {
  name: string;
  title: string | { en: string; zh: string };
  thumbnail: string;
}

export interface Upload {
  id: string;
  name: string;
  media: Media;
  width: number | null;
  height: number | null;
  url: string;
  preview: string | null;
}

export interface Fault {
  kind: string;
  /** in the language that is on, once it is `spoken` */
  message: string;
  /** the server's own words, where they are in another language */
  detail?: string | null;
}

export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

export interface Job {
  id: string;
  verb: string;
  request: Record<string, unknown>;
  lane: "long" | "quick";
  state: JobState;
  position: number | null;
  done: number;
  total: number;
  stage: string;
  preview: number;
  frames: number;
  works: string[];
  report: unknown;
  error: Fault | null;
  created: string;
  started: string | null;
  ended: string | null;
  title: string;
}

export interface Work {
  id: string;
  sha256: string;
  created: string;
  verb: string;
  title: string;
  media: Media;
  width: number | null;
  height: number | null;
  seed: number | null;
  rating: number;
  tags: string[];
  request: Record<string, unknown>;
  models: unknown;
  parents: unknown;
  notes: unknown;
  text: string | null;
  file: string;
  preview: string | null;
}

export interface Tag {
  name: string;
  works: number;
}

export interface About {
  version: string;
  host_only: boolean;
  arts: string[];
}

/** What the server refused, or why it could not be reached; `message` is a line for people, in their language. */
export class ApiError extends Error {
  readonly kind: string;
  declare readonly detail: string | null;
  readonly status: number;

  constructor(kind: string, message: string, status: number) {
    super(message);
    this.name = "ApiError";
    this.kind = kind;
    this.status = status;
    spoken(this);
  }
}

function fault(status: number, statusText: string, body: string): ApiError {
  try {
    const told = (JSON.parse(body) as { error?: Fault }).error;
    if (told?.message) return new ApiError(told.kind, told.message, status);
  } catch {
    // not ours: a proxy's page, or nothing at all
  }
  return new ApiError("Http", `${status} ${statusText}`.trim(), status);
}

async function ask(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const init: RequestInit = { method, credentials: "same-origin" };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    init.headers = { "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch (problem) {
    if (problem instanceof DOMException && problem.name === "AbortError") throw problem;
    throw new ApiError("Unreachable", "the studio's server does not answer; is it still running?", 0);
  }
  if (!answer.ok) throw fault(answer.status, answer.statusText, await answer.text());
  return answer;
}

async function json<T>(answer: Promise<Response>): Promise<T> {
  const text = await (await answer).text();
  return (text ? JSON.parse(text) : null) as T;
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => json<T>(ask("GET", path, undefined, signal));
export const post = <T>(path: string, body: unknown = {}): Promise<T> => json<T>(ask("POST", path, body));
export const patch = <T>(path: string, body: unknown): Promise<T> => json<T>(ask("PATCH", path, body));
export const del = <T>(path: string): Promise<T> => json<T>(ask("DELETE", path));
/** An answer that is a file, such as a zip of works. */
export const postForBlob = async (path: string, body: unknown): Promise<Blob> => (await ask("POST", path, body)).blob();

/** Sends a file to the server, which looks at it and keeps it; `onprogress` is told the part that has gone, 0 to 1. */
export function upload(file: Blob, name?: string, onprogress?: (part: number) => void): Promise<Upload> {
  const form = new FormData();
  form.append("file", file, name ?? (file instanceof File ? file.name : "drawing.png"));
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open("POST", "/api/uploads");
    call.upload.onprogress = (event) => {
      if (event.lengthComputable) onprogress?.(event.loaded / event.total);
    };
    call.onload = () => {
      if (call.status < 300) resolve(remembered(JSON.parse(call.responseText) as Upload));
      else reject(fault(call.status, call.statusText, call.responseText));
    };
    call.onerror = () =>
      reject(new ApiError("Unreachable", "the studio's server does not answer; is it still running?", 0));
    call.send(form);
  });
}

const UPLOADS = "danqing.uploads";

/** What the browser knows of the files it has sent, newest first. */
function sent(): Upload[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(UPLOADS) ?? "[]");
    return Array.isArray(found) ? (found as Upload[]) : [];
  } catch {
    return [];
  }
}

function remembered(kept: Upload): Upload {
  try {
    const others = sent().filter((one) => one.id !== kept.id);
    localStorage.setItem(UPLOADS, JSON.stringify([kept, ...others].slice(0, 200)));
  } catch {
    // without a store, only its name is forgotten
  }
  return kept;
}

/** What is known of an uploaded file; its name may have been forgotten. */
export function uploaded(id: string): Upload {
  const known = sent().find((one) => one.id === id);
  const preview = `/api/uploads/${id}/preview`;
  return known ?? { id, name: "", media: "picture", width: null, height: null, url: `/api/uploads/${id}`, preview };
}

/** Whether a value stands for a file. */
export function isFileValue(value: unknown): value is FileValue {
  return typeof value === "object" && value !== null && ("upload" in value || "work" in value);
}

let arts: Promise<Art[]> | null = null;
let styles: Promise<Style[]> | null = null;

/** Every art with its fields; asked for once. */
export function allArts(): Promise<Art[]> {
  arts ??= get<{ arts: Art[] }>("/api/arts").then(
    (found) => found.arts,
    (problem) => {
      arts = null;
      throw problem;
    },
  );
  return arts;
}

/** Every named style; asked for once. */
export function allStyles(): Promise<Style[]> {
  styles ??= get<{ styles: Style[] }>("/api/styles").then(
    (found) => {
      nameStyles(found.styles);
      return found.styles;
    },
    (problem) => {
      styles = null;
      throw problem;
    },
  );
  return styles;
}
