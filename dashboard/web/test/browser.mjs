// The page in a real browser: both views, both languages, three widths; no console error, no request to the outside,
// no sideways scrolling, no fault found by axe. Then what only a hand can do: acknowledging, the keyboard, going offline.
//   node test/browser.mjs [base URL] [folder for pictures]
// Without a base URL it looks at the stand-in of fake.mjs, in every state.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { serve } from "./fake.mjs";

const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(BROWSER)) {
  console.log(`skipped: browser: ${BROWSER}`);
  process.exit(0);
}
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const base = process.argv[2];
const folder = process.argv[3] ?? "/tmp/wattwarden-pictures";
mkdirSync(folder, { recursive: true });
const SIZES = { desktop: [1280, 800], tablet: [768, 1024], phone: [390, 844] };
const faults = [];

const browser = await chromium.launch({
  executablePath: BROWSER,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

async function open(url, language, size, label) {
  const [width, height] = SIZES[size];
  const context = await browser.newContext({ viewport: { width, height }, timezoneId: "America/New_York", locale: "en-US", hasTouch: size === "phone" });
  await context.addInitScript((chosen) => {
    if (!localStorage.getItem("wattwarden.language")) localStorage.setItem("wattwarden.language", chosen);
  }, language);
  const page = await context.newPage();
  const origin = new URL(url).origin;
  page.on("console", (message) => message.type() === "error" && !page.isCut && faults.push(`${label}: console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`${label}: ${error.message}`));
  page.on("request", (request) => new URL(request.url()).origin !== origin && faults.push(`${label}: asks the outside: ${request.url()}`));
  await page.goto(url);
  await page.waitForSelector("h1");
  await page.waitForFunction(() => !document.querySelector(".skeleton"));
  return page;
}

async function look(page, label) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (wide > 0) faults.push(`${label}: ${wide} px too wide`);
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("button, header a, summary, .what, .cause")]
      .filter((target) => target.offsetParent && target.getBoundingClientRect().height < 43.5)
      .map((target) => target.textContent));
  if (small.length) faults.push(`${label}: targets below 44 px: ${small.join(" | ")}`);
  const broken = await page.evaluate(() =>
    [...document.querySelectorAll("button")].filter((one) => one.offsetParent && one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent));
  if (broken.length) faults.push(`${label}: text cut in ${broken.join(" | ")}`);
  // The policy of the page forbids foreign scripts: axe comes in through the debugging protocol.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  for (const { id, nodes } of violations) faults.push(`${label}: axe ${id}: ${nodes.map((node) => node.html.slice(0, 140)).join(" | ")}`);
  await page.screenshot({ path: `${folder}/${label}.png`, fullPage: true });
}

async function tour(url, views, name) {
  for (const language of ["ko", "en"]) {
    for (const size of Object.keys(SIZES)) {
      for (const [view, path] of Object.entries(views)) {
        const label = [name, view, language, size].filter(Boolean).join("-");
        const page = await open(url + path, language, size, label);
        await look(page, label);
        await page.context().close();
      }
    }
  }
}

const expect = (isTrue, what) => isTrue || faults.push(what);

/** Acknowledges by hand: name asked once, state seen in place, remembered. */
async function acknowledging(url) {
  const page = await open(url, "en", "desktop", "acknowledging");
  const buttons = page.locator(".findings button");
  const before = await buttons.count();
  await buttons.first().click();
  await page.fill("dialog input", "Kim");
  await look(page, "dialog-en-desktop");
  await page.click("dialog button.primary");
  await page.waitForFunction((count) => document.querySelectorAll(".findings button").length === count, before - 1);
  await buttons.first().click();
  await page.waitForFunction((count) => document.querySelectorAll(".findings button").length === count, before - 2);
  expect(!(await page.locator("dialog[open]").count()), "acknowledging: the name is asked twice");
  await page.context().close();
}

/** The chart's cursor by keyboard, the table, and the way back. */
async function keyboard(url, path) {
  const page = await open(url + path, "en", "desktop", "keyboard");
  await page.focus(".plot");
  for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
  expect(/kW$/.test((await page.textContent(".reading")) ?? ""), "keyboard: the chart's cursor says nothing");
  await page.focus("summary");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".scroll tbody tr");
  await look(page, "table-en-desktop");
  await page.click(".language");
  await page.waitForSelector("html[lang=ko]");
  await page.reload();
  await page.waitForSelector("html[lang=ko] h1");
  await page.click(".crumbs a");
  await page.waitForSelector(".tiles");
  await page.context().close();
}

/** The agent goes away: values greyed, buttons disabled with the reason; then a reader knows from when the values are. */
async function offline(fake, path) {
  const pages = [];
  for (const language of ["ko", "en"]) {
    for (const size of Object.keys(SIZES)) {
      pages.push([await open(fake.url, language, size, "offline"), `offline-now-${language}-${size}`]);
      pages.push([await open(fake.url + path, language, size, "offline"), `offline-finding-${language}-${size}`]);
    }
  }
  for (const [page] of pages) page.isCut = true;
  await fake.stop();
  for (const [page, label] of pages) {
    await page.waitForSelector(".banner");
    expect(await page.locator(".ack button:enabled").count() === 0, `${label}: a button still looks alive`);
    expect(/17:26:00/.test((await page.textContent(".banner")) ?? ""), `${label}: the banner does not say of when the values are`);
    await look(page, label);
    await page.context().close();
  }
}

if (base) {
  const answer = await fetch(`${base}/api/v1/findings?limit=1`).then((response) => response.json());
  const id = answer.findings[0]?.id;
  await tour(base, { now: "/", ...(id && { finding: `/waste/${encodeURIComponent(id)}` }) }, "");
} else {
  const fake = await serve("full");
  const path = `/waste/${fake.findings[0].id}`;
  await tour(fake.url, { now: "/", finding: path, ended: `/waste/${fake.findings[1].id}`, nothing: "/nothing" }, "");
  await keyboard(fake.url, path);
  await offline(fake, path);
  for (const name of ["empty", "above", "bare"]) {
    const other = await serve(name);
    await tour(other.url, { now: "/" }, name);
    if (name === "above") await acknowledging(other.url);
    await other.stop();
  }
}
await browser.close();
console.log(faults.length ? [...new Set(faults)].join("\n") : `no fault; pictures in ${folder}`);
process.exit(faults.length ? 1 : 0);
