// The rooms, as the navigation shows them, without loading them: the module `virtual:rooms` holds what each file in
// src/rooms says of itself in `export const room = {…}`. Loading a room is left to import.meta.glob, one chunk each.
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Plugin } from "vite";

const ID = "virtual:rooms";
const RESOLVED = `\0${ID}`;

export function rooms(folder: string): Plugin {
  const files = () => readdirSync(folder).filter((name) => name.endsWith(".svelte")).sort();
  return {
    name: "danqing-rooms",
    resolveId: (id) => (id === ID ? RESOLVED : null),
    load(id) {
      if (id !== RESOLVED) return null;
      const told = files().map((name) => {
        const path = resolve(folder, name);
        this.addWatchFile(path);
        return described(readFileSync(path, "utf8"), name);
      });
      return `export const rooms = [${told.join(",")}].sort((a, b) => a.order - b.order);`;
    },
  };
}

/** The object literal after `export const room =`; its braces are counted, strings are stepped over. */
function described(source: string, name: string): string {
  const start = source.indexOf("export const room");
  const open = source.indexOf("{", source.indexOf("=", start));
  if (start < 0 || open < 0) throw new Error(`${name}: no \`export const room = {…}\` in its <script module>`);
  let depth = 0;
  for (let at = open; at < source.length; at++) {
    const char = source.charAt(at);
    if (char === '"' || char === "'" || char === "`") at = source.indexOf(char, at + 1);
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return source.slice(open, at + 1);
  }
  throw new Error(`${name}: the braces of \`room\` do not close`);
}
