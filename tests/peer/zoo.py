#!/usr/bin/env python3
"""The networks of `models/zoo` beside PyTorch, in f64: loss, gradients and three steps of each from the same weights.

Each network is written here once more, over `torch.nn.functional`, with the weights named as `sphc show` names them. Images
are noise of a reduced size, dropout is left out, and the recipe is gradient descent with momentum: what is compared is the
network, its gradients and the update. PyTorch is installed from PyPI into a virtual environment where it is missing.

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
        if not python.exists():
            venv.create(folder, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "torch", "numpy"], check=True)
        os.execv(python, [python, *sys.argv])


with_torch()
import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


class Net:
    """Weights by path, and layers that read them; tensors are [batch, channels, height, width]."""

    def __init__(self, weights, running):
        self.weights, self.running = weights, running

    def bias(self, path):
        return self.weights.get(f"{path}/bias")

    def conv(self, x, path, stride=1, pad=0, groups=1):
        w = self.weights[f"{path}/filter"].permute(3, 2, 0, 1)
        return F.conv2d(x, w, self.bias(path), stride, pad, groups=groups)

    def up(self, x, path):
        # [height, width, filters, channels]: the filter of the convolution that this is the transpose of.
        w = self.weights[f"{path}/filter"].permute(3, 2, 0, 1)
        return F.conv_transpose2d(x, w, self.bias(path), stride=2)

    def dense(self, x, path):
        x = x.permute(0, 2, 3, 1).flatten(1)
        w = self.weights[f"{path}/filter"]
        y = F.linear(x, w.reshape(-1, w.shape[-1]).T, self.bias(path))
        return y[:, :, None, None]

    def norm(self, x, path, eps=1e-5):
        mean, var = self.running[f"{path}/bn/ema_mean"], self.running[f"{path}/bn/ema_var"]
        gamma, beta = self.weights[f"{path}/bn/gamma"], self.weights[f"{path}/bn/beta"]
        return F.batch_norm(x, mean, var, gamma, beta, training=True, momentum=0.1, eps=eps)

    def batch_norm(self, x, path):
        """One with a name of its own."""
        mean, var = self.running[f"{path}/ema_mean"], self.running[f"{path}/ema_var"]
        return F.batch_norm(x, mean, var, self.weights[f"{path}/gamma"], self.weights[f"{path}/beta"], training=True)

    def layer_norm(self, x, path):
        y = F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], self.weights[f"{path}/gamma"], self.weights[f"{path}/beta"], 1e-6)
        return y.permute(0, 3, 1, 2)


def pool(x):
    return x.mean((2, 3), keepdim=True)


def lenet5(n, x):
    for path in ["conv1", "conv2"]:
        x = F.max_pool2d(F.relu(n.conv(x, path)), 2)
    for path in ["dense1", "dense2"]:
        x = F.relu(n.dense(x, path))
    return n.dense(x, "score")


def alexnet(n, x):
    x = F.max_pool2d(F.relu(n.conv(x, "conv1", 4, 2)), 3, 2)
    x = F.max_pool2d(F.relu(n.conv(x, "conv2", 1, 2)), 3, 2)
    for path in ["conv3", "conv4", "conv5"]:
        x = F.relu(n.conv(x, path, 1, 1))
    x = F.max_pool2d(x, 3, 2)
    for path in ["dense1", "dense2"]:
        x = F.relu(n.dense(x, path))
    return n.dense(x, "score")


def vgg16(n, x):
    for stage, count in enumerate([2, 2, 3, 3, 3]):
        for i in range(count):
            x = F.relu(n.conv(x, f"conv{stage + 1}_{i + 1}", 1, 1))
        x = F.max_pool2d(x, 2)
    for path in ["dense1", "dense2"]:
        x = F.relu(n.dense(x, path))
    return n.dense(x, "score")


def resnet(n, x, units, bottleneck):
    x = F.relu(n.norm(n.conv(x, "root", 2, 3), "root"))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, count in enumerate(units):
        for i in range(count):
            at = f"stage{stage + 1}_unit{i + 1}"
            stride = 2 if stage and not i else 1
            skip = x
            if f"{at}/shortcut/filter" in n.weights:
                skip = n.norm(n.conv(x, f"{at}/shortcut", stride), f"{at}/shortcut")
            if bottleneck:
                y = F.relu(n.norm(n.conv(x, f"{at}/first"), f"{at}/first"))
                y = F.relu(n.norm(n.conv(y, f"{at}/second", stride, 1), f"{at}/second"))
                y = n.norm(n.conv(y, f"{at}/third"), f"{at}/third")
            else:
                y = F.relu(n.norm(n.conv(x, f"{at}/first", stride, 1), f"{at}/first"))
                y = n.norm(n.conv(y, f"{at}/second", 1, 1), f"{at}/second")
            x = F.relu(y + skip)
    return n.dense(pool(x), "score")


def resnet18(n, x):
    return resnet(n, x, [2, 2, 2, 2], False)


def resnet50(n, x):
    return resnet(n, x, [3, 4, 6, 3], True)


def preactivated(n, x, units):
    x = n.conv(x, "root", 1, 1)
    for stage, count in enumerate(units):
        for i in range(count):
            at = f"stage{stage + 1}_unit{i + 1}"
            stride = 2 if stage and not i else 1
            first = F.relu(n.batch_norm(x, f"{at}/norm1"))
            skip = x
            if f"{at}/shortcut/filter" in n.weights:
                skip = n.conv(first, f"{at}/shortcut", stride)
            y = F.relu(n.batch_norm(n.conv(first, f"{at}/conv1", stride, 1), f"{at}/norm2"))
            x = n.conv(y, f"{at}/conv2", 1, 1) + skip
    return n.dense(pool(F.relu(n.batch_norm(x, "norm"))), "score")


def preactresnet18(n, x):
    return preactivated(n, x, [2, 2, 2, 2])


def wideresnet28_10(n, x):
    return preactivated(n, x, [4, 4, 4])


def densenet_bc(n, x):
    x = n.conv(x, "root", 1, 1)
    for stage in range(3):
        i = 1
        while f"stage{stage + 1}_unit{i}/conv1/filter" in n.weights:
            at = f"stage{stage + 1}_unit{i}"
            y = n.conv(F.relu(n.batch_norm(x, f"{at}/norm1")), f"{at}/conv1")
            y = n.conv(F.relu(n.batch_norm(y, f"{at}/norm2")), f"{at}/conv2", 1, 1)
            x = torch.cat([x, y], 1)
            i += 1
        if stage < 2:
            at = f"transition{stage + 1}"
            x = F.avg_pool2d(n.conv(F.relu(n.batch_norm(x, f"{at}/norm")), f"{at}/conv"), 2)
    return n.dense(pool(F.relu(n.batch_norm(x, "norm"))), "score")


def googlenet(n, x):
    def part(x, path, stride=1):
        pad = n.weights[f"{path}/filter"].shape[0] // 2
        return F.relu(n.norm(n.conv(x, path, stride, pad), path, eps=1e-3))

    def shrink(x):
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    x = shrink(part(x, "conv1", 2))
    x = shrink(part(part(x, "conv2"), "conv3"))
    for at in ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]:
        if at == "4a":
            x = shrink(x)
        if at == "5a":
            x = F.max_pool2d(x, 2)
        at = f"inception{at}"
        a = part(x, f"{at}/branch1")
        b = part(part(x, f"{at}/branch2_reduce"), f"{at}/branch2")
        c = part(part(x, f"{at}/branch3_reduce"), f"{at}/branch3")
        d = part(F.max_pool2d(x, 3, 1, 1), f"{at}/branch4")
        x = torch.cat([a, b, c, d], 1)
    return n.dense(pool(x), "score")


def squeezenet(n, x):
    x = F.max_pool2d(F.relu(n.conv(x, "conv1", 2)), 3, 2)
    for at in range(2, 10):
        s = F.relu(n.conv(x, f"fire{at}/squeeze"))
        x = torch.cat([F.relu(n.conv(s, f"fire{at}/expand1")), F.relu(n.conv(s, f"fire{at}/expand3", 1, 1))], 1)
        if at in (3, 5):
            x = F.max_pool2d(x, 3, 2)
    return pool(F.relu(n.conv(x, "score")))


def mobilenetv2(n, x):
    def part(x, path, stride=1, pad=0, groups=1):
        return n.norm(n.conv(x, path, stride, pad, groups), path)

    x = F.relu6(part(x, "root", 2, 1))
    for stage, (count, stride) in enumerate([(1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)]):
        for i in range(count):
            at = f"stage{stage + 1}_unit{i + 1}"
            y = x
            if f"{at}/expand/filter" in n.weights:
                y = F.relu6(part(y, f"{at}/expand"))
            y = F.relu6(part(y, f"{at}/depthwise", 1 if i else stride, 1, y.shape[1]))
            y = part(y, f"{at}/project")
            x = x + y if x.shape == y.shape else y
    return n.dense(pool(F.relu6(part(x, "last"))), "score")


def convnext_t(n, x):
    x = n.layer_norm(n.conv(x, "root", 4), "root/ln")
    stage = 0
    while f"stage{stage + 1}_unit1/depthwise/filter" in n.weights:
        if stage:
            x = n.conv(n.layer_norm(x, f"norm{stage}"), f"down{stage}", 2)
        i = 1
        while f"stage{stage + 1}_unit{i}/depthwise/filter" in n.weights:
            at = f"stage{stage + 1}_unit{i}"
            y = n.layer_norm(n.conv(x, f"{at}/depthwise", 1, 3, x.shape[1]), f"{at}/depthwise/ln")
            y = n.conv(F.gelu(n.conv(y, f"{at}/wide")), f"{at}/narrow")
            x = x + y * n.weights[f"{at}/branch/scale"][:, None, None]
            i += 1
        stage += 1
    return n.dense(n.layer_norm(pool(x), "norm"), "score")


# Name: the network, the extent of its images here, and params that make it small.
NETWORKS = {
    "lenet5": (lenet5, 32, []),
    "alexnet": (alexnet, 64, []),
    "vgg16": (vgg16, 32, []),
    "resnet18": (resnet18, 64, []),
    "resnet50": (resnet50, 64, []),
    "preactresnet18": (preactresnet18, 32, []),
    "wideresnet28_10": (wideresnet28_10, 32, ["width=2"]),
    "densenet_bc": (densenet_bc, 32, ["depth=22"]),
    "googlenet": (googlenet, 64, []),
    "squeezenet": (squeezenet, 64, []),
    "mobilenetv2": (mobilenetv2, 64, []),
    "convnext_t": (convnext_t, 64, ["widths=[16,32,48,64]", "depths=[1,1,2,1]"]),
}
STEPS, BATCH, CLASSES = 3, 4, 10
RATE, MOMENTUM = 0.01, 0.9
# Over these, a network does what it does without chance.
WITHOUT_CHANCE = "layer dropout(x: tensor, rate: float = 0.5) = x\n\nlayer drop_path(x: tensor, rate: float) = x\n\n"


def reduced(name, extent):
    """The text of a network for small images, with a plain recipe."""
    text = (ROOT / "models" / "zoo" / f"{name}.sph").read_text()
    text = re.sub(r"(input image: u8)\[\d+, \d+, (\d)\]", rf"\1[{extent}, {extent}, \2]", text)
    channels = int(re.search(r"input image: u8\[\d+, \d+, (\d)\]", text)[1])
    head, _ = text.split("\ntrain {")
    comments = "".join(it for it in head.splitlines(True) if it.startswith("//!"))
    recipe = f"""
