"""The published edition: pages that agree with their notebooks, with results, and with paper."""

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from made_up import write_results
from tiny_notebook import toc_files, write_notebook, write_project

from repro import config, paper, results
from repro.corpora import CORPORA
from repro.evidence import learning, metrics
from repro.report import build as report
from repro.report import edition, notebook
from repro.report.pages import wording
from repro.study.baselines import CLASSIFIER

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = sorted((ROOT / "book" / "report").glob("*.ipynb"))
# Pages whose results do not all lie in EmoDB's folder.
SHOWN_OF = {"00": {"emodb", "nemo"}, "07": {"planted"}, "11": {"emodb", "bench"}}
SHOWN_OF["09"] = SHOWN_OF["00"]


# The pages as published --------------------------------------------------------------------------


def shown(notebook: nbformat.NotebookNode) -> str:
    """Everything that a page's cells put out, as text."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts += [output.get("text", ""), data.get("text/html", "")]
            texts += [data.get("text/markdown", ""), data.get("text/plain", "")]
    return "\n".join(texts)


def test_every_notebook_is_published_and_in_the_table_of_contents(tmp_path: Path) -> None:
    notebooks = {path.stem: path for path in report.notebooks(ROOT)}
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    listed = {page.removeprefix("report/") for page in toc_files(toc) if "report/" in page}
    assert toc["root"] == "report/00_does_it_replicate"
    further = {
        wording.further(name, *where)
        for name, path in notebooks.items()
        if (page := edition.page_of(path, tmp_path)).published
        for where in report.elsewhere(report.with_results(page))
    }
    assert listed == {path.stem for path in PUBLISHED} == notebooks.keys() | further


@pytest.mark.parametrize("page", PUBLISHED, ids=lambda path: path.stem)
def test_a_page_is_made_from_this_notebook_and_these_results(page: Path) -> None:
    read = nbformat.read(page, as_version=4)
    facts = read.metadata.get("repro")
    [source] = (path for path in report.notebooks(ROOT) if page.stem.startswith(path.stem))
    shown = facts.pop("shown")
    assert facts == edition.made_from(source), "run `make edition`"
    folders = {Path(name).parent.name for name in shown}
    if "_nemo-" in page.stem:  # no page links to what only the notebook's other pages show
        assert folders == {"nemo"}
    else:
        assert folders == SHOWN_OF.get(page.stem[:2], {"emodb"})
    assert "papermill" not in read.metadata
    assert any(cell.get("outputs") for cell in read.cells), "it was not executed"
    for cell in read.cells:
        texts = [cell.source, *(output.get("text", "") for output in cell.get("outputs", []))]
        for text in texts:
            assert not re.search(r"(?<![\w.~])/(root|home|Users|tmp|work)/", text)
            assert str(Path.home()) + os.sep not in text


def test_table_1_shows_the_wa_that_the_results_give() -> None:
    page = nbformat.read(ROOT / "book" / "report" / "03_pooling.ipynb", as_version=4)
    told = results.read(ROOT / edition.SPEECH, study={"pooling"}, preset={"coarse"}).predictions
    right = (told["predicted"] == told["emotion"]).groupby(told["variant"]).mean()
    outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
    tables = [output.get("data", {}).get("text/html", "") for output in outputs]
    [table_1] = [each for each in tables if "the paper, IEMOCAP" in each]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table_1.split("<tr>")]
    found = {row[1]: row[2] for row in rows if row and row[0].startswith("here")}
    for variant, share in right.items():
        wa = f"{100 * share:.1f}"
        assert re.match(rf"{re.escape(wa)}(\s\[|$)", found[paper.TABLE_1[variant].name]), variant


def test_the_first_page_has_an_answer() -> None:
    page = nbformat.read(ROOT / "book" / "report" / "00_does_it_replicate.ipynb", as_version=4)
    text = shown(page)
    assert re.search(r"\*\*(Yes|No|Undecided|Mixed|Not confirmed|Not known yet): ", text)
    assert all(claim.text[1:] in text for claim in paper.CLAIMS)  # a line begins with a capital


# What the first page says of them in words -------------------------------------------------------


def published(name: str, study: str = "pooling") -> results.Results:
    return results.read(ROOT / "results" / f"{name}.jsonl", study={study})


def test_the_steps_of_training_are_far_fewer_on_emodb_and_about_half_on_nemo() -> None:
    steps = {name: learning.steps(name, learning.AS_IN_THE_PAPER) for name in CORPORA}
    assert steps["emodb"] < steps["iemocap"] / 10
    assert 0.4 < steps["nemo"] / steps["iemocap"] < 0.6


@pytest.mark.parametrize("name", ["emodb/pooling", "emodb/paper"])
def test_on_emodb_attention_loses_and_its_training_loss_ends_above_that_of_gap(name: str) -> None:
    data = published(name)
    losses = learning.last_losses(data.history)["median"]
    assert losses["attention"] > losses["gap"]
    assert metrics.difference(data.predictions, "attention", "gap").high < 0


@pytest.mark.parametrize("name", ["nemo/pooling", "nemo/pooling-max"])
def test_on_nemo_poolings_know_whom_they_train_on_and_none_is_clear_of_another(name: str) -> None:
    data = published(name)
    assert {config.parted(preset)[0] for preset in data.folds["preset"]} == {"coarse"}
    assert (learning.last_losses(data.history)["max"] < 0.05).all()
    pairs = metrics.compare_pairs(data.predictions)
    assert len(pairs) == 3 and ((pairs["WA low"] < 0) & (pairs["WA high"] > 0)).all()


@pytest.mark.parametrize(
    ("name", "plain", "sign"),
    [
        ("emodb/pooling", "emodb/pooling", -1),
        ("emodb/paper", "emodb/pooling", -1),
        ("nemo/pooling", "nemo/baselines", 1),
        ("nemo/pooling-max", "nemo/baselines", 1),
    ],
)
def test_the_logistic_regression_is_ahead_on_emodb_and_behind_on_nemo(
    name: str, plain: str, sign: int
) -> None:
    rows = published(plain, "baselines").predictions
    rows = rows[rows["variant"] == CLASSIFIER]
    for _, pooled in published(name).predictions.groupby("variant"):
        assert sign * metrics.contrast([pooled], [rows], "WA").value > 0


def test_a_seed_does_not_tell_attention_from_gap_and_rounding_moves_it_more_than_claimed() -> None:
    data = published("emodb/pooling").predictions
    first = metrics.difference(data.query("seed == 0"), "attention", "gap")
    assert first.low < 0 < first.high
    exact, rounded = (
        metrics.difference(published(f"emodb/{name}").predictions, "attention", "gap").value
        for name in ("paper", "paper-bf16")
    )
    assert abs(exact - rounded) > metrics.paper_difference("attention", "gap", "WA")


def test_with_a_softmax_and_an_average_attention_learns_much_less() -> None:
    losses = learning.last_losses(published("emodb/readings", "readings").history)["median"]
    assert losses["network.attention_average=mean"] > 3 * losses["default"]


def test_other_forms_of_attention_diverge_or_are_not_clear_of_the_default_or_gap() -> None:
    data = published("emodb/attention")
    default = published("emodb/pooling").predictions.query("seed == 0")
    assert len(data.diverged) == 10
    assert set(data.diverged["preset"]) == {"coarse, network.attention_softmax=false"}
    for variant in ("attention", "gap"):
        rows = default[default["variant"] == variant]
        found = metrics.contrast([data.predictions], [rows], "WA")
        assert found.low < 0 < found.high


# How it is made ----------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project with two pages: one has results, one has none."""
    folder = write_project(tmp_path / "project", "report/00_first")
    (folder / "README.md").write_text(edition.BEGIN + edition.END, encoding="utf-8")
    first = "print(corpus, root, preset, results)"
    second = (
        "from repro.study.plan import Run\n"
        "from repro.study.read import collect\n"
        'collect(Run("pooling", corpus, root, preset, results))'
    )
    for name, code in (("00_first", first), ("01_page", second)):
        write_notebook(folder / "notebooks" / f"{name}.ipynb", code, "print('the end')")
    monkeypatch.chdir(folder)
    return folder


