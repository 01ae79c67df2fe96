#!/usr/bin/env python3
"""A training step of SphereNet-9 or SphereResNet-32 in PyTorch, timed: what `sphc bench` stands beside.

One line of JSON per mode on standard output; a mode that fails says so in its line and the next one runs. A step is
what `sphc` does in one: draw a batch from bytes on the device, mirror (and crop), normalise, forward, loss with
penalties, backward, Adam. Tensors are channels-last, images are noise.

    tests/peer_torch.py spherenet9 --operator cosine --batch 128 --seconds 60
"""

import argparse
import json
import math
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

MODES = ["compile-graph-bf16", "graph-bf16", "eager-bf16", "compile-graph-tf32", "eager-tf32", "eager-f32"]
SHIFT = 1e-4  # added to sums of squares inside roots


class Sphere(nn.Conv2d):
    """A convolution whose result is divided by the norms of patch and filter, then bent by an operator."""

    def __init__(self, inside, outside, kernel, stride=1, padding=None, operator="cosine"):
        padding = kernel // 2 if padding is None else padding
        super().__init__(inside, outside, kernel, stride, padding, bias=False)
        self.operator = operator
        nn.init.normal_(self.weight, std=math.sqrt(2 / (kernel * kernel * inside)))

    def forward(self, x):
        product = super().forward(x)
        if self.operator == "none":
            return product
        with torch.autocast(x.device.type, enabled=False):
            energy = x.float().square().sum(1, keepdim=True)
            patches = F.avg_pool2d(energy, self.kernel_size, self.stride, self.padding, divisor_override=1)
            filters = self.weight.square().sum((1, 2, 3))[:, None, None]
            cosine = product.float() * torch.rsqrt(patches + SHIFT) * torch.rsqrt(filters + SHIFT)
            if self.operator == "cosine":
                return cosine
            angle = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
            if self.operator == "linear":
                return 1 - 2 / math.pi * angle
            raise ValueError(f"no operator {self.operator}")


def unit(inside, outside, kernel=3, stride=1, operator="cosine", active=True):
    layers = [Sphere(inside, outside, kernel, stride, operator=operator), nn.BatchNorm2d(outside, eps=1e-3, momentum=1e-3)]
    return nn.Sequential(*layers, nn.ReLU()) if active else nn.Sequential(*layers)


class SphereNet9(nn.Module):
    def __init__(self, operator):
        super().__init__()
        layers, inside = [], 3
        for outside in (128, 192, 256):
            for _ in range(3):
                layers.append(unit(inside, outside, operator=operator))
                inside = outside
            layers.append(nn.MaxPool2d(2))
        layers += [Sphere(256, 256, 4, padding=0, operator=operator), Sphere(256, 10, 1, operator="none")]
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x).flatten(1)


class Residual(nn.Module):
    def __init__(self, inside, outside, stride, operator):
        super().__init__()
        self.first = unit(inside, outside, 3, stride, operator)
        self.second = unit(outside, outside, 3, 1, operator, active=False)
        same = inside == outside
        self.shortcut = nn.Identity() if same else unit(inside, outside, 1, stride, "none", active=False)

    def forward(self, x):
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class SphereResNet32(nn.Module):
    def __init__(self, operator):
        super().__init__()
        widths, layers = (96, 192, 384), []
        inside = widths[0]
        for stage, outside in enumerate(widths):
            for number in range(5):
                layers.append(Residual(inside, outside, 2 if stage and not number else 1, operator))
                inside = outside
        self.root = unit(3, widths[0], operator=operator)
        self.units = nn.Sequential(*layers)
        self.score = Sphere(inside, 10, 1, operator="none")

    def forward(self, x):
        return self.score(self.units(self.root(x)).mean((2, 3), keepdim=True)).flatten(1)


NETWORKS = {"spherenet9": SphereNet9, "sphereresnet32": SphereResNet32}


