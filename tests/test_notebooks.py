"""The notebooks under version control: in step with their scripts, free of outputs, runnable."""

import ast
from pathlib import Path

import jupytext
import nbformat
import pytest

from repro.report import build
from repro.study import grids

FOLDER = Path(__file__).parents[1] / "notebooks"
SCRIPTS = sorted(FOLDER.glob("*.py"))
PARAMETERS = ["corpus", "root", "preset", "results", "device", "precision", "seeds"]


def cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, dict]]:
    return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]


def test_every_section_has_its_notebook() -> None:
    names = [script.stem for script in SCRIPTS]
    sections = """00_does_it_replicate 01_input_spectrograms 02_filter_shapes 03_pooling
    04_attention_maps 05_readings 06_protocol 07_recovery"""
    assert names[:8] == sections.split()
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == names


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.stem)
def script(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_notebook_is_in_step_with_its_script_and_has_no_output(script: Path) -> None:
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    assert cells(notebook) == cells(jupytext.read(script)), "run `make sync`"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert notebook.metadata.kernelspec.language == "python"  # papermill stops without it


def test_one_cell_holds_the_parameters(script: Path) -> None:
    cells = jupytext.read(script).cells
    [tagged] = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    values: dict[str, object] = {}
    exec(tagged.source, values)
    assert [name for name in values if name != "__builtins__"] == PARAMETERS
    assert values["corpus"] == "synthetic" and values["preset"] == "smoke"
    assert values["device"] == values["precision"] == "auto"


def test_whatever_trains_does_so_where_and_how_the_parameters_say() -> None:
    trains = [
        [ast.unparse(word) for word in call.args]
        for script in SCRIPTS
        for call in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Run"
    ]
    assert len(trains) >= len(grids.STUDIES)
    for _, *words in trains:  # of which the study is the first
        assert len(words) in (4, 6, 7) and words == PARAMETERS[: len(words)]


def test_a_report_knows_what_its_pages_train() -> None:
    trained = set()
    for script in SCRIPTS:
        tree = ast.parse(script.read_text(encoding="utf-8"))
        loops = {
            ast.unparse(node.target): node.iter for node in ast.walk(tree) if type(node) is ast.For
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "collect":
                [run] = call.args
                studies = ast.literal_eval(loops.get(ast.unparse(run.args[0]), run.args[0]))
                only = {word.arg: ast.literal_eval(word.value) for word in run.keywords}.get("only")
                for study in [studies] if isinstance(studies, str) else studies:
                    trained.add((script.name[:2], study, only))
    assert trained == set(build.TRAINS)


def test_every_figure_has_a_caption_and_an_alternative_text(script: Path) -> None:
    for cell in jupytext.read(script).cells:
        if cell.cell_type == "code" and cell.source.splitlines()[-1].startswith("plots."):
            figure, image = (
                cell.metadata.get("mystnb", {}).get(n, {}) for n in ("figure", "image")
            )
            assert figure.get("caption") and image.get("alt"), cell.source
