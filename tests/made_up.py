"""Results of made-up networks: predictions, as `results.read` gives them, and lines of a file."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repro import paper, results
from repro.study import grids

EMOTIONS = list(paper.EMOTIONS)
OTHER = dict(zip(EMOTIONS, [*EMOTIONS[1:], EMOTIONS[0]], strict=True))
RUN = {"study": "pooling", "variant": "gap", "key": "k", "seed": 0, "preset": "paper"}
RUN |= {"corpus": "emodb", "corpus_hash": "0", "average": "pooled", "held_out": "speaker"}
FP32 = {"precision": "fp32", "statistics": "exact", "seconds": 1.0}
# Of being right: for all emotions, or for each; or which rows of the utterances are right.
Chance = float | Mapping[str, float] | Callable[[pd.DataFrame], Any]


def utterances(
    speakers: int = 10, per_emotion: int = 20, emotions: Sequence[str] = EMOTIONS
) -> pd.DataFrame:
    """A row for each utterance: speaker (as `fold`), emotion, which of them, and a name."""
    of = product([f"{n:02d}" for n in range(speakers)], emotions, range(per_emotion))
    table = pd.DataFrame(of, columns=["fold", "emotion", "number"])
    return table.assign(utterance=table.index.astype(str))


def answers(table: pd.DataFrame, right: Any, **run: Any) -> pd.DataFrame:
    """The utterances with the predictions of one run, where wrong of the next emotion."""
    predicted = table["emotion"].where(right, table["emotion"].map(OTHER))
    return table.assign(predicted=predicted, **(RUN | run))


def predictions(
    table: pd.DataFrame,
    chances: Mapping[str, Chance],
    *,
    seeds: int = 1,
    rng: Any = 0,
    ease: np.ndarray | float = 0.0,
    **run: Any,
) -> pd.DataFrame:
    """The predictions of variants that are right as often as is said, each trained so often.

    From a generator every run draws anew; from a seed all draw alike, so that equal chances give
    equal answers. What `ease` says is added to the chances, row by row.
    """
    parts = []
    for seed, (variant, chance) in product(range(seeds), chances.items()):
        if callable(chance):
            right = chance(table)
        else:
            each = table["emotion"].map(chance) if isinstance(chance, Mapping) else chance
            right = np.random.default_rng(rng).random(len(table)) < each + ease
        of = {"variant": variant, "key": f"key of {variant}", "seed": seed}
        parts.append(answers(table, right, **(of | run)))
    return pd.concat(parts, ignore_index=True)


# Lines of a file ---------------------------------------------------------------------------------

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
    "provenance": {
        "version": "0.1.0",
        "precision": "fp32",
        "statistics": "torch",
        "seconds": 1.5,
        "date": "2026-01-01",
    },
}


def record(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(RECORD) | changes


def file_of(path: Path, *records: dict[str, Any]) -> Path:
    for each in records:
        results.append(path, each)
    return path


def write_results(
    path: Path,
    chances: Mapping[str, Chance],
    *,
    speakers: int = 10,
    per_emotion: int = 25,
    seeds: int = 1,
    preset: str = "coarse",
    study_name: str = "pooling",
    corpus: tuple[str, str] = ("emodb", "0123456789ab"),
    **changes: Any,
) -> Path:
    """Add the folds of `predictions` to a results file."""
    grid = grids.variants(study_name, preset)
    table = utterances(speakers, per_emotion)
    made = predictions(table, chances, seeds=seeds, rng=np.random.default_rng(0))
    for (seed, variant, fold), rows in made.groupby(["seed", "variant", "fold"], sort=False):
        scores = {name: (rows["predicted"] == name).astype(float) for name in EMOTIONS}
        of = grid[variant].experiment
        line = {"key": of.key, "study": study_name, "variant": variant, "preset": preset}
        line |= {"experiment": asdict(of), "fold": fold, "seed": seed, "history": [1.0]}
        line |= {"corpus": dict(zip(("name", "hash"), corpus, strict=True)), "provenance": FP32}
        line["predictions"] = rows[["utterance", "emotion"]].assign(**scores).to_dict("list")
        results.append(path, line | changes)
    return path
