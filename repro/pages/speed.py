"""The page "How fast, and why": what `repro bench` measured, and how long the tables would take."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Markdown

from repro import bench, metrics, paper, results, study
from repro.pages import wording
from repro.spectrogram import segment_count

RUN = ["preset", "variant", "fold", "seed"]
STEPS = {
    "textbook": "the usual loop",
    "channels last": "+ channels last",
    "memory kept": "+ memory kept",
    "bfloat16": "+ bfloat16",
    "network": "+ network of this book",
    "repro": "the trainer",
    "compiled": "the trainer, compiled",
    "not compiled": "the trainer, not compiled",
}


def benchmarks(folder: Path) -> dict[str, dict[str, Any]]:
    """Read what `repro bench --json` found on each machine, by the file's name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def measured_on(machines: dict[str, dict[str, Any]]) -> Markdown:
    """Say what was measured on."""
    if not machines:
        return Markdown("> Nothing has been measured yet: `repro bench --json`.")
    return Markdown(
        "\n".join(
            "- **{name}**: {device}, {threads} threads, {precision}, torch {torch}".format(
                name=name, **found["machine"]
            )
            for name, found in machines.items()
        )
    )


def rates(machines: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Set the usual ways and ours side by side, with the share of the machine's limit reached."""
    frames = [bench.rates(found).assign(machine=name) for name, found in machines.items()]
    columns = ["machine", *bench.RATES]
    return pd.concat(frames)[columns] if frames else pd.DataFrame(columns=columns)


def front_end(machines: dict[str, dict[str, Any]]) -> Markdown:
    """Say how much faster than librosa the front end is, and could be, on test segments."""
    lines = []
    for machine, found in machines.items():
        test = found["front_end"]["test"]
        lines.append(
            f"- On **{machine}** the front end makes test segments {test['ratio']:.1f} times as "
            f"fast as librosa; if the transforms were all, it would be "
            f"{test['transforms'] / test['librosa']:.1f} times as fast."
        )
    return Markdown("\n".join(lines))


def steps(machines: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Give the speed of training after each step from the usual loop to the trainer."""
    rows = []
    for machine, found in machines.items():
        train = found["train"]
        for name in STEPS:
            if name in train:
                low, high = train["spread"][name]
                rows.append((machine, STEPS[name], train[name], f"{low:.1f} to {high:.1f}"))
    return pd.DataFrame(rows, columns=["machine", "step", "segments per second", "spread"])


def precisions(*files: Path) -> pd.DataFrame | None:
    """Compare poolings that were trained in float32 and in bfloat16, on the same folds.

    Returns:
        A row per pooling and score, with a column for each precision and seed, and the difference
        that bfloat16 makes on the seeds that have both. None if no pooling has both.
    """
    rows = []
    for (_, model), predictions in _runs(files).groupby(["preset", "variant"]):
        both = _on_common_seeds(predictions)
        if both["precision"].nunique() < 2:
            continue
        both = both.assign(variant=both["precision"])
        columns = {
            f"{precision}, seed {seed}": metrics.summary(of).iloc[0]
            for (precision, seed), of in predictions.groupby(["precision", "seed"], sort=False)
        }
        for score in ("WA", "UA"):
            shown = {
                name: wording.number(*of[[score, f"{score} low", f"{score} high"]])
                for name, of in columns.items()
            }
            makes = wording.difference(*metrics.difference(both, "bf16", "fp32", score))
            rows.append({"model": model, "score": score} | shown | {"bf16 − fp32": makes})
    return pd.DataFrame(rows) if rows else None


def gain_by_precision(*files: Path) -> Markdown | None:
    """Give what attention gains over GAP in each precision, on the seeds that both have.

    None if the two poolings were not trained in two precisions.
    """
    pairs = _runs(files)
    pairs = _on_common_seeds(pairs[pairs["variant"].isin(("attention", "gap"))])
    of = {key: rows for key, rows in pairs.groupby(["precision", "variant"])}
    if len(of) < 4:
        return None
    found = {
        name: " and ".join(
            f"{wording.difference(*metrics.contrast(*sides, score))} points of {score}"
            for score in ("WA", "UA")
        )
        for name, sides in {
            "bf16": ([of["bf16", "attention"]], [of["bf16", "gap"]]),
            "fp32": ([of["fp32", "attention"]], [of["fp32", "gap"]]),
            "apart": (
                [of["bf16", "attention"], of["fp32", "gap"]],
                [of["bf16", "gap"], of["fp32", "attention"]],
            ),
        }.items()
    }
    corpus, preset = pairs[["corpus", "preset"]].iloc[0]
    seeds = wording.many(pairs["seed"].nunique(), "seed")
    return Markdown(
        f"In another arithmetic (preset {preset}, {seeds} that both have), attention − GAP on "
        f"{wording.title(corpus)} is {found['fp32']} in float32, and {found['bf16']} in bfloat16. "
        f"The second minus the first is {found['apart']}."
    )


def _runs(files: Sequence[Path]) -> pd.DataFrame:
    """Read what results files hold of the poolings, with the precision of each training."""
    found = [results.read(path, study={"pooling"}) for path in files if path.is_file()]
    runs = [data.predictions.merge(data.folds[[*RUN, "precision"]], on=RUN) for data in found]
    return pd.concat([pd.DataFrame(columns=[*RUN, "precision"]), *runs])


def _on_common_seeds(predictions: pd.DataFrame) -> pd.DataFrame:
    """Keep the seeds that every pooling and precision has."""
    seeds = [set(of["seed"]) for _, of in predictions.groupby(["variant", "precision"])]
    return predictions[predictions["seed"].isin(set.intersection(*seeds) if seeds else ())]


def several(machines: dict[str, dict[str, Any]]) -> Markdown:
    """Say what it brings to train several networks at once."""
    return Markdown(
        "\n".join(
            f"- On **{machine}** networks of one shape, trained at once so that their convolutions "
            f"become one with groups (`torch.func`), take {1 / found['several']['ratio']:.1f} "
            "times as long as in turn."
            for machine, found in machines.items()
        )
    )


def needs(machines: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Give the peak memory of a fold of IEMOCAP's size, and how time grows with data."""
    columns = [
        *("machine", "memory, GB", "if there is plenty, GB", "GPU memory, GB"),
        *(f"seconds at {times}×" for times in bench.SCALES),
        "slope",
    ]
    rows = [
        (
            machine,
            found["memory"]["resident_gb"],
            found["memory"]["resident_kept_gb"],
            found["memory"]["device_gb"] or math.nan,  # there is no GPU
            *(found["scaling"][f"{times}x"] for times in bench.SCALES),
            found["scaling"]["slope"],
        )
        for machine, found in machines.items()
    ]
    return pd.DataFrame(rows, columns=columns)


def answer(machines: dict[str, dict[str, Any]]) -> Markdown:
    """Say how long the paper's tables take, extrapolated from the measured rates."""
    training_segments = sum(
        count * segment_count(round(seconds * paper.SAMPLE_RATE), paper.TRAIN_HOP_SECONDS)
        for seconds, count in bench.LENGTHS.items()
    )
    lines = [] if machines else ["Not known yet."]
    for machine, found in machines.items():
        epochs, folds = paper.EPOCHS, paper.FOLDS
        steps = training_segments * (folds - 1) / folds * epochs * folds
        table = len(paper.TABLE_1) * steps / found["train"]["repro"] / 3600
        mean = statistics.mean(1 / row["repro"] for row in found["sweep"].values())
        shapes = len(study.variants("filter-shapes", "paper"))
        figure = shapes * steps * mean / 3600
        train = found["train"]
        halved = ""
        if "bfloat16" in train:
            gain = train["bfloat16"] / train["memory kept"]
            halved = f", {gain:.1f} times of it by bfloat16, where the usual loop has float32"
        lines.append(
            f"On **{machine}** the trainer is {train['ratio']:.1f} times as fast as the "
            f"usual loop{halved}. On a corpus of IEMOCAP's size, {table:,.0f} hours would be "
            f"needed to train all networks of the paper's Table 1, and {figure:,.0f} hours for "
            "those of its Fig. 2: both extrapolated from the rates above, neither run."
        )
    return Markdown("\n\n".join(lines))
