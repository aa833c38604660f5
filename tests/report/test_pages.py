"""What the pages say of results: those of made-up networks, and what is not at hand."""

import base64
import re
import shutil
from pathlib import Path
from typing import Any, get_args

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from made_up import OTHER, write_results
from tiny_notebook import toc_files

import repro
from repro import config, paper, results
from repro.config import FrontEnd, Scale
from repro.errors import NoResultsError, ReproError
from repro.evidence import metrics, simulation
from repro.report import build as report
from repro.report import edition, notebook, plots
from repro.report.notebook import Page
from repro.report.pages import (
    answers,
    board,
    common,
    filter_shapes,
    first,
    poolings,
    power,
    speech,
    variations,
    wording,
)
from repro.results import provenance
from repro.study import grids, read
from repro.study.baselines import SYSTEMS
from repro.study.plan import Run

ROOT = Path(__file__).resolve().parents[2]


# From a results file alone -----------------------------------------------------------------------


def collect(path: Path, **changes: Any) -> results.Results:
    how: dict[str, Any] = {"corpus": "emodb", "root": None, "preset": "coarse"}
    return read.collect(Run("pooling", results=path, **(how | changes)))


def gathered(path: Path | None) -> pd.DataFrame:
    return board.gathered({}, path and str(path)).predictions


def first_answer(predictions: pd.DataFrame) -> str:
    return answers.answer(board.evidence(predictions))


LEVEL = {"gap": 0.6, "bilinear": 0.6, "attention": 0.6}


def board_rows(predictions: pd.DataFrame) -> list[str]:
    """The rows of the board, as HTML."""
    shown = board.board(board.evidence(predictions), "emodb", "coarse").data
    return re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)


@pytest.mark.parametrize(
    ("attention", "speakers", "verdict", "begin"),
    [
        (0.8, 10, "supported", "**Yes: on EmoDB (`coarse`) attention pooling does better"),
        (0.6, 10, "undecided", "**Undecided: on EmoDB (`coarse`) attention pooling is not shown"),
        (0.4, 10, "contradicted", "**No: on EmoDB (`coarse`) attention pooling does worse"),
        (0.8, 9, "not testable here", "**Not known yet: "),
    ],
)
def test_the_first_page_s_verdict_changes_with_the_results(
    tmp_path: Path, attention: float, speakers: int, verdict: str, begin: str
) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL | {"attention": attention}, speakers=speakers)
    predictions = collect(path).predictions
    assert first_answer(predictions).startswith(begin)
    head, main, *others = board_rows(predictions)
    if verdict == "not testable here":
        assert "– gap lacks folds" in "".join([main, *others]) and ">EmoDB<" in head
    else:
        assert "EmoDB" in head and "Attention pooling beats GAP" in main
        assert f"{plots.MARKS[verdict][0]} {verdict}" in main and "03_pooling.html" in main
        assert "EmoDB, 10 speakers<" in head and ">coarse<br>WA " in main and "<br>UA " in main
        assert sum(row.count("<p>") for row in others) == len(paper.CLAIMS) - 1
        assert "<br>" not in "".join(others), "the main claim alone has numbers"
        assert sum("no results of the study filter-shapes" in row for row in others) == 1
    rows = re.findall(r"<tr>(.*?)</tr>", common.verdicts(predictions).data, re.DOTALL)
    (row,) = [row for row in rows if "attention pooling beats GAP" in row]
    assert re.findall(r">(\d+)<", row) == [str(speakers), "1"]  # after verdict, claim and effect


def test_a_gain_in_one_score_alone_is_told(tmp_path: Path) -> None:
    def gap(table: pd.DataFrame) -> pd.Series:
        return (table["number"] < 14) & ((table["emotion"] != "happy") | (table["number"] == 0))

    def attention(table: pd.DataFrame) -> pd.Series:  # of happy, all of half the speakers
        return (table["number"] < 15) & ((table["emotion"] != "happy") | (table["fold"] < "05"))

    path = write_results(tmp_path / "r.jsonl", {"gap": gap, "attention": attention})
    predictions = collect(path).predictions
    few = (predictions["emotion"] != "happy") | (predictions["utterance"].astype(int) % 25 < 2)
    better = "attention pooling does better than a plain average in WA, and is not shown to in UA"
    assert first_answer(predictions[few]).startswith(f"**Undecided: on EmoDB (`coarse`) {better}.")


