// Shortcuts of the room that is open, for the list under "?".
import type { Both } from "./messages.svelte";

export interface Shortcut {
  keys: string[];
  does: Both;
}

class Keys {
  all = $state.raw<Shortcut[]>([]);
}

export const keys = new Keys();

/** In a room's onMount: `onMount(() => shortcuts([{ keys: ["s"], does: { en: "…", zh: "…" } }]))`. */
export function shortcuts(mine: Shortcut[]): () => void {
  keys.all = mine;
  return () => {
    if (keys.all === mine) keys.all = [];
  };
}
