"""Runs modules that were written for PyTorch, with the weights beside them, in 32 and in 64 bits. Takes the folder of `judge.py`,
and prints the same."""

import json
import pathlib
import runpy
import sys

import torch

torch.set_num_threads(1)
folder = pathlib.Path(sys.argv[1])
for script in sorted(folder.glob("*.py")):
    names = runpy.run_path(str(script))
    (kind,) = [it for it in names.values() if isinstance(it, type) and it.__module__ == "<run_path>"]
    for form, dtype in (("32", torch.float32), ("64", torch.float64)):
        case = folder / f"{script.stem}.{form}.json"
        facts = json.loads(case.read_text())

        def values(end, dtype, shape):
            raw = bytearray((folder / f"{script.stem}.{form}.{end}").read_bytes())
            return torch.frombuffer(raw, dtype=dtype).reshape(shape)

        model = kind.load(script.with_suffix(".safetensors"), dtype)
        given = [values(at, getattr(torch, it["dtype"]), it["shape"]) for at, it in enumerate(facts["inputs"])]
        torch.set_default_dtype(dtype)
        with torch.no_grad():
            found = model(*given)
        assert found.dtype == dtype, (script.stem, found.dtype)
        wanted = values("wanted", torch.float64, facts["shape"])
        assert found.shape == wanted.shape, (script.stem, found.shape, wanted.shape)
        found = found.double()
        same = (found == wanted) | (found.isnan() & wanted.isnan())
        off = torch.where(same, 0.0, (found - wanted).abs())
        largest = max(wanted[wanted.isfinite()].abs().max().item(), 1e-30)
        each = (off / torch.where(wanted.isfinite(), wanted.abs(), 1.0).clamp(min=1e-30)).max().item()
        print(json.dumps([f"{script.stem}.{form}", off.max().item() / largest, each]))
