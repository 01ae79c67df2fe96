"""The networks of `models/zoo` once more, over `torch.nn.functional`, with the weights named as `sphc show` names them."""

import torch
import torch.nn.functional as F


class Net:
    """Weights by path, and layers that read them; tensors are [batch, channels, height, width]."""

    def __init__(self, weights, running):
        self.weights, self.running = weights, running

    def bias(self, path):
        return self.weights.get(f"{path}/bias")

    def conv(self, x, path, stride=1, pad=0, groups=1):
        w = self.weights[f"{path}/filter"].permute(3, 2, 0, 1)
        return F.conv2d(x, w, self.bias(path), stride, pad, groups=groups)

    def up(self, x, path):
        # [height, width, filters, channels]: the filter of the convolution that this is the transpose of.
        w = self.weights[f"{path}/filter"].permute(3, 2, 0, 1)
        return F.conv_transpose2d(x, w, self.bias(path), stride=2)

    def dense(self, x, path):
        x = x.permute(0, 2, 3, 1).flatten(1)
        w = self.weights[f"{path}/filter"]
        y = F.linear(x, w.reshape(-1, w.shape[-1]).T, self.bias(path))
        return y[:, :, None, None]

    def linear(self, x, path):
        """Over the last axis, as the rest of a transformer works."""
        return F.linear(x, self.weights[f"{path}/filter"].T, self.bias(path))

    def row_norm(self, x, path):
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{path}/gamma"], self.weights[f"{path}/beta"], 1e-6)

    def norm(self, x, path, eps=1e-5):
        mean, var = self.running[f"{path}/bn/ema_mean"], self.running[f"{path}/bn/ema_var"]
        gamma, beta = self.weights[f"{path}/bn/gamma"], self.weights[f"{path}/bn/beta"]
        return F.batch_norm(x, mean, var, gamma, beta, training=True, momentum=0.1, eps=eps)

    def batch_norm(self, x, path):
        """One with a name of its own."""
        mean, var = self.running[f"{path}/ema_mean"], self.running[f"{path}/ema_var"]
        return F.batch_norm(x, mean, var, self.weights[f"{path}/gamma"], self.weights[f"{path}/beta"], training=True)

    def layer_norm(self, x, path):
        y = F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], self.weights[f"{path}/gamma"], self.weights[f"{path}/beta"], 1e-6)
        return y.permute(0, 3, 1, 2)


def pool(x):
    return x.mean((2, 3), keepdim=True)


def lenet5(n, x):
    for path in ["conv1", "conv2"]:
        x = F.max_pool2d(F.relu(n.conv(x, path)), 2)
    for path in ["dense1", "dense2"]:
        x = F.relu(n.dense(x, path))
    return n.dense(x, "score")


def alexnet(n, x):
    x = F.max_pool2d(F.relu(n.conv(x, "conv1", 4, 2)), 3, 2)
    x = F.max_pool2d(F.relu(n.conv(x, "conv2", 1, 2)), 3, 2)
    for path in ["conv3", "conv4", "conv5"]:
        x = F.relu(n.conv(x, path, 1, 1))
    x = F.max_pool2d(x, 3, 2)
    for path in ["dense1", "dense2"]:
        x = F.relu(n.dense(x, path))
    return n.dense(x, "score")


def vgg16(n, x):
    for stage, count in enumerate([2, 2, 3, 3, 3]):
        for i in range(count):
            x = F.relu(n.conv(x, f"conv{stage + 1}_{i + 1}", 1, 1))
        x = F.max_pool2d(x, 2)
    for path in ["dense1", "dense2"]:
        x = F.relu(n.dense(x, path))
    return n.dense(x, "score")


def resnet(n, x, units, bottleneck):
    x = F.relu(n.norm(n.conv(x, "root", 2, 3), "root"))
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, count in enumerate(units):
        for i in range(count):
            at = f"stage{stage + 1}_unit{i + 1}"
            stride = 2 if stage and not i else 1
            skip = x
            if f"{at}/shortcut/filter" in n.weights:
                skip = n.norm(n.conv(x, f"{at}/shortcut", stride), f"{at}/shortcut")
            if bottleneck:
                y = F.relu(n.norm(n.conv(x, f"{at}/first"), f"{at}/first"))
                y = F.relu(n.norm(n.conv(y, f"{at}/second", stride, 1), f"{at}/second"))
                y = n.norm(n.conv(y, f"{at}/third"), f"{at}/third")
            else:
                y = F.relu(n.norm(n.conv(x, f"{at}/first", stride, 1), f"{at}/first"))
                y = n.norm(n.conv(y, f"{at}/second", 1, 1), f"{at}/second")
            x = F.relu(y + skip)
    return n.dense(pool(x), "score")


