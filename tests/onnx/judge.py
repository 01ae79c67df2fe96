"""Checks ONNX files and runs them: in 32 bits with ONNX Runtime, in 64 bits with ONNX's own evaluator, since the runtime has no
convolution in 64 bits on a CPU. Takes a folder with `NAME.json` for each case; prints for each its name, how far its numbers are
off relative to the largest one, and the most that one is off relative to itself."""

import json
import math
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


class Erf(OpRun):
    """The evaluator's own computes in 32 bits."""

    op_domain = ""

    def _run(self, x):
        return (np.vectorize(math.erf, otypes=[x.dtype])(x),)


class ConvTranspose(OpRun):
    """The evaluator's own has no groups whose filters differ in number from their channels."""

    op_domain = ""

    def _run(self, x, w, dilations=None, group=None, kernel_shape=None, output_padding=None, pads=None, strides=None, **rest):
        top, left, bottom, right = pads
        reach = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(x.shape[2:], strides, kernel_shape, dilations)]
        each, count = x.shape[1] // group, w.shape[1]
        y = np.zeros((x.shape[0], group * count, *(r + p for r, p in zip(reach, output_padding))), x.dtype)
        for g in range(group):
            own, filters = x[:, g * each:(g + 1) * each], w[g * each:(g + 1) * each]
            for i in range(kernel_shape[0]):
                for j in range(kernel_shape[1]):
                    rows = slice(i * dilations[0], i * dilations[0] + (x.shape[2] - 1) * strides[0] + 1, strides[0])
                    columns = slice(j * dilations[1], j * dilations[1] + (x.shape[3] - 1) * strides[1] + 1, strides[1])
                    y[:, g * count:(g + 1) * count, rows, columns] += np.einsum("nchw,cm->nmhw", own, filters[:, :, i, j])
        return (y[:, :, top:y.shape[2] - bottom, left:y.shape[3] - right],)


def values(path, dtype, shape):
    return np.frombuffer(path.read_bytes(), dtype).reshape(shape)


def run(path, model, feed):
    double = any(it.data_type == onnx.TensorProto.DOUBLE for it in model.graph.initializer)
    if double or model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE:
        return ReferenceEvaluator(model, new_ops=[Erf, ConvTranspose]).run(None, feed)[0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0]


folder = pathlib.Path(sys.argv[1])
for case in sorted(folder.glob("*.json")):
    facts = json.loads(case.read_text())
    path = case.with_suffix(".onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 18 and model.producer_name == "sphc" and model.doc_string
    names = [it.name for it in model.graph.input]
    feed = {
        name: values(case.with_suffix(f".{at}"), given["dtype"], given["shape"])
        for at, (name, given) in enumerate(zip(names, facts["inputs"], strict=True))
    }
    with np.errstate(all="ignore"):
        found = np.asarray(run(str(path), model, feed), np.float64)
    wanted = values(case.with_suffix(".wanted"), np.float64, facts["shape"])
    assert found.shape == wanted.shape, f"{case.stem}: {found.shape}, not {wanted.shape}"
    same = (np.isnan(found) & np.isnan(wanted)) | (found == wanted)
    off = np.where(same, 0.0, np.abs(np.where(same, 0.0, found) - np.where(same, 0.0, wanted)))
    finite = np.abs(wanted[np.isfinite(wanted)])
    largest = max(finite.max(initial=0.0), 1e-30)
    each = (off / np.maximum(np.where(np.isfinite(wanted), np.abs(wanted), 1.0), 1e-30)).max(initial=0.0)
    print(json.dumps([case.stem, float(off.max(initial=0.0) / largest), float(each)]))