train {{
    data       digits
    batch      {BATCH}
    iterations {STEPS}
    loss       softmax_cross_entropy()
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


def compare(name, sphc):
    network, extent, params = NETWORKS[name]
    text, channels = reduced(name, extent)
    generator = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "net.sph").write_text(text)
        images = generator.integers(0, 256, (STEPS * BATCH, extent, extent, channels), dtype=np.uint8)
        labels = generator.integers(0, CLASSES, STEPS * BATCH)
        labels[:CLASSES] = np.arange(CLASSES)
        np.savez(folder / "noise.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
        sets = [word for it in params for word in ("--set", it)]
        shared = ["net.sph", "--data", "noise.npz", "--precision", "f64", *sets]
        shown = json.loads(run(sphc, folder, "show", *shared, "--format", "json"))
        shapes = {it["name"]: it["shape"] for it in shown["parameters"]}
        start = {}
        for path, shape in shapes.items():
            fan = max(1, int(np.prod(shape[:-1])))
            noise = generator.standard_normal(shape)
            start[path] = 1 + 0.1 * noise if path.endswith("gamma") else noise * np.sqrt(2 / fan) if len(shape) == 4 else 0.1 * noise
        write_tensors(folder / "start.safetensors", start)
        run(sphc, folder, "train", *shared, "--device", "cpu", "--no-shuffle", "--no-augment", "--log-every", "1", "--init", "start.safetensors", "--run", "run")
        lines = [json.loads(it) for it in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
        losses = [it["loss"] for it in lines if "loss" in it]
        ended = read_tensors(folder / "run" / "checkpoints" / f"step-{STEPS:08}.safetensors")

    weights = {path: torch.tensor(it, requires_grad=True) for path, it in start.items()}
    # Running statistics start as the network's text says: the mean at 0, the variance at 1.
    running = {path: torch.full(it.shape, float(path.endswith("ema_var"))) for path, it in ended.items() if "/ema_" in path or path.startswith("norm") and "ema_" in path}
    net, moving = Net(weights, running), {path: torch.zeros_like(it) for path, it in weights.items()}
    numbers = text[text.index("x = (image - ") + len("x = (image - "):]
    shift, scale = re.match(r"(.*?)\) / (.*)\n", numbers).groups()
    shift, scale = (torch.tensor(json.loads(it)) for it in (shift, scale))
    worst = 0.0
    for step in range(STEPS):
        at = slice(step * BATCH, (step + 1) * BATCH)
        x = ((torch.tensor(images[at]).double() - shift) / scale).permute(0, 3, 1, 2)
        loss = F.cross_entropy(network(net, x).flatten(1), torch.tensor(labels[at]))
        loss.backward()
        worst = max(worst, abs(loss.item() - losses[step]) / abs(loss.item()))
        with torch.no_grad():
            for path, it in weights.items():
                moving[path].mul_(MOMENTUM).add_(it.grad)
                it -= RATE * moving[path]
                it.grad = None
    gaps = {}
    for path, it in {**weights, **{f"{path}/velocity": it for path, it in moving.items()}, **running}.items():
        want = it.detach().numpy()
        gaps[path] = np.abs(ended[path] - want).max() / max(np.abs(want).max(), 1e-8)
    path = max(gaps, key=gaps.get)
    count = sum(int(np.prod(it)) for it in shapes.values())
    verdict = "agrees" if max(worst, gaps[path]) < 1e-10 else "DIFFERS"
    print(f"{name:16} {count:>11} parameters here, loss {worst:.1e}, weights, gradients and statistics {gaps[path]:.1e} ({path}): {verdict}", flush=True)
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
