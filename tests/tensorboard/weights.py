"""Prints every tensor of a safetensors file, as safetensors' own loader reads it: {name: [shape, numbers]}."""

import json
import sys

from safetensors import safe_open

with safe_open(sys.argv[1], framework="numpy") as file:
    assert file.metadata()["format"] == "pt"
    tensors = {name: file.get_tensor(name) for name in file.keys()}
print(json.dumps({name: [it.shape, it.astype("float64").ravel().tolist()] for name, it in tensors.items()}))
