// Where the page is, and what is handed from one room to another. The address is `#/NAME`.
import type { FileValue } from "./api";

/** What is handed over: a file to work on, or a request to take up; a room that knows more keys may be given them. */
export interface Gift {
  work?: string;
  upload?: string;
  verb?: string;
  request?: Record<string, unknown>;
  /** which field of the art the file is for */
  field?: string;
  /** start at once */
  start?: boolean;
  [more: string]: unknown;
}

class Route {
  room = $state("");
  gift = $state.raw<{ to: string; gift: Gift } | null>(null);
}

export const route = new Route();

function read(): void {
  route.room = location.hash.replace(/^#\/?/, "").split(/[/?]/)[0] ?? "";
}

read();
addEventListener("hashchange", read);

/** Goes to a room and hands it something. */
export function go(room: string, gift?: Gift): void {
  if (gift) route.gift = { to: room, gift };
  if (route.room === room) return;
  location.hash = `#/${room}`;
  read();
}

/** Inside an effect: what was handed to this room, once. */
export function received(room: string): Gift | null {
  const waiting = route.gift;
  if (!waiting || waiting.to !== room) return null;
  queueMicrotask(() => {
    if (route.gift === waiting) route.gift = null;
  });
  return waiting.gift;
}

/** The file of a gift, as a job's field takes it. */
export function fileOf(gift: Gift): FileValue | null {
  if (gift.work) return { work: gift.work };
  return gift.upload ? { upload: gift.upload } : null;
}
