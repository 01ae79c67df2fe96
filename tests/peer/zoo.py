#!/usr/bin/env python3
"""The networks of `models/zoo` beside PyTorch, in f64: loss, gradients and three steps of each from the same weights.

`networks.py` has each network once more. Images are noise of a reduced size, dropout is left out, and the recipe is gradient
descent with momentum at a rate at which a step does not leap: what is compared is the network, its loss, its gradients and
the update.

Errors are relative to the largest number of the same layer and kind: a bias in front of batch normalisation, or a key's in
attention, has a gradient of exactly 0, of which both programs compute nothing but roundings. What rounding alone may do is
measured beside it: PyTorch once more, from weights that are changed by half a unit in the last place. Batch normalisation over
few numbers, and steps that leap, magnify it: three steps of ResNet-50 with 4 images and a rate of 0.01 make 2e-9 of 1e-16.
PyTorch is installed from PyPI into `target/torch` (or `SPHC_TORCH`) where it is missing.

    tests/peer/zoo.py                    all networks, with target/release/sphc
    tests/peer/zoo.py resnet18 unet --sphc target/debug/sphc
"""

import argparse
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]


def with_torch():
    """Starts this script again where PyTorch is, if it is not here."""
    try:
        import numpy, torch  # noqa: F401, E401
    except ImportError:
        folder = pathlib.Path(os.environ.get("SPHC_TORCH", ROOT / "target" / "torch"))
        python = folder / "bin" / "python"
        if pathlib.Path(sys.prefix) == folder.resolve():
            raise
        if not python.exists():
            venv.create(folder, with_pip=True)
        # Does nothing where both are there.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch", "numpy"], check=True)
        os.execv(python, [python, *sys.argv])


with_torch()
import numpy as np
import torch
from networks import NETWORKS, Net

torch.set_default_dtype(torch.float64)

STEPS, BATCH, CLASSES = 3, 8, 10
RATE, MOMENTUM = 0.001, 0.9
BOUND = 1e-10
# Over these, a network does what it does without chance.
WITHOUT_CHANCE = "layer dropout(x: tensor, rate: float = 0.5) = x\n\nlayer drop_path(x: tensor, rate: float) = x\n\n"


def reduced(name, extent):
    """The text of a network for small images, with a plain recipe."""
    text = (ROOT / "models" / "zoo" / f"{name}.sph").read_text()
    text = re.sub(r"(input image: u8)\[\d+, \d+, (\d)\]", rf"\1[{extent}, {extent}, \2]", text)
    channels = int(re.search(r"input image: u8\[\d+, \d+, (\d)\]", text)[1])
    head, recipe = text.split("\ntrain {")
    loss = re.search(r"^ *loss .*$", recipe, re.M)[0]
    comments = "".join(it for it in head.splitlines(True) if it.startswith("//!"))
    recipe = f"""
train {{
    data       digits
    batch      {BATCH}
    iterations {STEPS}
{loss}
    optimizer  sgd(rate: {RATE}, momentum: {MOMENTUM})
}}
"""
    return comments + "\n" + WITHOUT_CHANCE + head[len(comments):].lstrip("\n") + recipe, channels