def test_corpora_and_presets_stand_side_by_side(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL | {"attention": 0.4})
    inexact = {"precision": "bf16", "statistics": "exact", "seconds": 1.0}
    write_results(path, LEVEL | {"attention": 0.4}, preset="paper", provenance=inexact)
    write_results(path, LEVEL | {"attention": 0.8}, corpus=("nemo", "1" * 12))
    write_results(path, LEVEL, corpus=("synthetic", "0" * 12))
    predictions = board.gathered({}, str(path)).predictions
    better = "on nEMO (`coarse`) attention pooling does better than a plain average, as the paper"
    worse = "on EmoDB attention pooling does worse than a plain average in WA and UA"
    gain = (
        "The gain that the paper reports, 0.40 points of WA and 0.52 points of UA, is smaller than "
        "half the width of any interval here. It lies above every interval on EmoDB and below "
        "every interval on nEMO."
    )
    planned = (
        "1 of the 4 tests of it that were planned on nEMO is done; to come are `coarse, "
        "scale=segment-max`, `paper` and `paper, scale=segment-max`."
    )
    own = "The claim has not been tested on IEMOCAP, the paper's own corpus."
    assert (
        first_answer(predictions) == f"**Mixed: {worse}; {better} claims.** {gain} {planned} {own}"
    )
    head, main, *_ = board_rows(predictions)
    titles = ["", "EmoDB, 10 speakers", "nEMO, 10 speakers"]
    assert re.findall(r"<th[^>]*>(.*?)</th>", head) == titles
    cells = re.findall(r"<td>(.*?)</td>", main)
    assert [cell.count("<br>UA ") for cell in cells] == [2, 1]
    gains = board.gains(board.evidence(predictions)).set_index("run")
    assert gains.index.to_list() == [
        *("IEMOCAP, as published", "EmoDB, paper, inexact", "EmoDB, coarse", "nEMO, coarse")
    ]
    assert gains["WA"].iloc[0] == pytest.approx(0.40) and gains["UA"].iloc[0] == pytest.approx(0.52)
    assert (gains["WA high"].iloc[1:3] < 0).all() and gains["WA low"].iloc[3] > 0
    mine = pd.concat([predictions, predictions.query("corpus == 'nemo'").assign(corpus="mine")])
    assert "03_pooling_mine" not in "".join(board_rows(mine)), "it has no further page"
    pages = [set(re.findall(r'href="(.*?)#', cell)) for cell in cells]
    of_emodb = {"03_pooling.html", "03_pooling_emodb-paper.html"}
    assert pages == [of_emodb, {"03_pooling_nemo-coarse.html"}]
    numbers = board.overview(board.gathered({}, str(path))).set_index("corpus, preset")
    assert [*numbers.index] == [
        *("IEMOCAP, as published", "EmoDB, paper", "EmoDB, coarse", "nEMO, coarse")
    ]
    emodb = predictions.query("corpus == 'emodb' and preset == 'paper'").groupby("variant")
    right = {name: 100 * (rows["predicted"] == rows["emotion"]).mean() for name, rows in emodb}
    row = numbers.loc["EmoDB, paper"]
    assert (row["gap"], row["steps"]) == (f"{right['gap']:.1f}", 400)
    gain = "attention − gap, WA"
    assert row[gain].startswith(f"−{right['gap'] - right['attention']:.1f} [")
    assert numbers[gain].str[0].to_list() == ["+", "−", "−", "+"]
    begun = tmp_path / "begun.jsonl"
    begun.write_bytes(path.read_bytes())
    for record in results.read_lines(write_results(tmp_path / "again.jsonl", LEVEL, seeds=2)):
        if record["seed"] == 1 and record["fold"] < "05":
            results.append(begun, record)
    assert board.overview(board.gathered({}, str(begun))).equals(numbers.reset_index())
    of_few = {"corpus": ("nemo", "1" * 12), "preset": "coarse, front_end.scale=segment-max"}
    few = write_results(tmp_path / "few.jsonl", {"attention": 0.6}, speakers=4, **of_few)
    assert len(board.overview(results.read(few))) == 1, "the paper alone"
    begun = board_rows(pd.concat([predictions, results.read(few).predictions]))[1]
    assert "– no results of gap (coarse, scale=segment-max)</a>" in begun
    shown = {"pooling": collect(path)}
    both = board.gathered(shown, str(path)).predictions
    assert len(both) == len(predictions), "what a page shows is not counted twice"
    assert board.gathered(shown, None).predictions.equals(shown["pooling"].predictions)
    readme = edition.summary(board.gathered({}, str(path)))
    assert first_answer(predictions) in readme
    assert f"| EmoDB, paper | {right['gap']:.1f} |" in readme
    write_results(path, LEVEL | {"attention": 0.8}, preset="quick")
    better_or_worse = first_answer(board.gathered({}, str(path)).predictions)
    assert (
        "worse" in better_or_worse.partition("on EmoDB (`paper, inexact`) and EmoDB (`coarse`)")[2]
    )


def test_the_board_shows_the_exact_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "exchange_test", lambda *_: 0.07)
    path = write_results(tmp_path / "r.jsonl", LEVEL | {"attention": 0.8})
    assert board_rows(collect(path).predictions)[1].count("p\N{NO-BREAK SPACE}=") == 2


