// Moves the users of a migration in Chromium as a person would, and says what came of it, as one JSON document:
// `node migration.mjs CHROMIUM INSPECTOR LOAD_BALANCER`. With SHOTS=FOLDER it leaves screenshots there.
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { measure } from "./measure.mjs";

const [executablePath, inspector, alb] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const messages = [];
const foreign = [];
const address = `${inspector}/migration`;

async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  page.on("console", (message) => {
    // Chromium reports the status of a refusal, which is meant.
    if (!/status of (409|422)/.test(message.text())) messages.push(message.text());
  });
  page.on("pageerror", (error) => messages.push(String(error)));
  page.on("request", (request) => { if (!request.url().startsWith(`${inspector}/`)) foreign.push(request.url()); });
  await page.goto(address);
  return { context, page };
}
const shoot = async (page, name) => {
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/migration-${name}.png`, fullPage: true });
};
const promote = (page) => page.click("form[aria-label=Promote] button");
const fact = (page, name) => page.textContent(`#route-0 dt:text-is("${name}") + dd`);
const found = {};

{
  const { context, page } = await open({});
  await promote(page);
  found.refused = await page.textContent("#refusal");
  await page.fill("#to", "25%");
  await page.check("input[name=force]");
  await promote(page);
  found.unreasoned = await page.textContent("#refusal");
  found.kept = await page.inputValue("#to");
  await page.fill("#promote-reason", "tested by hand");
  await promote(page);
  await page.waitForURL(address);
  found.forced = await fact(page, "Users on modern");
  found.change = await page.textContent("#history tbody tr");
  await fetch(`${alb}/orders/1`, { headers: { cookie: "customer_id=1" } }).then((answer) => answer.text());

  // A page elsewhere knows the address and even the token, but it is another origin.
  const token = await page.getAttribute("body", "data-token");
  const server = createServer((request, answer) => {
    answer.setHeader("content-type", "text/html");
    answer.end(`<form method=post action="${address}/abort"><input name=token value="${token}"></form>`);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const evil = await context.newPage();
  await evil.goto(`http://127.0.0.1:${server.address().port}/`);
  const [answer] = await Promise.all([
    evil.waitForResponse((answer) => answer.url().endsWith("/abort")),
    evil.evaluate(() => document.forms[0].submit()),
  ]);
  const origin = { origin: `http://127.0.0.1:${server.address().port}`, "content-type": "application/x-www-form-urlencoded" };
  const second = await fetch(`${address}/abort`, { method: "POST", headers: origin, body: `token=${token}` });
  found.forged = [answer.status(), second.status];
  await evil.close();
  server.close();
  await page.goto(address);
  found.afterForgery = await fact(page, "Users on modern");

  // Another tab moves on: this one shows it, but leaves a form alone, and its move comes too late.
  await page.fill("#promote-reason", "half a rea");
  const other = await context.newPage();
  await other.goto(address);
  await other.click("button:text-is(\"Pause\")");
  await other.waitForURL(address);
  await page.waitForFunction(() => document.querySelector("#route-0 .mark").textContent === "paused");
  found.typed = await page.inputValue("#promote-reason");
  found.announced = await page.textContent("#news");
  await page.check("input[name=force]");
  await promote(page);
  found.conflict = await page.textContent("#refusal");
  await page.click("button:text-is(\"Abort\")");
  await page.waitForURL(address);
  found.aborted = await page.textContent("#route-0 .mark");
  await context.close();
}

// Without script.
{
  const { context, page } = await open({ javaScriptEnabled: false });
  await page.click("button:text-is(\"Resume\")");
  await page.waitForURL(address);
  await page.fill("#to", "100");
  await page.fill("#promote-reason", "the rest");
  await page.check("input[name=force]");
  await promote(page);
  await page.waitForURL(address);
  await page.click("button:text-is(\"Abort\")");
  await page.waitForURL(address);
  found.plainAborted = await page.textContent("#route-0 .mark");
  await context.close();
}

// How it looks.
found.looks = [];
for (const [width, colorScheme] of [[1280, "light"], [1280, "dark"], [360, "light"], [360, "dark"]]) {
  const { context, page } = await open({ viewport: { width, height: 900 }, colorScheme, reducedMotion: "reduce" });
  await promote(page);
  await page.waitForSelector("#refusal");
  const animation = await page.evaluate(() => getComputedStyle(document.querySelector("#refusal")).animationName);
  const look = await page.evaluate(measure);
  await shoot(page, `${width}-${colorScheme}`);
  found.looks.push({ viewport: width, colorScheme, animation, ...look });
  await context.close();
}

await browser.close();
console.log(JSON.stringify({ ...found, messages, foreign: foreign.filter((url) => !url.startsWith("http://127.0.0.1")) }));
