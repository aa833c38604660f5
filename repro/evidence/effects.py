"""What each change does to WA and UA, for the studies `readings` and `protocol`.

A change is compared with the default on the same speakers: they are what a bootstrap may draw,
since utterances of one speaker are not independent (`evidence.metrics`). Who speaks an utterance is
what the default's folds say. So changes that hold out something else than speakers (a random tenth,
a session, a wrong name) are still paired with the default, utterance by utterance. Where a change
tests other utterances (short ones left out, excited ones counted as happy) the difference is that
of the two numbers that would be reported, on the same speakers. A change that speaks of utterances
whose speaker the default does not tell, as where only a few folds are run, has a difference but no
interval; nor has any change where the default's own folds are not speakers.

With one seed, differences hold what the initial weights of each fold happen to do as well. Where
folds are speakers, every speaker meets weights of its own, and the interval accounts for that.
Where a change mixes speakers in its folds, many share the luck of one training: its interval is
somewhat too narrow, and a note says so.
"""

import numpy as np
import pandas as pd
from scipy import stats

from repro.errors import ReproError
from repro.evidence import metrics
from repro.study.grids import known

WHAT = ("", " effect", " effect low", " effect high", " p")
TABLE_COLUMNS = [
    *("variant", "against"),
    *(f"{score}{what}" for score in metrics.ACCURACIES for what in WHAT),
    *("utterances", "speakers", "seeds", "note"),
]
NARROW = ["corpus", "preset", "variant", *TABLE_COLUMNS[2:-3]]  # what a terminal has room for
ALPHA = 1 - metrics.LEVEL


def table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the effect of every change on WA and UA, the most influential first.

    p-values are two-sided, from a t-test with the bootstrap's standard error, and corrected by
    Holm's method over all that the table holds, WA and UA alike. Intervals are not corrected: of
    twenty without a true effect, one lies off 0.

    Args:
        predictions: of one study, corpus and preset: `repro.results.read(...).predictions`.

    Returns:
        A row per change, with variant, against (what it is compared with), WA, UA (per cent), and
        for each of them `effect`, `effect low`, `effect high` (points) and `p`; utterances,
        speakers, seeds, note.

    Raises:
        ReproError: there are several corpora or presets, or settings of one variant.
    """
    settings = predictions[
        ["corpus", "corpus_hash", "preset", "variant", "average", "key"]
    ].drop_duplicates()
    if settings["variant"].duplicated().any():
        raise ReproError(
            "predictions of more than one corpus, preset or setting of a variant: choose one "
            "(`repro results check` lists what a file holds)"
        )
    grid = known(predictions["study"].iloc[0])
    against = {name: variant.against for name, variant in grid.items() if variant.against}
    by_variant = dict(list(predictions.groupby("variant", sort=False)))
    of_all = max(map(metrics.speakers, by_variant.values()), default=0)
    rows = []
    for variant, changed in by_variant.items():
        default = by_variant.get(against.get(variant))
        if default is not None:
            pair = _in_both(changed, default)
            if not pair[0].empty:
                rows.append(_row(variant, against[variant], *pair, of_all))
    found = pd.DataFrame(rows, columns=TABLE_COLUMNS)
    columns = [f"{score} p" for score in metrics.ACCURACIES]
    chances = found[columns].to_numpy(float, copy=True)
    chances[np.isfinite(chances)] = metrics.holm(chances[np.isfinite(chances)])
    found[columns] = chances
    strength = found[[f"{score} effect" for score in metrics.ACCURACIES]].abs().max(axis=1)
    order = strength.sort_values(ascending=False, kind="stable").index
    return found.loc[order].reset_index(drop=True)


def beside_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return `metrics.beside_paper` with the columns of `table`, for every corpus and preset.

    What is compared with comes first, then the changes from the most influential on.

    Raises:
        ReproError: there are several settings of one variant.
    """
    found = [
        table(group).assign(corpus=corpus, preset=preset)
        for (corpus, preset), group in predictions.groupby(["corpus", "preset"], sort=False)
    ]
    shared = ["corpus", "preset", "variant"]
    added = [name for name in TABLE_COLUMNS if " " in name or name in ("against", "note")]
    changed = pd.concat(found, ignore_index=True)[[*shared, *added]]
    rows = metrics.beside_paper(predictions)
    rows = rows.merge(changed.assign(place=changed.index), how="left", on=shared)
    rows = rows.sort_values("place", kind="stable", na_position="first", ignore_index=True)
    return rows.drop(columns="place")


