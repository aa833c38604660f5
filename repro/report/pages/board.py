"""The verdict board of the first page: each claim of the paper, and what each corpus says of it."""

import html
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
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
INEXACT = "precision == 'bf16' or statistics == 'torch'"  # of predictions and folds


class Evidence(NamedTuple):
    """What results that were made alike say of every claim."""

    corpus: str
    preset: str
    inexact: Collection[str]  # studies with trainings in bfloat16 or with torch's batch statistics
    few: str  # how many of the filter shapes were tried, if not all
    verdicts: dict[str, claims.Verdict]  # by the claim's identifier

    def tested(self, claim: str) -> claims.Verdict | None:
        """Return the verdict on a claim, or None where it is not testable."""
        verdict = self.verdicts[claim]
        return None if verdict.verdict == "not testable here" else verdict

    def label(self, claim: str) -> str:
        """Return what the settings are called under which a claim was tested."""
        inexact = claims.TESTS[claim].study in self.inexact
        return config.shortest(self.preset) + ", inexact" * inexact

    def in_full(self, claim: str) -> str:
        """Return the same, and how many filter shapes were tried if that is not all."""
        few = self.few if claims.TESTS[claim].study == "filter-shapes" else ""
        return ", ".join(filter(None, [self.label(claim), few]))


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


def rows(found: Sequence[Evidence]) -> pd.DataFrame:
    """Return what the board shows as a tidy table: a row for each effect of each claim and run."""
    numbers = ("what", "unit", "effect", "low", "high", "p")
    return pd.DataFrame(
        {
            "claim": claim.text,
            "section": claim.section,
            "corpus": wording.title(of.corpus),
            "settings": of.in_full(claim.id),
            "verdict": verdict.verdict,
        }
        | {name: getattr(part, name) for name in numbers}
        for claim in order(found)
        for of in found
        if (verdict := of.tested(claim.id))
        for part in verdict.parts
    )


def gains(found: Sequence[Evidence]) -> pd.DataFrame:
    """Return by how many points attention is ahead of GAP, in the paper and in each run.

    Returns:
        A row for each, with `run` and, for WA and for UA, the number and its `low` and `high`.
    """
    row: dict[str, Any] = {"run": "IEMOCAP, as published"}
    rows = [row | {score: poolings.attention_gain(score) for score in metrics.ACCURACIES}]
    for of in found:
        if verdict := of.tested(MAIN):
            row = {"run": f"{wording.title(of.corpus)}, {of.label(MAIN)}"}
            for part in verdict.parts:
                numbers = (part.effect, part.low, part.high)
                names = (part.score, f"{part.score} low", f"{part.score} high")
                row |= dict(zip(names, numbers, strict=True))
            rows.append(row)
    return pd.DataFrame(rows)


def overview(data: Results) -> pd.DataFrame:
    """Return the poolings in numbers: a row for the paper, and for each corpus and preset at hand.

    A pooling that is not trained on all folds has none yet. The paper's steps are those that its
    settings give on all of IEMOCAP's release.
    """
    theirs = [f"{row.wa:.2f}" for row in paper.TABLE_1.values()]
    gains = [f"{poolings.attention_gain(score):+.2f}" for score in metrics.ACCURACIES]
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
        steps, where = found["steps"].max(), wording.where(corpus, preset)
        rows.append((where, *scores, commonest, *gains, steps, *losses))
    columns = ["corpus, preset", *paper.TABLE_1, "commonest emotion", *GAINS]
    columns += ["steps", "loss, gap", "loss, attention"]
    return pd.DataFrame(rows, columns=columns).astype({"steps": "Int64"})


def order(found: Sequence[Evidence]) -> list[paper.Claim]:
    """Return the paper's claims: the main one first, and last those without evidence."""

    def place(claim: paper.Claim) -> int:
        if not any(of.tested(claim.id) for of in found):
            return 3
        return 0 if claim.id == MAIN else 1 if claims.TESTS[claim.id].study == "pooling" else 2

    return sorted(paper.CLAIMS, key=place)


