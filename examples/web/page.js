// Draws or reads an image, gives it to the network, and shows its scores. Nothing leaves the page.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { metadata } from "./onnx.js";

// Threads would need a page that no other shares memory with; a small network has no use for them.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;

const at = (id) => document.getElementById(id);
const [draw, seen] = [at("draw"), at("seen")];
const pen = draw.getContext("2d", { willReadFrequently: true });
const shown = seen.getContext("2d");

function say(text, error = false) {
  at("said").textContent = text;
  at("said").classList.toggle("error", error);
}

/** The network, and what its file says: names of classes, [height, width, channels], smallest and largest byte. */
async function load() {
  const answer = await fetch("model.onnx");
  if (!answer.ok) throw new Error("there is no model.onnx: start the server with one (see README.md)");
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const facts = metadata(bytes);
  if (!facts.image || !facts.range) throw new Error("model.onnx is not of `sphc export`");
  const session = await ort.InferenceSession.create(bytes);
  const [image, range, steps] = [facts.image, facts.range, facts.steps ?? "[]"].map((it) => JSON.parse(it));
  if (image[2] !== 1 && image[2] !== 3) throw new Error(`the network takes ${image[2]} channels, and a picture has 1 or 3`);
  return { session, image, range, steps, classes: facts.classes && JSON.parse(facts.classes) };
}

const network = await load().catch((error) => say(error.message, true));

/** Scores of the network, and the softmax of them. */
async function ask(pixels) {
  const { session, image } = network;
  const given = new ort.Tensor("uint8", pixels, [1, ...image]);
  const { scores } = await session.run({ images: given });
  const found = Array.from(scores.data);
  const most = Math.max(...found);
  const parts = found.map((it) => Math.exp(it - most));
  const sum = parts.reduce((a, b) => a + b);
  return { scores: found, likely: parts.map((it) => it / sum) };
}

/** Asks about an image, `[height, width, channels]` bytes, and shows what was said. */
async function show(pixels) {
  const { image: [height, width, channels], range, classes } = network;
  const picture = shown.createImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = pixels[pixel * channels + (channels === 3 ? channel : 0)];
      // As bright as it is among what the network was trained on.
      picture.data[pixel * 4 + channel] = (255 * (value - range[0])) / Math.max(range[1] - range[0], 1);
    }
    picture.data[pixel * 4 + 3] = 255;
  }
  shown.putImageData(picture, 0, 0);
  const found = await ask(pixels);
  const name = (it) => (classes ? classes[it] : String(it));
  const order = found.likely.map((_, it) => it).sort((a, b) => found.likely[b] - found.likely[a]);
  at("scores").replaceChildren(...order.slice(0, 10).map((it) => {
    const row = document.createElement("tr");
    const bar = document.createElement("div");
    bar.style.width = `${100 * found.likely[it]}%`;
    const texts = [name(it), null, `${(100 * found.likely[it]).toFixed(1)} %`, found.scores[it].toFixed(3)];
    row.append(...texts.map((text) => {
      const cell = document.createElement("td");
      cell.append(text ?? bar);
      return cell;
    }));
    return row;
  }));
  say(`The network takes it for ${name(order[0])}.`);
  // For programs that look on.
  window.answer = { ...found, names: found.likely.map((_, it) => name(it)) };
}

/** What was drawn, at the network's size: the share of each field that has ink, from the smallest byte to the largest. */
function drawn() {
  const { image: [height, width, channels], range } = network;
  const ink = pen.getImageData(0, 0, draw.width, draw.height).data;
  const res = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [top, bottom] = [y, y + 1].map((it) => Math.round((it * draw.height) / height));
      const [left, right] = [x, x + 1].map((it) => Math.round((it * draw.width) / width));
      let sum = 0;
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) sum += ink[(row * draw.width + column) * 4];
      }
      const share = sum / 255 / Math.max((bottom - top) * (right - left), 1);
      const value = Math.round(range[0] + share * (range[1] - range[0]));
      res.fill(value, (y * width + x) * channels, (y * width + x + 1) * channels);
    }
  }
  return res;
}

/** The bytes of a picture, as its file has them. */
async function read(file) {
  const { image: [height, width, channels], steps } = network;
  if (steps.length) throw new Error(`the model's text does ${steps.join(", then ")} to images, which this page does not`);
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  if (bitmap.height !== height || bitmap.width !== width) {
    throw new Error(`${file.name} has ${bitmap.height}x${bitmap.width} pixels, and the network takes ${height}x${width}`);
  }
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const grey = (pixel) => data[pixel * 4] === data[pixel * 4 + 1] && data[pixel * 4] === data[pixel * 4 + 2];
  const res = new Uint8Array(height * width * channels);
  for (let pixel = 0; pixel < height * width; pixel++) {
    if (channels === 1 && !grey(pixel)) throw new Error(`${file.name} has colours, and the network takes grey pictures`);
    for (let channel = 0; channel < channels; channel++) res[pixel * channels + channel] = data[pixel * 4 + channel];
  }
  return res;
}

function clear() {
  pen.fillStyle = "black";
  pen.fillRect(0, 0, draw.width, draw.height);
}

if (network) {
  const { image: [height, width] } = network;
  [seen.height, seen.width] = [height, width];
  at("about").textContent = `Draw, or choose a picture of ${height}x${width} pixels.`;
  const told = (work) => work.catch((error) => say(error.message, true));
  Object.assign(pen, { strokeStyle: "white", lineWidth: draw.width / 8, lineCap: "round", lineJoin: "round" });
  clear();
  draw.addEventListener("pointerdown", (event) => {
    draw.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(event.offsetX, event.offsetY);
  });
  draw.addEventListener("pointermove", (event) => {
    if (!draw.hasPointerCapture(event.pointerId)) return;
    pen.lineTo(event.offsetX, event.offsetY);
    pen.stroke();
  });
  draw.addEventListener("pointerup", () => told(show(drawn())));
  at("clear").addEventListener("click", () => {
    clear();
    at("file").value = "";
    at("scores").replaceChildren();
    say("");
  });
  at("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) told(read(file).then(show));
  });
  document.body.dataset.ready = "true";
}
