"""How far probabilities of the module `exported.py`, with the weights named first, are off those that `sphc predict` printed."""

import json
import runpy
import sys

import torch

names = runpy.run_path("exported.py")
(kind,) = [it for it in names.values() if isinstance(it, type) and it.__module__ == "<run_path>"]
model = kind.load(sys.argv[1])
pixels = torch.tensor(json.load(open("pictures.json")), dtype=torch.uint8).reshape(-1, 8, 8, 1)
if "padded" in sys.argv[1]:
    pixels = torch.nn.functional.pad(pixels, (0, 0, 2, 2, 2, 2)).repeat(1, 1, 1, 3)
with torch.no_grad():
    likely = model(pixels).double().softmax(dim=1)
wanted = [{it["class"]: it["probability"] for it in json.loads(row)["classes"]} for row in open("predicted.json")]
print(max(abs(likely[at, kind.CLASSES.index(name)].item() - p) for at, row in enumerate(wanted) for name, p in row.items()))
