"""The verdict board of the first page: each claim of the paper, and what each corpus says of it."""

import html
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from IPython.display import HTML

from repro import config, paper, results
from repro.corpora import BUILT_IN, CORPORA
from repro.errors import ReproError
from repro.evidence import claims, learning, metrics, parts
from repro.report import plots
from repro.report.pages import common, poolings, wording
from repro.results import Results
from repro.study import grids

MAIN = "attention-above-gap"
PAGES = {"filter-shapes": "02_filter_shapes", "pooling": "03_pooling"}
GAINS = [f"attention − gap, {score}" for score in metrics.ACCURACIES]  # columns of `overview`
SENTENCES = {
    "supported": "attention pooling does better than a plain average, as the paper claims",
    "contradicted": "attention pooling does worse than a plain average in {scores}",
    "undecided": "attention pooling is not shown to beat a plain average, nor to lose to it",
}
BEGIN = {
    frozenset({"supported"}): "Yes",
    frozenset({"contradicted"}): "No",
    frozenset({"undecided"}): "Undecided",
    frozenset({"contradicted", "undecided"}): "Not confirmed",
}
CLOSE = 0.05  # an exact p from which on a definite verdict is a close call
INEXACT = "precision == 'bf16' or statistics == 'torch'"  # of predictions and folds


class Evidence(NamedTuple):
    """What results that were made alike say of every claim."""

    corpus: str
    preset: str
    inexact: Collection[str]  # studies with trainings in bfloat16 or with torch's batch statistics
    few: str  # how many of the filter shapes were tried, if not all
    verdicts: dict[str, claims.Verdict]  # by the claim's identifier


def gathered(found: Mapping[str, Results], results_file: str | None) -> Results:
    """Return what claims are judged by, of all corpora and presets at hand.

    That is of the studies that a page has found, by name, and of a results file, if there is one,
    which may hold the same studies on other corpora and with other presets.
    """
    read = results.tables([])
    if results_file is not None and Path(results_file).is_file():
        read = results.read(results_file, study=set(PAGES))
    shown = {(run.corpus, run.preset) for data in found.values() for run in data.folds.itertuples()}
    for name in ("folds", "history", "predictions"):
        table = getattr(read, name)
        others = [run not in shown for run in zip(table["corpus"], table["preset"], strict=True)]
        every = [*(getattr(data, name) for data in found.values()), table.loc[others]]
        read = read._replace(**{name: pd.concat([t for t in every if len(t)] or every)})
    return read


