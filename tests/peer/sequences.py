"""Prints the numbers of `tests/networks/sequences.rs`: attention, GRU and LSTM of PyTorch in f64. `python3 sequences.py`."""

import torch

torch.set_default_dtype(torch.float64)


def numbers(*shape, salt):
    n = 1
    for extent in shape:
        n *= extent
    return torch.tensor([torch.sin(torch.tensor(0.7 * at + salt)).item() for at in range(n)]).reshape(shape).requires_grad_()


def show(name, tensor):
    print(f"const {name}: &[f64] = &[{', '.join(repr(v) for v in tensor.flatten().tolist())}];")


def attention():
    """Two heads over three positions of four channels; filters are `[in, out]`."""
    x = numbers(1, 3, 4, salt=0.1)
    filters = [numbers(4, 4, salt=s) for s in (1, 2, 3, 4)]
    biases = [numbers(4, salt=s) for s in (5, 6, 7, 8)]
    q, k, v = [(x @ w + b).reshape(1, 3, 2, 2).transpose(1, 2) for w, b in zip(filters[:3], biases[:3])]
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, 3, 4)
    y = y @ filters[3] + biases[3]
    (y * numbers(1, 3, 4, salt=9)).sum().backward()
    show("ATTENTION", y)
    show("ATTENTION_X", x.grad)
    show("ATTENTION_QUERY", filters[0].grad)


def recurrent(name, module, gates):
    """Over four rows of three numbers, two hidden ones. PyTorch's weights are `[gates * out, in]`."""
    net = module(3, 2, batch_first=True)
    wi, wh = numbers(3, gates * 2, salt=1), numbers(2, gates * 2, salt=2)
    bi, bh = numbers(gates * 2, salt=3), numbers(gates * 2, salt=4)
    with torch.no_grad():
        net.weight_ih_l0.copy_(wi.T)
        net.weight_hh_l0.copy_(wh.T)
        net.bias_ih_l0.copy_(bi)
        net.bias_hh_l0.copy_(bh)
    x = numbers(1, 4, 3, salt=0.1)
    y, _ = net(x)
    (y[:, -1] * numbers(1, 2, salt=9)).sum().backward()
    show(name, y[:, -1])
    show(f"{name}_X", x.grad)
    show(f"{name}_HIDDEN", net.weight_hh_l0.grad.T)


attention()
recurrent("GRU", torch.nn.GRU, 3)
recurrent("LSTM", torch.nn.LSTM, 4)
