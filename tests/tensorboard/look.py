"""Prints what TensorBoard shows of a run directory beside numbers: its histograms, pictures, graph and table of runs, as JSON."""

import json
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

# All of them, not a sample.
found = EventAccumulator(sys.argv[1], size_guidance={"histograms": 0, "images": 0, "scalars": 0})
found.Reload()
tags = found.Tags()


def value(it):
    return getattr(it, it.WhichOneof("kind"))


settings = {}
try:
    hparams = found.PluginTagToContent("hparams")
except KeyError:
    hparams = {}
for tag, content in hparams.items():
    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    if data.WhichOneof("data") == "experiment":
        settings["infos"] = {it.name: it.type for it in data.experiment.hparam_infos}
        settings["metrics"] = [it.name.tag for it in data.experiment.metric_infos]
    elif data.WhichOneof("data") == "session_start_info":
        settings["values"] = {name: value(it) for name, it in data.session_start_info.hparams.items()}
    else:
        settings["status"] = data.session_end_info.status

graph = []
if tags["graph"]:
    for node in found.Graph().node:
        (shape,) = node.attr["_output_shapes"].list.shape
        graph.append([node.name, node.op, list(node.input), [it.size for it in shape.dim]])

print(json.dumps({
    "histograms": {
        tag: [
            [it.step, it.histogram_value.num, it.histogram_value.sum, it.histogram_value.min, it.histogram_value.max,
             sum(it.histogram_value.bucket), it.histogram_value.bucket_limit[-1]]
            for it in found.Histograms(tag)
        ]
        for tag in tags["histograms"]
    },
    # Width and height as they are told, and as the picture itself has them.
    "images": {
        tag: [
            [it.step, it.width, it.height, *struct.unpack(">II", it.encoded_image_string[16:24])]
            for it in found.Images(tag)
        ]
        for tag in tags["images"]
    },
    "graph": graph,
    "settings": settings,
}))
