#!/usr/bin/env bash
# Trains the digits, exports them, and compares the page of `examples/web` in Chromium with `sphc predict`. Needs Node, Python, and
# Chromium (`CHROMIUM` names it if it is not /usr/bin/chromium). `SPHC` names the program.
set -euo pipefail
cd "$(dirname "$0")/../.."
SPHC="${SPHC:-$PWD/target/debug/sphc}"
place=target/web
rm -rf "$place" && mkdir -p "$place"

for folder in examples/web tests/web; do
    [ -d "$folder/node_modules" ] || npm install --prefix "$folder" --no-package-lock --no-fund --no-audit --silent
done
python3 tests/web/pictures.py "$place/pictures"
"$SPHC" train models/digits.sph --iterations 200 --device cpu --run "$place/run" 2> /dev/null > /dev/null
weights="$place/run/checkpoints/step-00000200.safetensors"
"$SPHC" export models/digits.sph --weights "$weights" --onnx "$place/digits.onnx"
"$SPHC" predict models/digits.sph --weights "$weights" --device cpu --top 10 --format json "$place/pictures" > "$place/predicted.json"
node tests/web/check.mjs "$place/digits.onnx" "$place/predicted.json" "$place/large.png" "$place/page.png"
