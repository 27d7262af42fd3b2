// The page's two languages. Each file keeps its own sentences: `const t = messages({…English…}, {…中文…})`, and `t(key)`
// answers in the language that is on. A key that one language lacks does not compile.

export type Lang = "en" | "zh";

/** A text in both languages. */
export interface Both {
  en: string;
  zh: string;
}

const KEY = "danqing.lang";

function first(): Lang {
  const kept = localStorage.getItem(KEY);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.languages.some((name) => name.toLowerCase().startsWith("zh")) ? "zh" : "en";
}

class Language {
  now = $state<Lang>(first());
}

/** `lang.now` is "en" or "zh"; set it to switch the page. It is remembered. */
export const lang = new Language();

$effect.root(() => {
  $effect(() => {
    localStorage.setItem(KEY, lang.now);
    document.documentElement.lang = lang.now === "zh" ? "zh-CN" : "en";
  });
});

export type Vars = Record<string, string | number>;

/**
 * A function that says a sentence in the language that is on. `{name}` is filled in from vars, and
 * `{n|work|works}` is the first word where n is 1, the second elsewhere.
 */
export function messages<T extends Record<string, string>>(
  en: T,
  zh: Record<keyof T, string>,
): (key: keyof T, vars?: Vars) => string {
  return (key, vars) => fill((lang.now === "zh" ? zh : en)[key] as string, vars);
}

/** The sentence with its places filled in. */
export function fill(text: string, vars?: Vars): string {
  if (!vars) return text;
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, many?: string) => {
    const value = vars[name];
    if (value === undefined) return whole;
    if (one === undefined) return String(value);
    return Number(value) === 1 ? one : (many ?? "");
  });
}

/** A moment as people here write it: today's as a time, others as a day and a time. */
export function when(iso: string | null): string {
  if (!iso) return "";
  const at = new Date(iso);
  const locale = lang.now === "zh" ? "zh-CN" : "en-GB";
  const time = at.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  if (at.toDateString() === new Date().toDateString()) return time;
  const sameYear = at.getFullYear() === new Date().getFullYear();
  return `${at.toLocaleDateString(locale, { day: "numeric", month: "short", year: sameYear ? undefined : "numeric" })} ${time}`;
}
