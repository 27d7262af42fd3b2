// Takes the pictures of docs/images/studio: every room in both languages at work, from a studio that runs and has works.
//   node shots.mjs http://127.0.0.1:8411/ [ROOM …]
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [base, ...only] = process.argv.slice(2);
const folder = join(import.meta.dirname, "..", "docs", "images", "studio");
const LARGEST = 105_000; // bytes
const SIZE = { width: 1280, height: 800 };
const WAIT = 300_000;
mkdirSync(folder, { recursive: true });

/** What is asked for, in the language of the page. painted: the style of the painting, where not the preview is shown. */
const WORDS = {
  en: { locale: "en-GB", idea: "a quiet harbour at dusk", paint: "a lake in the hills, autumn", drawn: "evening", topic: "春江花月夜" },
  zh: { locale: "zh-CN", idea: "秋夜江上的孤舟", paint: "秋天的湖，远山", drawn: "黄昏", topic: "秋江夜泊", painted: 2 },
};

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function take(page, name) {
  await page.mouse.move(1, 700); // over nothing
  await page.evaluate(() => document.fonts.ready);
  await page.waitForFunction(() => [...document.images].every((image) => image.complete || image.loading === "lazy"));
  const path = join(folder, `${name}.jpg`);
  for (const quality of [84, 74, 64, 54, 44, 36]) {
    await page.screenshot({ path, type: "jpeg", quality });
    if (statSync(path).size <= LARGEST) break;
  }
}

/** What is done in a room before its picture is taken; in the others it is taken as they open. */
const ROOMS = {
  async suite(page, words) {
    const make = page.locator("form button.main");
    await page.locator("form textarea").fill(words.idea);
    await page.locator("fieldset:not([disabled])").waitFor();
    await page.locator("form select").nth(1).selectOption("512");
    await make.click();
    await page.locator(".result .painting").waitFor();
    await page.waitForFunction(() => document.querySelector(".result video")?.readyState > 1 && document.querySelector(".result .score")?.naturalWidth);
    await page.setViewportSize({ ...SIZE, height: 1120 });
    await page.evaluate(() => scrollTo(0, document.querySelector(".result").getBoundingClientRect().top + scrollY - 90));
  },

  async canvas(page, words) {
    const canvas = page.locator(".easel canvas");
    await canvas.waitFor();
    const box = await canvas.boundingBox();
    const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
    const swatch = (n) => page.locator(".paints .swatch").nth(n).click();
    const size = (px) => page.locator(".bar input[type=range]").fill(String(px));
    const stroke = async (px, ...places) => {
      await size(px);
      await page.mouse.move(...at(places[0]));
      await page.mouse.down();
      for (const place of places) await page.mouse.move(...at(place), { steps: 12 });
      await page.mouse.up();
    };
    await page.keyboard.press("f");
    await swatch(7); // buff: the sky
    await page.mouse.click(...at([0.5, 0.2]));
    await page.keyboard.press("b");
    await swatch(14); // sky wash above
    await stroke(110, [0, 0.04], [1, 0.04]);
    await stroke(70, [0, 0.15], [0.4, 0.17], [1, 0.14]);
    await swatch(6); // gamboge: the sun
    await stroke(64, [0.7, 0.33]);
    await swatch(11); // violet: far mountains
    for (const [left, top, right] of [[0, 0.4, 0.3], [0.2, 0.3, 0.52], [0.78, 0.36, 1]]) {
      const peak = (left + right) / 2;
      const ridge = (part) => [[left + part * (peak - left), 0.54], [peak, top + part * (0.54 - top)], [right + part * (peak - right), 0.54]];
      await stroke(52, ...ridge(0), ...ridge(0.35), ...ridge(0.7));
    }
    await swatch(13); // azurite: water
    for (const y of [0.64, 0.76, 0.88, 0.98]) await stroke(96, [0, y], [1, y]);
    await swatch(14);
    await stroke(14, [0.52, 0.68], [0.86, 0.68]);
    await stroke(10, [0.58, 0.77], [0.8, 0.77]);
    await swatch(17); // green earth: the bank
    await stroke(100, [0, 0.97], [0.22, 0.93], [0.4, 1]);
    await swatch(16);
    await stroke(60, [0.07, 0.84], [0.12, 0.76], [0.17, 0.85], [0.1, 0.86]);
    await swatch(3); // umber: a boat
    await stroke(14, [0.52, 0.82], [0.57, 0.845], [0.66, 0.845], [0.71, 0.82]);
    await swatch(2);
    await stroke(8, [0.61, 0.82], [0.61, 0.62], [0.67, 0.8], [0.62, 0.8], [0.63, 0.7]);
    await page.locator("#canvas-prompt").fill(words.drawn);
    await page.locator(".draft[aria-busy=false] img").waitFor();
    if (words.painted) {
      await page.locator("aside .grid button").nth(words.painted).click();
      await page.locator("aside .button.main").click();
      await page.locator(".compare img").first().waitFor();
    }
    await page.mouse.move(...at([0.9, 1.2]));
    await page.locator("#canvas-prompt").blur();
  },

  async music(page) {
    await page.locator(".style").first().click();
    await page.locator("input[type=number]").first().fill("8");
    await page.locator("form button.main").click();
    await page.locator(".score svg .measure").first().waitFor();
    await page.locator(".player .round").click();
    await page.waitForFunction(() => !/^0:0[0-4]/.test(document.querySelector(".time").textContent));
    await page.locator(".player .round").click();
    await page.evaluate(() => scrollTo(0, 0));
  },

  async writing(page, words) {
    await page.locator(".card").nth(1).click();
    await page.locator("form textarea, form input[type=text]").first().fill(words.topic);
    await page.locator("form button.main").click();
    await page.locator("button.line").nth(3).waitFor();
  },

  async evolve(page, words) {
    await page.locator("[data-field=prompt] textarea").fill(words.paint);
    await page.locator(".begin summary").click();
    await page.locator("[data-field=size] input").fill("384");
    await page.locator(".begin button.main").click();
    const pictures = (n) => page.waitForFunction((least) => document.querySelectorAll(".card img").length >= least, n);
    await pictures(6);
    for (const key of ["1", "3", "Shift+Digit5"]) await page.keyboard.press(key);
    await page.locator(".do button.main").click();
    await page.waitForFunction(() => document.querySelectorAll(".card img").length < 2);
    await pictures(4);
    await page.keyboard.press("2");
    await page.evaluate(() => scrollTo(0, 0));
  },

  async lessons(page) {
    await page.locator("main a, main button").first().waitFor();
  },
};

