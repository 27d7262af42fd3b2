// Drafts: what a person has typed, kept in the browser so that a refresh, a closed lid or another room loses nothing.

/**
 * A reactive object that is written down whenever it changes and read again when the page is opened. `initial` fills in
 * what an older draft lacks. `const draft = kept("canvas", { prompt: "" })`, then `bind:value={draft.prompt}`.
 */
export function kept<T extends Record<string, unknown>>(name: string, initial: T): T {
  const key = `danqing.${name}`;
  const value = $state<T>({ ...initial, ...read<T>(key) });
  $effect.root(() => {
    $effect(() => {
      const text = JSON.stringify(value);
      try {
        localStorage.setItem(key, text);
      } catch {
        // the browser's store is full or shut: the draft lives as long as the page
      }
    });
  });
  return value;
}

function read<T>(key: string): Partial<T> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(key) ?? "{}");
    return typeof found === "object" && found !== null ? (found as Partial<T>) : {};
  } catch {
    return {};
  }
}
