// Reads the page's sources and prints, as JSON, what is missing in one of its two languages: keys of `messages(en, zh)`,
// `{en, zh}` pairs, Chinese that is none, and words written into the markup itself. Run by test_words.py.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";

const web = process.argv[2];
const require = createRequire(join(web, "package.json"));
const ts = require("typescript");
const { parse } = require("svelte/compiler");

const CHINESE = /[\u4e00-\u9fff]/;
const WORD = /[A-Za-z]{2,}/;
// Names, units and the two languages' own names, are written alike in both languages.
const ALIKE = /^(?:[\s\d.,:;·×–—…+\-/%()<>#|]|\{[^}]*\}|Transformer|SeFa|PCA|VGG19|MIDI|MusicXML|WAV|SVG|PNG|ZIP|EN|Esc|px|DPI|GAN|VAE|BPM|CPU|GPU|MB|GB|KB|ms|Danqing|丹青|中文|English)*$/;

const gaps = [];
let count = 0;
const found = { HELP_ZH: [], FIELDS: [], ARTS: [], SHELF: [] };

const literal = (node) => (node && (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) ? node.text : null);
const nameOf = (property) => (property.name && (ts.isIdentifier(property.name) || ts.isStringLiteral(property.name) || ts.isNumericLiteral(property.name)) ? property.name.text : null);
const entries = (node) => new Map(node.properties.filter(ts.isPropertyAssignment).map((one) => [nameOf(one), one.initializer]));

function judged(where, key, en, zh) {
  count++;
  if (zh === null || en === null) return;
  if (!zh.trim() && en.trim()) gaps.push(`${where}: ${key} is empty in Chinese`);
  else if (!CHINESE.test(zh) && !ALIKE.test(zh)) gaps.push(`${where}: ${key} is no Chinese: ${zh}`);
}

function script(where, source) {
  const file = ts.createSourceFile(where, source, ts.ScriptTarget.Latest, true);
  const visit = (node) => {
    if (ts.isCallExpression(node) && node.expression.getText(file) === "messages" && node.arguments.length === 2) {
      const [en, zh] = node.arguments;
      if (ts.isObjectLiteralExpression(en) && ts.isObjectLiteralExpression(zh)) {
        const left = entries(en);
        const right = entries(zh);
        for (const key of left.keys()) if (!right.has(key)) gaps.push(`${where}: ${key} is not in Chinese`);
        for (const key of right.keys()) if (!left.has(key)) gaps.push(`${where}: ${key} is not in English`);
        for (const [key, value] of left) judged(where, key, literal(value), literal(right.get(key)));
      }
    }
    if (ts.isObjectLiteralExpression(node)) {
      const inner = entries(node);
      const [en, zh] = [inner.get("en"), inner.get("zh")];
      if (en && zh) judged(where, en.getText(file).slice(0, 40), literal(en), literal(zh));
      else if ((literal(en) ?? literal(zh)) !== null && inner.size === 1) gaps.push(`${where}: ${node.getText(file).slice(0, 60)} has one language`);
    }
    if (ts.isVariableDeclaration(node) && found[node.name.getText(file)] && node.initializer && ts.isObjectLiteralExpression(node.initializer)) {
      found[node.name.getText(file)].push(...entries(node.initializer).keys());
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
}

/** Words that stand in the markup instead of coming through messages. */
function markup(where, node) {
  if (!node || typeof node !== "object") return;
  if (Array.isArray(node)) {
    for (const one of node) markup(where, one);
    return;
  }
  if (node.type === "RegularElement" && ["kbd", "code", "text"].includes(node.name)) return;
  if (node.type === "Text" && (WORD.test(node.data) || CHINESE.test(node.data)) && !ALIKE.test(node.data)) gaps.push(`${where}: written into the markup: ${node.data.trim().slice(0, 60)}`);
  if (node.type === "Attribute") {
    if (!["aria-label", "title", "placeholder", "alt"].includes(node.name)) return;
    const value = Array.isArray(node.value) ? node.value : [node.value];
    for (const part of value) if (part?.type === "Text" && part.data && !ALIKE.test(part.data)) gaps.push(`${where}: ${node.name} is written into the markup: ${part.data}`);
    return;
  }
  for (const [key, value] of Object.entries(node)) if (!["css", "instance", "module", "options", "js", "expression", "metadata", "loc"].includes(key)) markup(where, value);
}

const src = join(web, "src");
for (const name of readdirSync(src, { recursive: true }).map(String).sort()) {
  const path = join(src, name);
  const where = relative(web, path);
  if (name.endsWith(".ts") && !name.endsWith(".d.ts")) script(where, readFileSync(path, "utf8"));
  if (!name.endsWith(".svelte")) continue;
  const source = readFileSync(path, "utf8");
  for (const [, body] of source.matchAll(/<script\b[^>]*>([\s\S]*?)<\/script>/g)) script(where, body);
  const tree = parse(source, { modern: true });
  markup(where, tree.fragment);
}
console.log(JSON.stringify({ gaps, count, ...found }));