for (const [lang, words] of Object.entries(WORDS)) {
  const context = await browser.newContext({ viewport: SIZE, locale: words.locale, colorScheme: "light", reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  await page.goto(base);
  await page.locator(".choose button").first().waitFor();
  const rooms = await page.locator("nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href").slice(2)));
  for (const name of rooms.filter((one) => !only.length || only.includes(one))) {
    await page.goto(`${base}#/${name}`);
    await page.locator("main > :not(.wait)").first().waitFor();
    await ROOMS[name]?.(page, words);
    await page.waitForTimeout(1500);
    await take(page, `${name}-${lang}`);
    await page.setViewportSize(SIZE);
    if (name === "gallery") await inside(page, lang);
  }
  await context.close();
}
await browser.close();

/** A work looked at, made again in Create, and the same page dark and at phone width. */
async function inside(page, lang) {
  const { works } = await page.evaluate(() => fetch("/api/works?verb=paint").then((answer) => answer.json()));
  const chosen = works.find((work) => /[\u4e00-\u9fff]/.test(work.title) === (lang === "zh")) ?? works[0];
  await page.locator(`[data-tile="${chosen.id}"]`).click();
  await page.locator("dialog[open] article.work img").waitFor();
  await page.waitForTimeout(1500);
  await take(page, `work-${lang}`);
  await page.locator("dialog[open] .actions .button").first().click();
  await page.locator(".desk .wall img").first().waitFor();
  await page.locator(".desk details").evaluate((fold) => (fold.open = false));
  await page.locator(".desk .button.main").click();
  await page.locator("article.work img").waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(4000);
  await take(page, `create-${lang}`);
  await page.locator("button.jobs").click();
  await page.waitForTimeout(1500);
  await take(page, `jobs-${lang}`);
  await page.keyboard.press("Escape");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${base}#/gallery`);
  await page.locator("[data-tile]").first().waitFor();
  await page.waitForTimeout(1200);
  await take(page, `phone-${lang}`);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(SIZE);
}