def real(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions on real speech under presets that are made to test claims."""
    showcases = filter(common.is_showcase, set(predictions["preset"]))
    return predictions[
        ~(predictions["corpus"].isin(BUILT_IN) | predictions["preset"].isin([*showcases]))
    ]


def evidence(predictions: pd.DataFrame) -> list[Evidence]:
    """Return the verdicts of each corpus of real speech and preset that is made to test claims."""
    predictions = real(predictions)
    found = []
    states = ["corpus", "corpus_hash", "preset"]
    for (corpus, _, preset), rows in claims.deciding(predictions).groupby(states, sort=False):
        verdicts = {verdict.claim.id: verdict for verdict in claims.judge(rows)}
        inexact = rows.query(INEXACT)["study"].unique()
        few = _few(rows, preset)
        found.append(Evidence(corpus, preset, inexact, few, verdicts))
    return sorted(found, key=lambda of: (not of_paper(of.preset), of.preset))


def of_paper(preset: str) -> bool:
    """Return whether a preset has the paper's own network, if perhaps under other readings."""
    return config.parted(config.shortest(preset))[0] == "paper"


def _few(predictions: pd.DataFrame, preset: str) -> str:
    tried = predictions.loc[predictions["study"] == "filter-shapes", "variant"].nunique()
    with suppress(ReproError):  # settings of another version
        network, _ = config.parted(config.shortest(preset))
        if tried < (whole := len(grids.variants("filter-shapes", network))):
            return f"{tried} of {whole} shapes"
    return ""


def answer(found: Sequence[Evidence]) -> str:
    """Return what becomes of the paper's main claim in words, as Markdown."""
    study = claims.TESTS[MAIN].study
    judged = [(of, verdict) for of in found if (verdict := _tested(of, MAIN))]
    if not judged:
        return "**Not known yet: no results on real speech are at hand that can decide it.**"
    said = [f"on {where} {what}" for what, where in _places(judged, study, _in_words).items()]
    begin = BEGIN.get(frozenset(verdict.verdict for _, verdict in judged), "Mixed")
    missing = [
        *_close(judged),
        _beside_paper(judged),
        *_undone([of for of, _ in judged], study, "it"),
    ]
    if all(of.corpus != "iemocap" for of, _ in judged):
        missing.append("The claim has not been tested on IEMOCAP, the paper's own corpus.")
    return " ".join([f"**{begin}: {'; '.join(said)}.**", *missing])


def others(found: Sequence[Evidence]) -> str:
    """Return what becomes of the paper's other claims in words, as Markdown.

    Those that are decided anywhere are listed, by what is said of them.
    """
    lines: dict[str, list[str]] = {}
    undecided = untested = 0
    rest = [claim for claim in paper.CLAIMS if claim.id != MAIN]
    for claim in rest:
        judged = [(of, verdict) for of in found if (verdict := _tested(of, claim.id))]
        places = _places(judged, claims.TESTS[claim.id].study, attrgetter("verdict"))
        undecided += places.keys() == {"undecided"}
        untested += not places
        if places.keys() - {"undecided"}:
            said = ", ".join(f"{word} on {where}" for word, where in sorted(places.items()))
            lines.setdefault(said, []).append(claim.text)
    counts = f"Of the {len(rest)} other claims, undecided: {undecided}, not tested: {untested}."
    on_shapes = [of for of, test in claims.TESTS.items() if test.study == "filter-shapes"]
    tested = [of for of in found if any(_tested(of, claim) for claim in on_shapes)]
    begin = " ".join([counts, *_undone(tested, "filter-shapes", "the filter shapes")])
    listed = [f"- {line}: {'; '.join(texts)}" for line, texts in lines.items()]
    return "\n".join([begin, "", *listed]).strip()


def _places(
    judged: Sequence[tuple[Evidence, claims.Verdict]],
    study: str,
    said: Callable[[claims.Verdict], str],
) -> dict[str, str]:
    """Return on which corpora each thing is said of a claim, with settings unless all agree."""
    places: dict[str, dict[str, None]] = {}
    for of, verdict in judged:
        of_corpus = [said(each) for run, each in judged if run.corpus == of.corpus]
        alike = len(set(of_corpus)) == 1 < len(of_corpus)
        label = "" if alike else f" (`{_label(of, study)}`)"
        places.setdefault(said(verdict), {})[f"{wording.title(of.corpus)}{label}"] = None
    return {what: " and ".join(where) for what, where in places.items()}


def _undone(tested: Sequence[Evidence], study: str, what: str) -> list[str]:
    """Return how much is done of what is planned for a study, where some of it is."""
    said, planned = [], claims.PLANNED[study]
    for corpus in claims.CONFIRMING:
        done = {of.preset for of in tested if of.corpus == corpus}.intersection(planned)
        left = [f"`{config.shortest(each)}`" for each in planned if each not in done]
        if done and left:
            said.append(
                f"{len(done)} of the {len(planned)} tests of {what} that were planned on "
                f"{wording.title(corpus)} {'is' if len(done) == 1 else 'are'} done; still to come: "
                f"{', '.join(left)}."
            )
    return said


def _deciding(verdict: claims.Verdict) -> list[parts.Part]:
    return [part for part in verdict.parts if part.verdict == verdict.verdict]


def _in_words(verdict: claims.Verdict) -> str:
    scores = " and ".join(part.what.partition(",")[0] for part in _deciding(verdict))
    return SENTENCES[verdict.verdict].format(scores=scores)


def _close(judged: Sequence[tuple[Evidence, claims.Verdict]]) -> list[str]:
    """Return which definite verdicts the exact test does not bear out."""
    return [
        f"On {wording.title(of.corpus)} under `{config.shortest(of.preset)}` that is a close call."
        for of, verdict in judged
        if verdict.verdict != "undecided"
        if any(part.p >= CLOSE for part in _deciding(verdict))
    ]


def _beside_paper(judged: Sequence[tuple[Evidence, claims.Verdict]]) -> str:
    """Return what the paper's own gain is, and where it lies beside the intervals found here."""
    sides: dict[str, set[str]] = {}
    for of, verdict in judged:
        for part in verdict.parts:
            theirs = _published(part.what.partition(",")[0])
            side = "above" if theirs > part.high else "below" if theirs < part.low else "within"
            sides.setdefault(wording.title(of.corpus), set()).add(side)
    places: dict[str, list[str]] = {}
    for corpus, found in sides.items():
        where = (
            "within some intervals"
            if "within" in found
            else "above some intervals and below others"
        )
        where = f"{found.pop()} every interval" if len(found) == 1 else where
        places.setdefault(where, []).append(corpus)
    lies = " and ".join(f"{where} on {' and '.join(of)}" for where, of in places.items())
    points = (f"{_published(score):.2f} points of {score}" for score in metrics.ACCURACIES)
    gain = f"The gain that the paper reports, {' and '.join(points)},"
    if all(
        _published(part.what.partition(",")[0]) < (part.high - part.low) / 2
        for _, verdict in judged
        for part in verdict.parts
    ):
        return f"{gain} is smaller than any of these tests can tell from 0. It lies {lies}."
    return f"{gain} lies {lies}."


def rows(found: Sequence[Evidence]) -> pd.DataFrame:
    """Return what the board shows as a tidy table: a row for each effect of each claim and run."""
    numbers = ("what", "unit", "effect", "low", "high", "p")
    return pd.DataFrame(
        {
            "claim": claim.text,
            "section": claim.section,
            "corpus": wording.title(of.corpus),
            "settings": _in_full(of, claims.TESTS[claim.id].study),
            "verdict": verdict.verdict,
        }
        | {name: getattr(part, name) for name in numbers}
        for claim in order(found)
        for of in found
        if (verdict := _tested(of, claim.id))
        for part in verdict.parts
    )


def gains(found: Sequence[Evidence]) -> pd.DataFrame:
    """Return by how many points attention is ahead of GAP, in the paper and in each run.

    Returns:
        A row for each, with `run` and, for WA and for UA, the number and its `low` and `high`.
    """
    row: dict[str, Any] = {"run": "IEMOCAP, as published"}
    rows = [row | {score: _published(score) for score in metrics.ACCURACIES}]
    for of in found:
        if verdict := _tested(of, MAIN):
            row = {"run": f"{wording.title(of.corpus)}, {_label(of, claims.TESTS[MAIN].study)}"}
            for part in verdict.parts:
                score = part.what.partition(",")[0]
                row |= {score: part.effect, f"{score} low": part.low, f"{score} high": part.high}
            rows.append(row)
    return pd.DataFrame(rows)


def _published(score: str) -> float:
    return metrics.paper_difference("attention", "gap", score)


def overview(data: Results) -> pd.DataFrame:
    """Return the poolings in numbers: a row for the paper, and for each corpus and preset at hand.

    A pooling that is not trained on all folds has none yet. The paper's steps are those that its
    settings give on all of IEMOCAP's release.
    """
    theirs = [f"{row.wa:.2f}" for row in paper.TABLE_1.values()]
    gains = [f"{_published(score):+.2f}" for score in metrics.ACCURACIES]
    steps = learning.steps("iemocap", learning.AS_IN_THE_PAPER)
    commonest = f"{poolings.IEMOCAP_MAJORITY:.1f}"
    rows = [("IEMOCAP, as published", *theirs, commonest, *gains, steps, math.nan, math.nan)]
    every, of = claims.deciding(real(data.predictions)), ["corpus", "corpus_hash", "preset"]
    runs = every[every["study"] == "pooling"].groupby(of)
    for (corpus, state, preset), predictions in sorted(
        runs, key=lambda run: not of_paper(run[0][2])
    ):
        done = predictions.groupby(["variant", "seed"])["fold"].transform("nunique")
        predictions = predictions[done == parts.speakers_in_all(predictions)]
        if predictions.empty:
            continue
        folds, history = (
            table[(table[of] == [corpus, state, preset]).all(axis=1)]
            for table in (data.folds, claims.deciding(data.history))
        )
        run = data._replace(folds=folds, history=history, predictions=predictions)
        found = learning.learning(run).set_index("variant").reindex([*paper.TABLE_1])
        pairs = metrics.compare_pairs(predictions).query("one == 'attention' and other == 'gap'")
        gains = [
            [*metrics.format_intervals(pairs, score, sign="+"), "–"][0]
            for score in metrics.ACCURACIES
        ]
        scores = ["–" if math.isnan(wa) else f"{wa:.1f}" for wa in found["WA"]]
        losses = found.loc[["gap", "attention"], "loss"]
        commonest = f"{metrics.majority(predictions):.1f}"
        rows.append(
            (
                wording.where(corpus, preset),
                *scores,
                commonest,
                *gains,
                found["steps"].max(),
                *losses,
            )
        )
    columns = [
        "corpus, preset",
        *paper.TABLE_1,
        "commonest emotion",
        *GAINS,
        "steps",
        "loss, gap",
        "loss, attention",
    ]
    return pd.DataFrame(rows, columns=columns).astype({"steps": "Int64"})


def order(found: Sequence[Evidence]) -> list[paper.Claim]:
    """Return the paper's claims: the main one first, and last those without evidence."""

    def place(claim: paper.Claim) -> int:
        if not any(_tested(of, claim.id) for of in found):
            return 3
        return 0 if claim.id == MAIN else 1 if claims.TESTS[claim.id].study == "pooling" else 2

    return sorted(paper.CLAIMS, key=place)


def board(found: Sequence[Evidence], corpus: str, preset: str) -> HTML:
    """Return the board: claims in rows, a column for each corpus, a part of a cell for each preset.

    Each part has a sign and a word, and leads to the page that shows more; differences between
    poolings stand there in numbers. Claims of which all corpora say the same share a row.

    Args:
        found: the verdicts.
        corpus: that of the report.
        preset: its preset. The results of other corpora and presets have pages of their own, see
            `build.with_results`.
    """
    corpora = list(dict.fromkeys(of.corpus for of in found))
    lines: dict[str, list[str]] = {}  # the claims of a row, by its cells
    for claim in order(found):
        cells = []
        for column in corpora:
            of_corpus = [of for of in found if of.corpus == column]
            cells.append(f"<td>{_cell(claim, of_corpus, (corpus, preset))}</td>")
        lines.setdefault("".join(cells), []).append(f"{claim.text[0].upper()}{claim.text[1:]}")
    head = "".join(f'<th scope="col">{wording.title(c)}</th>' for c in ["", *corpora])
    body = "".join(
        f'<tr><th scope="row"><p>{"</p><p>".join(texts)}</p></th>{cells}</tr>'
        for cells, texts in lines.items()
    )
    return HTML(
        f'<table class="table board"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"{common.download(rows(found))}"
    )


def _cell(claim: paper.Claim, found: Sequence[Evidence], here: tuple[str, str]) -> str:
    study = claims.TESTS[claim.id].study
    ran = [of for of in found if of.verdicts[claim.id].seeds] or found[:1]
    tested = [verdict for of in ran if (verdict := _tested(of, claim.id))]
    notes = {of.verdicts[claim.id].note for of in ran}
    if not tested and len(notes) == 1:
        return f'<span class="untested">– {html.escape(notes.pop())}</span>'
    (corpus, preset), presets = here, [of.preset for of in ran]
    own = corpus, preset if preset in presets else min(presets)
    shown = []
    for of in sorted(ran, key=lambda of: not _tested(of, claim.id)):
        verdict, label = of.verdicts[claim.id], _in_full(of, study)
        page = PAGES[study]
        if (of.corpus, of.preset) != own:
            page = wording.further(page, of.corpus, of.preset)
        # Of a table of the reader's own there is no further page.
        link = f'href="{page}.html#verdicts" ' * (of.corpus in {corpus, *CORPORA})
        if verdict not in tested:
            link, note = link.replace("#verdicts", ""), html.escape(verdict.note)
            shown.append(f'<a class="untested" {link}>– {note} ({label})</a>')
            continue
        parts = verdict.parts if study == "pooling" else ()  # the others have many
        lines = [
            f"{part.what.partition(',')[0]} {part.number.removesuffix(' points')}, {part.remark}"
            for part in parts
        ]
        speakers = wording.many(verdict.speakers, "speaker")
        lines.insert(0, f"{label}, {speakers}, {wording.many(verdict.seeds, 'seed')}")
        sign, _ = plots.MARKS[verdict.verdict]
        shown.append(
            f'<a class="{verdict.verdict}" {link}><b>{sign} {verdict.verdict}</b> '
            f"<small>{'<br>'.join(map(html.escape, lines))}</small></a>"
        )
    return "".join(shown)


def _label(of: Evidence, study: str) -> str:
    return config.shortest(of.preset) + ", inexact" * (study in of.inexact)


def _in_full(of: Evidence, study: str) -> str:
    few = f", {of.few}" if of.few and study == "filter-shapes" else ""
    return _label(of, study) + few


def _tested(of: Evidence, claim: str) -> claims.Verdict | None:
    """Return the verdict on a claim, or None where it is not testable."""
    verdict = of.verdicts[claim]
    return None if verdict.verdict == "not testable here" else verdict
