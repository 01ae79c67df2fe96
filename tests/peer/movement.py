"""What PyTorch makes of joined, cut, enlarged and shuffled tensors, in f64: the numbers of `tests/networks/movement.rs`."""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def numbers(salt, shape):
    count = torch.Size(shape).numel()
    return torch.sin(0.37 * torch.arange(count) + salt).reshape(shape).requires_grad_()


def told(tensor):
    """One number of a tensor: weighed by a wave, in the order of its elements with the channels last."""
    flat = tensor.reshape(-1)
    return (flat * torch.cos(0.11 * torch.arange(len(flat)))).sum().item()


def first(image):
    """To channels first."""
    return image.permute(0, 3, 1, 2)


def last(image):
    return image.permute(0, 2, 3, 1)


x = numbers(1.0, (3, 2, 4, 6))
filters = [numbers(2.0, (3, 3, 6, 8)), numbers(3.0, (3, 3, 8, 4))]
biases = [numbers(4.0, (8,)), numbers(5.0, (4,))]


def conv(image, at):
    return F.conv2d(image, filters[at].permute(3, 2, 0, 1), biases[at], padding=1)


a = conv(first(x), 0)
b = conv(F.max_pool2d(a, 2), 1)
u = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
m = F.channel_shuffle(torch.cat([a, u], 1), 3)
p = F.pixel_shuffle(m[:, 2:10], 2)
q = F.pixel_unshuffle(F.pad(p, (2, 1, 2, 1))[:, :, :6, :10], 2)
r = F.avg_pool2d(torch.flip(q, [3])[:, :, :2, :4], 2)
n = F.interpolate(r, scale_factor=3, mode="nearest")
row = n.mean((2, 3), keepdim=True) + r
y = last(torch.cat([torch.softmax(row, 1), torch.logsumexp(row, 1, keepdim=True)], 1))
seed = numbers(6.0, y.shape).detach()
(y * seed).sum().backward()
print("y", list(y.shape), repr(told(y)))
for name, it in [("x", x), ("filter0", filters[0]), ("bias0", biases[0]), ("filter1", filters[1]), ("bias1", biases[1])]:
    print(name, repr(told(it.grad)))

table = numbers(7.0, (5, 3))
ids = torch.tensor([4, 0, 2, 4, 1, 4])
z = F.embedding(ids, table)
(z * numbers(8.0, z.shape).detach()).sum().backward()
print("embedding", repr(told(z)), repr(told(table.grad)))
