"""The published edition: the book made from the published results, and the README's part of it.

Nothing is trained and no number is typed in: `make edition` writes the pages, and the answer with a
table into the README.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from repro import paper
from repro.errors import ReproError
from repro.report.build import begin_book, find_project, make_book, notebooks
from repro.report.notebook import Page
from repro.report.pages import answers, board, speed
from repro.results import Results
from repro.results.audit import merge

CORPUS = "emodb"
SPEECH = "results/emodb/pooling.jsonl"
NEMO = ("results/nemo/baselines.jsonl", "results/nemo/pooling*.jsonl")
POOLINGS = (SPEECH, "results/emodb/paper.jsonl", *NEMO)
SHAPES = ("results/emodb/shapes.jsonl", "results/nemo/shapes*.jsonl")
# What pages are made from, if not from `SPEECH`: files below the project, or patterns of several.
SOURCES = {
    "00_does_it_replicate": (*POOLINGS, *SHAPES),
    "09_how_sure": (*POOLINGS, *SHAPES),
    "02_filter_shapes": SHAPES,
    "03_pooling": (*POOLINGS, "results/emodb/longer.jsonl"),
    "04_attention_maps": POOLINGS,
    "05_readings": ("results/emodb/readings.jsonl", SPEECH, "results/emodb/attention.jsonl"),
    "06_protocol": ("results/emodb/protocol.jsonl",),
    "07_recovery": ("results/planted/quick.jsonl",),
    "11_how_fast": (
        "results/bench/*.json",
        *(f"results/emodb/{name}.jsonl" for name in speed.POOLINGS),
    ),
}
PRESETS = {"07_recovery": "quick"}  # of the others `coarse`


def build_edition() -> Path:
    """Make the published edition from the published results and put it into `book/report/`.

    Nothing is trained, and EmoDB need not be at hand. Where a study has no results yet its page
    ends by saying so. Each page keeps the checksums of what it was made from, see `made_from`.

    Raises:
        ReproError: There is no book or notebook, a notebook failed, or the book did not build.
    """
    project, out = find_project(), Path("build") / "edition"
    book = begin_book(project, out)
    pages = [page_of(notebook, out) for notebook in notebooks(project)]
    results = {name: project / name for page in pages for name in page.facts["results"]}
    index = make_book(out, pages, results)
    published = project / "book" / "report"
    shutil.rmtree(published, ignore_errors=True)
    shutil.copytree(book / "report", published)
    shutil.copyfile(book / "_toc.yml", project / "book" / "_toc.yml")
    update_readme(project, Path(pages[0].parameters["results"]))
    return index


def page_of(notebook: Path, out: Path) -> Page:
    """Return a page of the published edition, which reads several results files as one.

    Args:
        notebook: As under version control.
        out: Where to put them together.
    """
    project, facts = notebook.parent.parent, made_from(notebook)
    results = project / SOURCES.get(notebook.stem, (SPEECH,))[0]
    files = [path for name in facts["results"] if (path := project / name).is_file()]
    if results.suffix == ".jsonl" and files and files != [results]:
        results = out / notebook.stem / results.name
        results.unlink(missing_ok=True)
        merge(files, results)
    parameters = {"corpus": CORPUS, "root": None, "preset": PRESETS.get(notebook.stem, "coarse")}
    parameters |= {"results": os.path.relpath(results), "device": "cpu", "precision": "auto"}
    return Page(notebook, parameters | {"seeds": 1}, facts, unfinished=True, published=True)


def made_from(notebook: Path) -> dict[str, Any]:
    """Return checksums of what a published page is made from: its notebook and its results.

    Returns:
        `notebook`, SHA-256 over the cells' kinds, sources and metadata; `results`, the names of the
        files below the project; and `results sha256`, of each, None for one that is not there.
    """
    import nbformat

    read = nbformat.read(notebook, as_version=4)
    cells = json.dumps([(c.cell_type, c.source, c.metadata) for c in read.cells], sort_keys=True)
    project, files = notebook.parent.parent, []
    for name in SOURCES.get(notebook.stem, (SPEECH,)):
        several = sorted(path.relative_to(project).as_posix() for path in project.glob(name))
        files += several if "*" in name else [name]
    sums = [_sha256(path.read_bytes()) if (path := project / n).is_file() else None for n in files]
    return {"notebook": _sha256(cells.encode()), "results": files, "results sha256": sums}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# README

BEGIN = "<!-- verdicts: written by make edition -->"
END = "<!-- end of verdicts -->"
NUMBERS = (
    "WA (%) of each pooling, and what attention gains over GAP, in points with 95% intervals over "
    "speakers:"
)
NOTHING = "Not known yet: no result on real speech has been published here."


def update_readme(project: Path, results: Path) -> None:
    """Write the answer and the poolings in numbers into a project's README.

    Args:
        project: its folder.
        results: the file that the first page is made from, which may be missing.

    Raises:
        ReproError: the README has lost its markers.
    """
    readme = project / "README.md"
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ReproError(f"{readme}: it must hold the lines {BEGIN} and {END}; put them back")
    shown = summary(board.gathered({}, str(results)))
    readme.write_text(f"{before}{begin}\n{shown}\n{end}{after}", encoding="utf-8")


def summary(data: Results) -> str:
    """Return as Markdown what results say of the paper's claims: in words and in numbers."""
    found = board.evidence(data.predictions)
    if not found:
        return NOTHING
    shown = ["corpus, preset", *paper.TABLE_1, board.GAINS[0]]
    numbers = board.overview(data)[shown]
    rows = [numbers.columns, ["---"] * numbers.shape[1], *numbers.itertuples(index=False)]
    table = "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
    return "\n\n".join([answers.answer(found), answers.others(found), NUMBERS, table])