def resnet18(n, x):
    return resnet(n, x, [2, 2, 2, 2], False)


def resnet50(n, x):
    return resnet(n, x, [3, 4, 6, 3], True)


def preactivated(n, x, units):
    x = n.conv(x, "root", 1, 1)
    for stage, count in enumerate(units):
        for i in range(count):
            at = f"stage{stage + 1}_unit{i + 1}"
            stride = 2 if stage and not i else 1
            first = F.relu(n.batch_norm(x, f"{at}/norm1"))
            skip = x
            if f"{at}/shortcut/filter" in n.weights:
                skip = n.conv(first, f"{at}/shortcut", stride)
            y = F.relu(n.batch_norm(n.conv(first, f"{at}/conv1", stride, 1), f"{at}/norm2"))
            x = n.conv(y, f"{at}/conv2", 1, 1) + skip
    return n.dense(pool(F.relu(n.batch_norm(x, "norm"))), "score")


def preactresnet18(n, x):
    return preactivated(n, x, [2, 2, 2, 2])


def wideresnet28_10(n, x):
    return preactivated(n, x, [4, 4, 4])


def densenet_bc(n, x):
    x = n.conv(x, "root", 1, 1)
    for stage in range(3):
        i = 1
        while f"stage{stage + 1}_unit{i}/conv1/filter" in n.weights:
            at = f"stage{stage + 1}_unit{i}"
            y = n.conv(F.relu(n.batch_norm(x, f"{at}/norm1")), f"{at}/conv1")
            y = n.conv(F.relu(n.batch_norm(y, f"{at}/norm2")), f"{at}/conv2", 1, 1)
            x = torch.cat([x, y], 1)
            i += 1
        if stage < 2:
            at = f"transition{stage + 1}"
            x = F.avg_pool2d(n.conv(F.relu(n.batch_norm(x, f"{at}/norm")), f"{at}/conv"), 2)
    return n.dense(pool(F.relu(n.batch_norm(x, "norm"))), "score")


def googlenet(n, x):
    def part(x, path, stride=1):
        pad = n.weights[f"{path}/filter"].shape[0] // 2
        return F.relu(n.norm(n.conv(x, path, stride, pad), path, eps=1e-3))

    def shrink(x):
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    x = shrink(part(x, "conv1", 2))
    x = shrink(part(part(x, "conv2"), "conv3"))
    for at in ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]:
        if at == "4a":
            x = shrink(x)
        if at == "5a":
            x = F.max_pool2d(x, 2)
        at = f"inception{at}"
        a = part(x, f"{at}/branch1")
        b = part(part(x, f"{at}/branch2_reduce"), f"{at}/branch2")
        c = part(part(x, f"{at}/branch3_reduce"), f"{at}/branch3")
        d = part(F.max_pool2d(x, 3, 1, 1), f"{at}/branch4")
        x = torch.cat([a, b, c, d], 1)
    return n.dense(pool(x), "score")


def squeezenet(n, x):
    x = F.max_pool2d(F.relu(n.conv(x, "conv1", 2)), 3, 2)
    for at in range(2, 10):
        s = F.relu(n.conv(x, f"fire{at}/squeeze"))
        x = torch.cat([F.relu(n.conv(s, f"fire{at}/expand1")), F.relu(n.conv(s, f"fire{at}/expand3", 1, 1))], 1)
        if at in (3, 5):
            x = F.max_pool2d(x, 3, 2)
    return pool(F.relu(n.conv(x, "score")))


def mobilenetv2(n, x):
    def part(x, path, stride=1, pad=0, groups=1):
        return n.norm(n.conv(x, path, stride, pad, groups), path)

    x = F.relu6(part(x, "root", 2, 1))
    for stage, (count, stride) in enumerate([(1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)]):
        for i in range(count):
            at = f"stage{stage + 1}_unit{i + 1}"
            y = x
            if f"{at}/expand/filter" in n.weights:
                y = F.relu6(part(y, f"{at}/expand"))
            y = F.relu6(part(y, f"{at}/depthwise", 1 if i else stride, 1, y.shape[1]))
            y = part(y, f"{at}/project")
            x = x + y if x.shape == y.shape else y
    return n.dense(pool(F.relu6(part(x, "last"))), "score")


def convnext_t(n, x):
    x = n.layer_norm(n.conv(x, "root", 4), "root/ln")
    stage = 0
    while f"stage{stage + 1}_unit1/depthwise/filter" in n.weights:
        if stage:
            x = n.conv(n.layer_norm(x, f"norm{stage}"), f"down{stage}", 2)
        i = 1
        while f"stage{stage + 1}_unit{i}/depthwise/filter" in n.weights:
            at = f"stage{stage + 1}_unit{i}"
            y = n.layer_norm(n.conv(x, f"{at}/depthwise", 1, 3, x.shape[1]), f"{at}/depthwise/ln")
            y = n.conv(F.gelu(n.conv(y, f"{at}/wide")), f"{at}/narrow")
            x = x + y * n.weights[f"{at}/branch/scale"][:, None, None]
            i += 1
        stage += 1
    return n.dense(n.layer_norm(pool(x), "norm"), "score")


