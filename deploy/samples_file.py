"""Which samples a deployment saw, one by one: `samples.json`."""

from __future__ import annotations

import json

from torch import Tensor

from .deployment import Deployment, Samples

SAMPLES = "samples.json"


def samples_file(deployment: Deployment, samples: Samples, calibration: Tensor) -> str:
    """The text of the file: places in their splits, from 0, with class and answers of each.

    Args:
        deployment: what was measured.
        samples: what it was measured on.
        calibration: places of those that the quantizer saw, in the training split, (N,).
    """
    forms = {"float": deployment.real, "rounded": deployment.rounded, "chip": deployment.chip}
    content = {
        "schema_version": 1,
        "data": samples.of,
        "measured": {
            "split": samples.split,
            "index": samples.places,
            "label": samples.y.tolist(),
            "answer": {name: answers.predicted for name, answers in forms.items()},
        },
        "calibration": {"split": "training", "index": calibration.tolist()},
    }
    return json.dumps(content) + "\n"
