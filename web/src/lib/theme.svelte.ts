// Light, dark, or as the system has it.

export type Theme = "auto" | "light" | "dark";

const KEY = "danqing.theme";
const ORDER: Theme[] = ["auto", "light", "dark"];

class Colours {
  now = $state<Theme>(ORDER.find((one) => one === localStorage.getItem(KEY)) ?? "auto");

  next(): void {
    this.now = ORDER[(ORDER.indexOf(this.now) + 1) % ORDER.length] ?? "auto";
  }
}

export const theme = new Colours();

$effect.root(() => {
  $effect(() => {
    localStorage.setItem(KEY, theme.now);
    if (theme.now === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.now;
  });
});

/** Calls back with whether the page is dark, now and whenever that changes; returns what ends it. For what draws itself. */
export function watchDark(told: (dark: boolean) => void): () => void {
  const look = () => told(luminance(getComputedStyle(document.body).color) > 0.5);
  look();
  const watch = new MutationObserver(look);
  watch.observe(document.documentElement, { attributes: true });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", look);
  return () => {
    watch.disconnect();
    media.removeEventListener("change", look);
  };
}

function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return (0.3 * r + 0.6 * g + 0.1 * b) / (/^(color|oklab|oklch)/.test(colour) ? 1 : 255);
}
