// Keeps the page up to date: it is asked for anew whenever the daemon says that something has changed. Without this script the
// page is the same, and asks for itself every ten seconds.
"use strict";

const lost = document.getElementById("lost");
const news = document.getElementById("news");
const stream = document.body.dataset.stream;
let fetched = performance.now();
let isFetching = false;
let isOutdated = false;

// As the daemon writes spans, e.g. "2m 5s".
function span(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const first = units.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0s";
  const [size, unit] = units[first];
  const text = Math.floor(seconds / size) + unit;
  const next = units[first + 1];
  const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
  return rest > 0 ? text + " " + rest + next[1] : text;
}

// Counts ages on between two answers, and marks looks that are old.
function countAges() {
  const passed = (performance.now() - fetched) / 1000;
  for (const age of document.querySelectorAll("[data-age]")) {
    const seconds = Math.floor(Number(age.dataset.age) + passed);
    age.textContent = span(seconds) + " ago";
    age.classList.toggle("stale", age.closest("[data-label=Seen], .seen") !== null && seconds > 180);
  }
}

// Puts the new content in place of the old one: what was open stays open, and the focus stays where it was.
function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("main");
  const main = document.querySelector("main");
  if (!fresh) return;
  for (const details of main.querySelectorAll("details[open][id]")) {
    const same = fresh.querySelector("#" + details.id);
    if (same) same.open = true;
  }
  const focused = document.activeElement;
  const href = main.contains(focused) ? focused.getAttribute("href") : null;
  const open = main.contains(focused) && focused.tagName === "SUMMARY" ? focused.parentElement.id : null;
  if (main.dataset.headline !== fresh.dataset.headline) news.textContent = fresh.dataset.headline;
  main.replaceWith(fresh);
  if (href) {
    const again = fresh.querySelector('a[href="' + CSS.escape(href) + '"]');
    if (again) again.focus({ preventScroll: true });
  }
  if (open) {
    const again = fresh.querySelector("#" + CSS.escape(open) + " > summary");
    if (again) again.focus({ preventScroll: true });
  }
  fetched = performance.now();
  countAges();
}

// One question at a time: whatever changes meanwhile is asked for after it.
async function refresh() {
  if (isFetching) {
    isOutdated = true;
    return;
  }
  isFetching = true;
  try {
    const response = await fetch(location.pathname, { cache: "no-store" });
    if (response.ok) show(await response.text());
    lost.hidden = response.ok;
  } catch {
    lost.hidden = false;
  }
  isFetching = false;
  if (isOutdated) {
    isOutdated = false;
    setTimeout(refresh, 1000);
  }
}

if (stream) {
  const source = new EventSource(stream);
  source.addEventListener("cluster", refresh);
  source.addEventListener("open", () => { lost.hidden = true; });
  source.addEventListener("error", () => {
    // The most streams may be open already: then the page asks by itself.
    if (source.readyState === EventSource.CLOSED) setInterval(refresh, 10000);
    else lost.hidden = false;
  });
}
setInterval(countAges, 1000);