def board(found: Sequence[Evidence], corpus: str, preset: str) -> HTML:
    """Return the board: claims in rows, a column for each corpus, a part of a cell for each preset.

    Each part has a sign and a word, and leads to the page that shows more; the main claim has its
    numbers here. Claims of which all corpora say the same share a row.

    Args:
        found: the verdicts.
        corpus: that of the report.
        preset: its preset. The results of other corpora and presets have pages of their own, see
            `build.with_results`.
    """
    # As the figure beside it has them: first those with evidence on the main claim.
    corpora = dict.fromkeys(of.corpus for of in sorted(found, key=lambda of: not of.tested(MAIN)))
    speakers = {name: _speakers(of for of in found if of.corpus == name) for name in corpora}
    lines: dict[str, list[str]] = {}  # the claims of a row, by its cells
    for claim in order(found):
        cells = []
        for column in corpora:
            of_corpus = [of for of in found if of.corpus == column]
            cell = _cell(claim, of_corpus, (corpus, preset), speakers[column])
            cells.append(f"<td>{cell}</td>")
        lines.setdefault("".join(cells), []).append(wording.begun(claim.text))
    names = [
        ", ".join([wording.title(c), *([wording.many(n, "speaker")] if n else [])])
        for c, n in speakers.items()
    ]
    head = "".join(f'<th scope="col">{name}</th>' for name in ["", *names])
    body = "".join(
        f'<tr><th scope="row"><p>{"</p><p>".join(texts)}</p></th>{cells}</tr>'
        for cells, texts in lines.items()
    )
    return HTML(
        f'<table class="table board"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"{common.download(rows(found))}"
    )


def _speakers(found: Iterable[Evidence]) -> int:
    """Return the most speakers that a verdict rests on; 0 if there is no verdict."""
    tested = (of.tested(claim) for of in found for claim in of.verdicts)
    return max((verdict.speakers for verdict in tested if verdict), default=0)


def _cell(
    claim: paper.Claim, found: Sequence[Evidence], here: tuple[str, str], speakers: int
) -> str:
    """Return the verdicts of a corpus with so many speakers on a claim."""
    study = claims.TESTS[claim.id].study
    ran = [of for of in found if of.verdicts[claim.id].seeds] or found[:1]
    tested = [verdict for of in ran if (verdict := of.tested(claim.id))]
    notes = {of.verdicts[claim.id].note for of in ran}
    if not tested and len(notes) == 1:
        return f'<span class="untested">– {html.escape(notes.pop())}</span>'
    (corpus, preset), presets = here, [of.preset for of in ran]
    own = corpus, preset if preset in presets else min(presets)
    shown = []
    for of in sorted(ran, key=lambda of: not of.tested(claim.id)):
        verdict, label = of.verdicts[claim.id], of.in_full(claim.id)
        page = PAGES[study]
        if (of.corpus, of.preset) != own:
            page = wording.further(page, of.corpus, of.preset)
        # Of a table of the reader's own there is no further page.
        link = f'href="{page}.html#verdicts" ' * (of.corpus in {corpus, *CORPORA})
        if verdict not in tested:
            link, note = link.replace("#verdicts", ""), html.escape(verdict.note)
            shown.append(f'<a class="untested" {link}>– {note} ({label})</a>')
            continue
        if verdict.speakers < speakers:
            label += f", {wording.many(verdict.speakers, 'speaker')}"
        if verdict.seeds > 1:
            label += f", {verdict.seeds} seeds"
        numbers = verdict.parts if claim.id == MAIN else ()  # of the others there are many
        parts = (f"{p.score} {p.number.removesuffix(' points')}, {p.remark}" for p in numbers)
        lines = [label, *parts]
        sign, _ = plots.MARKS[verdict.verdict]
        shown.append(
            f'<a class="{verdict.verdict}" {link}><b>{sign} {verdict.verdict}</b> '
            f"<small>{'<br>'.join(map(html.escape, lines))}</small></a>"
        )
    return "".join(shown)