def test_studies_run_on_different_speakers_are_told_apart(tmp_path: Path) -> None:
    ours = ("ours", "3" * 12)  # of which nobody knows how many speakers it has
    path = write_results(tmp_path / "r.jsonl", LEVEL, corpus=ours)
    shapes = {"2x2": 0.6, "10x2": 0.7}
    write_results(path, shapes, study_name="filter-shapes", speakers=8, corpus=ours)
    rows = board_rows(results.read(path).predictions)
    assert "ours, 10 speakers<" in rows[0]
    assert sum("coarse, 2 of 7 shapes, 8 speakers<" in row for row in rows) == 1
    assert sum(", 10 speakers" in row for row in rows[1:]) == 0
    twice = write_results(tmp_path / "twice.jsonl", LEVEL, seeds=2)
    assert ">coarse, 2 seeds<br>WA " in board_rows(results.read(twice).predictions)[1]


def test_the_first_report_of_a_newcomer_says_whether_its_networks_learnt(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL, corpus=("synthetic", "0" * 12))
    found = {"pooling": results.read(path)}
    said = first.trained(found, "synthetic").data
    assert "30 networks" in said and "It works" in said and "a synthesiser" in said
    assert "on EmoDB" in first.trained(found, "emodb").data
    table = first.learnt(found)
    assert set(table["network"]) == set(LEVEL) and set(table["loss, last epoch"]) == {1.0}
    history = found["pooling"].history
    history.loc[history["variant"] == "gap", "loss"] = 1.5
    assert "gap did not get below the loss of guessing" in first.trained(found, "synthetic").data
    assert "Nothing has been trained" in first.trained({}, "synthetic").data
    assert common.table(first.learnt({})).data


@pytest.mark.parametrize("preset", ["coarse", "quick"])
def test_a_page_says_how_its_own_study_departs_from_the_paper(preset: str) -> None:
    said = common.notice("emodb", preset, of="filter-shapes").data
    assert ("`network.stride` is (2, 2) instead of (1, 1)" in said) == (preset == "coarse")
    assert ("one position in 4" in said) == (preset == "coarse")


@pytest.mark.parametrize(
    ("corpus", "preset", "words"),
    [
        ("synthetic", "quick", "say nothing about emotion"),
        ("emodb", "demo", "no evidence"),
        ("emodb", "demo, training.epochs=9", "no evidence"),
        ("emodb", "quick", None),
    ],
)
def test_no_page_takes_a_showcase_for_evidence(corpus: str, preset: str, words: str | None) -> None:
    said = common.notice(corpus, preset).data
    assert words in said if words else "no evidence" not in said


def test_another_reading_of_the_paper_is_called_one() -> None:
    kinds = {"paper, front_end.scale=segment-max": "another reading of the paper"}
    kinds["coarse, front_end.scale=segment-max"] = "not the paper's protocol"
    kinds["paper, front_end.window=periodic"] = "another reading of the paper"
    kinds["paper, protocol.epoch=best-on-test"] = "not the paper's protocol"
    for setting, kind in kinds.items():
        name = config.shortest(setting)
        assert f"`{name}`, {kind}.**" in common.notice("nemo", setting).data


def test_a_training_that_several_variants_share_is_counted_once() -> None:
    folds = pd.DataFrame(
        [("default", "03", 0, 60.0), ("twin", "03", 0, 60.0), ("default", "08", 0, 30.0)],
        columns=["variant", "fold", "seed", "seconds"],
    ).assign(study="readings", corpus="emodb", plan=[None, "abc", "abc"])
    said = common.provenance("emodb", "coarse", folds).data
    assert "training time 1.5 min" in said and "plan abc;" in said


def test_a_page_of_which_nothing_was_trained_asks_neither_git_nor_the_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provenance, "commit", lambda: pytest.fail("asked git"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("asked for a GPU"))
    assert common.provenance(preset="paper").data == (
        "*Made from:* preset paper; seeds none, as nothing is trained; "
        f"version {repro.__version__}; torch {torch.__version__}."
    )


def test_what_iemocap_would_show_is_told_by_what_is_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "DRAWS", 200)
    path = tmp_path / "r.jsonl"
    write_results(path, LEVEL | {"attention": 0.9}, corpus=("nemo", "1" * 12))
    shown = power.on_iemocap(gathered(path)).data
    assert shown.count("WA, attention − gap") == 1 and "nEMO, coarse<" in shown
    [data] = re.findall('base64,([^"]*)', shown)
    assert "UA, attention" not in shown and "UA, attention" in base64.b64decode(data).decode()
    assert "+0.40" in shown and "100 / 0" in shown
    assert "points (nEMO, coarse). A gain that is smaller" in power.reach(gathered(path)).data
    write_results(path, LEVEL, preset="paper", speakers=6)
    shown = power.on_iemocap(gathered(path)).data
    assert shown.count("WA, attention − gap") == 2
    assert shown.index("EmoDB, paper, 6 of 10 speakers") < shown.index("nEMO"), "the paper's own"
    demo = write_results(tmp_path / "demo.jsonl", LEVEL, preset="demo")
    alone = write_results(tmp_path / "alone.jsonl", {"gap": 0.6})
    for nothing in map(gathered, (None, demo, alone)):
        assert power.on_iemocap(nothing) is power.reach(nothing) is None


