"""Losses as PyTorch has them, in f64: values and gradients of the mean over a batch, for tests/networks/losses.rs.

python tests/peer/losses.py > tests/peer/losses.json
"""

import json

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(3)
EXAMPLES, CLASSES, WIDTH = 4, 5, 3
labels = torch.tensor([2, 0, 4, 2])
onehot = F.one_hot(labels, CLASSES).double()
image = torch.eye(EXAMPLES)
start = {
    "score/filter": 2 * torch.randn(EXAMPLES, CLASSES),
    "a/filter": torch.randn(EXAMPLES, WIDTH),
    "b/filter": torch.randn(EXAMPLES, WIDTH),
    "c/filter": torch.randn(EXAMPLES, WIDTH),
    "d/filter": torch.randn(EXAMPLES, EXAMPLES),
    "aux/filter": torch.randn(EXAMPLES, CLASSES),
    "loss/centre/centres": torch.randn(CLASSES, WIDTH),
}
mean_over = lambda each: each.mean()


def focal(s, gamma):
    log = F.log_softmax(s, 1).gather(1, labels[:, None])[:, 0]
    return -((1 - log.exp()) ** gamma * log).mean()


def poly(s, epsilon):
    log = F.log_softmax(s, 1).gather(1, labels[:, None])[:, 0]
    return (-log + epsilon * (1 - log.exp())).mean()


CASES = {
    "softmax_cross_entropy(smoothing: 0.1)": lambda t: F.cross_entropy(t["score"], labels, label_smoothing=0.1),
    "focal()": lambda t: focal(t["score"], 2),
    "focal(gamma: 0.5)": lambda t: focal(t["score"], 0.5),
    "focal(gamma: 0)": lambda t: F.cross_entropy(t["score"], labels),
    "binary_cross_entropy()": lambda t: F.binary_cross_entropy_with_logits(t["score"], onehot),
    "mean_squared_error()": lambda t: F.mse_loss(t["score"], onehot),
    "mean_absolute_error()": lambda t: F.l1_loss(t["score"], onehot),
    "huber(delta: 0.7)": lambda t: F.huber_loss(t["score"], onehot, delta=0.7),
    "hinge()": lambda t: F.multi_margin_loss(t["score"], labels),
    "cosine_embedding()": lambda t: F.cosine_embedding_loss(t["score"], onehot, torch.ones(EXAMPLES)),
    "triplet(margin: 1.5) on a, b, c": lambda t: F.triplet_margin_loss(t["a"], t["b"], t["c"], margin=1.5),
    "centre() on a": lambda t: (0.5 * ((t["a"] - t["loss/centre/centres"][labels]) ** 2).sum(1)).mean(),
    "mean_squared_error(target: image) on d": lambda t: F.mse_loss(t["d"], image),
    "mean_squared_error(target: b) on a": lambda t: F.mse_loss(t["a"], t["b"]),
    "softmax_cross_entropy() + 0.3 * mean_squared_error()": lambda t: F.cross_entropy(t["score"], labels)
    + 0.3 * F.mse_loss(t["score"], onehot),
    "(softmax_cross_entropy() - hinge()) / 2": lambda t: (
        F.cross_entropy(t["score"], labels) - F.multi_margin_loss(t["score"], labels)
    )
    / 2,
    "softmax_cross_entropy\n    loss 0.3 * softmax_cross_entropy(smoothing: 0.1) on aux": lambda t: F.cross_entropy(
        t["score"], labels
    )
    + 0.3 * F.cross_entropy(t["aux"], labels, label_smoothing=0.1),
    "poly(epsilon: 2)": lambda t: poly(t["score"], 2),
    "mixed()": lambda t: 0.5 * F.cross_entropy(t["score"], labels) + 0.5 * F.mse_loss(t["score"], onehot),
}

cases = []
for line, loss in CASES.items():
    leaves = {name: value.clone().requires_grad_() for name, value in start.items()}
    value = loss({name.removesuffix("/filter"): it for name, it in leaves.items()})
    value.backward()
    gradients = {name: it.grad.flatten().tolist() for name, it in leaves.items() if it.grad is not None}
    cases.append({"loss": line, "value": value.item(), "gradients": gradients})
print(
    json.dumps(
        {
            "labels": labels.tolist(),
            "start": {name: it.flatten().tolist() for name, it in start.items()},
            "cases": cases,
        },
        indent=1,
    )
)