def write_tensors(path, tensors):
    header, at, data = {}, 0, b""
    for name, tensor in tensors.items():
        raw = np.ascontiguousarray(tensor).tobytes()
        header[name] = {"dtype": "F64", "shape": list(tensor.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read_tensors(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    kinds = {"F64": np.float64, "I64": np.int64}
    res = {}
    for name, it in header.items():
        if name != "__metadata__":
            start, end = (8 + length + at for at in it["data_offsets"])
            res[name] = np.frombuffer(raw[start:end], kinds[it["dtype"]]).reshape(it["shape"])
    return res


def run(sphc, folder, *words):
    done = subprocess.run([sphc, *words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"sphc {' '.join(words)}:\n{done.stderr}")
    return done.stdout


def start_of(shapes, generator):
    """Weights to start from: factors around 1, filters that keep their input's size."""
    start = {}
    for path, shape in shapes.items():
        noise = generator.standard_normal(shape)
        fan = max(1, int(np.prod(shape[:-1])))
        start[path] = 1 + 0.1 * noise if path.endswith("gamma") else noise * np.sqrt(2 / fan) if len(shape) == 4 else 0.1 * noise
    return start


def ours(sphc, folder, words, start):
    """The losses, and the tensors kept after the first and the last step."""
    write_tensors(folder / "start.safetensors", start)
    words = [*words, "--device", "cpu", "--no-shuffle", "--no-augment", "--log-every", "1", "--checkpoint-every", "1"]
    run(sphc, folder, "train", *words, "--init-strict", "--init", "start.safetensors", "--run", "run")
    lines = [json.loads(it) for it in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    kept = [read_tensors(folder / "run" / "checkpoints" / f"step-{it:08}.safetensors") for it in (1, STEPS)]
    return [it["loss"] for it in lines if "loss" in it], kept


def theirs(network, loss_of, start, statistics, images, labels):
    """The same of PyTorch; the images are ready for the network."""
    weights = {path: torch.tensor(it, requires_grad=True) for path, it in start.items()}
    moving = {path: torch.zeros_like(it) for path, it in weights.items()}
    net = Net(weights, {path: torch.tensor(it) for path, it in statistics.items()})
    losses, kept = [], []
    for step in range(STEPS):
        at = slice(step * BATCH, (step + 1) * BATCH)
        loss = loss_of(network(net, images[at]), labels[at], images[at])
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for path, it in weights.items():
                moving[path].mul_(MOMENTUM).add_(it.grad)
                it -= RATE * moving[path]
                it.grad = None
        if step in (0, STEPS - 1):
            tensors = {**weights, **{f"{path}/velocity": it for path, it in moving.items()}, **net.running}
            kept.append({path: it.detach().numpy().copy() for path, it in tensors.items()})
    return losses, kept


def gaps(found, want, start, other=None):
    """The largest errors of losses, and of the tensors kept: gradients (after one step the velocity is the gradient), how far the
    weights moved from where they started (`other`: where `found` did), and statistics. With the name of the worst."""
    other = other or start
    loss = max(abs(it - of) / abs(of) for it, of in zip(found[0], want[0], strict=True))
    worst = (0.0, "none")
    for found, want in zip(found[1], want[1], strict=True):
        missing = [it for it in want if it not in found]
        assert not missing, f"a checkpoint lacks {missing}"
        moved = {path: want[path] - start.get(path, 0.0) for path in want}
        # A layer's, by what comes behind the last name: velocities, statistics or the weights themselves.
        size = {}
        for path, it in moved.items():
            layer = layer_of(path)
            size[layer] = max(size.get(layer, 0.0), np.abs(it).max())
        for path, it in moved.items():
            gap = np.abs(found[path] - other.get(path, 0.0) - it).max()
            if path in start:
                # Each step of each program rounds the sum that it keeps.
                gap = max(gap - 2 * STEPS * 2.0**-53 * np.abs(want[path]).max(), 0.0)
            gap /= size[layer_of(path)]
            # What is not a number is never small.
            if not gap <= worst[0]:
                worst = (gap, path)
    return loss, *worst


def layer_of(path):
    kind = "velocity" if path.endswith("/velocity") else path.rpartition("/")[2] if "ema_" in path else "weight"
    return path.removesuffix("/velocity").rpartition("/")[0], kind


def compare(name, sphc):
    network, loss_of, extent, params = NETWORKS[name]
    text, channels = reduced(name, extent)
    generator = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "net.sph").write_text(text)
        images = generator.integers(0, 256, (STEPS * BATCH, extent, extent, channels), dtype=np.uint8)
        labels = generator.integers(0, CLASSES, STEPS * BATCH)
        labels[:CLASSES] = np.arange(CLASSES)
        np.savez(folder / "noise.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
        words = ["net.sph", "--data", "noise.npz", "--precision", "f64", *(word for it in params for word in ("--set", it))]
        shown = json.loads(run(sphc, folder, "show", *words, "--format", "json"))
        shapes = {it["name"]: it["shape"] for it in shown["parameters"]}
        start = start_of(shapes, generator)
        found = ours(sphc, folder, words, start)

    # Running statistics start as the language says: the mean at 0, the variance at 1.
    statistics = {path: np.full(it.shape, float(path.endswith("ema_var"))) for path, it in found[1][0].items() if "ema_" in path}
    shift, scale = re.search(r"= (?:\(image - (.*?)\)|image) / (.*)\n", text).groups()
    shift, scale = (torch.tensor(json.loads(it or "0"), dtype=torch.float64) for it in (shift, scale))
    ready = ((torch.tensor(images).double() - shift) / scale).permute(0, 3, 1, 2)
    labels = torch.tensor(labels)
    want = theirs(network, loss_of, start, statistics, ready, labels)
    nudged = {path: it * (1 + generator.choice([-1, 1], it.shape) * 2.0**-53) for path, it in start.items()}
    loss, worst, path = gaps(found, want, start)
    _, rounding, _ = gaps(theirs(network, loss_of, nudged, statistics, ready, labels), want, start, nudged)
    verdict = "agrees" if loss < BOUND and worst < BOUND else "DIFFERS"
    count = sum(int(np.prod(it)) for it in shapes.values())
    print(f"{name:16} {count:>11} parameters here, loss {loss:.1e}, gradients, steps and statistics {worst:.1e} ({path}), rounding alone {rounding:.1e}: {verdict}", flush=True)
    return verdict == "agrees"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"one or more of {', '.join(NETWORKS)}; all without any")
    parser.add_argument("--sphc", default=ROOT / "target" / "release" / "sphc", help="the program")
    arguments = parser.parse_args()
    unknown = [it for it in arguments.networks if it not in NETWORKS]
    if unknown:
        parser.error(f"no network {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
    sphc = str(pathlib.Path(arguments.sphc).resolve())
    results = [compare(it, sphc) for it in arguments.networks or NETWORKS]
    print(f"{sum(results)} of {len(results)} networks agree with PyTorch {torch.__version__}")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
