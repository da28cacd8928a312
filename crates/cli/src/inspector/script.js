// Live rows, keyboard shortcuts and copying. Everything else works without this script.
// The server renders and escapes rows; the script builds no markup from messages.
"use strict";

const $ = (selector, within = document) => within.querySelector(selector);
const list = $("#list");
const say = (text) => { $("#news").textContent = text; };
const number = (text) => Number(text.replaceAll(",", ""));
const grouped = (count) => count.toLocaleString("en-US");

// The live list.
function live() {
  const body = $("tbody", list);
  const most = Number(list.dataset.most);
  const pause = $("#pause");
  let last = `${list.dataset.run}.${list.dataset.clock}.${list.dataset.known}`;
  let source = null;
  let sampled = 0;
  let unsaid = 0;
  let unsaidErrors = 0;

  const idOf = (row) => Number(row.id.slice(1));
  function put(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    const row = $("tr", template.content);
    const old = document.getElementById(row.id);
    if (old) {
      const hadFocus = old.contains(document.activeElement);
      old.replaceWith(row);
      if (hadFocus) $("a", row).focus({ preventScroll: true });
      return;
    }
    let next = body.firstElementChild;
    while (next && idOf(next) > idOf(row)) next = next.nextElementSibling;
    row.classList.add("fresh");
    body.insertBefore(row, next);
    if ($(".mark.error", row)) unsaidErrors += 1;
    // The row with the focus stays, however old it is.
    for (let oldest = body.lastElementChild; body.children.length > most && oldest;) {
      const before = oldest.previousElementSibling;
      if (!oldest.contains(document.activeElement)) oldest.remove();
      oldest = before;
    }
  }
  function take(event) {
    last = event.lastEventId;
    const news = JSON.parse(event.data);
    for (const row of news.rows) put(row.html);
    $("#empty")?.remove();
    const matching = $("#matching");
    matching.textContent = grouped(news.all ?? number(matching.textContent) + news.new);
    $("#shown").textContent = grouped(body.children.length);
    $("#seen").textContent = news.seen;
    unsaid += news.new;
    if (news.new > news.rows.length) sampled = Date.now();
  }
  function open() {
    if (source || pause.getAttribute("aria-pressed") === "true" || document.hidden) return;
    const query = list.dataset.query;
    source = new EventSource(`/live?since=${last}${query ? "&" + query : ""}`);
    source.onmessage = take;
    source.addEventListener("restart", () => location.reload());
  }
  function close() {
    source?.close();
    source = null;
  }
  pause.hidden = false;
  pause.addEventListener("click", () => {
    const isPaused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(isPaused));
    pause.textContent = isPaused ? "Resume" : "Pause";
    if (isPaused) close(); else open();
  });
  // Browsers limit connections per host, so hidden pages close theirs.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  setInterval(() => { $("#sampling").hidden = Date.now() - sampled > 2000; }, 500);
  setInterval(() => {
    if (unsaid === 0) return;
    const errors = unsaidErrors ? `, ${unsaidErrors} of those shown with an error` : "";
    say(`${grouped(unsaid)} new ${unsaid === 1 ? "request" : "requests"}${errors}`);
    unsaid = unsaidErrors = 0;
  }, 5000);
  open();
}

// Updates the page of a request when its access line or a comparison arrives.
function watch(detail) {
  const { id, run, clock } = detail.dataset;
  const source = new EventSource(`/live?since=${run}.${clock}.${id}&id=${id}`);
  source.onmessage = async (event) => {
    if (JSON.parse(event.data).rows.length === 0) return;
    const answer = await fetch(location.pathname, { cache: "no-store" }).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = $("main", page);
    for (const details of document.querySelectorAll("main details[id]")) {
      const same = $(`#${details.id}`, main);
      if (same) same.open = details.open;
    }
    const focused = document.activeElement?.closest("main [id]")?.id;
    $("main").replaceWith(document.adoptNode(main));
    copyButtons();
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    say("This request has more details now");
  };
  source.addEventListener("restart", () => source.close());
  // Copies are compared within seconds or never.
  setTimeout(() => source.close(), 30000);
  addEventListener("pagehide", () => source.close());
}

// Updates the sections of the migration whose content has changed, but no form that somebody fills in.
function follow(migration) {
  const isInUse = (section) => section.contains(document.activeElement) || section.dataset.kept !== undefined ||
    [...section.querySelectorAll("input")].some((field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked);
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch("/migration", { cache: "no-store" }).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const fresh of page.querySelectorAll("#migration > section")) {
      const old = document.getElementById(fresh.id);
      if (!old) migration.append(document.adoptNode(fresh));
      else if (!old.isEqualNode(fresh) && !isInUse(old)) {
        const isNew = fresh.dataset.version !== old.dataset.version;
        old.replaceWith(document.adoptNode(fresh));
        if (isNew) say(`The live state is version ${fresh.dataset.version} now`);
      }
    }
  }, 2000);
}

function copyButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const label = button.textContent;
      const text = document.getElementById(button.dataset.copy).textContent;
      const isCopied = await navigator.clipboard.writeText(text).then(() => true, () => false);
      button.textContent = isCopied ? "Copied" : "Cannot copy";
      say(button.textContent);
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }
}

// Keyboard shortcuts for links, buttons and fields of the page.
const links = () => [...document.querySelectorAll("#list tbody th a")];
function move(by) {
  const all = links();
  const at = all.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by;
  all[Math.max(0, Math.min(all.length - 1, next))]?.focus();
  all[next]?.closest("tr").scrollIntoView({ block: "nearest" });
}
function neighbour(rel) {
  const link = $(`nav a[rel=${rel}]`);
  if (link) location.href = link.href;
}
function replay() {
  const form = $("#replay");
  if (!form) return;
  if (list) {
    const link = document.activeElement?.closest("tr")?.querySelector("th a");
    if (!link) return say("Select a request first");
    form.action = `${new URL(link.href).pathname}/replay`;
  }
  form.requestSubmit();
}
const keys = {
  j: () => (list ? move(1) : neighbour("next")),
  k: () => (list ? move(-1) : neighbour("prev")),
  r: replay,
  "/": () => { if (list) { $("#q").focus(); $("#q").select(); } else location.href = "/"; },
  p: () => $("#pause")?.click(),
  u: () => $("#list-link")?.click(),
  "?": () => {
    const help = $("#keys");
    help.open = !help.open;
    if (help.open) { help.scrollIntoView({ block: "nearest" }); $("summary", help).focus(); }
  },
};
const useKeys = $("#use-keys");
useKeys.checked = localStorage.getItem("keys") !== "off";
useKeys.addEventListener("change", () => localStorage.setItem("keys", useKeys.checked ? "on" : "off"));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const isInList = list && document.activeElement?.closest("#list");
  if (isInList && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    return move(event.key === "ArrowDown" ? 1 : -1);
  }
  if (!useKeys.checked || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});

// Menus of the form apply immediately.
for (const select of document.querySelectorAll("#filter select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
$("#filter")?.addEventListener("submit", (event) => {
  // Omits empty parameters from the address.
  for (const field of event.target.querySelectorAll("input, select")) field.disabled = field.value === "";
});
addEventListener("pageshow", () => { for (const field of document.querySelectorAll("#filter :disabled")) field.disabled = false; });

copyButtons();
if (list?.dataset.live === "true") live();
const detail = $("#detail");
if (detail) watch(detail);
const migration = $("#migration");
if (migration) follow(migration);
