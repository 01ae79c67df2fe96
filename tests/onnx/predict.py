"""How far probabilities of exported files are off those that `sphc predict` printed, one line a file."""

import json

import numpy as np
import onnxruntime

pixels = np.array(json.load(open("pictures.json")), np.uint8).reshape(-1, 8, 8, 1)
predicted = [json.loads(it)["classes"] for it in open("predicted.json")]
for name in ("plain.onnx", "folded.onnx"):
    session = onnxruntime.InferenceSession(name)
    facts = session.get_modelmeta().custom_metadata_map
    names, size = json.loads(facts["classes"]), json.loads(facts["image"])
    images = pixels
    for step in json.loads(facts["steps"]):
        by = int(step[step.index("(") + 1:-1])
        images = {
            "pad": lambda it: np.pad(it, [(0, 0), (by, by), (by, by), (0, 0)]),
            "channels": lambda it: np.repeat(it, by, axis=3),
        }[step.split("(")[0]](images)
    assert list(images.shape[1:]) == size, (images.shape, size)
    scores = session.run(["scores"], {"images": images})[0].astype(np.float64)
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    likely /= likely.sum(axis=1, keepdims=True)
    wanted = [{it["class"]: it["probability"] for it in row} for row in predicted]
    print(max(abs(likely[at, names.index(name)] - p) for at, row in enumerate(wanted) for name, p in row.items()))
