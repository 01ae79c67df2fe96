"""What NumPy and PyTorch make of the steps of augmentation: writes augment.json, which tests/files/images.rs compares with.

    python3 -m venv venv && venv/bin/pip install numpy torch && venv/bin/python tests/peer/augment.py

Crops, mirrors and squares are the same bytes. Scaling and turning are torch's in floats, and so off by one at most.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

H, W, C = 9, 7, 3
IMAGE = (np.arange(H * W * C).reshape(H, W, C) * 37 + np.arange(W).reshape(1, W, 1) * 11) % 256
MODES = {"zero": "constant", "reflect": "reflect", "symmetric": "symmetric"}


def crop(image, size, pad, mode, u):
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode=MODES[mode])
    y = math.floor(u[0] * (padded.shape[0] - size[0] + 1))
    x = math.floor(u[1] * (padded.shape[1] - size[1] + 1))
    return padded[y : y + size[0], x : x + size[1]]


def cutout(image, side, value, u):
    y, x = math.floor(u[0] * H), math.floor(u[1] * W)
    result = image.copy()
    result[max(y - side // 2, 0) : max(y - side // 2 + side, 0), max(x - side // 2, 0) : max(x - side // 2 + side, 0)] = value
    return result


def resized_crop(image, size, areas, ratios, u):
    choice = math.floor(u[0] * 1024)
    area = areas[0] + (areas[1] - areas[0]) * (choice // 32 + 0.5) / 32
    ratio = math.exp(math.log(ratios[0]) + math.log(ratios[1] / ratios[0]) * (choice % 32 + 0.5) / 32)
    high = min(max(round(math.sqrt(H * W * area / ratio)), 1), H)
    wide = min(max(round(math.sqrt(H * W * area * ratio)), 1), W)
    y, x = math.floor(u[1] * (H - high + 1)), math.floor(u[2] * (W - wide + 1))
    part = torch.tensor(image[y : y + high, x : x + wide]).double().permute(2, 0, 1)[None]
    scaled = F.interpolate(part, size=size, mode="bilinear", align_corners=False, antialias=False)
    return scaled[0].permute(1, 2, 0).numpy()


def rotate(image, degrees, u):
    angle = math.radians(degrees * ((2 * math.floor(u[0] * 1024) + 1) / 1024 - 1))
    # From places of the result to places of the image, in pixels from the middle; torch wants shares of half the extent.
    turn = torch.tensor([[math.cos(angle), math.sin(angle) * (H - 1) / (W - 1), 0],
                         [-math.sin(angle) * (W - 1) / (H - 1), math.cos(angle), 0]], dtype=torch.float64)
    x = torch.tensor(image).double().permute(2, 0, 1)[None]
    grid = F.affine_grid(turn[None], list(x.shape), align_corners=True)
    found = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return found[0].permute(1, 2, 0).numpy()


def jitter(image, brightness, contrast, saturation, u):
    factor = [1 + most * (2 * it - 1) for most, it in zip((brightness, contrast, saturation), u)]
    value = np.clip(image * factor[0], 0, 255)
    value = np.clip(128 + (value - 128) * factor[1], 0, 255)
    grey = (value @ np.array([0.299, 0.587, 0.114]))[:, :, None]
    return np.clip(grey + (value - grey) * factor[2], 0, 255)


def main():
    random = np.random.default_rng(7)
    draw = lambda n: [float(it) / 2**24 for it in random.integers(0, 2**24, n)]
    cases = []
    for mode in MODES:
        for size, pad in [((H, W), 4), ((5, 6), 0), ((12, 3), 5)]:
            u = draw(2)
            cases.append((f"crop {mode} {size[0]} {size[1]} {pad}", u, crop(IMAGE, size, pad, mode, u), 0))
    for _ in range(3):
        u = draw(2)
        cases.append(("cutout", u, cutout(IMAGE, 4, 9, u), 0))
        u = draw(1)
        cases.append(("flip_horizontal", u, IMAGE[:, ::-1] if u[0] < 0.5 else IMAGE, 0))
        u = draw(1)
        cases.append(("flip_vertical", u, IMAGE[::-1] if u[0] < 0.5 else IMAGE, 0))
        u = draw(3)
        cases.append(("resized", u, resized_crop(IMAGE, (6, 8), (0.2, 1), (0.5, 2), u), 2))
        u = draw(1)
        cases.append(("rotate", u, rotate(IMAGE, 45, u), 3))
        u = draw(3)
        cases.append(("jitter", u, jitter(IMAGE, 0.4, 0.3, 0.8, u), 3))
    rows = [
        {"step": name, "uniform": u, "off": off, "shape": list(found.shape), "result": [round(float(it), 3) for it in found.ravel()]}
        for name, u, found, off in cases
    ]
    Path(__file__).with_suffix(".json").write_text("[\n" + ",\n".join(json.dumps(it) for it in rows) + "\n]\n")


main()
