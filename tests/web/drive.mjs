// Drives the studio's real page in Chromium, one scenario a run: `node drive.mjs WEB URL CHROMIUM SCENARIO`. What it
// finds it prints as one JSON object; a check that fails ends it with an error. Run by test_page.py.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [web, base, chromium, scenario] = process.argv.slice(2);
const playwright = createRequire(join(web, "package.json"))("playwright-core");
const browser = await playwright.chromium.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
const WAIT = 120_000;
const complaints = [];
const strangers = [];
let may = null; // what the browser may complain of: an answer that the scenario wants
const expected = (pattern) => (may = pattern);

async function opened(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !may?.test(message.text())) complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (!/^(blob|data):/.test(request.url()) && new URL(request.url()).origin !== new URL(base).origin) strangers.push(request.url());
  });
  return page;
}

const room = (page, name) => page.goto(`${base}#/${name}`);
const api = (page, path) => page.evaluate((where) => fetch(where).then((answer) => answer.json()), path);
/** What an action shows, it shows in its own time: the check is made again until it holds. */
async function eventually(check) {
  for (const end = Date.now() + WAIT; ; await new Promise((after) => setTimeout(after, 50))) {
    try {
      return await check();
    } catch (fault) {
      if (Date.now() > end) throw fault;
    }
  }
}
const art = (page, title) => page.locator(".choose button", { has: page.locator(`strong:text-is("${title}")`) }).click();

async function emptied() {
  const ask = (path, options) => fetch(new URL(path, base), options).then((answer) => answer.json());
  const left = (await ask("api/jobs")).jobs.filter((job) => !job.ended);
  for (const { id } of left) await ask(`api/jobs/${id}/cancel`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
}

const sheet = (page) => page.locator(".easel canvas");

/** A place of the sheet, in sides of it, as a place of the page. */
async function onSheet(page, [x, y]) {
  const box = await sheet(page).boundingBox();
  return [box.x + x * box.width, box.y + y * box.height];
}

async function stroke(page, from, to) {
  await page.mouse.move(...(await onSheet(page, from)));
  await page.mouse.down();
  await page.mouse.move(...(await onSheet(page, to)), { steps: 6 });
  await page.mouse.up();
}

/** The colours that are seen at places of the sheet. */
const seen = (page, ...places) =>
  sheet(page).evaluate(
    (canvas, all) =>
      new Promise((done) =>
        requestAnimationFrame(() =>
          requestAnimationFrame(() => done(all.map(([x, y]) => canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data.slice(0, 3).join()))),
        ),
      ),
    places,
  );

/** What a downloaded picture is: its size, and its colours at some places. */
async function pictured(page, button, ...places) {
  const coming = page.waitForEvent("download");
  await button.click();
  const download = await coming;
  const body = readFileSync(await download.path());
  const told = await page.evaluate(
    async ([base64, all]) => {
      const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (one) => one.charCodeAt(0))]));
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
      canvas.drawImage(bitmap, 0, 0);
      const at = all.map(([x, y]) => canvas.getImageData(x * bitmap.width, y * bitmap.height, 1, 1).data.slice(0, 3).join());
      return { size: [bitmap.width, bitmap.height], at };
    },
    [body.toString("base64"), places],
  );
  return { ...told, name: download.suggestedFilename(), body };
}

/** A poem is the quickest work to ask for. */
async function write(page, topic) {
  await art(page, "Write");
  await page.locator("[data-field=form] input").fill("五绝");
  await page.locator("[data-field=topic] textarea").fill(topic);
  await page.locator("button.main").click();
}

