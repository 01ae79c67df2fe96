"""Writes convolutions.json: convolutions with their gradients, by PyTorch in f64. `python3 convolutions.py > convolutions.json`."""

import json
from math import prod

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def numbers(salt, shape):
    """Numbers without a pattern that the test makes in the same way, exactly."""
    values = [((at * 7919 + salt * 104729) % 1009) / 512 - 1 for at in range(prod(shape))]
    return torch.tensor(values).reshape(shape).requires_grad_()


def both(it):
    return (it, it) if isinstance(it, int) else tuple(it)


def images(x):
    return x.permute(0, 3, 1, 2)


def convolve(x, w, stride, pad, dilation, groups):
    (top, bottom), (left, right) = pad
    x = F.pad(images(x), (left, right, top, bottom))
    y = F.conv2d(x, w.permute(3, 2, 0, 1), None, stride, 0, dilation, groups)
    return y.permute(0, 2, 3, 1)


def forward(x, w, b, stride, pad, dilation, groups, operator):
    y = convolve(x, w, stride, pad, dilation, groups)
    if operator == "cosine":
        kh, kw, each, filters = w.shape
        ones = torch.ones(kh, kw, each, groups)
        squares = convolve(x * x, ones, stride, pad, dilation, groups)
        squares = squares.repeat_interleave(filters // groups, 3)
        y = y / torch.sqrt(squares + 1e-4) / torch.sqrt((w * w).sum((0, 1, 2)) + 1e-4)
    return y if b is None else y + b


def same(size, kernel, stride, dilation):
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def case(layer, shape, filters, kernel=3, stride=1, pad="same", dilation=1, groups=1, bias=False):
    (kh, kw), stride, dilation = both(kernel), both(stride), both(dilation)
    sides = pad
    if pad == "same":
        sides = [same(shape[1], kh, stride[0], dilation[0]), same(shape[2], kw, stride[1], dilation[1])]
    elif isinstance(pad, int):
        sides = [(pad, pad)] * 2
    else:
        sides = [both(it) for it in pad]
    call = f"{layer}(x, {filters}, kernel: [{kh}, {kw}], stride: {list(stride)}"
    call += f", pad: {pad if pad == 'same' or isinstance(pad, int) else [list(it) if isinstance(it, tuple) else it for it in pad]}"
    call += f", dilation: {list(dilation)}" if dilation != (1, 1) else ""
    call += f", groups: {groups}" if groups != 1 else ""
    call += ", bias: true)" if bias else ")"
    x = numbers(1, shape)
    w = numbers(2, [kh, kw, shape[3] // groups, filters])
    b = numbers(3, [filters]) if bias else None
    operator = "cosine" if layer == "sphere_conv" else "none"
    y = forward(x, w, b, stride, sides, dilation, groups, operator)
    return record(call, shape, y, {"filter": w, "bias": b}, x)


def depthwise(shape, multiplier, **options):
    found = case("conv", shape, shape[3] * multiplier, groups=shape[3], **options)
    call = found["call"].replace("conv(x, ", "depthwise_conv(x, ").replace(f", groups: {shape[3]}", "")
    return {**found, "call": call.replace(f"(x, {shape[3] * multiplier},", f"(x, {multiplier},")}


def short(tensor):
    """More digits than the test asks for."""
    return [float(f"{it:.13g}") for it in tensor.flatten().tolist()]


def record(call, shape, y, params, x):
    y.backward(numbers(9, list(y.shape)).detach())
    params = {name: it for name, it in params.items() if it is not None}
    return {
        "call": call,
        "shape": shape,
        "output": short(y),
        "grad/x": short(x.grad),
        "params": {name: short(it.grad) for name, it in params.items()},
    }


def dense(layer, shape, units, operator, bias):
    x = numbers(1, shape)
    w = numbers(2, [1, 1, prod(shape[1:]), units])
    b = numbers(3, [units]) if bias else None
    y = forward(x.reshape(shape[0], 1, 1, -1), w, b, 1, [(0, 0), (0, 0)], 1, 1, operator)
    call = f"{layer}(x, {units}" + (f", operator: {operator}" if layer == "dense" and operator != "none" else "")
    return record(call + (", bias: true)" if bias else ")"), shape, y, {"filter": w, "bias": b}, x)


def transposed(shape, filters, kernel=3, stride=1, pad="same", more=0, dilation=1, groups=1, bias=False):
    (kh, kw), stride, dilation, more = both(kernel), both(stride), both(dilation), both(more)
    x = numbers(1, shape)
    w = numbers(2, [kh, kw, filters // groups, shape[3]])
    b = numbers(3, [filters]) if bias else None
    # All of it, with what `output_padding` adds; then what is not wanted is cut off.
    y = F.conv_transpose2d(images(x), w.permute(3, 2, 0, 1), b, stride, 0, 0, groups, dilation).permute(0, 2, 3, 1)
    extents = [(k - 1) * d + 1 for k, d in zip((kh, kw), dilation)]
    sizes = [shape[1] * stride[0], shape[2] * stride[1]]
    if pad == "same":
        sides = [same(sizes[axis], (kh, kw)[axis], stride[axis], dilation[axis])[0] for axis in (0, 1)]
    else:
        sides = [0 if pad == "valid" else both(pad[axis])[0] for axis in (0, 1)]
        ends = [0 if pad == "valid" else both(pad[axis])[1] for axis in (0, 1)]
        sizes = [
            (shape[1 + axis] - 1) * stride[axis] + extents[axis] - sides[axis] - ends[axis] + more[axis] for axis in (0, 1)
        ]
    # Beyond all of it there is the bias alone.
    full = [sides[axis] + sizes[axis] for axis in (0, 1)]
    y = y[:, : full[0], : full[1]]
    missing = [full[axis] - y.shape[1 + axis] for axis in (0, 1)]
    y = F.pad(y, (0, 0, 0, missing[1], 0, missing[0]))
    if bias:
        beyond = F.pad(torch.zeros(y.shape[1] - missing[0], y.shape[2] - missing[1]), (0, missing[1], 0, missing[0]), value=1.0)
        y = y + beyond[None, :, :, None] * b
    y = y[:, sides[0] :, sides[1] :]
    call = f"conv_transpose(x, {filters}, kernel: [{kh}, {kw}], stride: {list(stride)}"
    call += f", pad: {pad if isinstance(pad, str) else [list(it) if isinstance(it, tuple) else it for it in pad]}"
    call += f", output_pad: {list(more)}" if more != (0, 0) else ""
    call += f", dilation: {list(dilation)}" if dilation != (1, 1) else ""
    call += f", groups: {groups}" if groups != 1 else ""
    return record(call + (", bias: true)" if bias else ")"), shape, y, {"filter": w, "bias": b}, x)


CASES = [
    case("conv", [2, 5, 6, 3], 4, bias=True),
    case("conv", [2, 7, 5, 3], 5, kernel=(1, 4), stride=(2, 1), pad=[[0, 0], [2, 1]], bias=True),
    case("conv", [2, 6, 7, 2], 3, kernel=(4, 3), stride=2, pad=[(2, 1), (0, 1)]),
    case("conv", [2, 5, 5, 3], 2, kernel=(5, 2), stride=(1, 2), pad=[2, 0], bias=True),
    case("sphere_conv", [2, 5, 6, 3], 4, stride=2, bias=True),
    case("sphere_conv", [2, 6, 4, 2], 3, kernel=(2, 3), pad=[(1, 0), (1, 1)], bias=True),
    case("conv", [2, 7, 6, 6], 9, groups=3, stride=2, bias=True),
    case("conv", [2, 6, 7, 4], 4, kernel=(1, 5), groups=4, pad=[0, (1, 3)]),
    case("conv", [2, 8, 7, 3], 4, dilation=2, bias=True),
    case("conv", [2, 8, 9, 4], 6, kernel=(2, 3), stride=2, dilation=(3, 2), groups=2, pad=[(3, 1), (0, 2)]),
    case("conv", [1, 6, 5, 32], 48, groups=2),
    case("sphere_conv", [2, 6, 5, 6], 12, groups=3, bias=True),
    case("sphere_conv", [2, 7, 5, 5], 5, groups=5, stride=2),
    case("sphere_conv", [2, 7, 8, 3], 4, kernel=(3, 2), dilation=(2, 3), stride=(1, 2)),
    case("sphere_conv", [2, 5, 6, 4], 8, kernel=1, groups=4, dilation=1),
    depthwise([2, 6, 7, 5], 1, kernel=(3, 5), stride=2, bias=True),
    depthwise([2, 6, 6, 3], 4, dilation=2),
    transposed([2, 4, 5, 3], 4, stride=2, bias=True),
    transposed([2, 3, 4, 4], 2, kernel=2, stride=2, pad="valid"),
    transposed([2, 4, 3, 4], 6, kernel=(3, 4), stride=(2, 3), pad=[1, (2, 0)], more=(1, 2), groups=2, bias=True),
    transposed([2, 5, 4, 3], 3, dilation=2, pad=[(1, 2), 2]),
    transposed([1, 4, 4, 3], 2, kernel=1, stride=2),
    dense("dense", [3, 2, 3, 2], 4, "none", True),
    dense("dense", [3, 2, 3, 2], 5, "cosine", True),
]

print("[")
print(",\n".join(json.dumps(it) for it in CASES))
print("]")
