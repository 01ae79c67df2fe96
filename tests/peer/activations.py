"""Prints the table of `tests/networks/activations.rs`: values and slopes of PyTorch in f64. `python3 activations.py`."""

import torch
import torch.nn.functional as F

POINTS = [-30, -7, -3.2, -3, -2.1, -1, -0.4, -1e-3, 0.2, 0.9, 2.5, 3.3, 6.5, 30]
NAMES = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu6": F.relu6,
    "hard_tanh": F.hardtanh,
    "hard_swish": F.hardswish,
    "silu": F.silu,
    "mish": F.mish,
    "selu": F.selu,
    "softsign": F.softsign,
    "log_logistic": F.logsigmoid,
    "erf": torch.erf,
    # Their slope of `hardsigmoid` is a sixth rounded to f32.
    "hard_sigmoid": lambda x: torch.clamp(x / 6 + 0.5, 0, 1),
}
for name, f in NAMES.items():
    x = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    y = f(x)
    y.sum().backward()
    row = lambda t: "&[" + ", ".join(repr(v) for v in t.tolist()) + "]"
    print(f'    ("{name}", {row(y)}, {row(x.grad)}),')