def test_effects_over_two_corpora_stand_in_one_table(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL | {"attention": 0.9})
    assert power.together(gathered(None)) is power.together(gathered(path)) is None
    write_results(path, LEVEL | {"attention": 0.9}, corpus=("nemo", "1" * 12))
    shapes = dict.fromkeys(grids.variants("filter-shapes", "coarse"), 0.5)
    write_results(path, shapes, study_name="filter-shapes")  # on one corpus alone
    shown = power.together(gathered(path)).data
    assert shown.count(">coarse<") == 6 and ">EmoDB<" in shown and ">nEMO<" in shown
    assert shown.count("]") == 3 * 6, "over both, and each by itself"
    assert "WA, attention − gap" in shown
    # A preset and another one with changes may be the same settings.
    shapes = dict.fromkeys(grids.variants("filter-shapes", "coarse"), 0.5)
    for preset, corpus in (("paper", "emodb"), ("coarse, network.stride=1,1", "nemo")):
        of_one = {"corpus": (corpus, corpus), "preset": preset, "study_name": "filter-shapes"}
        best = {"emodb": "40x2", "nemo": "100x2"}[corpus]
        write_results(path, shapes | {best: 0.9}, **of_one)
    shown = power.together(gathered(path)).data
    assert shown.count(">paper<") > 0 and "rank correlation" in shown
    assert "] (WA, 10×2 − 100×2)" in shown, "the one that is furthest there"
    assert "<td>–</td>" not in shown and ">–<" not in shown, "each corpus has all effects"
    # Settings of another version are like no others.
    path.write_text(path.read_text().replace('"preset": "paper"', '"preset": "paper, network.x=1"'))
    assert power.together(gathered(path)).data.count("]") == 3 * 6
    # Of the plan's corpus nothing is shown until it has all shapes of the plan.
    begun = write_results(
        tmp_path / "begun.jsonl", shapes, preset="paper", study_name="filter-shapes"
    )
    del shapes["2x80"]
    write_results(begun, shapes, **of_one)
    assert power.together(gathered(begun)) is None
    nothing = write_results(tmp_path / "few.jsonl", LEVEL)
    write_results(nothing, LEVEL, corpus=("nemo", "1" * 12), speakers=4)
    assert power.together(gathered(nothing)) is None


