"""The decoupled operators (Liu et al., "Decoupled Networks", CVPR 2018) as their published code computes them, in PyTorch
and float64: a small network of two such layers, the gradients of its first batch, six steps of gradient descent with
momentum, and its scores in evaluation afterwards. Writes decoupled.json beside this file, which tests/networks/decoupled.rs holds
the compiler to.

    python3 -m venv venv && venv/bin/pip install torch numpy && venv/bin/python tests/peer/decoupled.py

In training the radius follows the batch's mean norm, and gradients pass through that mean; a moving average of it, with a
decay of 0.999, is what evaluation takes. That average starts at 1 here, and at 0 in the published code, where the first
evaluations divide by almost nothing.
"""

import json
import pathlib

import numpy
import torch
from torch.nn import functional

STEPS, BATCH, SIZE, CHANNELS, CLASSES = 6, 4, 5, 2, 3
RATE, MOMENTUM, DECAY, EPSILON = 0.2, 0.9, 0.999, 1e-4

torch.set_default_dtype(torch.float64)


def tanh(norm, radius):
    return torch.tanh(norm / radius)


def ball(norm, radius):
    return norm / (radius + functional.relu(norm - radius))


def seg(norm, radius):
    return torch.where(norm < radius, norm + radius * 0, 0.5 * norm + 0.5 * radius)


class Layer(torch.nn.Module):
    """A decoupled convolution over NCHW images; its filter is [height, width, in, out]."""

    def __init__(self, magnitude, filters, stride, random):
        super().__init__()
        cin, cout = filters
        values = random.standard_normal((3, 3, cin, cout)) * (2 / (9 * cin)) ** 0.5
        self.filter = torch.nn.Parameter(torch.tensor(values))
        self.r = torch.nn.Parameter(torch.tensor(1 + 0.2 * random.standard_normal(cout)))
        self.mu = 1.0
        self.magnitude, self.stride = magnitude, stride

    def forward(self, x):
        w = self.filter / (self.filter.square().sum((0, 1, 2), keepdim=True) + EPSILON).sqrt()
        ones = torch.ones(1, x.shape[1], 3, 3)
        norm = (functional.conv2d(x * x, ones, stride=self.stride, padding=1) + EPSILON).sqrt()
        cosine = functional.conv2d(x, w.permute(3, 2, 0, 1), stride=self.stride, padding=1) / norm
        mean = norm.mean()
        if self.training:
            self.mu += (1 - DECAY) * (mean.item() - self.mu)
        radius = (self.r**2 + 1e-4)[:, None, None] * (mean if self.training else self.mu)
        return self.magnitude(norm, radius) * cosine


class Network(torch.nn.Module):
    def __init__(self, magnitude, random):
        super().__init__()
        self.a = Layer(magnitude, (CHANNELS, 4), 1, random)
        self.b = Layer(magnitude, (4, 3), 2, random)
        self.score = torch.nn.Parameter(torch.tensor(random.standard_normal((3, 3, 3, CLASSES)) / 4))

    def forward(self, x):
        x = self.b(functional.relu(self.a(x)))
        return functional.conv2d(x, self.score.permute(3, 2, 0, 1)).flatten(1)

    def tensors(self):
        named = {"score/filter": self.score}
        for name, layer in (("a", self.a), ("b", self.b)):
            named |= {f"{name}/filter": layer.filter, f"{name}/r": layer.r}
        return named


def numbers(tensors):
    return {name: it.detach().numpy().ravel().tolist() for name, it in tensors.items()}


def case(name, magnitude):
    random = numpy.random.default_rng(7)
    images = random.integers(0, 256, (STEPS * BATCH, SIZE, SIZE, CHANNELS))
    labels = random.integers(0, CLASSES, STEPS * BATCH)
    network = Network(magnitude, random)
    initial = numbers(network.tensors())
    velocity = {name: torch.zeros_like(it) for name, it in network.tensors().items()}
    x = torch.tensor((images - 127.5) / 128).permute(0, 3, 1, 2)
    losses, first = [], None
    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        loss = functional.cross_entropy(network(x[batch]), torch.tensor(labels[batch]))
        network.zero_grad()
        loss.backward()
        losses.append(loss.item())
        gradients = {name: it.grad for name, it in network.tensors().items()}
        first = first or numbers(gradients)
        with torch.no_grad():
            for name, value in network.tensors().items():
                velocity[name] = MOMENTUM * velocity[name] + gradients[name]
                value -= RATE * velocity[name]
    network.eval()
    return {
        "images": images.ravel().tolist(),
        "labels": labels.tolist(),
        "initial": initial,
        "gradients": first,
        "losses": losses,
        "final": numbers(network.tensors()) | {"a/mu": [network.a.mu], "b/mu": [network.b.mu]},
        "scores": network(x[:BATCH]).detach().ravel().tolist(),
    }


cases = {name: case(name, it) for name, it in (("tanh_conv", tanh), ("ball_conv", ball), ("seg_conv", seg))}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(cases) + "\n")
print(path)
