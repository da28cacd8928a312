// Makes every image that the documentation shows:
//
//     node docs/images/make.mjs            the images
//     node docs/images/make.mjs --record   also a new log of comparisons for the README; then update its `report` block
//
// It builds `crossfade`, starts `crossfade dev` with the demo back ends, sends traffic and takes screenshots in Chromium
// (on the PATH, or named in the variable CHROMIUM). The log of comparisons is kept in crates/cli/tests/docs, so that the
// report in the README and its screenshot are the same, run after run. Nothing leaves this machine.
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const driver = join(root, "crates/cli/tests/browser");
const recorded = join(root, "crates/cli/tests/docs/comparisons.log.gz");
const LARGEST = 200_000;
const TITLE = "Shop migration";

/** The browser on the PATH, or the one named in CHROMIUM. */
function chromiumPath() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const found = process.env.CHROMIUM ?? names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  if (!found) throw new Error("Chromium is missing; hint: install it, or name it in the variable CHROMIUM");
  return found;
}

/** Starts `crossfade dev`; resolves with the addresses from its banner. */
function startDev(binary, comparisons) {
  const child = spawn(binary, ["dev", "--port", "0", "--inspect", "0", "--log", comparisons], { stdio: ["ignore", "ignore", "pipe"] });
  return new Promise((resolve, reject) => {
    let banner = "";
    const timer = setTimeout(() => reject(new Error(`no complete banner after 30 s: ${banner}`)), 30_000);
    child.on("exit", (code) => reject(new Error(`\`crossfade dev\` ended with ${code}: ${banner}`)));
    child.stderr.on("data", (piece) => {
      banner += piece;
      if (!banner.endsWith("\n\n") || !banner.includes("\nTry:")) return;
      clearTimeout(timer);
      const after = (label) => banner.split(label)[1].trim().split(/\s/)[0];
      resolve({ child, alb: after("local ALB"), inspector: after("  inspector ") });
    });
  });
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function ask(alb, path, options = {}) {
  const response = await fetch(alb + path, { redirect: "manual", ...options });
  await response.arrayBuffer();
}

/** A minute of a shop's traffic: most pages are the same in both systems, some differ. */
async function traffic(alb) {
  const pages = [["reviews", 900], ["carts", 500], ["customers", 300], ["orders", 12]];
  const queue = pages.flatMap(([page, count]) => Array.from({ length: count }, (_, at) => [at / count, `/${page}/${at + 1}`]));
  queue.sort(([a], [b]) => a - b);
  for (const [, path] of queue) {
    await ask(alb, path, { headers: { cookie: `customer_id=${path.split("/")[2]}` } });
    await pause(15);
  }
}

/** Requests of every kind for the inspector. The newest one for an order is opened. */
async function visits(alb) {
  for (const path of ["/reviews/7", "/carts/7", "/no/such/page", "/products/12", "/redirect?to=/orders/42", "/customers/10"]) await ask(alb, path);
  await ask(alb, "/login?token=s3cret", {
    method: "POST", body: JSON.stringify({ user: "ann", password: "hunter2" }),
    headers: { "content-type": "application/json", authorization: "Bearer s3cret" },
  });
  await ask(alb, "/reviews/8");
  await ask(alb, "/orders/42", { headers: { cookie: "customer_id=42" } });
  await ask(alb, "/carts/8");
  await pause(1500); // the comparisons come after the responses
}

const LIGHT = { text: "#1f2328", dim: "#59636e", box: "#f6f8fa", line: "#8c959f", blue: "#0969da", blueBox: "#ddf4ff", green: "#1a7f37" };
const DARK = { text: "#f0f6fc", dim: "#9198a1", box: "#161b22", line: "#6e7681", blue: "#4493f8", blueBox: "#0c2d52", green: "#3fb950" };

/** client -> ALB -> Crossfade -> 90 % legacy, 10 % modern; the shadow copy and the comparison. */
function diagram(colour) {
  const box = (x, y, width, title, remark, special = false) => `
  <rect x="${x}" y="${y}" width="${width}" height="52" rx="8" fill="${special ? colour.blueBox : colour.box}" stroke="${special ? colour.blue : colour.line}" stroke-width="1.5"/>
  <text x="${x + width / 2}" y="${y + 23}" class="title">${title}</text>
  <text x="${x + width / 2}" y="${y + 41}" class="remark">${remark}</text>`;
  const arrow = (path, stroke, width, more = "") => `
  <path d="${path}" fill="none" stroke="${stroke}" stroke-width="${width}" ${more} marker-end="url(#${stroke === colour.green ? "green" : stroke === colour.blue ? "blue" : "grey"})"/>`;
  const head = (id, fill) => `<marker id="${id}" viewBox="0 0 8 8" refX="6.5" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z" fill="${fill}"/></marker>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 500 286" role="img" aria-labelledby="title">
  <title id="title">A client's request passes the ALB and Crossfade. 90 % go to the legacy system and 10 % to the modern one. The modern system also gets shadow copies, and Crossfade compares both responses.</title>
  <style>
    text { font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: ${colour.text}; font-size: 15px }
    .title { font-weight: 600; text-anchor: middle } .remark { font-size: 12.5px; fill: ${colour.dim}; text-anchor: middle }
    .share { font-size: 17px; font-weight: 700; fill: ${colour.blue} } .shadow { font-size: 14px; fill: ${colour.green} }
  </style>
  <defs>${head("grey", colour.line)}${head("blue", colour.blue)}${head("green", colour.green)}</defs>${
  box(2, 6, 104, "Client", "HTTPS")}${box(156, 6, 124, "ALB", "listener rules")}${box(330, 6, 168, "Crossfade", "one Lambda function", true)}${
  box(40, 136, 164, "Legacy system", "HTTPS back end")}${box(296, 136, 164, "Modern system", "HTTPS back end")}${
  box(130, 228, 240, "Compare", "crossfade report: same or different?")}${
  arrow("M106 32H155", colour.line, 2)}${arrow("M280 32H329", colour.line, 2)}${
  arrow("M356 58C356 106 122 78 122 134", colour.blue, 5)}${arrow("M384 58V134", colour.blue, 2)}${
  arrow("M436 58V134", colour.green, 2, 'stroke-dasharray="6 5"')}${
  arrow("M122 188C122 214 190 204 190 227", colour.green, 2, 'stroke-dasharray="6 5"')}${arrow("M378 188C378 214 310 204 310 227", colour.green, 2, 'stroke-dasharray="6 5"')}
  <text x="160" y="86" class="share">90 %</text>
  <text x="330" y="124" class="share">10 %</text>
  <text x="444" y="94" class="shadow">shadow</text>
  <text x="444" y="111" class="shadow">copy</text>
</svg>
`;
}

writeFileSync(join(here, "overview-light.svg"), diagram(LIGHT));
writeFileSync(join(here, "overview-dark.svg"), diagram(DARK));

execFileSync("cargo", ["build", "--quiet", "--bin", "crossfade"], { cwd: root, stdio: "inherit" });
const binary = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/crossfade");
if (!existsSync(join(driver, "node_modules"))) execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: driver, stdio: "inherit" });
const { chromium } = createRequire(join(driver, "package.json"))("playwright-core");