def test_a_page_is_made_again_for_each_further_corpus_and_setting(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", {"gap": 0.6})
    write_results(path, {"gap": 0.6}, corpus=("synthetic", "0" * 12))
    write_results(path, {"gap": 0.6}, corpus=("my.csv", "2" * 12))
    write_results(path, {"gap": 0.6}, preset="paper")
    for setting in ("coarse", "coarse, front_end.scale=segment-max"):
        write_results(path, {"gap": 0.6}, corpus=("nemo", "1" * 12), preset=setting)
    given = {"corpus": "emodb", "root": "/emodb", "preset": "coarse", "seeds": 1}
    given |= {"results": str(path)}
    pages = {page.stem: Page(page, given, {}, False) for page in report.notebooks(ROOT)}
    found = {name: report.elsewhere(page) for name, page in pages.items()}
    there, page = found.pop("03_pooling"), pages["03_pooling"]
    assert not any(found.values()), "no other page has results there"
    asked = {p: page._replace(parameters=given | {"preset": p}) for p in ("paper", "quick")}
    settled = {preset: report.with_results(each) for preset, each in asked.items()}
    assert settled["paper"] == asked["paper"], "there are results under it"
    assert settled["quick"].parameters["preset"] == "coarse"
    shown = write_results(tmp_path / "shown.jsonl", {"gap": 0.6}, preset="demo")
    write_results(shown, {"gap": 0.6}, preset="paper")
    evident = page._replace(parameters=asked["quick"].parameters | {"results": str(shown)})
    assert report.with_results(evident).parameters["preset"] == "paper", "a demo is no evidence"
    assert [wording.further("03_pooling", *where) for where in there] == [
        "03_pooling_emodb-paper",
        "03_pooling_nemo-coarse",
        "03_pooling_nemo-coarse-front_end-scale-segment-max",
    ]
    again = notebook.again(page, *there[0], tmp_path)
    assert again.parameters == given | {"preset": "paper", "seeds": 0}
    target, parameters, *_ = notebook.again(page, *there[2], tmp_path)
    setting = "coarse, front_end.scale=segment-max"
    assert parameters == given | {"corpus": "nemo", "root": None, "preset": setting, "seeds": 0}
    cells = nbformat.read(target, as_version=4).cells
    title, *headings = (cell.source for cell in cells if cell.cell_type == "markdown")
    assert title.startswith("# Poolings: nEMO, coarse, scale=segment-max\n")
    assert "## Verdicts" in headings and "## Three poolings" not in headings
    assert all(re.fullmatch("#+ .*", heading) for heading in headings)
    source = "# A\n\nwords\n\n## B\n\n### C\n\nwords\n\n## D\n\nwords\n\n### E"
    assert notebook.headings(source) == "# A\n\n## D\n\n### E"
    figures = (cell.metadata.get("mystnb", {}).get("figure") for cell in cells)
    names = [figure["name"] for figure in figures if figure]
    assert "tab-table-1_nemo-coarse-front_end-scale-segment-max" in names
    assert not any(name.startswith("tab-parameters") for name in names), "true of any corpus"

    book = tmp_path / "book"
    book.mkdir()
    shutil.copy(ROOT / "book" / "_toc.yml", book)
    (book / "report").mkdir()
    parent = shutil.copy(page.notebook, book / "report")
    listed = []
    for there in (False, True, False):
        if there:
            (book / "report" / target.name).touch()
        else:
            (book / "report" / target.name).unlink(missing_ok=True)
        report.list_pages(book)
        listed.append(toc_files(yaml.safe_load((book / "_toc.yml").read_text())))
    assert listed[0] == listed[2] and not any("03_pooling_" in page for page in listed[0])
    assert set(listed[1]) - set(listed[0]) == {f"report/{target.stem}"}
    cells = nbformat.read(parent, as_version=4).cells
    leads = [cell.source for cell in cells if cell.source.startswith("*On other corpora")]
    assert len(leads) == 1 and f"{{doc}}`{target.stem}`" in leads[0]


@pytest.mark.parametrize(("chance", "learnt"), [(0.0, False), (0.5, True)])
def test_a_sweep_that_has_not_learnt_is_told(tmp_path: Path, chance: float, learnt: bool) -> None:
    path = write_results(
        tmp_path / "r.jsonl", {"2x2": 0.0, "10x2": chance}, study_name="filter-shapes"
    )
    said = common.verdicts(results.read(path).predictions).data
    assert ("the networks have hardly learnt" in said) != learnt


def test_a_best_size_takes_three_of_a_sweep(tmp_path: Path) -> None:
    of_sweep = {"study_name": "filter-shapes", "preset": "coarse"}
    path = write_results(tmp_path / "r.jsonl", {"2x2": 0.2, "10x2": 0.4}, **of_sweep)
    said = filter_shapes.answer(results.read(path)).data
    assert "No best size is named" in said and "the best WA" not in said
    said = filter_shapes.answer(results.read(write_results(path, {"40x2": 0.6}, **of_sweep))).data
    assert "the best WA is at 40×2 (" in said and "when the height varies; the paper" in said
    # Of a part of the plan none is named, of all of it one is.
    of_sweep["corpus"] = ("nemo", "1" * 12)
    shapes = {f"{h}x2": 0.2 + h / 200 for h in (2, 10, 40, 100)} | {"2x8": 0.2, "2x30": 0.2}
    path = write_results(tmp_path / "nemo.jsonl", shapes, speakers=9, **of_sweep)
    assert "No best size is named" in filter_shapes.answer(results.read(path)).data
    write_results(path, {"2x80": 0.2}, speakers=9, **of_sweep)
    said = filter_shapes.answer(results.read(path)).data
    assert "the best WA is at 100×2 (" in said
    assert said.startswith("**Contradicted here: past a height of about 10 (100 Hz) WA stays level")
    assert "The paper's other claims on filter shapes are not decided (" in said


def test_the_readme_tells_the_paper_s_other_claims(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL | {"bilinear": 0.3})
    told = answers.others(board.evidence(results.read(path).predictions)).splitlines()
    counts, _, *supported = told
    of_claims = "Of the 10 other claims of the paper, "
    said = "2 are decided on some corpus and 8 are not tested:"
    assert counts == of_claims + said
    below, above = "Bilinear pooling is worse than GAP", "Attention pooling beats bilinear"
    where = "in WA and in UA: supported on EmoDB (`coarse`)"
    assert supported == [f"- {below} {where}", f"- {above} {where}"]
    of_sweep: dict[str, Any] = {"study_name": "filter-shapes", "corpus": ("nemo", "1" * 12)}
    shapes = dict.fromkeys(grids.variants("filter-shapes", "coarse"), 0.4) | {"100x2": 0.8}
    write_results(path, shapes, preset="coarse, network.stride=1,1", speakers=9, **of_sweep)
    predictions = results.read(path).predictions
    told = answers.others(board.evidence(predictions)).splitlines()
    said = "5 are decided on some corpus, 3 are undecided and 2 are not tested:"
    assert told[0] == of_claims + said
    assert told[-1] == (
        "1 of the 2 tests of the filter shapes that were planned on nEMO is done; to come is "
        "`paper, scale=segment-max`."
    )
    level = "- Past a height of about 10 (100 Hz) WA stays level: "
    assert told[2] == f"{level}contradicted on nEMO (`paper`)"
    assert told[5:7] == supported
    assert "\n".join(told) in edition.summary(results.read(path))
    scale = "coarse, front_end.scale=segment-max, network.stride=1,1"
    write_results(path, dict.fromkeys(shapes, 0.4), preset=scale, speakers=9, **of_sweep)
    told = answers.others(board.evidence(results.read(path).predictions)).splitlines()
    assert told[0] == of_claims + said and "planned" not in "".join(told)
    both = "contradicted on nEMO (`paper`), undecided on nEMO (`paper, scale=segment-max`)"
    assert told[2] == level + both


def test_on_iemocap_all_claims_on_poolings_are_tested(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL, preset="paper", corpus=("iemocap", "1" * 12))
    predictions = results.read(path).predictions
    assert "not been tested on IEMOCAP" not in first_answer(predictions)
    told, *_ = answers.others(board.evidence(predictions)).splitlines()
    assert told.endswith("and 6 are not tested:")


def test_a_definite_verdict_that_the_exact_test_does_not_bear_out_is_a_close_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL | {"attention": 0.4})
    predictions = results.read(path).predictions
    assert "close call" not in first_answer(predictions)
    monkeypatch.setattr(metrics, "exchange_test", lambda *_: 0.064)
    said = "On EmoDB under `coarse` that is a close call in WA and UA. The gain that the paper "
    assert said in first_answer(predictions)
    write_results(path, LEVEL, preset="paper")
    both = first_answer(results.read(path).predictions)
    assert both.count("close call") == 1, "what is undecided is none"
    assert "lies within some intervals on EmoDB." in both
    path = write_results(tmp_path / "apart.jsonl", LEVEL | {"attention": 0.4})
    write_results(path, LEVEL | {"attention": 0.8}, preset="paper")
    apart = first_answer(results.read(path).predictions)
    assert "lies above some intervals and below others on EmoDB." in apart