class Step:
    """Everything one step does, on data that lies on the device."""

    def __init__(self, network, operator, batch, precision, device):
        fast = precision != "f32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = fast
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(1)
        self.crop = network == "sphereresnet32"
        self.bf16 = precision == "bf16"
        self.net = NETWORKS[network](operator).to(device, memory_format=torch.channels_last).train()
        self.images = torch.randint(0, 256, (10_000, 40 if self.crop else 32, 40 if self.crop else 32, 3), dtype=torch.uint8, device=device)
        self.labels = torch.randint(0, 10, (10_000,), device=device)
        on_gpu = device.type == "cuda"
        self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-3, capturable=on_gpu, fused=on_gpu or None)
        self.batch, self.device, self.loss = batch, device, self.objective

    def draw(self):
        picks = torch.randint(0, 10_000, (self.batch,), device=self.device)
        columns = torch.arange(32, device=self.device).expand(self.batch, 32)
        mirrored = torch.rand(self.batch, 1, device=self.device) < 0.5
        columns = torch.where(mirrored, 31 - columns, columns)
        rows = torch.arange(32, device=self.device).expand(self.batch, 32)
        if self.crop:
            shifts = torch.randint(0, 9, (2, self.batch, 1), device=self.device)
            rows, columns = rows + shifts[0], columns + shifts[1]
        images = self.images[picks[:, None, None], rows[:, :, None], columns[:, None, :]]
        return images, self.labels[picks]

    def objective(self, images, labels):
        x = ((images.float() - 127.5) / 128).permute(0, 3, 1, 2)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            scores = self.net(x)
        likely = (torch.softmax(scores.float(), 1) + 1e-4).log()
        wanted = F.one_hot(labels, 10) * 0.99 + 0.001
        loss = -(wanted * likely).sum(1).mean()
        for layer in self.net.modules():
            if isinstance(layer, Sphere) and layer.operator != "none":
                rows = layer.weight.flatten(1)
                rest = rows @ rows.T - torch.eye(len(rows), device=self.device)
                loss = loss + 1e-4 * rest.square().sum()
            elif isinstance(layer, Sphere):
                loss = loss + 2.5e-4 * layer.weight.square().sum()
            elif isinstance(layer, nn.BatchNorm2d):
                loss = loss + 2.5e-4 * (layer.weight.square().sum() + layer.bias.square().sum())
        return loss

    def __call__(self):
        images, labels = self.draw()
        self.adam.zero_grad(set_to_none=True)
        self.loss(images, labels).backward()
        self.adam.step()


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def prepared(step, engine, device):
    """The step as `engine` runs it, warm."""
    if "compile" in engine:
        step.loss = torch.compile(step.loss, dynamic=False)
    if "graph" not in engine:
        for _ in range(5):
            step()
        return step
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    step.adam.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def measure(arguments, mode, device):
    engine, precision = mode.rsplit("-", 1)
    run = prepared(Step(arguments.network, arguments.operator, arguments.batch, precision, device), engine, device)
    times = []
    for _ in range(arguments.steps):
        synchronize(device)
        start = time.perf_counter()
        run()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return {"median_seconds": statistics.median(times), "fastest_seconds": min(times)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--operator", default="cosine", choices=["none", "cosine", "linear"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--modes", nargs="+", default=MODES, metavar="[compile-][graph-|eager-]PRECISION")
    parser.add_argument("--seconds", type=float, default=1e9, help="start no mode after this long")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    begun = time.perf_counter()
    for mode in arguments.modes:
        line = {"network": arguments.network, "operator": arguments.operator, "batch": arguments.batch, "mode": mode}
        if time.perf_counter() - begun > arguments.seconds:
            line["skipped"] = "no time was left"
        else:
            try:
                line.update(measure(arguments, mode, device))
                line["images_per_second"] = arguments.batch / line["median_seconds"]
            except Exception as error:  # the next mode may work
                line["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
        line["torch"] = torch.__version__
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
