"""Writes the tensors of the file named first, but for averages, as other programs do, to the file named second."""

import json
import sys

with open(sys.argv[1], "rb") as file:
    header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    data = file.read()
kept, out = {}, b""
for name, it in header.items():
    if name != "__metadata__" and not name.endswith("/average"):
        start, end = it["data_offsets"]
        kept[name] = it | {"data_offsets": [len(out), len(out) + end - start]}
        out += data[start:end]
text = json.dumps(kept).encode()
with open(sys.argv[2], "wb") as file:
    file.write(len(text).to_bytes(8, "little") + text + out)
