#!/bin/sh
# On a machine with an NVIDIA GPU: trains on it and on the CPU, compares the losses, then times every model in every
# precision. Needs a built `sphc` (first argument, or target/release/sphc), no Rust; NVRTC as `sphc doctor` describes.
#
#     tests/gpu.sh [path/to/sphc] [folder for results]
set -eu
cd "$(dirname "$0")/.."
sphc=${1:-target/release/sphc}
out=${2:-gpu-results}
mkdir -p "$out"

"$sphc" doctor | tee "$out/doctor.txt"

echo "== losses of the first steps, GPU against CPU"
python3 - "$sphc" "$out" <<'PYTHON' | tee "$out/agreement.txt"
import json, shutil, subprocess, sys
from pathlib import Path

sphc, out = sys.argv[1], Path(sys.argv[2])

def train(name, *flags):
    run = out / name
    shutil.rmtree(run, ignore_errors=True)
    subprocess.run([sphc, "train", "models/digits.sph", "--run", str(run), "--iterations", "20", "--log-every", "1",
                    "--evaluate-every", "1000", *flags], check=True, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]

failed = False
# Relative error of the first loss; later ones amplify it.
bounds = {"f32": 1e-5, "tf32": 2e-3, "bf16": 2e-2}
for norm in ["none", "cosine", "linear", "sigmoid", "lr_sigmoid"]:
    expected = train(f"cpu-{norm}", "--device", "cpu", "--set", f"norm={norm}")
    for precision, bound in bounds.items():
        found = train(f"{precision}-{norm}", "--device", "cuda", "--precision", precision, "--set", f"norm={norm}")
        first = abs(found[0]["loss"] / expected[0]["loss"] - 1)
        worst = max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(found, expected) if "loss" in a)
        good = first <= bound
        failed |= not good
        print(f"{norm:10} {precision:4} first step {first:.1e} (at most {bound:.0e}), worst of 20 {worst:.1e}"
              f"{'' if good else '  FAILED'}", flush=True)
sys.exit(failed)
PYTHON

echo "== time per step"
for model in models/spherenet9.sph models/sphereresnet32.sph models/digits.sph; do
    for precision in f32 tf32 bf16; do
        echo "-- $model $precision"
        "$sphc" bench "$model" --device cuda --precision "$precision" || echo "FAILED"
    done
done | tee "$out/bench.txt"