def vit_tiny(n, x, heads=3):
    x = n.conv(x, "patches", 16).flatten(2).transpose(1, 2)
    x = torch.cat([n.weights["tokens/first"].expand(len(x), -1, -1), x], 1) + n.weights["tokens/place"]
    unit = 1
    while f"unit{unit}/wide/filter" in n.weights:
        at = f"unit{unit}"
        y = n.row_norm(x, f"{at}/norm1")
        parts = (n.linear(y, f"{at}/attention/{it}").unflatten(2, (heads, -1)).transpose(1, 2) for it in ["query", "key", "value"])
        y = F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        x = x + n.linear(y, f"{at}/attention/out")
        y = n.linear(n.row_norm(x, f"{at}/norm2"), f"{at}/wide")
        x = x + n.linear(F.gelu(y), f"{at}/narrow")
        unit += 1
    return n.dense(n.row_norm(x[:, 0], "norm")[:, :, None, None], "score")


def unet(n, x):
    def pair(x, path):
        for part in ["first", "second"]:
            x = F.relu(n.conv(x, f"{path}/{part}", 1, 1))
        return x

    skips = []
    while f"down{len(skips) + 1}/first/filter" in n.weights:
        skips.append(pair(x, f"down{len(skips) + 1}"))
        x = F.max_pool2d(skips[-1], 2)
    x = pair(x, "bottom")
    for level in range(len(skips), 0, -1):
        x = pair(torch.cat([skips[level - 1], n.up(x, f"up{level}")], 1), f"join{level}")
    return n.conv(x, "restored")


def autoencoder(n, x):
    for path in ["down1", "down2", "down3", "code", "up1", "up2", "up3", "image"]:
        x = n.dense(x, path)
        x = x if path in ("code", "image") else torch.sigmoid(x)
    return x


def gru_digits(n, x):
    """PyTorch's own unit; its gates are in the same order."""
    weights = [n.weights[f"gru/cell/{it}/filter"].T for it in ["input", "hidden"]]
    biases = [n.weights[f"gru/cell/{it}/bias"] for it in ["input", "hidden"]]
    rows = x.permute(0, 2, 3, 1).flatten(2)
    unit = torch.nn.GRU(rows.shape[2], weights[1].shape[1], batch_first=True)
    values = dict(zip(["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"], weights + biases))
    states, _ = torch.func.functional_call(unit, values, (rows,))
    return n.dense(states[:, -1, :, None, None], "score")


def cross_entropy(scores, labels, image, smoothing=0.0):
    return F.cross_entropy(scores.flatten(1), labels, label_smoothing=smoothing)


def smoothed(scores, labels, image):
    return cross_entropy(scores, labels, image, 0.1)


def restoration(scores, labels, image):
    return F.mse_loss(scores, image)


def likeness(scores, labels, image):
    """Of the intensities, from 0 to 1, seen as probabilities."""
    return F.binary_cross_entropy_with_logits(scores.flatten(1), image.permute(0, 2, 3, 1).flatten(1))


# Name: the network, its loss, the extent of its images here, and params that make it small.
NETWORKS = {
    "lenet5": (lenet5, cross_entropy, 32, []),
    "alexnet": (alexnet, cross_entropy, 64, []),
    "vgg16": (vgg16, cross_entropy, 32, []),
    "resnet18": (resnet18, cross_entropy, 64, []),
    "resnet50": (resnet50, cross_entropy, 64, []),
    "preactresnet18": (preactresnet18, cross_entropy, 32, []),
    "wideresnet28_10": (wideresnet28_10, cross_entropy, 32, ["width=2"]),
    "densenet_bc": (densenet_bc, cross_entropy, 32, ["depth=22"]),
    "googlenet": (googlenet, cross_entropy, 64, []),
    "squeezenet": (squeezenet, cross_entropy, 64, []),
    "mobilenetv2": (mobilenetv2, cross_entropy, 64, []),
    "convnext_t": (convnext_t, smoothed, 64, ["widths=[16,32,48,64]", "depths=[1,1,2,1]"]),
    "vit_tiny": (vit_tiny, smoothed, 64, []),
    "unet": (unet, restoration, 32, ["widths=[16,32,64,128]"]),
    "autoencoder": (autoencoder, likeness, 28, []),
    "gru_digits": (gru_digits, cross_entropy, 8, []),
}
