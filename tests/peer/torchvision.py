#!/usr/bin/env python3
"""Networks of torchvision, with its own weights' names, in the models of `models/zoo` through the maps that come with sphc.

Weights are random (of batch normalisation its statistics as well), in f64; images are noise of the network's own size. Compared are the
probabilities of all 1000 classes between torchvision's network in evaluation and `sphc predict --weights-map`, and that `train --init
--init-map` takes every tensor. What `torch.save` writes is refused with Python that mends it, and that is run. PyTorch and torchvision are
installed from PyPI into `target/torch` (or `SPHC_TORCH`) where they are missing.

    tests/peer/torchvision.py                  all maps, with target/release/sphc
    tests/peer/torchvision.py resnet18 --sphc target/debug/sphc
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOUND = 1e-10
IMAGES = 2
# torchvision's name, and the model of the zoo.
NETWORKS = {it: it for it in ("alexnet", "resnet18", "resnet50", "vgg16")} | {"squeezenet1_1": "squeezenet"}


def with_torch():
    """Starts this script again where PyTorch is, if it is not here."""
    try:
        import numpy, safetensors, torch, torchvision  # noqa: F401, E401
    except ImportError:
        folder = pathlib.Path(os.environ.get("SPHC_TORCH", ROOT / "target" / "torch"))
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
        # Does nothing where all are there.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch", "torchvision", "numpy", "safetensors"], check=True)
        if pathlib.Path(sys.prefix) == folder.resolve():
            raise
        os.execv(python, [python, *sys.argv])


# This file has the name of the package, and would be found first.
sys.path = [it for it in sys.path if pathlib.Path(it or ".").resolve() != ROOT / "tests/peer"]
with_torch()
import numpy as np
import safetensors.torch
import torch
import torchvision
from PIL import Image

torch.set_default_dtype(torch.float64)


def run(sphc, folder, *words, status=0):
    done = subprocess.run([sphc, *words], cwd=folder, capture_output=True, text=True)
    if done.returncode != status:
        sys.exit(f"sphc {' '.join(map(str, words))}:\n{done.stderr}")
    return done


def randomised(network, generator):
    """Weights that keep their input's size, and scores that leave every class a probability."""
    with torch.no_grad():
        for name, it in network.state_dict().items():
            noise = torch.randn(it.shape, generator=generator)
            if name.endswith("num_batches_tracked"):
                continue
            if it.dim() == 1:
                it.copy_(1 + 0.2 * noise if name.endswith(("weight", "running_var")) else 0.1 * noise)
                if name.endswith("running_var"):
                    it.abs_().add_(0.1)
            else:
                it.copy_(noise * (2 / it[0].numel()) ** 0.5)


def compare(name, sphc):
    generator = torch.Generator().manual_seed(7)
    network = getattr(torchvision.models, name)(weights=None).double().eval()
    randomised(network, generator)
    model = ROOT / "models" / "zoo" / f"{NETWORKS[name]}.sph"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        images = torch.randint(0, 256, (IMAGES, 224, 224, 3), generator=generator, dtype=torch.uint8)
        for at, it in enumerate(images.numpy()):
            Image.fromarray(it).save(folder / f"{at}.png")
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        # The constants of torchvision in bytes, as they are rounded in the model's text.
        text = model.read_text()
        shift, scale = (torch.tensor(json.loads(it)) for it in re.search(r"\(image - (\[.*?\])\) / (\[.*?\])", text).groups())
        assert (shift / 255 - mean).abs().max() < 1e-9 and (scale / 255 - deviation).abs().max() < 1e-9
        with torch.no_grad():
            ready = ((images.double() / 255 - mean) / deviation).permute(0, 3, 1, 2)
            scores = network(ready)
            # Scores of a network of noise are large; a factor of the last layer makes probabilities of them.
            last = [it for it in network.modules() if hasattr(it, "weight") and it.weight is not None and it.weight.dim() > 1][-1]
            factor = 2 / scores.std()
            last.weight *= factor
            if last.bias is not None:
                last.bias *= factor
            scores = network(ready)
            wanted = scores.softmax(1).numpy()
        state = {key: it.contiguous() for key, it in network.state_dict().items()}
        safetensors.torch.save_file(state, folder / "w.safetensors")
        words = ["--precision", "f64", "--device", "cpu"]
        found = run(sphc, folder, "predict", model, "--weights", "w.safetensors", "--weights-map", f"torchvision/{name}",
                    "--top", "1000", "--format", "json", *words, *(f"{at}.png" for at in range(IMAGES)))
        probabilities = np.zeros((IMAGES, 1000))
        for row, line in zip(probabilities, found.stdout.splitlines(), strict=True):
            for it in json.loads(line)["classes"]:
                row[int(it["class"])] = it["probability"]
        gap = np.abs(np.log(probabilities) - np.log(wanted)).max()
        spread = scores.max().item() - scores.min().item()

        # A training starts from them, and says what of them does not fit other classes.
        labels = np.arange(10)
        noise = np.random.default_rng(7).integers(0, 256, (10, 224, 224, 3), dtype=np.uint8)
        np.savez(folder / "ten.npz", x_train=noise, y_train=labels, x_test=noise[:2], y_test=labels[:2])
        told = run(sphc, folder, "train", model, "--data", "ten.npz", "--init", "w.safetensors", "--init-map", f"torchvision/{name}",
                   "--batch", "2", "--iterations", "1", "--device", "cpu", "--format", "json", "--run", "run")
        init = json.loads(told.stdout.splitlines()[0])
        learned = [key for key in state if not key.endswith("num_batches_tracked")]
        last_layer = [it for it in init["other"] if "`score/" in it]
        whole = init["missed"] == init["left"] == [] and init["other"] == last_layer and len(init["taken"]) + len(last_layer) == len(learned)
        count = len(init["taken"])

        if name == "resnet18":
            refused(sphc, folder, model, state)
    verdict = "agrees" if gap < BOUND and whole else "DIFFERS"
    print(f"{name:14} scores that span {spread:.0f} differ by {gap:.1e}; a training of 10 classes takes {count} of {len(learned)} tensors: {verdict}", flush=True)
    if not whole:
        print(init)
    return verdict == "agrees"


def refused(sphc, folder, model, state):
    """What `torch.save` wrote, of today and of before version 1.6, is told; what the message says writes the same tensors."""
    for form, zipped in (("new.pth", True), ("old.pt", False)):
        torch.save(state, folder / form, _use_new_zipfile_serialization=zipped)
        said = run(sphc, folder, "predict", model, "--weights", form, "0.png", status=1).stderr
        assert "PyTorch's own format" in said, said
        script = re.search(r"(    +import torch.*)", said, re.S)[1]
        script = "\n".join(it.strip() for it in script.splitlines())
        subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
        written = safetensors.torch.load_file((folder / form).with_suffix(".safetensors"))
        assert all(torch.equal(written[key], it) for key, it in state.items()), form


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"one or more of {', '.join(NETWORKS)}; all without any")
    parser.add_argument("--sphc", default=ROOT / "target" / "release" / "sphc", type=pathlib.Path)
    asked = parser.parse_args()
    results = [compare(it, asked.sphc.resolve()) for it in asked.networks or NETWORKS]
    print(f"torchvision {torchvision.__version__}, PyTorch {torch.__version__}")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
