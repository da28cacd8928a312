// Visits a site that names itself by another host than the public one, in Chromium, and says where it got, as one JSON document:
// `node public.mjs CHROMIUM FRONT_END BACK_END`. The names `shop.test` and `old.test` stand for the two.
import { chromium } from "playwright-core";

const [executablePath, front, back] = process.argv.slice(2);
const address = (url) => new URL(url).host;
const rules = [`MAP shop.test ${address(front)}`, `MAP old.test ${address(back)}`, "MAP * ~NOTFOUND"];
const args = ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=${rules.join(", ")}`];
const browser = await chromium.launch({ executablePath, args });

// What a visitor of the home page sees, after all requests that the page makes.
async function home(url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  const loaded = [];
  page.on("request", (request) => loaded.push(request.url()));
  await page.goto(url, { waitUntil: "networkidle" });
  const script = await page.textContent("#script");
  const colour = await page.evaluate(() => getComputedStyle(document.querySelector("#styled")).color);
  return { context, page, loaded, script, colour };
}

const { context, script, colour } = await home("http://old.test/v2/");
await context.close();
const found = { direct: { script, colour } };
{
  const { page, loaded, script, colour } = await home("http://shop.test/");
  const ways = {};
  for (const way of await page.$$eval("a, button", (links) => links.map((link) => link.id))) {
    await page.goto("http://shop.test/", { waitUntil: "networkidle" });
    await page.click(`#${way}`);
    // Wherever it is: the title has it.
    await page.waitForFunction((way) => document.title === `way=${way}`, way).catch(() => {});
    ways[way] = [page.url(), await page.title(), await page.textContent("#cookie").catch(() => "")];
  }
  const foreign = loaded.filter((url) => !url.startsWith("http://shop.test/"));
  found.public = { script, colour, ways, foreign, loaded };
}
await browser.close();
console.log(JSON.stringify(found));
