"""Finished folds, as the lines of a results file hold them."""

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from repro import paper, results
from repro.study import grids

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


def write_results(
    path: Path,
    chances: Mapping[str, float],
    *,
    speakers: int = 10,
    per_emotion: int = 25,
    preset: str = "coarse",
    study_name: str = "pooling",
    corpus: tuple[str, str] = ("emodb", "0123456789ab"),
    **changes: Any,
) -> Path:
    """Write a results file of variants that are right as often as is said."""
    rng = np.random.default_rng(0)
    grid = grids.variants(study_name, preset)
    emotions = np.repeat(np.arange(4), per_emotion)
    for variant, chance in chances.items():
        for speaker in range(speakers):
            right = rng.random(len(emotions)) < chance
            scores = np.eye(4)[np.where(right, emotions, (emotions + 1) % 4)]
            predictions: dict[str, list[Any]] = {
                "utterance": [f"{speaker:02d}u{n}" for n in range(len(emotions))],
                "emotion": [paper.EMOTIONS[e] for e in emotions],
            }
            predictions |= {name: scores[:, n].tolist() for n, name in enumerate(paper.EMOTIONS)}
            made = {
                "key": grid[variant].experiment.key,
                "study": study_name,
                "variant": variant,
                "preset": preset,
                "experiment": json.loads(json.dumps(asdict(grid[variant].experiment))),
                "corpus": {"name": corpus[0], "hash": corpus[1]},
                "fold": f"{speaker:02d}",
                "seed": 0,
                "history": [1.0],
                "predictions": predictions,
                "provenance": {"precision": "fp32", "statistics": "exact", "seconds": 1.0},
            }
            results.append(path, made | changes)
    return path
