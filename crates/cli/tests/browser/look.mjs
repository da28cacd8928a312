// Opens a page in Chromium and says what a person would meet, as one JSON document: `node look.mjs CHROMIUM FILE`.
// With SHOTS=FOLDER it leaves screenshots there.
import { chromium } from "playwright-core";
import { pathToFileURL } from "node:url";

const [executablePath, file] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const looks = [];
for (const [width, colorScheme] of [[1280, "light"], [1280, "dark"], [360, "light"], [360, "dark"]]) {
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
    const points = (selector) => [...document.querySelectorAll(selector)].map((shape) => shape.getAttribute("points"));
    const texts = [...document.querySelectorAll("body *")].filter((element) =>
      [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && !element.closest("svg, style"));
    const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const luminance = (colour) => {
      const [red, green, blue] = colour.match(/[\d.]+/g).map((value) => channel(value / 255));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const background = (element) => {
      for (; element; element = element.parentElement) {
        const colour = getComputedStyle(element).backgroundColor;
        if (!colour.startsWith("rgba(")) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    // WCAG 2.2, 1.4.3: contrast.
    const contrasts = texts.map((element) => {
      const both = [getComputedStyle(element).color, background(element)].map(luminance).sort((a, b) => b - a);
      return { text: element.textContent.slice(0, 40), contrast: (both[0] + 0.05) / (both[1] + 0.05) };
    });
    return {
      verdict: document.querySelector("#verdict h1").textContent,
      width: document.documentElement.scrollWidth,
      smallest: Math.min(...texts.map((element) => parseFloat(getComputedStyle(element).fontSize))),
      parity: points("#parity-chart .line").join(" ").trim().split(/\s+/).length,
      parityHeight: document.querySelector("#parity-chart")?.getBoundingClientRect().height,
      latency: points("#latency-chart .area").map((points) => new Set(points.split(" ").map((at) => at.split(",")[1])).size),
      bars: [...document.querySelectorAll("#differences .bar rect")].filter((bar) => bar.width.baseVal.value > 0).length,
      scripts: document.scripts.length,
      handlers: [...document.querySelectorAll("*")].filter((element) => element.getAttributeNames().some((name) => name.startsWith("on"))).length,
      links: document.links.length,
      headings: [...document.querySelectorAll("h1, h2, h3")].map((heading) => Number(heading.tagName[1])),
      faint: contrasts.filter(({ contrast }) => contrast < 4.5),
    };
  });
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${width}-${colorScheme}.png`, fullPage: true });
  looks.push({ viewport: width, colorScheme, messages, requests, ...look });
  await context.close();
}
await browser.close();
console.log(JSON.stringify(looks));
