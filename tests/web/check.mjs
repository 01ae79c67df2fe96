// Opens the page of `examples/web` in Chromium and compares what it says of pictures with what `sphc predict` printed.
//
//     node check.mjs MODEL.onnx PREDICTED.json LARGE.png SCREENSHOT.png
//
// Each line of PREDICTED.json is what `sphc predict --format json --top N` prints of a picture. Only this machine is asked for anything.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { server } from "../../examples/web/serve.mjs";

const [model, predicted, large, screenshot] = process.argv.slice(2);
const wanted = readFileSync(predicted, "utf8").trim().split("\n").map((it) => JSON.parse(it));
// Both programs compute in 32 bits, in another order.
const BOUND = 1e-5;

const served = server(model);
await new Promise((ready) => served.listen(0, "127.0.0.1", ready));
const origin = `http://127.0.0.1:${served.address().port}`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});
try {
  const page = await browser.newPage({ viewport: { width: 800, height: 760 } });
  const errors = [], elsewhere = [];
  page.on("pageerror", (it) => errors.push(String(it)));
  page.on("console", (it) => it.type() === "error" && errors.push(it.text()));
  await page.route("**/*", (route) => {
    if (route.request().url().startsWith(origin)) return route.continue();
    elsewhere.push(route.request().url());
    return route.abort();
  });
  await page.goto(origin);
  await page.waitForSelector("body[data-ready]", { timeout: 60_000 });

  const answer = async () => {
    await page.waitForFunction(() => window.answer, null, { timeout: 30_000 });
    return page.evaluate(() => {
      const found = window.answer;
      delete window.answer;
      return found;
    });
  };
  let worst = 0;
  for (const { image, classes } of wanted) {
    await page.setInputFiles("#file", image);
    const found = await answer();
    assert.equal(classes.length, found.names.length, "every class is compared");
    for (const { class: name, probability } of classes) {
      worst = Math.max(worst, Math.abs(found.likely[found.names.indexOf(name)] - probability));
    }
    const said = await page.textContent("#said");
    assert.equal(said, `The network takes it for ${classes[0].class}.`, image);
  }
  assert.ok(worst <= BOUND, `probabilities differ by ${worst}`);

  // What it cannot take is said.
  await page.setInputFiles("#file", large);
  await page.waitForSelector("#said.error");
  assert.match(await page.textContent("#said"), /has 20x20 pixels, and the network takes 8x8/);

  // A stroke from top to bottom is a 1.
  await page.click("#clear");
  const box = await page.locator("#draw").boundingBox();
  const to = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...to(0.5, 0.08));
  await page.mouse.down();
  await page.mouse.move(...to(0.5, 0.92), { steps: 12 });
  await page.mouse.up();
  const drawn = await answer();
  const first = drawn.names[drawn.likely.indexOf(Math.max(...drawn.likely))];
  await page.screenshot({ path: screenshot });
  assert.equal(first, "1", JSON.stringify(drawn));

  assert.deepEqual(elsewhere, [], "asked of other places");
  assert.deepEqual(errors, []);
  console.log(`${wanted.length} pictures in Chromium ${browser.version()}: probabilities as those of sphc to ${worst.toExponential(1)}`);
} finally {
  await browser.close();
  served.close();
}