const folder = mkdtempSync(join(tmpdir(), "crossfade-images-"));
const browser = await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox", "--disable-gpu"] });
let dev;
try {
  const log = join(folder, "comparisons.log");
  dev = await startDev(binary, log);
  if (process.argv.includes("--record")) {
    await traffic(dev.alb);
    await pause(2000);
    writeFileSync(recorded, gzipSync(readFileSync(log), { level: 9 }));
  }
  const page = join(folder, "report.html");
  copyFileSync(recorded, `${log}.gz`);
  execFileSync(binary, ["report", "--title", TITLE, "--html", page, `${log}.gz`], { stdio: "ignore" });
  await visits(dev.alb);
  const rows = await fetch(`${dev.inspector}/?q=${encodeURIComponent("orders")}`).then((response) => response.text());
  const opened = rows.match(/\/requests\/\d+/)[0];
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, colorScheme });
    const shoot = async (name, url, height = 800) => {
      const tab = await context.newPage();
      await tab.setViewportSize({ width: 1200, height });
      await tab.goto(url);
      await tab.screenshot({ path: join(here, `${name}-${colorScheme}.png`) });
      await tab.close();
    };
    await shoot("report", pathToFileURL(page).href, 1000);
    await shoot("inspector", dev.inspector, 560);
    await shoot("inspector-request", dev.inspector + opened, 900);
    await context.close();
  }
} finally {
  await browser.close();
  dev?.child.removeAllListeners("exit");
  dev?.child.kill("SIGINT");
  rmSync(folder, { recursive: true, force: true });
}

for (const name of ["report", "inspector", "inspector-request"].flatMap((name) => [`${name}-light.png`, `${name}-dark.png`])) {
  const { size } = statSync(join(here, name));
  console.log(`docs/images/${name}: ${size} bytes`);
  if (size >= LARGEST) throw new Error(`docs/images/${name} has ${size} bytes; the limit is ${LARGEST}`);
}
