def around(x, before, after, value=0.0):
    """Images `[n, h, w, c]` as `[n, c, h, w]`, with rows and columns around them."""
    return F.pad(x.permute(0, 3, 1, 2), (before[1], after[1], before[0], after[0]), value=value)


def conv(x, filters, stride, before, after, dilation, groups):
    """The answers of filters `[kh, kw, cin, cout]`."""
    x = around(x, before, after)
    return F.conv2d(x, filters.permute(3, 2, 0, 1), None, stride, 0, dilation, groups).permute(0, 2, 3, 1)


def conv_transpose(x, filters, size, stride, before, rest, dilation, groups):
    """The gradient of `conv` in an image of `size`, for answers `x`."""
    x = x.permute(0, 3, 1, 2)
    x = F.conv_transpose2d(x, filters.permute(3, 2, 0, 1), None, stride, 0, rest, groups, dilation)
    (top, left), (height, width) = before, size
    return x[:, :, top:top + height, left:left + width].permute(0, 2, 3, 1)


def sum_window(x, kernel, stride, before, after, dilation):
    """The sum of each window, channel by channel."""
    ones = torch.ones(x.shape[3], 1, *kernel, dtype=x.dtype, device=x.device)
    x = F.conv2d(around(x, before, after), ones, None, stride, 0, dilation, x.shape[3])
    return x.permute(0, 2, 3, 1)


def max_window(x, kernel, stride, before, after, dilation):
    """The largest number of each window, channel by channel."""
    x = around(x, before, after, -torch.inf)
    return F.max_pool2d(x, kernel, stride, 0, dilation).permute(0, 2, 3, 1)


def scaled(images, rows, columns):
    """Rows and columns of images, each between two with a share of the second; rounded where they are whole numbers."""
    x = images.double()
    for axis, (low, high, shares) in ((1, rows), (2, columns)):
        shares = torch.tensor(shares, dtype=x.dtype, device=x.device).reshape((-1, 1, 1) if axis == 1 else (-1, 1))
        low, high = (torch.tensor(it, device=x.device) for it in (low, high))
        x = (1 - shares) * x.index_select(axis, low) + shares * x.index_select(axis, high)
    return x.to(images.dtype) if images.is_floating_point() else torch.floor(x + 0.5).to(images.dtype)


def rounded(x):
    """The nearest whole number, halves away from 0."""
    return (torch.sign(x) * torch.floor(torch.abs(x) + 0.5)).long()


def read(path):
    """The tensors of a safetensors file."""
    kinds = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
             "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8}
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    res = {}
    for name, it in header.items():
        if name != "__metadata__":
            start, end = it["data_offsets"]
            kind, shape = kinds[it["dtype"]], it["shape"]
            found = torch.frombuffer(data, dtype=torch.uint8)[start:end].clone() if start < end else torch.empty(0)
            res[name] = found.view(kind).reshape(shape)
    return res
