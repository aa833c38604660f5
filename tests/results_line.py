"""A finished fold, as a line of a results file holds it."""

import copy
from pathlib import Path
from typing import Any

from repro import results

RECORD: dict[str, Any] = {
    "key": "0123456789ab",
    "study": "pooling",
    "variant": "gap",
    "preset": "smoke",
    "experiment": {"protocol": {"average": "pooled", "folds": "speaker", "labels": "hap"}},
    "corpus": {"name": "emodb", "hash": "ba9876543210"},
    "fold": "03",
    "seed": 0,
    "history": [1.4, 1.2],
    "predictions": {
        "utterance": ["03a01Fa", "03a01Wé"],
        "emotion": ["happy", "angry"],
        "neutral": [0.1, 0.7],
        "happy": [0.6, 0.1],
        "sad": [0.2, 0.1],
        "angry": [0.1, 0.1],
    },
    "provenance": {"version": "0.1.0", "precision": "fp32", "seconds": 1.5, "date": "2026-01-01"},
}


def record(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(RECORD) | changes


def file_of(path: Path, *records: dict[str, Any]) -> Path:
    for each in records:
        results.append(path, each)
    return path
