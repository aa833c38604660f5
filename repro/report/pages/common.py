"""What every page needs: its notice, its tables, its verdicts and where its numbers come from."""

import base64
import hashlib
import math
from dataclasses import replace

import pandas as pd
import torch
from IPython.display import HTML, Markdown

import repro
from repro import config, paper
from repro.config import Experiment
from repro.corpora import BUILT_IN, name_of
from repro.evidence import claims, metrics, parts
from repro.evidence.learning import learning
from repro.model import build_network
from repro.report import plots
from repro.report.pages import in_brief, wording
from repro.results import Results
from repro.study import grids
from repro.study.grids import Variant, short_name

# What a page says of the provenance of its folds.
MADE_BY = ["version", "commit", "plan", "torch", "device", "precision", "statistics", "threads"]
MADE_BY += ["date"]
# What the paper allows as much as the default; who is tested, and after which epoch, it says.
READ_OTHERWISE = {reading.field for reading in config.READINGS} - {
    "protocol.folds",
    "protocol.epoch",
}
_INTERVAL = r"(\S) \[(\S+), (\S+)\]"


def notice(corpus: str, preset: str = "paper", of: str | None = None) -> Markdown | None:
    """Return what the numbers of a page may be taken for, to stand at its top.

    A page may show one study, `of`, which departs from the preset.
    """
    own = _as_run(of, preset) if of else config.preset(preset)
    changed, skipped = config.differences(own, Experiment()), math.prod(own.network.stride)
    changes = [
        f"`{name}` is {value} instead of {'all' if theirs is None else theirs}"
        for name, (value, theirs) in changed.items()
    ]
    lines, said = [], [f"Changed: {'; '.join(changes)}."] if changes else []
    if skipped > 1:
        said.append(
            f"The first layer computes one position in {skipped} and passes over what its filters "
            "do not reach from there: it is another, coarser network."
        )
    if is_showcase(preset):
        said.append("It is made to show the machinery: its numbers are no evidence.")
    if corpus == "synthetic":
        lines.append(
            "> **Built-in synthetic corpus.** The speech on this page was made by a synthesiser. "
            "Its numbers show that the machinery works and say nothing about emotion."
        )
    if said:
        reading = changed.keys() <= READ_OTHERWISE
        what = "another reading of the paper" if reading else "not the paper's protocol"
        lines.append(f"> **Preset `{config.shortest(preset)}`, {what}.** {' '.join(said)}")
    return Markdown("\n>\n".join(lines)) if lines else None


def is_showcase(preset: str) -> bool:
    """Return whether a preset shows the machinery only; overrides may stand behind its name."""
    return config.parted(preset)[0] in config.SHOWCASES


def state(data: Results) -> Markdown | None:
    """Return what did not end in scores, and what was not trained exactly; None if all did."""
    said = [_unfinished(data), _diverged(data), _inexact(data.folds)]
    return Markdown("\n>\n".join(filter(None, said))) if any(said) else None


def _inexact(folds: pd.DataFrame) -> str:
    ways = {"with torch's batch statistics": folds["statistics"] == "torch"}
    ways |= {"in bfloat16": folds["precision"] == "bf16"}
    found = " and ".join(way for way, of_folds in ways.items() if of_folds.any())
    return found and (
        f"> **Inexact.** Networks on this page were trained {found}, which rounds more than the "
        "trainer does now. [How fast, and why](11_how_fast.html) shows how far this moved the "
        "scores of the poolings on EmoDB."
    )


def _diverged(data: Results) -> str:
    found = data.diverged["variant"].value_counts(sort=False)
    counts = ", ".join(f"{n} of `{short_name(name)}`" for name, n in found.items())
    return counts and (
        "> **Diverged.** The loss of these trainings was no finite number any more, so that there "
        f"are no scores: {counts}."
    )


def _unfinished(data: Results) -> str:
    ended, plan = pd.concat([data.folds, data.diverged]), data.planned or {}
    done = ended["variant"].value_counts()
    begun = [
        f"`{short_name(name)}` {done[name]} of {n}"
        for name, n in plan.items()
        if 0 < done.get(name, 0) < n
    ]
    missing = [f"`{short_name(name)}`" for name in plan if name not in done]
    said = [f" Folds so far: {', '.join(begun)}."] if begun else []
    more = f"; … ({len(missing)} of {len(plan)})" * (len(missing) > wording.MOST_NAMED)
    named = ", ".join(missing[: wording.MOST_NAMED])
    said += [f" Not run yet: {named}{more}."] if missing else []
    return f"> **Unfinished.**{''.join(said)}" if said else ""


def settled(data: Results) -> Results:
    """Return a study with the seeds that count alone, see `parts.settled`."""
    seeds = set(parts.settled(data.predictions)["seed"])
    names = ("folds", "history", "predictions", "attention", "examples")
    tables = {name: getattr(data, name) for name in names}
    return data._replace(**{n: of[of["seed"].isin(seeds)] for n, of in tables.items() if len(of)})


def left_out(data: Results) -> Markdown | None:
    """Return the variants of a study for which its corpus cannot be split or labelled."""
    study, preset, corpus = data.folds[["study", "preset", "corpus"]].iloc[0]
    grid, planned = grids.variants(study, preset), data.planned or {}
    names = [f"`{short_name(variant)}`" for variant in grid if variant not in planned]
    said = f"{wording.title(corpus)} cannot be split or labelled for {', '.join(names)}."
    return Markdown(said) if names else None