def test_the_edition_is_made_without_corpus_or_training_and_published(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edition.build_edition().is_file()
    said = capsys.readouterr().out
    assert all(re.search(rf"^{page} +done", said, re.M) for page in ("00_first", "01_page"))
    published = project / "book" / "report"
    assert {path.name for path in published.iterdir()} == {"00_first.ipynb", "01_page.ipynb"}

    first = nbformat.read(published / "00_first.ipynb", as_version=4)
    assert "emodb None coarse results/emodb/pooling.jsonl" in shown(first)
    assert "the end" in shown(first)
    made_from = edition.made_from(project / "notebooks" / "00_first.ipynb")
    assert first.metadata["repro"] == made_from | {"shown": []}
    assert made_from["results sha256"] == [None]

    second = nbformat.read(published / "01_page.ipynb", as_version=4)
    last = second.cells[-1]
    assert last.id == notebook.NOT_RUN
    assert "The study `pooling` has not been run on emodb with the preset `coarse`" in last.source
    assert "the end" not in shown(second)
    assert not any("papermill" in str(cell.metadata) for cell in second.cells)

    # The same again: the same pages.
    pages_before = {path.name: path.read_bytes() for path in published.iterdir()}
    edition.build_edition()
    assert {path.name: path.read_bytes() for path in published.iterdir()} == pages_before

    # Other results, or another notebook, and the pages no longer agree.
    (project / "results" / "emodb").mkdir(parents=True)
    (project / edition.SPEECH).write_text("", encoding="utf-8")
    assert edition.made_from(project / "notebooks" / "00_first.ipynb") != made_from
    shutil.rmtree(project / "results")
    source = project / "notebooks" / "00_first.ipynb"
    source.write_text(source.read_text().replace("cites", "names"))
    assert edition.made_from(source) != made_from


def test_a_page_reads_several_results_files_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("coarse.jsonl", "p*.jsonl", "none.jsonl")
    monkeypatch.setitem(edition.SOURCES, "01_page", names)
    path = tmp_path / "notebooks" / "01_page.ipynb"
    write_notebook(path)

    def joined() -> Path:
        return Path(edition.page_of(path, tmp_path / "out").parameters["results"])

    write_results(tmp_path / "coarse.jsonl", {"gap": 0.6}, speakers=6)
    assert joined().resolve() == tmp_path / "coarse.jsonl"
    for variant, speakers in (("gap", 5), ("attention", 6)):
        write_results(tmp_path / "paper.jsonl", {variant: 0.6}, speakers=speakers, preset="paper")
    for _ in range(2):  # an earlier one is replaced
        folds = results.read(joined()).folds
        assert folds.groupby(["preset", "variant"]).size().to_dict() == {
            ("coarse", "gap"): 6,
            ("paper", "attention"): 6,
            ("paper", "gap"): 5,
        }