def _in_both(changed: pd.DataFrame, default: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the seeds that both have and, where folds are speakers, the folds of each seed."""
    unit = ["seed"]
    if metrics.speakers(changed) and metrics.speakers(default):
        unit = ["seed", "fold"]  # as long as a study runs, one has more of them
    of_changed, of_default = (pd.MultiIndex.from_frame(each[unit]) for each in (changed, default))
    return changed[of_changed.isin(of_default)], default[of_default.isin(of_changed)]


def _row(
    variant: str, against: str, changed: pd.DataFrame, default: pd.DataFrame, of: int
) -> tuple[object, ...]:
    """Return the row of a change; some variant was tested on `of` speakers."""
    speakers, scores = metrics.speakers(default), slice(len(metrics.ACCURACIES))
    paired = _on_speakers_of(default, changed)
    values, draws = metrics.bootstrap(changed if paired is None else paired)
    default_values, default_draws = metrics.bootstrap(default)
    notes = [_other_utterances(set(changed["utterance"]), set(default["utterance"]))]
    if speakers < of:
        notes.append(f"on {speakers} of {of} speakers, as the others have no scores")
    if not speakers:
        notes.append("the default's folds are not speakers: no interval")
    elif paired is None:
        notes.append("not on the same speakers: no interval")
    elif not metrics.speakers(changed) and speakers >= metrics.FEWEST_SPEAKERS:
        notes.append("its speakers share the luck of a training: the interval is too narrow")
    effects = (values - default_values)[scores]
    limits, p = np.full((len(effects), 2), np.nan), np.full(len(effects), np.nan)
    if paired is not None and speakers >= metrics.FEWEST_SPEAKERS:
        gains = (draws - default_draws)[:, scores]  # the same speakers and seeds in each draw
        limits = metrics.percentile_limits(gains, speakers).T
        p = 2 * stats.t.sf(np.abs(metrics.t_values(effects, gains, speakers)), speakers - 1)
    numbers = np.column_stack([values[scores], effects, limits, p])  # [scores, WHAT]
    counts = changed["utterance"].nunique(), speakers, changed["seed"].nunique()
    return variant, against, *numbers.ravel(), *counts, "; ".join(filter(None, notes))


def _other_utterances(tested: set[str], by_default: set[str]) -> str:
    """Return how the utterances that a change is tested on differ from the default's."""
    if tested == by_default:
        return ""
    shared, more = tested & by_default, len(tested - by_default)
    others = f" and {more} others" if more else ""
    return f"tested on {len(shared)} of the default's {len(by_default)} utterances{others}"


def _on_speakers_of(default: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame | None:
    """Return a change's predictions with the default's speakers for folds; None if not possible."""
    speaker = default.drop_duplicates("utterance").set_index("utterance")["fold"]
    known = changed["utterance"].map(speaker)
    moved = known.notna() & (known != changed["fold"])
    if known.notna().all():
        if moved.any() and changed["average"].iloc[0] == "folds":
            return None  # it is folds that are averaged, and they are not speakers
        paired = changed.assign(fold=known)
    elif set(speaker.index) <= set(changed["utterance"]) and not moved.any():
        paired = changed  # further utterances of the same speakers
    else:
        return None
    return paired if metrics.units_of(paired) == metrics.units_of(default) else None
