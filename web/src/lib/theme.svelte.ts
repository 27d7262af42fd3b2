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
