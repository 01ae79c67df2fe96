// Serves this folder, with a model of your own, to this machine: `node serve.mjs digits.onnx`.

import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const KINDS = {
  ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm",
  ".onnx": "application/octet-stream",
};

/** A server of this folder, in which `model.onnx` is the file `model`; it listens where it is told to. */
export function server(model) {
  return createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const file = path === "/model.onnx" ? resolve(model) : join(HERE, normalize(path === "/" ? "/index.html" : path));
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": KINDS[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [model, port = "8080"] = process.argv.slice(2);
  if (!model || !existsSync(model)) {
    console.error("usage: node serve.mjs MODEL.onnx [PORT]\n  `sphc export` writes one (see README.md)");
    process.exit(2);
  }
  server(model).listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));
}
