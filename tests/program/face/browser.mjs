// The page in a browser without a window: node browser.mjs LIBRARY CHROMIUM URL [FOLDER for pictures]
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [library, executablePath, url, pictures] = process.argv.slice(2);
const require = createRequire(library + "/");
const { default: puppeteer } = await import(require.resolve("puppeteer-core"));
const axe = require.resolve("axe-core/axe.min.js");
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"], headless: "shell" });

const ask = async (path) => (await fetch(url + path)).json();

// Opens a page that must keep its console empty and load nothing from elsewhere.
async function open(path, width, scheme, complaints) {
  const page = await browser.newPage();
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push("asks for " + request.url());
  });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width, height: 900 });
  await page.goto(url + path);
  return page;
}

try {
  const complaints = [];
  for (const path of ["/", "/clusters/consul-prod"]) {
    for (const scheme of ["light", "dark"]) {
      for (const width of [390, 768, 1280, 1600]) {
        const page = await open(path, width, scheme, complaints);
        const taken = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(taken <= width, `${path} at ${width} takes ${taken}`);
        if (pictures) {
          const name = path === "/" ? "fleet" : "cluster";
          await page.screenshot({ path: `${pictures}/${name}-${scheme}-${width}.png`, fullPage: true });
        }
        await page.close();
      }
    }
  }
  assert.deepEqual(complaints, []);

  // With a page whose policy lets the checker in: the page itself is the same.
  for (const path of ["/", "/clusters/consul-prod"]) {
    for (const scheme of ["light", "dark"]) {
      const page = await open(path, 1280, scheme, []);
      await page.setBypassCSP(true);
      await page.goto(url + path);
      await page.addScriptTag({ path: axe });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const faults = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
      assert.deepEqual(faults, [], `${path}, ${scheme}`);
      await page.close();
    }
  }

  // Without a script, row for row what the interface says.
  const still = await browser.newPage();
  await still.setJavaScriptEnabled(false);
  await still.goto(url + "/");
  const rows = await still.$$eval(".fleet tbody tr", (rows) => rows.map((row) => row.textContent));
  const { clusters } = await ask("/api/v1/clusters");
  assert.equal(rows.length, clusters.length);
  assert.ok(rows[0].includes(clusters[0].cluster), "those that need a person come first");
  for (const cluster of clusters) {
    const row = rows.find((row) => row.includes(cluster.cluster));
    const margin = cluster.quorum.mayFail === 0 ? "none may fail" : `${cluster.quorum.mayFail} may fail`;
    for (const part of [cluster.wanted, margin, cluster.environment]) {
      assert.ok(row.includes(part), `${part} is not in: ${row}`);
    }
  }
  await still.goto(url + "/clusters/consul-prod");
  const text = await still.$eval("main", (main) => main.textContent);
  const before = await ask("/api/v1/clusters/consul-prod");
  for (const slot of before.slots) {
    assert.ok(text.includes(slot.slot) && text.includes(slot.zone));
    for (const volume of slot.volumes) assert.ok(text.includes(volume.id), `${volume.id} is not shown`);
  }
  const gates = await still.$$eval(".gates .name", (names) => names.map((name) => name.textContent));
  const explanation = await ask("/api/v1/clusters/consul-prod/explain");
  assert.deepEqual(gates.toSorted(), explanation.gates.map(({ gate }) => gate).toSorted());
  assert.equal((await still.$$("button, input, form, select")).length, 0, "nothing can be pressed");

  // With it, the page follows by itself, keeps the focus, and keeps open what was opened.
  const live = await open("/clusters/consul-prod", 1280, "light", complaints);
  // Each in one step, because the content may be exchanged between two: the focus would go to what is there no more.
  const focus = () => live.evaluate(() => document.querySelector("#open-gates summary").focus());
  const isOpen = () => live.evaluate(() => document.querySelector("#open-gates").open);
  await focus();
  await live.keyboard.press("Enter");
  await live.waitForFunction(() => document.querySelector("#open-gates").open, { timeout: 60000 });
  const first = await live.$eval(".events", (events) => events.textContent);
  await live.waitForFunction((first) => document.querySelector(".events").textContent !== first, { timeout: 60000 }, first);
  assert.equal(await isOpen(), true);
  assert.equal(await live.evaluate(() => document.activeElement.tagName), "SUMMARY");
  assert.deepEqual(complaints, []);
  console.log(`${rows.length} rows, ${gates.length} gates, ${before.slots.length} slots: as the interface says`);
} finally {
  await browser.close();
}
