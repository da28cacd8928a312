// Uses the inspector in Chromium as a person would, and says what came of it, as one JSON document:
// `node inspect.mjs CHROMIUM INSPECTOR LOAD_BALANCER`. With SHOTS=FOLDER it leaves screenshots there.
import { chromium } from "playwright-core";
import { measure } from "./measure.mjs";

const [executablePath, inspector, alb] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const messages = [];
const foreign = [];

async function open(options, path = "/") {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  page.on("console", (message) => messages.push(message.text()));
  page.on("pageerror", (error) => messages.push(String(error)));
  page.on("request", (request) => { if (!request.url().startsWith(`${inspector}/`)) foreign.push(request.url()); });
  await page.goto(inspector + path);
  return { context, page };
}
const ask = (path, options = {}) => fetch(alb + path, { redirect: "manual", ...options }).then((answer) => answer.text());
const paths = (page) => page.$$eval("#list tbody .path", (paths) => paths.map((path) => path.textContent));
const shoot = async (page, name, fullPage = true) => {
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/inspector-${name}.png`, fullPage });
};
const found = {};

// Live rows, keys, filter, replay.
{
  const { context, page } = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  found.empty = await page.textContent("#empty");
  await ask("/orders/1");
  await page.waitForSelector("#list tbody tr");
  await ask("/no/such");
  await ask("/login?token=s3cret", {
    method: "POST", body: JSON.stringify({ user: "ann", password: "hunter2" }),
    headers: { "content-type": "application/json", authorization: "Bearer s3cret", cookie: "customer_id=7; session=s3cret" },
  });
  await page.waitForFunction(() => document.querySelectorAll("#list tbody tr").length === 3);
  found.live = await paths(page);
  found.shown = await page.textContent("#count");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("ArrowDown");
  found.focused = await page.evaluate(() => document.activeElement.querySelector(".path").textContent);
  found.outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  // A row above does not take the focus away.
  await ask("/orders/2");
  await page.waitForFunction(() => document.querySelectorAll("#list tbody tr").length === 4);
  found.stillFocused = await page.evaluate(() => document.activeElement.querySelector(".path").textContent);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/requests/*");
  found.opened = await page.textContent("h1 .target");
  await page.keyboard.press("u");
  await page.waitForSelector("#list tbody tr");
  await page.keyboard.press("/");
  found.filterFocused = await page.evaluate(() => document.activeElement.id);
  await page.keyboard.type("orders j");
  await page.keyboard.press("Backspace");
  await page.keyboard.press("Backspace");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/?q=orders");
  found.filtered = await paths(page);
  await ask("/echo");
  await ask("/orders/3");
  await page.waitForFunction(() => document.querySelectorAll("#list tbody tr").length === 3);
  found.filteredLive = await paths(page);
  await page.keyboard.press("j");
  await page.keyboard.press("r");
  await page.waitForURL("**/requests/*");
  found.replayed = await page.textContent("h1 .target");
  const before = page.url();
  await page.click("text=Replay");
  await page.waitForURL((url) => url.href !== before && url.pathname.startsWith("/requests/"));
  found.replayedAgain = [before, page.url()].map((url) => Number(url.split("/").pop()));
  await page.click("text=Copy as curl");
  await page.waitForSelector("text=Copied");
  found.copied = await page.evaluate(() => navigator.clipboard.readText());
  // What the mirror has found comes to the open page.
  await page.waitForSelector("#comparison");
  found.said = await page.textContent("#news");
  await page.keyboard.press("?");
  found.help = await page.evaluate(() => document.querySelector("#keys").open);
  await page.goto(inspector);
  await page.click("#pause");
  await ask("/orders/4");
  await page.waitForTimeout(700);
  found.paused = (await paths(page)).includes("/orders/4");
  await page.keyboard.press("p");
  await page.waitForFunction(() => document.querySelector("#list tbody .path").textContent === "/orders/4");
  // A burst: fewer rows than requests, and it says so.
  await Promise.all([...Array(150).keys()].map((number) => ask(`/echo?burst=${number}`)));
  await page.waitForFunction(() => !document.querySelector("#sampling").hidden).catch(() => {});
  found.sampling = await page.isVisible("#sampling");
  await page.waitForFunction(() => document.querySelector("#news").textContent.includes("new request"));
  found.announced = await page.textContent("#news");
  await context.close();
}

// Without script.
{
  const { context, page } = await open({ javaScriptEnabled: false });
  found.plainRows = (await page.$$("#list tbody tr")).length;
  await page.fill("#q", "login");
  await page.click("text=Apply");
  found.plainFiltered = await paths(page);
  await page.click("#list tbody a");
  found.plainSecrets = (await page.content()).match(/s3cret|hunter2/g) ?? [];
  await page.click("text=Replay");
  found.plainReplayed = await page.textContent("h1 .target");
  found.plainCurl = await page.textContent("#curl-text");
  await context.close();
}

// How it looks.
found.looks = [];
for (const [width, colorScheme] of [[1280, "light"], [1280, "dark"], [360, "light"], [360, "dark"]]) {
  const { context, page } = await open({ viewport: { width, height: 900 }, colorScheme, reducedMotion: "reduce" });
  const animation = await page.evaluate(() => getComputedStyle(document.querySelector("#list tbody tr")).animationName);
  const listed = await page.evaluate(measure);
  await shoot(page, `list-${width}-${colorScheme}`, false);
  for (const [name, query] of [["order", "orders is:differs"], ["login", "login"]]) {
    await page.goto(`${inspector}/?q=${encodeURIComponent(query)}`);
    await page.click("#list tbody a");
    await page.waitForSelector("#detail");
    await page.evaluate(() => { for (const details of document.querySelectorAll("details")) details.open = true; });
    const look = await page.evaluate(measure);
    await shoot(page, `${name}-${width}-${colorScheme}`);
    found.looks.push({ page: name, viewport: width, colorScheme, animation, ...look });
  }
  found.looks.push({ page: "list", viewport: width, colorScheme, animation, ...listed });
  await context.close();
}
await browser.close();
console.log(JSON.stringify({ messages, foreign, ...found }));
