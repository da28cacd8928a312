// Opens a page in Chromium and says what a person would meet, as one JSON document: `node look.mjs CHROMIUM FILE`.
// With SHOTS=FOLDER it leaves screenshots there.
import { chromium } from "playwright-core";
import { pathToFileURL } from "node:url";
import { measure } from "./measure.mjs";

const [executablePath, file] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const looks = [];
for (const [width, colorScheme] of [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]]) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  const [messages, requests] = [[], []];
  page.on("console", (message) => messages.push(message.text()));
  page.on("pageerror", (error) => messages.push(String(error)));
  page.on("request", (request) => requests.push(request.url().split(":")[0]));
  await page.goto(pathToFileURL(file).href);
  // Through the protocol: the policy of the page does not hold for what the test asks.
  const look = await page.evaluate(() => {
    for (const details of document.querySelectorAll("details")) details.open = true;
    const overlaps = (selector) => {
      const labels = [...document.querySelectorAll(selector)].filter((label) => label.checkVisibility());
      const boxes = labels.map((label) => ({ text: label.textContent, parent: label.parentElement, ...label.getBoundingClientRect().toJSON() }));
      return boxes.flatMap((one, at) => boxes.slice(at + 1)
        .filter((other) => one.parent === other.parent && one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom)
        .map((other) => `${one.text}|${other.text}`));
    };
    const points = (selector) => [...document.querySelectorAll(selector)].map((shape) => shape.getAttribute("points"));
    return {
      verdict: document.querySelector("#verdict h1").textContent,
      parity: points("#parity-chart .line").join(" ").trim().split(/\s+/).length,
      parityHeight: document.querySelector("#parity-chart")?.getBoundingClientRect().height,
      latency: points("#latency-chart .area").map((points) => new Set(points.split(" ").map((at) => at.split(",")[1])).size),
      causes: document.querySelectorAll("#causes > ol > li").length,
      rules: document.querySelectorAll("#causes pre").length,
      // Links to places that are not in the page.
      lost: [...document.links].filter((link) => link.hash && !document.getElementById(link.hash.slice(1))).map((link) => link.hash),
      times: [...document.querySelectorAll(".scaled .x span")].filter((label) => label.checkVisibility()).map((label) => label.textContent),
      overlaps: overlaps(".plot .x span, .marks span, .plot .y span"),
      scripts: document.scripts.length,
      links: [...document.links].filter((link) => !link.getAttribute("href").startsWith("#")).length,
    };
  });
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${width}-${colorScheme}.png`, fullPage: true });
  looks.push({ viewport: width, colorScheme, messages, requests, ...look, ...(await page.evaluate(measure, true)) });
  await context.close();
}
await browser.close();
console.log(JSON.stringify(looks));