def outcome(data: Results) -> pd.DataFrame:
    """Return how far the networks of a study got in training and in test, see `learning`."""
    found = learning(data)
    return pd.DataFrame(
        {
            "network": found["variant"].map(short_name),
            "WA": metrics.format_intervals(found, "WA"),
            "training loss": [
                f"{median:.2f} ({low:.2f} to {high:.2f})"
                for median, low, high in found[["loss", "loss min", "loss max"]].to_numpy()
            ],
        }
    )


def provenance(corpus: str = "", preset: str = "", folds: pd.DataFrame | None = None) -> Markdown:
    """Return what made a page: study, corpus, preset, version, device, date."""
    called = config.shortest(preset)
    typed = f" (run as {preset})" if preset != called else ""
    facts = {"corpus": name_of(corpus), "preset": f"{called}{typed}"}
    if folds is None:
        facts["seeds"] = "none, as nothing is trained"
        # Not the commit or the day: a page of which nothing was trained is the same on both.
        facts |= {"version": repro.__version__, "torch": torch.__version__}
    else:
        facts = {"study": folds["study"].iloc[0]} | facts
        facts["seeds"] = str(folds["seed"].nunique())
        for name in MADE_BY:
            if name in folds:
                facts[name] = ", ".join(sorted(set(folds[name].dropna().astype(str))))
        # Folds that differ in their test alone share one training, and its time.
        spent = folds.drop_duplicates(["corpus", "fold", "seed", "seconds"])["seconds"].sum()
        facts["training time"] = f"{spent / 60:.1f} min" if spent else ""
    return Markdown("*Made from:* " + "; ".join(f"{k} {v}" for k, v in facts.items() if v) + ".")


def table(frame: pd.DataFrame, decimals: int = 1, whole: pd.DataFrame | None = None) -> HTML:
    """Return a table as HTML: numbers rounded and to the right, a dash for none.

    The link to its data may lead to a `whole` of which the table shows a part.
    """
    numbers = list(frame.select_dtypes("number").columns)
    # The identifier that ties a table to its style must differ from table to table, not from run
    # to run.
    identifier = hashlib.sha256(frame.to_csv().encode()).hexdigest()[:8]
    shown = frame.replace(_INTERVAL, "\\1\u00a0[\\2,\u00a0\\3]", regex=True)  # in one piece
    style = shown.style.hide(axis="index").set_uuid(identifier)
    style = style.set_table_attributes('class="table"')
    style = style.format(precision=decimals, na_rep="–", thousands=",", subset=numbers)
    style = style.set_properties(subset=numbers, **{"text-align": "right"})
    return HTML(style.to_html() + download(frame if whole is None else whole))


def table_if_run(frame: pd.DataFrame | None, decimals: int = 1) -> HTML | Markdown:
    """Return a table as HTML, or that nothing has been run for it."""
    return Markdown("Not run yet.") if frame is None else table(frame, decimals)


def download(frame: pd.DataFrame) -> str:
    """Return a link to a table's data as CSV, which are in the link itself."""
    # Cells may hold markup, and p < 0.01 is none.
    plain = frame.replace({r"<br>": "; ", r"</?[a-z][^>]*>": ""}, regex=True)
    data = base64.b64encode(plain.to_csv(index=False, float_format="%.6g").encode()).decode()
    link = f'<a download="table.csv" href="data:text/csv;base64,{data}">CSV</a>'
    return f'<p class="csv">{link}</p>'


def verdicts(predictions: pd.DataFrame) -> HTML | Markdown:
    """Return the verdicts on the claims that a study bears on, with their effects."""
    if predictions["corpus"].iloc[0] in BUILT_IN:
        return Markdown("No claim of the paper is judged on synthetic sound.")
    rows, studies = [], set(predictions["study"])
    for v in claims.judge(predictions):
        if claims.TESTS[v.claim.id].study not in studies:
            continue
        effects = [*map(str, v.parts), *([v.note] if v.verdict == "undecided" else [])]
        shown = "<br>".join(filter(None, effects)) or v.note
        rows.append((_mark(v.verdict), v.claim.text, shown, v.speakers, v.seeds))
    columns = ["verdict", "claim", "effect [95% interval]", "speakers", "seeds"]
    found = pd.DataFrame(rows, columns=columns)
    # Claims that nothing can be said of share a row.
    alike = found.groupby(columns[:1] + columns[2:], sort=False, dropna=False)["claim"]
    return table(alike.agg("<br>".join).reset_index()[columns])


def _mark(verdict: str) -> str:
    sign, colour = plots.MARKS[verdict]
    return (
        f'<span style="background:{colour};color:white;border-radius:3px;padding:0 0.4em;'
        f'white-space:nowrap">{sign} {verdict}</span>'
    )


def tests(predictions: pd.DataFrame) -> Markdown:
    """Return how each claim that a study bears on is tested."""
    studies, tested = set(predictions["study"]), claims.TESTS
    of_studies = (claim for claim in paper.CLAIMS if tested[claim.id].study in studies)
    return Markdown("\n".join(f"- *{c.text}*: {tested[c.id].statement}" for c in of_studies))


def parameters(grid: dict[str, Variant]) -> pd.DataFrame:
    """Return how many parameters each variant's network has."""
    networks = {variant: build_network(of.experiment.network) for variant, of in grid.items()}
    counts = [(short_name(variant), in_brief.weights(of)) for variant, of in networks.items()]
    return pd.DataFrame(counts, columns=["variant", "parameters"])


def _as_run(of: str, preset: str) -> Experiment:
    """Return a preset with the stride and the training that a study gives it."""
    first = next(iter(grids.variants(of, preset).values())).experiment
    experiment = config.preset(preset)
    network = replace(experiment.network, stride=first.network.stride)
    return replace(experiment, network=network, training=first.training)