def test_how_far_networks_got_is_told_by_wa_and_loss(tmp_path: Path) -> None:
    data = collect(write_results(tmp_path / "r.jsonl", LEVEL))
    table = common.outcome(data)
    # Nine tenths of 514 segments in batches of 64.
    assert "about 400 on EmoDB; about 4,950 in the paper, if" in wording.steps(data.folds)
    assert set(table["network"]) == set(LEVEL) and table["WA"].str.contains(r"\[").all()


def test_without_real_speech_the_first_page_says_so(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL, corpus=("synthetic", "0" * 12))
    for predictions in (results.tables([]).predictions, results.read(path).predictions):
        assert board.evidence(predictions) == []
        assert first_answer(predictions).startswith("**Not known yet: ")


def test_results_are_read_without_the_corpus(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL, speakers=2)
    write_results(path, LEVEL, speakers=2, corpus=("ravdess", "1" * 12))
    write_results(path, LEVEL, speakers=2, preset="quick")
    write_results(path, LEVEL, speakers=2, study="protocol")
    content = path.read_bytes()
    data = collect(path)
    assert len(data.folds) == 6 and set(data.predictions["corpus"]) == {"emodb"}
    assert set(data.folds["study"]) == {"pooling"} and set(data.folds["preset"]) == {"coarse"}
    assert set(collect(path, only="gap").predictions["variant"]) == {"gap"}
    assert path.read_bytes() == content


