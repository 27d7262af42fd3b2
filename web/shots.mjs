// Takes the pictures of docs/images/studio: every room in both languages, from a studio that runs and has works in it.
//   node shots.mjs http://127.0.0.1:8411/ [ROOM …]
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [base, ...only] = process.argv.slice(2);
const folder = join(import.meta.dirname, "..", "docs", "images", "studio");
const LARGEST = 120_000; // bytes
mkdirSync(folder, { recursive: true });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function take(page, name) {
  for (const quality of [84, 74, 64, 50, 40]) {
    const path = join(folder, `${name}.jpg`);
    await page.screenshot({ path, type: "jpeg", quality });
    if (statSync(path).size <= LARGEST) break;
  }
}

for (const [lang, locale] of [["en", "en-GB"], ["zh", "zh-CN"]]) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale, colorScheme: "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  await page.goto(base);
  await page.locator(".choose button").first().waitFor();
  const rooms = await page.locator("nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href").slice(2)));
  for (const name of rooms) {
    if (only.length && !only.includes(name)) continue;
    await page.goto(`${base}#/${name}`);
    await page.locator("main > :not(.wait)").first().waitFor();
    await page.waitForTimeout(2500);
    await take(page, `${name}-${lang}`);
    if (name === "gallery") await inside(page, lang);
  }
  await context.close();
}
await browser.close();

/** A work looked at, made again in Create, and the same page dark and at phone width. */
async function inside(page, lang) {
  const picture = page.locator("[data-tile]", { has: page.locator("img") }).first();
  await picture.click();
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
  await page.setViewportSize({ width: 1280, height: 800 });
}
