#!/usr/bin/env python3
"""The cases of `benches/ops.rs` beside PyTorch, in f32, by turns: processor time, of runs and rounds the median.

    cargo bench --bench ops --no-run     prints the path of the program
    venv/bin/python tests/peer/ops_speed.py PROGRAM [PART OF A NAME] [--rounds 3] [--threads 1]

It prints a table as `docs/benchmarks.md` has it: ours / PyTorch's = ratio, and the floor, which is the higher one of arithmetic
and memory. PyTorch's images are in channels last, which is the order of `sphc`.
"""

import argparse
import json
import re
import statistics
import subprocess
import time

import torch
import torch.nn.functional as F

BATCH, RUNS = 8, 16
PRODUCTS = {
    "24 x 197x197x64 q k'": ([24, 197, 64], [24, 197, 64], lambda a, b: torch.bmm(a, b.mT)),
    "24 x 197x64x197 a v": ([24, 197, 197], [24, 197, 64], torch.bmm),
    "24 x 197x64x197 a' dy": ([24, 197, 197], [24, 197, 64], lambda a, b: torch.bmm(a.mT, b)),
    "96 x 64x64x32 q k'": ([96, 64, 32], [96, 64, 32], lambda a, b: torch.bmm(a, b.mT)),
    "512 x 16x16x16": ([512, 16, 16], [512, 16, 16], torch.bmm),
    "8 x 512x512x512": ([8, 512, 512], [8, 512, 512], torch.bmm),
}


def median(run):
    """In ms, as if the threads shared the work evenly."""
    times = []
    # The first touches its memory.
    for _ in range(RUNS + 1):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times[1:]) * 1e3 / torch.get_num_threads()


def image(extent, channels):
    return torch.randn(BATCH, channels, extent, extent).to(memory_format=torch.channels_last)


def convolution(name, kind):
    """The runs of a convolution, from its name."""
    extent, channels = map(int, re.search(r"(\d+)x\d+x(\d+)", name).groups())

    def number(letter, default):
        found = re.search(rf" {letter}(\d+)", name)
        return int(found[1]) if found else default

    side, stride, dilation = number("k", 1), number("s", 1), number("d", 1)
    filters = int(re.search(r"->(\d+)", name)[1]) if "->" in name else channels
    groups = channels if kind == "depthwise" else 32 if kind == "groups" else 1
    transposed = kind == "transposed"
    pad = (side - stride) // 2 if transposed else dilation * (side - 1) // 2
    x = image(extent, channels)
    w = torch.randn(*([channels, filters] if transposed else [filters, channels // groups]), side, side)
    run = F.conv_transpose2d if transposed else F.conv2d
    options = dict(stride=stride, padding=pad, dilation=dilation, groups=groups)
    dy = torch.randn_like(run(x, w, **options))

    def backward(mask):
        arguments = [0], [stride] * 2, [pad] * 2, [dilation] * 2, transposed, [0, 0], groups, mask
        return torch.ops.aten.convolution_backward(dy, x, w, *arguments)

    return {
        "forward": lambda: run(x, w, **options),
        "input": lambda: backward([True, False, False]),
        "learned": lambda: backward([False, True, False]),
    }


def both(run, *leaves):
    for it in leaves:
        it.requires_grad_()
    dy = torch.randn_like(run(*leaves))

    def forward():
        with torch.no_grad():
            run(*leaves)

    # A gradient that is a view is not there yet.
    return {"forward": forward, "both": lambda: [it.contiguous() for it in torch.autograd.grad(run(*leaves), leaves, dy)]}


def first(run):
    """Of images with the channels last, as PyTorch's functions of images see them."""
    return lambda x: run(x.permute(0, 3, 1, 2))


IMAGES = {
    "gelu": F.gelu,
    "sum of positions": lambda x: x.sum((1, 2), keepdim=True),
    "sum of channels": lambda x: x.sum(-1, keepdim=True),
    "max of channels": lambda x: x.amax(-1, keepdim=True),
    "max pool": first(lambda x: F.max_pool2d(x, 2)),
    "average pool": first(lambda x: F.avg_pool2d(x, 2)),
    "slice": lambda x: x[..., :64].contiguous(),
    "zeros around": lambda x: F.pad(x, (0, 0, 2, 2, 2, 2)),
    "transpose": lambda x: x.permute(0, 3, 1, 2).contiguous(),
}


def runs(name):
    kind = name.split()[0]
    for start, run in IMAGES.items():
        if name.startswith(start + " "):
            return both(run, torch.randn(BATCH, 56, 56, 128))
    if kind == "batch":
        run = lambda x, gamma, beta: F.batch_norm(x.permute(0, 3, 1, 2), mean, variance, gamma, beta, True)
        mean, variance = torch.zeros(128), torch.ones(128)
        return both(run, torch.randn(BATCH, 56, 56, 128), torch.ones(128), torch.zeros(128))
    if kind == "random":
        x = torch.randn(BATCH, 56, 56, 128)
        return {"forward": lambda: F.dropout(x, 0.5, True)}
    if kind == "linear":
        return both(F.linear, torch.randn(BATCH, 14, 14, 384), torch.randn(384, 384), torch.zeros(384))
    if kind == "softmax":
        shape = {"591": (BATCH, 197, 3, 197), "64": (BATCH, 8, 8, 1000)}[name.split()[1]]
        return both(lambda x: torch.softmax(x, -1), torch.randn(shape))
    if kind == "layer":
        rows, width = int(name.split()[2]), int(name.split()[-1])
        leaves = torch.randn(BATCH, rows, width), torch.ones(width), torch.zeros(width)
        return both(lambda x, gamma, beta: F.layer_norm(x, [width], gamma, beta, 1e-5), *leaves)
    if kind == "concat":
        return both(lambda x: torch.cat([x, x], -1), torch.randn(BATCH, 28, 28, 128))
    if "rows of" in name:
        table, ids = torch.randn(50_000, 64), torch.arange(4096) * 7919 % 50_000
        return {
            "forward": lambda: F.embedding(ids, table),
            "learned": lambda: torch.ops.aten.embedding_dense_backward(torch.ones(4096, 64), ids, 50_000, -1, False),
        }
    if name in PRODUCTS:
        a, b, run = PRODUCTS[name]
        a, b = torch.randn(a), torch.randn(b)
        return {"forward": lambda: run(a, b)}
    return convolution(name, "groups" if "groups" in name else kind)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the benchmark, as `cargo bench --bench ops --no-run` makes it")
    parser.add_argument("part", nargs="?", default="", help="of the names of the cases to run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ours, theirs = {}, {}
    for _ in range(arguments.rounds):
        command = [arguments.program, str(arguments.threads), *filter(None, [arguments.part])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        lines = [json.loads(it) for it in done.stdout.splitlines()]
        for it in lines:
            ours.setdefault((it["case"], it["pass"]), []).append(it)
        for case in dict.fromkeys(it["case"] for it in lines):
            for name, run in runs(case).items():
                theirs.setdefault((case, name), []).append(median(run))
    print("| case | pass | ours / PyTorch's = ratio, ms | floor, ms |\n|---|---|---|---|")
    for at, rounds in ours.items():
        own, peer = statistics.median(it["ms"] for it in rounds), statistics.median(theirs[at])
        floor = max((statistics.median(it[f"{of}_ms"] for it in rounds), of) for of in ["arithmetic", "memory"])
        print(f"| {at[0]} | {at[1]} | {own:.2f} / {peer:.2f} = {own / peer:.2f} | {floor[0]:.2f} ({floor[1]}) |")


if __name__ == "__main__":
    main()
