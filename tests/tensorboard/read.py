"""Prints every scalar that TensorBoard finds in a run directory: one [tag, step, value] a line."""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

found = EventAccumulator(sys.argv[1])
found.Reload()
for tag in found.Tags()["scalars"]:
    for it in found.Scalars(tag):
        print(json.dumps([tag, it.step, it.value]))