def test_no_results_and_no_corpus_is_one_line(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", {"gap": 0.6}, speakers=1)
    for file, preset, options in (
        (tmp_path / "none.jsonl", "coarse", "coarse"),
        (path, "quick, training.epochs=3", "quick --set training.epochs=3"),
    ):
        command = f"`repro run pooling --corpus emodb --root DIR --preset {options} --results"
        with pytest.raises(NoResultsError, match=command) as caught:
            collect(file, preset=preset)
        assert "\n" not in str(caught.value)
    with pytest.raises(ReproError, match="where is emodb"):
        read.collect(Run("pooling", "emodb"))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"corpus": ("emodb", "f" * 12)}, "states of the corpus"),
        ({"key": "f" * 12}, "settings of one variant"),
    ],
)
def test_a_mix_is_refused(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    path = write_results(tmp_path / "r.jsonl", {"gap": 0.6}, speakers=2)
    write_results(path, {"gap": 0.6}, speakers=3, **changes)
    with pytest.raises(ReproError, match=rf"r\.jsonl: pooling, coarse, holds folds of .*{what}"):
        collect(path)


def test_what_is_unfinished_is_said_to_be(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", {"gap": 0.6}, speakers=10)
    write_results(path, {"attention": 0.6}, speakers=7)
    data = collect(path)
    said = common.state(data)
    assert said is not None
    assert "Folds so far: `attention` 7 of 10. Not run yet: `bilinear`." in said.data
    assert "gap" not in said.data
    assert common.state(collect(path, only="gap")) is None
    write_results(path, {"2x2": 0.5}, preset="paper", study_name="filter-shapes")
    said = common.state(read.collect(Run("filter-shapes", "emodb", None, "paper", path)))
    assert said is not None
    assert said.data.endswith("`8×2`, `10×2`, `15×2`, `20×2`; … (21 of 22).")


def test_a_seed_that_is_begun_is_said_to_be_and_weighs_nothing(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL, speakers=10)
    before = collect(path)
    data = collect(write_results(path, {"gap": 0.9}, speakers=3, seed=1))
    assert "`gap` 13 of 20" in common.state(data).data
    counted = common.settled(data)
    for one, other in zip(counted[1:3], before[1:3], strict=True):
        pd.testing.assert_frame_equal(one.reset_index(drop=True), other)
    assert len(counted.folds) == 30, "nor is it said to be what the page was made from"


@pytest.mark.parametrize(
    ("corpus", "change", "folds"),
    [
        ("emodb", "protocol.folds=speaker", 10),
        ("emodb", "protocol.folds=random", 10),
        ("emodb", "protocol.folds=session", 0),
        ("iemocap", "protocol.folds=session", 5),
        ("iemocap", "protocol.folds=letter", 10),
        ("iemocap", "protocol.labels=hap+exc", 10),
        ("planted-40ms", "protocol.folds=letter", 0),
        ("ravdess", "protocol.folds=speaker", 24),
        ("ravdess", "protocol.folds=random", 10),
        ("ravdess", "protocol.max_folds=3", 3),
        ("ravdess", "protocol.folds=speaker-groups", 10),
        ("nemo", "protocol.folds=speaker-groups", 9),
    ],
)
def test_planned_folds_are_those_that_a_corpus_gives(corpus: str, change: str, folds: int) -> None:
    assert read.planned_folds(corpus, config.Experiment().override(change)) == folds


# Poolings ----------------------------------------------------------------------------------------


def test_the_gains_of_each_speaker_make_up_the_difference(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL | {"attention": 0.8}, speakers=6, seeds=2)
    predictions = collect(path).predictions
    points = poolings.by_speaker(predictions)
    pairs = "attention − gap, gap − bilinear, attention − bilinear"
    assert ", ".join(points["pair"].unique()) == pairs
    first = points[points["pair"] == "attention − gap"]
    assert first["points"].is_monotonic_decreasing and len(first) == 6
    expected = metrics.difference(predictions, "attention", "gap").value
    assert first["points"].mean() == pytest.approx(expected), "speakers have as many utterances"
    some = predictions[~((predictions["variant"] == "gap") & (predictions["fold"] == "03"))]
    assert "03" not in set(poolings.by_speaker(some).query("pair == 'attention − gap'")["speaker"])
    assert poolings.by_speaker(predictions[predictions["variant"] == "gap"]).empty


def test_a_pooling_without_a_published_number_passes_through_every_page(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", {"gap": 0.0, "attention": 1.0})
    data = results.read(write_results(path, {"bilinear": 0.0}, variant="max"))
    predictions = data.predictions
    assert poolings.table_1(predictions)["model"].to_list()[-1] == "max"
    beside = poolings.here_and_in_paper(predictions).set_index("variant")
    assert np.isnan(beside.loc["max", ["paper WA", "paper WA low", "paper UA"]].to_list()).all()
    assert plots.poolings(beside.reset_index(), "here").data is not None
    assert list(poolings.paired(predictions)["pair"]) == ["attention − gap"]
    said = poolings.answer(data, plain=None).data
    assert said.startswith("By WA the order on EmoDB is attention (100.0%), gap and max (0.0%). In")
    begun = predictions.query("variant != 'gap' or fold < '05'")
    said = poolings.answer(data._replace(predictions=begun), plain=None).data
    assert said.startswith("By WA the order on EmoDB is attention (100.0%), max (0.0%). ")
    alone = predictions.query("variant == 'gap'")
    assert poolings.order(alone, "here").startswith("There is no order here yet")
    three = poolings.here_and_in_paper(predictions.query("emotion != 'happy'"))
    assert {*three["UA guess"].round(1)} == {33.3} and {*three["paper UA guess"]} == {25.0}
    systems = write_results(
        tmp_path / "p.jsonl", dict.fromkeys(SYSTEMS, 0.5), study_name="baselines"
    )
    without = results.read(systems)
    assert " Without a network, " in poolings.answer(data, plain=without).data
    fewer = without._replace(predictions=without.predictions.query("fold < '05'"))
    assert "Without" not in poolings.answer(data, plain=fewer).data, "not the same speakers"
    few = poolings.order(predictions.query("fold < '04'"), "here")
    assert "There is no interval: it needs 5 speakers" in few and "clear of 0" not in few
    assert first_answer(predictions)
    counts = {name: metrics.confusion(rows) for name, rows in predictions.groupby("variant")}
    assert set(plots.confusions(counts).data["variant"]) == {"gap", "attention", "max"}
    assert plots.histories(data.history, 1.4).axes and common.verdicts(predictions).data
    found = board.evidence(predictions)
    assert edition.summary(data) and board.board(found, "emodb", "coarse").data


def test_a_training_that_ends_like_guessing_is_told_and_what_is_without_it(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", {"gap": 1.0, "attention": 1.0})
    lines = results.read_lines(path)
    assert poolings.stuck(results.tables(lines)) is None
    [bad] = [r for r in lines if (r["variant"], r["fold"]) == ("attention", "03")]
    bad["history"][-1] = 1.5
    answers = bad["predictions"]
    for emotion in paper.EMOTIONS:  # always the next one
        answers[emotion] = [float(emotion == OTHER[true]) for true in answers["emotion"]]
    data = results.tables(lines)
    said = poolings.stuck(data).data
    assert said.startswith("1 training of 20 ended with a loss no better than that of guessing: ")
    assert "guessing: attention, 03 held out, seed 0. Without these folds" in said
    assert "attention − gap would be 0.0 [0.0, 0.0] in WA" in said
    assert metrics.difference(data.predictions, "attention", "gap").value < 0


def test_forms_of_attention_are_set_beside_the_default_and_gap(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL)
    assert variations.attentions(str(path), "emodb", "coarse") is None
    assert variations.attentions(None, "emodb", "coarse") is None
    plain = "coarse, network.attention_softmax=false"
    write_results(path, {"attention": 0.9}, preset=plain)
    write_results(path, {"attention": 0.9}, preset="coarse, network.stride=1,1")
    lost = {name: [] for name in ("utterance", "emotion", *paper.EMOTIONS)}
    mean = "coarse, network.attention_average=mean, network.attention_softmax=false"
    lost_ones = {"predictions": lost, "history": [], "diverged": True}
    write_results(path, {"attention": 0.9}, preset=mean, **lost_ones)
    found = variations.attentions(str(path), "emodb", "coarse").set_index("attention")
    assert [*found["diverged"]] == [0, 0, 10] and found.index[0] == "default"
    assert found.index[2] == "attention_average=mean, attention_softmax=false"
    assert [*found["WA"]][2] == "–" == [*found["WA, this − gap"]][2]
    assert found["WA, this − gap"].iloc[1].startswith("+")
    assert found["WA, this − default"].iloc[0] == "–" != found["WA, this − default"].iloc[1]
    alone = write_results(tmp_path / "alone.jsonl", {"attention": 0.9}, preset=mean, **lost_ones)
    assert [*variations.attentions(str(alone), "emodb", "coarse")["diverged"]] == [10]


def test_what_another_training_changes_is_told_on_the_same_speakers(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL)
    assert poolings.trained_otherwise(None, "emodb", "coarse") is None
    assert poolings.trained_otherwise(str(path), "emodb", "coarse") is None
    write_results(path, {"attention": 0.9}, preset="coarse, training.epochs=100")
    assert poolings.trained_otherwise(str(path), "emodb", "coarse") is None, "without its GAP"
    write_results(path, {"gap": LEVEL["gap"]}, preset="coarse, training.epochs=100")
    write_results(path, LEVEL, preset="coarse, network.stride=1,1")
    found = poolings.trained_otherwise(str(path), "emodb", "coarse").set_index("of")
    assert set(found["changed"]) == {"epochs=100"}
    assert found.loc["attention", "WA"][0] == "+" == found.loc["attention − gap", "UA"][0]
    assert poolings.trained_otherwise(str(path), "emodb", "coarse, training.epochs=100") is None


def test_a_choice_smaller_than_training_again_is_called_luck() -> None:
    losses = {
        "default": 0.30,
        "protocol.score=logits": 0.36,
        "front_end.window=periodic": 0.29,
        "front_end.scale=segment-max": 0.10,
        "front_end.bins=1-400": 0.40,
    }
    rows = [{"variant": name, "loss": loss} for name, loss in losses.items()]
    history = pd.DataFrame(rows).assign(seed=0, fold="03", epoch=1)
    data = results.Results(*[history] * len(results.Results._fields))
    data = data._replace(diverged=history.iloc[:0])
    chosen = variations.training_losses(data).query("chosen == 'alternative'")
    assert list(chosen["best alternative"]) == ["periodic", "segment-max"]
    lost = data._replace(diverged=history.query("variant == 'front_end.window=periodic'"))
    assert "periodic" not in [*variations.training_losses(lost)["best alternative"]]
    assert "changed by 0.060: 1 of these 2 readings" in variations.luck(data)
    alone = history[history["variant"] != "protocol.score=logits"]
    shared = history.replace({"loss": {0.36: 0.30}})  # one training, counted in two ways
    for one in (alone, shared):
        assert variations.luck(data._replace(history=one)) == ""


def test_states_of_a_corpus_are_told_apart(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r.jsonl", LEVEL, corpus=("my.csv", "0" * 12))
    write_results(path, LEVEL, corpus=("my.csv", "1" * 12))
    write_results(path, LEVEL, corpus=("nemo", "2" * 12))
    assert len(board.overview(board.gathered({}, str(path)))) == 4
    assert power.together(gathered(path)) is None, "no mean can be taken over both states"
    assert power.on_iemocap(gathered(path)).data.count("WA, attention − gap") == 3


@pytest.mark.parametrize("scale", get_args(Scale))
@pytest.mark.parametrize("magnitude", ["magnitude", "power"])
def test_one_utterance_is_shown_under_every_front_end(scale: Scale, magnitude: Any) -> None:
    front_end = speech.of_one_utterance(FrontEnd(scale=scale, magnitude=magnitude))
    assert (front_end.scale == scale) != scale.startswith("training-set")
    waveform = torch.sin(torch.arange(32_000) / 5)
    steps = speech.normalisation_steps(waveform, front_end)
    as_magnitude = speech.normalisation_steps(waveform, FrontEnd())
    decibels = "decibels (for the eye)"
    np.testing.assert_allclose(steps[decibels], as_magnitude[decibels], atol=1e-3)
