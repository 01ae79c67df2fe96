"""Writes values.rs: functions of the prelude, their slopes, and losses, with 400 digits. `python3 values.py > values.rs`."""

from mpmath import mp, mpf, atan, cosh, coth, csch, erf, exp, expm1, log, log1p, pi, sec, sech, sinh, sqrt, tan, tanh

mp.dps = 400
one = mpf(1)


def logistic(x):
    return 1 / (1 + exp(-x))


def gelu(x):
    return x / 2 * (1 + tanh(sqrt(2 / pi) * (x + mpf(0.044715) * x**3)))


def gelu_slope(x):
    u = sqrt(2 / pi) * (x + mpf(0.044715) * x**3)
    return (1 + tanh(u)) / 2 + x / 2 * sech(u) ** 2 * sqrt(2 / pi) * (1 + 3 * mpf(0.044715) * x**2)


def mish_slope(x):
    u = tanh(log(1 + exp(x)))
    return u + x * (1 - u**2) * logistic(x)


# At a corner the slope is that of the right or the left, as in PyTorch.
FUNCTIONS = {
    "relu": (lambda x: max(x, 0), lambda x: one if x > 0 else 0 * one),
    "leaky_relu": (lambda x: x if x > 0 else mpf(0.01) * x, lambda x: one if x > 0 else mpf(0.01)),
    "elu": (lambda x: x if x > 0 else expm1(x), lambda x: one if x > 0 else exp(x)),
    "softplus": (lambda x: log(1 + exp(x)), logistic),
    "logistic": (logistic, lambda x: exp(-x) / (1 + exp(-x)) ** 2),
    "swish": (lambda x: x * logistic(x), lambda x: logistic(x) + x * exp(-x) / (1 + exp(-x)) ** 2),
    "gelu_tanh": (gelu, gelu_slope),
    "erf": (erf, lambda x: 2 / sqrt(pi) * exp(-x * x)),
    "mish": (lambda x: x * tanh(log(1 + exp(x))), mish_slope),
    "tanh": (tanh, lambda x: sech(x) ** 2),
    "sinh": (sinh, cosh),
    "cosh": (cosh, sinh),
    "coth": (coth, lambda x: -csch(x) ** 2),
    "tan": (tan, lambda x: sec(x) ** 2),
    "atan": (atan, lambda x: 1 / (1 + x * x)),
    "expm1": (expm1, exp),
    "log1p": (log1p, lambda x: 1 / (1 + x)),
}
POINTS = [-100, -80, -30, -20, -5, -1, -(2.0**-10), -(2.0**-27), 0, 2.0**-27, 2.0**-10, 1, 5, 20, 30, 80, 100]


def skipped(name, x):
    return name == "coth" and x == 0 or name == "log1p" and x <= -1 or name == "tan" and abs(x) > 30


def number(x):
    x = mpf(x)
    return "0.0" if abs(x) < mpf("1e-300") else repr(float(x))


def loss(scores, label, smoothing, floor):
    total = sum(exp(x) for x in scores)
    q = [exp(x) / total for x in scores]
    y = [mpf(smoothing) / len(q) + (1 - mpf(smoothing) if c == label else 0) for c in range(len(q))]
    value = -sum(b * log(a + mpf(floor)) for a, b in zip(q, y) if b)
    mean = sum(b * a / (a + mpf(floor)) for a, b in zip(q, y))
    return value, [a * (mean - b / (a + mpf(floor))) for a, b in zip(q, y)]


SCORES = [
    [0, 0, 0], [1, 2, 3], [-750, 0, 0], [0, 750, 0], [750, 0, 1], [0, 0, -20], [20, 0, 0], [40, 0, -3], [100, 100, 0],
    [1e4, 0, -1e4], [0, 1e6, 0], [-1e6, 3e6, 2e6], [1e30, -1e30, 0], [110, 0, 3], [0, 0, 3000],
]  # fmt: skip

print("//! Made by values.py with mpmath: functions with their slopes, and losses.\n")
print("/// A function of the prelude: `(x, value, slope)`.\npub(crate) type Points = &'static [(f64, f64, f64)];\n")
print("/// By name.\npub(crate) const FUNCTIONS: &[(&str, Points)] = &[")
for name, (value, slope) in FUNCTIONS.items():
    points = [x for x in POINTS if not skipped(name, x)]
    print(f'    ("{name}", &[')
    for x in points:
        print(f"        ({number(x)}, {number(value(mpf(x)))}, {number(slope(mpf(x)))}),")
    print("    ]),")
print("];\n")
print("/// Scores, label, smoothing, floor, the loss, and its gradient in the scores.")
print("pub(crate) type Loss = ([f64; 3], i64, f64, f64, f64, [f64; 3]);\n")
print("/// Losses of three classes.\npub(crate) const LOSSES: &[Loss] = &[")
mp.dps = 400
for scores in SCORES:
    for smoothing in [0, 0.125]:
        for floor in [0, 1e-4]:
            value, slope = loss([mpf(x) for x in scores], 0, smoothing, floor)
            numbers = ", ".join(number(x) for x in slope)
            print(f"    ([{', '.join(number(x) for x in scores)}], 0, {number(smoothing)}, {number(floor)}, {number(value)}, [{numbers}]),")
print("];")
