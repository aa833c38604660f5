"""The page "What the paper left open", and every table of sentences with several readings."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from IPython.display import Markdown

from repro.config import READINGS


def readings(*fields: str) -> pd.DataFrame:
    """List the sentences that can be read in more than one way, for fields with these starts.

    Without any start it lists them all.
    """
    chosen = [r for r in READINGS if r.field.startswith(fields or "")]
    return pd.DataFrame(
        {
            "field": [r.field for r in chosen],
            "section": [r.section for r in chosen],
            "the paper says": [r.says for r in chosen],
            "here": [r.default for r in chosen],
            "could also be": ["; ".join(text for _, text in r.alternatives) for r in chosen],
        }
    )


def choices() -> Markdown:
    """List every reading, with the command-line setting that takes each of the others."""
    lines = []
    for reading in READINGS:
        others = "; ".join(
            f"{text} (`--set {assignment(reading.field, value)}`)"
            for value, text in reading.alternatives
        )
        lines.append(
            f"- **Section {reading.section}, `{reading.field}`.** The paper says: {reading.says}. "
            f"Here: {reading.default}. Or else: {others}."
        )
    return Markdown("\n".join(lines))


def assignment(field: str, value: Any) -> str:
    """Write a field and its value as `--set` takes them."""
    if isinstance(value, tuple):
        value = ",".join(str(part) for part in value)
    return f"{field}={str(value).lower() if isinstance(value, bool) else value}"


def answer() -> Markdown:
    """Count the decisions and the experiments that they allow."""
    choices = [1 + len(reading.alternatives) for reading in READINGS]
    return Markdown(
        f"{len(READINGS)} places leave a choice. Taken together they allow {math.prod(choices):,} "
        "different experiments, more than anyone will run: the study `readings` changes one choice "
        "at a time."
    )
