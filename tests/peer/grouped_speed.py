"""How long PyTorch takes for convolutions in groups: the cases of benches/conv.rs, on one thread, fastest of several runs of
processor time; forward, gradient in the input, gradient in the filter.

    venv/bin/python tests/peer/grouped_speed.py
"""

import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
BATCH, RUNS = 8, 8
CASES = [
    (56, 128, 128, 3, 1, 128), (112, 32, 32, 3, 1, 32), (56, 144, 144, 3, 2, 144), (14, 576, 576, 3, 1, 576),
    (7, 960, 960, 3, 1, 960), (56, 96, 96, 7, 1, 96), (14, 384, 384, 7, 1, 384), (56, 128, 128, 3, 1, 32),
    (28, 256, 256, 3, 1, 32), (56, 128, 128, 3, 2, 32), (14, 512, 512, 3, 1, 32),
]  # fmt: skip


def fastest(run):
    best = float("inf")
    for _ in range(RUNS):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best


for size, cin, cout, side, stride, groups in CASES:
    x = torch.randn(BATCH, cin, size, size).to(memory_format=torch.channels_last)
    w = torch.randn(cout, cin // groups, side, side)
    pad = side // 2
    y = F.conv2d(x, w, None, stride, pad, 1, groups)
    dy = torch.randn_like(y)

    def backward(mask):
        arguments = [0], [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups, mask
        return torch.ops.aten.convolution_backward(dy, x, w, *arguments)

    times = [
        fastest(lambda: F.conv2d(x, w, None, stride, pad, 1, groups)),
        fastest(lambda: backward([True, False, False])),
        fastest(lambda: backward([False, True, False])),
    ]
    flops = 2 * y.numel() * side * side * cin // groups
    text = "  ".join(f"{it * 1e3:7.2f} ms {flops / it / 1e9:6.1f} GF/s" for it in times)
    print(f"{size}x{size} {cin}->{cout} k{side} s{stride} g{groups}".ljust(34), text)