const scenarios = {
  async "a-work-survives-a-refresh"() {
    const page = await opened();
    await room(page, "create");
    await art(page, "Paint");
    await page.locator("[data-field=prompt] textarea").fill("a quiet lake, two boats");
    await page.locator("form summary").click();
    await page.locator("[data-field=size] input").fill("128");
    await page.locator("[data-field=seed] input").fill("7");
    await page.keyboard.press("Control+Enter");
    await page.locator(".going, article.work").first().waitFor();
    await page.reload();
    assert.equal(await page.locator("[data-field=prompt] textarea").inputValue(), "a quiet lake, two boats");
    await page.locator("article.work img").waitFor();
    const { works } = await api(page, "/api/works");
    assert.equal(works.length, 1);
    assert.equal(works[0].seed, 7);
    await page.locator("article.work summary").click();
    assert.match(await page.locator("article.work dl").innerText(), /a quiet lake, two boats[\s\S]*128[\s\S]*7/);
    return { works: works.length };
  },

  async "nothing-typed-is-overwritten"() {
    const page = await opened();
    await room(page, "create");
    await write(page, "秋月");
    await page.locator("article.work .poem").waitFor();
    await page.locator("[data-field=topic] textarea").fill("a thought in the making");
    await page.getByRole("button", { name: "Make again" }).click();
    await page.locator(".slip").nth(1).waitFor();
    assert.equal(await page.locator("[data-field=topic] textarea").inputValue(), "秋月");
    assert.notEqual(await page.locator("[data-field=seed] input").inputValue(), "");
    await page.locator(".slip").first().getByRole("tab").click();
    await eventually(async () => assert.equal(await page.locator("[data-field=topic] textarea").inputValue(), "a thought in the making"));
    await page.getByRole("button", { name: "Vary" }).click();
    await page.locator(".slip").nth(2).waitFor();
    await page.locator("article.work .poem").waitFor();
    const { works } = await api(page, "/api/works?verb=write");
    assert.equal(works.length, 2);
    assert.notEqual(works[0].seed, works[1].seed);
    await page.locator(".slip").nth(2).locator(".shut").click();
    await page.getByRole("button", { name: "Undo" }).click();
    await eventually(async () => assert.equal(await page.locator(".slip").count(), 3));
    return {};
  },

  async "a-job-can-be-stopped-and-tried-again"() {
    const page = await opened();
    await room(page, "create");
    await art(page, "Paint");
    await page.locator("[data-field=prompt] textarea").fill("mountains");
    await page.locator("form summary").click();
    await page.locator("[data-field=size] input").fill("2048");
    await page.locator("button.main").click();
    await page.locator(".going button", { hasText: "Stop" }).click();
    await page.locator('.made [data-state="cancelled"]').waitFor();
    await page.keyboard.press("Escape");
    await page.locator("h1").first().click();
    await page.keyboard.press("q");
    const drawer = page.locator("dialog[open]");
    await drawer.getByRole("button", { name: "Try again" }).click();
    await drawer.getByRole("button", { name: /Stop|Take out/ }).first().click();
    await drawer.getByRole("button", { name: "Clear finished" }).waitFor();
    await page.waitForFunction(() => fetch("/api/jobs").then((answer) => answer.json()).then(({ jobs }) => jobs.every((job) => job.state === "cancelled")));
    await drawer.getByRole("button", { name: "Clear finished" }).click();
    await page.waitForFunction(() => fetch("/api/jobs").then((answer) => answer.json()).then(({ jobs }) => !jobs.length));
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    return {};
  },

  async "jobs-that-wait-can-change-places"() {
    const page = await opened();
    await room(page, "gallery");
    const ids = await page.evaluate(async () => {
      const ids = [];
      for (const prompt of ["first", "second", "third"]) {
        const body = JSON.stringify({ verb: "paint", request: { prompt: `a ${prompt} mountain`, size: 2048 } });
        const answer = await fetch("/api/jobs", { method: "POST", headers: { "Content-Type": "application/json" }, body });
        ids.push((await answer.json()).id);
      }
      return ids;
    });
    await page.locator("button.jobs").click();
    const drawer = page.locator("dialog[open]");
    await drawer.locator("li.waits").nth(1).getByRole("button", { name: "Earlier" }).click();
    await page.waitForFunction((id) => fetch(`/api/jobs/${id}`).then((answer) => answer.json()).then((job) => job.position === 1), ids[2]);
    await eventually(async () => assert.match(await drawer.locator("li.waits").first().innerText(), /third/));
    for (const id of ids.toReversed()) await page.evaluate((one) => fetch(`/api/jobs/${one}/cancel`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }), id);
    await page.waitForFunction(() => fetch("/api/jobs").then((answer) => answer.json()).then(({ jobs }) => jobs.every((job) => job.ended)));
    return {};
  },

  async "a-photo-is-brought-restyled-and-compared"() {
    const page = await opened();
    await room(page, "create");
    await art(page, "Restyle");
    await page.locator("[data-field=photo] input[type=file]").setInputFiles(join(web, "..", "docs", "images", "photo.jpg"));
    await page.locator("[data-field=photo] .name", { hasText: "photo.jpg" }).waitFor();
    await page.locator("[data-field=styles] .grid button").first().click();
    await page.reload();
    await page.locator("[data-field=photo] .name", { hasText: "photo.jpg" }).waitFor();
    await eventually(async () => assert.equal(await page.locator("[data-field=styles] [aria-pressed=true]").count(), 1));
    await page.locator("form summary").click();
    await page.locator("[data-field=method] label", { hasText: "Fast" }).click();
    await page.locator("[data-field=size] input").fill("128");
    await page.locator("button.main").click();
    await page.locator("article.work img").waitFor();
    await page.getByRole("button", { name: "Compare with its input" }).click();
    const line = page.locator(".compare input");
    await line.focus();
    for (let times = 0; times < 20; times++) await page.keyboard.press("ArrowLeft");
    await eventually(async () => assert.equal(await page.locator(".compare .over").evaluate((image) => getComputedStyle(image).clipPath), "inset(0px 60% 0px 0px)"));
    await page.getByRole("button", { name: "Use as input" }).click();
    await page.getByRole("button", { name: "Translate it" }).click();
    await page.locator(".slip").nth(1).waitFor();
    await page.locator("[data-field=image] img").waitFor();
    return {};
  },

  async "the-gallery-keeps-and-gives-back"() {
    const page = await opened();
    await room(page, "create");
    await write(page, "春江");
    await page.locator("article.work .poem").waitFor();
    await page.locator("article.work .stars").focus();
    await page.keyboard.press("4");
    await page.locator(".boards input").fill("spring");
    await page.keyboard.press("Enter");
    await page.locator(".tag", { hasText: "spring" }).waitFor();
    await room(page, "gallery");
    await page.locator("aside button", { hasText: "spring" }).click();
    await page.locator("[data-tile]").first().focus();
    await page.keyboard.press("Delete");
    await page.getByRole("button", { name: "Undo" }).waitFor();
    await page.locator("[data-tile]").first().waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Undo" }).click();
    await page.locator("[data-tile]").first().waitFor();
    const { works } = await api(page, "/api/works?tag=spring&rating=4");
    assert.equal(works.length, 1);
    await page.locator("aside button", { hasText: "All works" }).click();
    await page.locator("[data-tile]").nth(1).waitFor();
    await page.locator("[data-tile]").first().focus();
    await page.keyboard.press("ArrowRight");
    const second = await page.locator("[data-tile]").nth(1).getAttribute("data-tile");
    await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement.dataset.tile), second));
    await page.keyboard.press("Enter");
    await page.locator("dialog[open] article.work").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
    await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement.dataset.tile), second));
    await page.keyboard.press("x");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export as zip" }).click();
    assert.equal((await download).suggestedFilename(), "danqing.zip");
    return {};
  },

  async "both-languages-are-whole"() {
    const page = await opened({ locale: "zh-CN" });
    await room(page, "create");
    await page.locator(".choose button").first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
    const english = {};
    const look = async (name) => {
      const words = await page.evaluate(() => {
        const works = document.querySelector(".gallery .wall"); // titles of works are in whatever language they were made in
        if (works) works.style.display = "none";
        const named = [...document.querySelectorAll("[aria-label], [title], [placeholder]")].filter((one) => !works?.contains(one));
        const told = [document.body.innerText, ...named.flatMap((one) => [one.ariaLabel ?? "", one.title, one.placeholder ?? ""])];
        return told.join("\n").match(/\b[a-z]{3,}(?: [a-z]{2,}){2,}/g) ?? [];
      });
      const own = words.filter((word) => !word.includes("quiet harbour"));
      if (own.length) english[name] = own;
    };
    await look("create");
    const arts = await page.locator(".choose button").count();
    for (let index = 0; index < arts; index++) {
      await page.locator(".choose button").nth(index).click();
      await page.locator("form summary").first().click().catch(() => undefined);
      await look(`create ${index}`);
      await page.getByRole("button", { name: "换一种" }).click();
    }
    for (const name of ["gallery"]) {
      await room(page, name);
      await page.waitForTimeout(600);
      await look(name);
    }
    assert.deepEqual(english, {});
    await page.locator(".tools button", { hasText: "EN" }).click();
    await eventually(async () => assert.equal(await page.locator("nav a[aria-current]").innerText(), "Gallery"));
    await page.reload();
    await eventually(async () => assert.equal(await page.locator("nav a[aria-current]").innerText(), "Gallery"));
    return { arts };
  },

  async "the-api-is-described-and-what-it-prints-can-be-run"() {
    const page = await opened({ locale: "zh-CN" });
    await page.goto(`${base}api/docs`);
    await page.locator("article").first().waitFor();
    assert.equal(await page.locator("h1").innerText(), "画室的接口");
    const { paths } = await api(page, "/api/openapi.json");
    const told = Object.entries(paths).flatMap(([path, ways]) => Object.keys(ways).map((way) => `${way.toUpperCase()} ${path}`));
    const shown = await page.locator("article h3").allInnerTexts();
    assert.deepEqual(shown.map((text) => text.replace(/\s+/g, " ").trim()).sort(), told.sort());
    const printed = async (way, path) => page.locator("article", { has: page.locator(`h3:has(b[data-method=${way}]) code:text-is("${path}")`) }).locator("pre").innerText();
    const run = (command) => JSON.parse(execFileSync("sh", ["-c", command.replace(/^curl/, "curl -sS")], { encoding: "utf8" }));
    const curls = (() => {
      try {
        return execFileSync("curl", ["--version"]) !== null;
      } catch {
        return false;
      }
    })();
    if (curls) {
      assert.equal(run(await printed("GET", "/api/about")).host_only, true);
      const job = run(await printed("POST", "/api/jobs"));
      assert.equal(job.state, "queued");
      run((await printed("POST", "/api/jobs/{name}/cancel")).replace("NAME", job.id));
    }
    await page.locator("input[type=search]").fill("trash");
    const found = await page.locator("article").allInnerTexts();
    assert.ok(found.length > 1 && found.length < told.length && found.every((text) => /trash/i.test(text)));
    await page.getByRole("button", { name: "EN" }).click();
    await eventually(async () => assert.equal(await page.locator("h1").innerText(), "The studio's API"));
    return { routes: told.length, curls };
  },

  async "what-goes-wrong-is-told-in-chinese-with-the-english-beneath"() {
    const page = await opened({ locale: "zh-CN" });
    expected(/400/);
    await room(page, "create");
    await page.locator(".choose button", { has: page.locator('strong:text-is("作画")') }).click();
    await page.locator("[data-field=prompt] textarea").fill("qwxyz");
    await page.locator("button.main").click();
    const fault = page.locator(".fault[role=alert]").first();
    await fault.waitFor();
    assert.match(await fault.locator(".said").innerText(), /“qwxyz”里没有画师认得的词/);
    assert.ok(!(await fault.locator("[lang=en]").isVisible()));
    await fault.locator("summary", { hasText: "英文原文" }).click();
    await eventually(async () => assert.match(await fault.locator("[lang=en]").innerText(), /none of these words is known to the painter/));
    await page.locator(".tools button", { hasText: "EN" }).click();
    await eventually(async () => assert.match(await fault.locator(".said").innerText(), /none of these words is known to the painter/));
    await eventually(async () => assert.equal(await fault.locator("summary").count(), 0));
    return {};
  },

  async "rounds-go-where-a-person-points"() {
    const page = await opened();
    await room(page, "evolve");
    await page.locator(".begin button", { hasText: "Explore" }).click();
    await page.locator(".begin select").waitFor();
    await page.locator(".begin button.main").click();
    await page.locator("h1", { hasText: "Round 1" }).waitFor();
    await page.reload(); // in the middle of the making
    const cards = page.locator(".card");
    const of = (place, name) => cards.nth(place).getByRole("button", { name, exact: true });
    const marks = (name) => page.locator(".marks button[aria-pressed=true]", { hasText: name }).count();
    const next = page.getByRole("button", { name: /^Next round/ });
    const pictures = () => eventually(async () => assert.equal(await page.locator(".card img").count(), 6));
    await pictures();
    assert.equal(await page.getByRole("button", { name: "Make the rest of this round" }).count(), 0);
    const id = await page.evaluate(() => sessionStorage.getItem("danqing.evolve"));
    const told = () => api(page, `/api/evolve/${id}`);
    const { jobs } = await api(page, "/api/jobs");
    assert.equal(jobs.filter((job) => job.request.session === id).length, 1, "a refresh makes nothing twice");

    // Round 1: by keys one is liked, by the mouse another; a third is not. A refresh keeps what was said.
    await page.keyboard.press("1");
    await cards.nth(3).locator(".show").click();
    await of(4, "Not this").click();
    await page.keyboard.press("Shift+Digit6");
    await eventually(async () => assert.deepEqual([await marks("Like"), await marks("Not this")], [2, 2]));
    await page.keyboard.press("Shift+Digit6"); // and taken back
    await eventually(async () => assert.equal(await marks("Not this"), 1));
    await page.reload();
    await pictures();
    await eventually(async () => assert.deepEqual([await marks("Like"), await marks("Not this")], [2, 1]));
    await cards.nth(0).locator(".marks button.icon").click();
    await page.locator("dialog[open] img.large").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
    await next.click();
    await page.locator("h1", { hasText: "Round 2" }).waitFor();
    await eventually(async () => assert.ok(await page.locator("h1").evaluate((one) => one.getBoundingClientRect().top > 0), "the round is seen from its beginning"));
    await pictures();
    const verdicts = (await told()).candidates.filter((one) => one.round === 1).map((one) => one.verdict);
    assert.deepEqual(verdicts, ["liked", "passed", "passed", "liked", "disliked", "passed"]);
    assert.equal(await marks(/./), 0, "nothing is said of the new round yet");

    // Round 2: between the second and the fifth, nearer to the fifth. A work of round 3 stands there.
    await page.getByRole("button", { name: "Lean between two" }).click();
    await cards.nth(1).locator(".show").click();
    await cards.nth(4).locator(".show").click();
    const line = page.locator(".lean input");
    await line.focus();
    for (let times = 0; times < 4; times++) await page.keyboard.press("ArrowRight");
    await page.locator(".lean", { hasText: "leaning to 5" }).waitFor();
    const second = (await told()).candidates.filter((one) => one.round === 2).map((one) => one.number);
    const asked = page.waitForRequest((request) => request.url().endsWith("/choices"));
    await next.click();
    const [between] = (await asked).postDataJSON().between;
    assert.deepEqual([between.one, between.other], [second[1], second[4]]);
    assert.ok(Math.abs(between.share - 0.3) < 1e-6);
    await page.locator("h1", { hasText: "Round 3" }).waitFor();
    await pictures();
    const third = (await told()).candidates.filter((one) => one.round === 3);
    assert.ok(third.some((one) => one.parents.toSorted().join() === [second[1], second[4]].toSorted().join()));

    // Round 3: only one. Then the session is left, and gone on with.
    await of(2, "Only this one").click();
    await eventually(async () => assert.deepEqual([await marks("Like"), await marks("Not this")], [1, 0]));
    await next.click();
    await page.locator("h1", { hasText: "Round 4" }).waitFor();
    await pictures();
    assert.equal((await told()).candidates.filter((one) => one.round === 3 && one.verdict === "liked").length, 1);
    assert.ok((await told()).taste.choices > 0);
    await page.getByRole("button", { name: "Something else" }).click();
    await page.locator(".past button").first().click();
    await page.locator("h1", { hasText: "Round 4" }).waitFor();
    await page.locator("summary", { hasText: "Earlier rounds" }).click();
    await eventually(async () => assert.equal(await page.locator(".small-grid img").count(), 18));
    return { choices: (await told()).taste.choices };
  },

  async "one-idea-becomes-a-suite-of-one-mood"() {
    const page = await opened();
    await room(page, "suite");
    const idea = page.locator("form textarea");
    const make = page.locator("form button.main");
    await idea.waitFor();
    assert.ok(await make.isDisabled());
    await idea.fill("a quiet harbour at dusk");
    const pressed = (name) => page.getByRole("group", { name }).locator("[aria-pressed=true]").innerText();
    await eventually(async () => assert.equal(await pressed("Time of day"), "dusk"));
    await page.getByText("read from: quiet, harbour, dusk").waitFor();
    const joy = page.getByRole("slider", { name: /sorrow/ });
    const bright = await joy.inputValue();
    await joy.focus();
    for (let times = 0; times < 30; times++) await page.keyboard.press("ArrowLeft");
    await page.getByRole("button", { name: "winter" }).click();
    await page.getByLabel("Size of the painting").selectOption("384");
    await eventually(async () => assert.equal(await pressed("Season"), "winter"));
    await page.reload();
    await eventually(async () => assert.equal(await pressed("Season"), "winter"));
    assert.equal(await page.getByLabel("Size of the painting").inputValue(), "384");
    assert.ok(Number(await joy.inputValue()) < Number(bright));
    await make.click();
    await page.locator(".progress").waitFor();
    await page.reload(); // in the middle
    await page.locator(".result .painting").waitFor({ timeout: 2 * WAIT }); // the film takes long where others are at work
    await page.locator(".result .poem").waitFor();
    await page.waitForFunction(() => document.querySelector(".result video")?.duration > 5);
    await page.waitForFunction(() => document.querySelector(".result .score")?.naturalWidth > 100);
    const { jobs } = await api(page, "/api/jobs");
    const [job, ...more] = jobs.filter((one) => one.verb === "suite");
    assert.deepEqual([more.length, job.works.length], [0, 4]);
    assert.deepEqual([job.report.mood.season, job.report.mood.time], ["winter", "dusk"]);
    assert.ok(job.report.mood.valence < Number(bright));
    const coming = page.waitForEvent("download");
    await page.getByRole("link", { name: "Everything as ZIP" }).click();
    assert.equal(readFileSync(await (await coming).path()).subarray(0, 2).toString(), "PK");
    await page.getByRole("button", { name: "As the idea has it" }).click();
    await eventually(async () => assert.notEqual(await pressed("Season"), "winter"));
    await eventually(async () => assert.equal(await joy.inputValue(), bright));
    return { mood: job.report.mood };
  },

  async "a-mask-is-painted-taken-back-saved-and-brought-again"() {
    const page = await opened();
    await room(page, "canvas");
    await sheet(page).waitFor();
    const [WHITE, BLACK, PAPER] = ["255,255,255", "0,0,0", "255,255,255"];
    const save = page.getByRole("button", { name: "Save the mask (PNG)" });
    const [left, middle, right] = [[0.25, 0.5], [0.5, 0.5], [0.75, 0.5]];
    await page.getByRole("button", { name: "Mask", exact: true }).click();
    await page.getByRole("button", { name: "Restyle with this mask" }).click();
    await page.getByText("Put the photo beneath first").waitFor();
    await stroke(page, [0.2, 0.5], [0.8, 0.5]);
    await eventually(async () => assert.ok((await seen(page, left, middle, right)).every((colour) => colour !== PAPER)));
    await page.keyboard.press("e");
    await stroke(page, [0.45, 0.5], [0.55, 0.5]);
    await eventually(async () => assert.equal((await seen(page, middle))[0], PAPER));
    const first = await pictured(page, save, left, middle, right, [0.5, 0.1]);
    assert.deepEqual([first.name, first.size, first.at], ["danqing-mask.png", [960, 640], [WHITE, BLACK, WHITE, BLACK]]);
    await page.getByRole("button", { name: "Undo", exact: true }).click();
    assert.deepEqual((await pictured(page, save, middle)).at, [WHITE]);
    await page.keyboard.press("Control+y");
    assert.ok((await pictured(page, save)).body.equals(first.body), "redone, it is the same to the byte");
    await page.getByRole("button", { name: "Turn round" }).click();
    assert.deepEqual((await pictured(page, save, left, middle, right, [0.5, 0.1])).at, [BLACK, WHITE, BLACK, WHITE]);
    await page.keyboard.press("Delete");
    await page.getByText("Mask: cleared.").waitFor();
    assert.deepEqual((await pictured(page, save, left, middle)).at, [BLACK, BLACK]);
    await page.locator("section > input[type=file]").setInputFiles({ name: "mask.png", mimeType: "image/png", buffer: first.body });
    await eventually(async () => assert.notEqual((await seen(page, left))[0], PAPER));
    assert.ok((await pictured(page, save)).body.equals(first.body), "brought again, it is the same to the byte");

    // With a photo beneath, the mask is as large as the photo, and Create takes both.
    await page.locator("summary", { hasText: "Photo, files and sheet" }).click();
    await page.locator(".files input[type=file]").setInputFiles(join(web, "..", "docs", "images", "photo.jpg"));
    await page.locator(".files .slide").waitFor();
    const photo = await page.locator(".files img").evaluate(async (image) => {
      const bitmap = await createImageBitmap(await (await fetch(image.src.replace(/\/preview.*/, ""))).blob());
      return [bitmap.width, bitmap.height];
    });
    await eventually(async () => assert.deepEqual((await pictured(page, save)).size, photo));
    assert.deepEqual((await pictured(page, save, left, middle)).at, [WHITE, BLACK], "the mask has kept its place on the new sheet");
    await page.getByRole("button", { name: "Restyle with this mask" }).click();
    await page.locator("[data-field=photo] .name", { hasText: "photo.jpg" }).waitFor();
    await page.locator("[data-field=masks]").getByText("mask.png").waitFor({ state: "attached" });
    return { photo };
  },

  async "two-fingers-move-the-sheet-and-one-draws"() {
    const page = await opened({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await room(page, "canvas");
    await sheet(page).waitFor();
    await sheet(page).scrollIntoViewIfNeeded();
    const cdp = await page.context().newCDPSession(page);
    const frame = await page.locator(".easel").boundingBox();
    const at = ([x, y], id) => ({ x: frame.x + x * frame.width, y: frame.y + y * frame.height, id });
    const touch = (type, ...points) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points.map((point, id) => at(point, id)) });
    const shown = async () => {
      const box = await sheet(page).boundingBox();
      return [box.width / frame.width, (frame.x - box.x) / frame.width, (frame.y - box.y) / frame.height].map((n) => Math.round(n * 100) / 100);
    };
    const [RED, PAPER] = ["194,59,34", "255,255,255"];
    await page.locator('.swatch[aria-label="cinnabar"]').tap();
    const undo = page.getByRole("button", { name: "Undo", exact: true });

    // One finger draws.
    await touch("touchStart", [0.2, 0.3]);
    for (const x of [0.4, 0.6, 0.8]) await touch("touchMove", [x, 0.3]);
    await touch("touchEnd");
    await eventually(async () => assert.deepEqual(await seen(page, [0.5, 0.3], [0.5, 0.7]), [RED, PAPER]));

    // Two bring the sheet nearer, about what is between them, and leave no stroke.
    await touch("touchStart", [0.45, 0.7]);
    await touch("touchStart", [0.45, 0.7], [0.55, 0.7]);
    for (const apart of [0.06, 0.08, 0.1]) await touch("touchMove", [0.5 - apart, 0.7], [0.5 + apart, 0.7]);
    await touch("touchEnd");
    await eventually(async () => assert.deepEqual(await shown(), [2, 0.5, 0.7]));
    assert.deepEqual(await seen(page, [0.5, 0.7], [0.45, 0.7]), [PAPER, PAPER]);
    assert.equal(await page.evaluate(() => visualViewport.scale), 1, "the sheet comes nearer, not the page");

    // Two that go together move it, as far as its edge.
    await touch("touchStart", [0.4, 0.5], [0.6, 0.5]);
    await touch("touchMove", [0.6, 0.7], [0.8, 0.7]);
    await touch("touchEnd");
    await eventually(async () => assert.deepEqual(await shown(), [2, 0.3, 0.5]));

    // What is drawn now lies where the finger is: the middle of what is seen is (0.4, 0.5) of the sheet.
    await touch("touchStart", [0.5, 0.5]);
    await touch("touchMove", [0.52, 0.5]);
    await touch("touchEnd");
    await eventually(async () => assert.deepEqual(await seen(page, [0.4, 0.5]), [RED]));
    await page.getByRole("button", { name: /^The whole sheet/ }).tap();
    await eventually(async () => assert.deepEqual(await shown(), [1, 0, 0]));
    await undo.tap();
    await eventually(async () => assert.deepEqual(await seen(page, [0.4, 0.5], [0.5, 0.3]), [PAPER, RED]));
    await undo.tap();
    await eventually(async () => assert.deepEqual(await seen(page, [0.5, 0.3]), [PAPER]));
    assert.ok(await undo.isDisabled(), "two strokes were two steps");
    return {};
  },

  async "the-preview-follows-the-stroke"() {
    const page = await opened();
    await room(page, "canvas");
    await sheet(page).waitFor();
    await page.evaluate(() => {
      window.shown = [];
      addEventListener("pointerup", () => (window.lifted = performance.now()), true);
      const look = (event) => event.target.matches(".draft img") && window.shown.push(Math.round(performance.now() - window.lifted));
      document.addEventListener("load", look, true);
    });
    const jobs = async () => (await api(page, "/api/jobs")).jobs.filter((job) => job.verb === "look");
    const works = async () => (await api(page, "/api/works")).total;
    const [before, kept] = [(await jobs()).length, await works()];
    const swatches = page.locator(".paints .swatch");
    for (let times = 0; times < 9; times++) {
      await swatches.nth(times).click();
      await stroke(page, [0.1, 0.06 + times * 0.1], [0.9, 0.1 + times * 0.1]);
      await page.waitForFunction((n) => window.shown.length > n, times);
    }
    const [first, ...after] = await page.evaluate(() => window.shown);
    const pictures = await page.locator(".draft img").evaluate((image) => [image.naturalWidth, image.naturalHeight]);
    // Where it is switched off nothing is asked for; once it is on again, what was drawn meanwhile shows.
    const asked = [];
    page.on("request", (request) => request.method() === "POST" && asked.push(new URL(request.url()).pathname));
    await page.locator(".live input").uncheck();
    await stroke(page, [0.5, 0.1], [0.5, 0.9]);
    await page.locator(".live input").check();
    await page.waitForFunction((n) => window.shown.length > n, 9);
    assert.deepEqual(asked, ["/api/uploads", "/api/jobs"]);
    await eventually(async () => assert.equal((await jobs()).length, before, "previews do not fill the list of jobs"));
    assert.equal(await works(), kept, "a preview is no work");
    return { first, after, median: after.toSorted((a, b) => a - b)[after.length >> 1], pictures };
  },

  async "the-canvas-works-with-a-model-of-ones-own"() {
    const page = await opened();
    await room(page, "canvas");
    const model = page.getByLabel("Model");
    await model.waitFor();
    assert.deepEqual(await model.locator("option").allInnerTexts(), ["the one that ships", "mine"]);
    await model.selectOption("mine");
    await page.reload();
    await sheet(page).waitFor();
    await eventually(async () => assert.equal(await model.inputValue(), "run:mine"));
    const asked = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/api/jobs"));
    await page.locator('.swatch[aria-label="cinnabar"]').click();
    await stroke(page, [0.1, 0.3], [0.9, 0.6]);
    const { verb, request } = (await asked).postDataJSON();
    assert.deepEqual([verb, request.model], ["look", "run:mine"]);
    await page.locator(".draft img").waitFor();
    await page.locator("aside summary", { hasText: "More" }).click();
    await page.getByLabel("Longer side, px").fill("128");
    await page.getByRole("button", { name: "Paint it" }).click();
    await page.locator(".compare img").first().waitFor();
    const [work] = (await api(page, "/api/works?verb=sketch")).works;
    assert.deepEqual([work.request.model, work.width], ["run:mine", 128]);
    await page.getByRole("button", { name: "Back to the preview" }).click();
    await page.locator(".draft img").waitFor();
    return { models: work.models };
  },

  async "the-gallery-shows-what-the-terminal-makes"() {
    const page = await opened();
    await room(page, "gallery");
    await page.waitForFunction(() => performance.getEntriesByType("resource").some((one) => one.name.includes("/api/works")));
    await page.evaluate(() => (window.untouched = true));
    const before = (await api(page, "/api/works")).works.length;
    await eventually(async () => assert.equal(await page.locator("[data-tile]").count(), before));
    const made = execFileSync(process.env.PYTHON, ["-m", "danqing", "write", "--form", "对联", "--seed", "4321", "--json"], { encoding: "utf8" });
    const { id } = JSON.parse(made);
    await page.locator(`[data-tile="${id}"]`).waitFor();
    await eventually(async () => assert.equal(await page.locator("[data-tile]").count(), before + 1));
    assert.ok(await page.evaluate(() => window.untouched), "without a reload");
    return {};
  },

  async "every-room-opens-at-phone-width"() {
    const page = await opened({ viewport: { width: 390, height: 844 }, colorScheme: "dark", reducedMotion: "reduce" });
    await room(page, "create");
    await page.locator(".choose button").first().waitFor();
    const rooms = await page.locator("nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href").slice(2)));
    const wide = [];
    for (const name of rooms) {
      await room(page, name);
      await page.locator("main > :not(.wait)").first().waitFor();
      await page.waitForTimeout(500);
      assert.equal(await page.locator("main > .fault").count(), 0, name);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (over > 1) wide.push(`${name}: ${over} px too wide`);
    }
    assert.deepEqual(wide, []);
    return { rooms };
  },

  async "the-page-is-light-and-quick"() {
    const page = await opened();
    const cdp = await page.context().newCDPSession(page);
    await cdp.send("Network.enable");
    let bytes = 0;
    cdp.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
    const begun = Date.now();
    await page.goto(base);
    await page.locator(".choose button").first().waitFor();
    const shown = Date.now() - begun;
    const timing = await page.evaluate(() => {
      const [navigation] = performance.getEntriesByType("navigation");
      return { interactive: Math.round(navigation.domInteractive), loaded: Math.round(navigation.loadEventEnd) };
    });
    const files = await page.evaluate(() => performance.getEntriesByType("resource").filter((one) => !one.name.includes("/api/")).map((one) => [new URL(one.name).pathname, one.decodedBodySize, one.encodedBodySize]));
    return { shown, ...timing, transferred: bytes, files };
  },
};

try {
  const found = await scenarios[scenario]();
  assert.deepEqual(strangers, [], "requests that leave the machine");
  assert.deepEqual(complaints, [], "what the browser complains of");
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
  await emptied(); // what a scenario that failed left waiting is not the next one's to wait for
}
