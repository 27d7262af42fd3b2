// The paints on the table: minerals, earths, plant colours and ink, as painters of East and West have ground them.
import type { Both } from "../../lib/messages.svelte";

export interface Paint {
  colour: string;
  title: Both;
}

export const PAINTS: readonly Paint[] = [
  { colour: "#231f1c", title: { en: "ink", zh: "墨" } },
  { colour: "#8b857b", title: { en: "pale ink", zh: "淡墨" } },
  { colour: "#f6f1e4", title: { en: "shell white", zh: "蛤粉" } },
  { colour: "#6b4f35", title: { en: "raw umber", zh: "生褐" } },
  { colour: "#9c4a26", title: { en: "burnt sienna", zh: "赭石" } },
  { colour: "#c8963e", title: { en: "yellow ochre", zh: "土黄" } },
  { colour: "#eac15c", title: { en: "gamboge", zh: "藤黄" } },
  { colour: "#f1dcae", title: { en: "buff", zh: "绢色" } },
  { colour: "#c23b22", title: { en: "cinnabar", zh: "朱砂" } },
  { colour: "#8e2b3a", title: { en: "carmine", zh: "胭脂" } },
  { colour: "#dba1a0", title: { en: "rose", zh: "桃红" } },
  { colour: "#6d5f82", title: { en: "mountain violet", zh: "黛紫" } },
  { colour: "#27415f", title: { en: "indigo", zh: "花青" } },
  { colour: "#2d6aa0", title: { en: "azurite", zh: "石青" } },
  { colour: "#9cc0d8", title: { en: "sky wash", zh: "天青" } },
  { colour: "#2f7f86", title: { en: "teal", zh: "靛绿" } },
  { colour: "#4d9370", title: { en: "malachite", zh: "石绿" } },
  { colour: "#82905c", title: { en: "green earth", zh: "草绿" } },
];

export const INK = "#1d1a18"; // of line drawings
export const VEIL = "#b23a2e"; // a mask as it is shown
