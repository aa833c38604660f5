"""A notebook of a title, parameters and a few cells."""

import shutil
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
PARAMETERS = """\
corpus = "synthetic"
root = None
preset = "smoke"
results = "results.jsonl"
device = "cpu"
precision = "auto"
seeds = 1
"""


ROOT = Path(__file__).resolve().parents[1]


def write_project(folder: Path, root: str) -> Path:
    """Writes the real configuration and bibliography around pages that are still to come."""
    (folder / "book" / "report").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "_config.yml", folder)
    (folder / "book" / "_config.yml").symlink_to("../_config.yml")
    for name in ("references.bib", "bibliography.md"):
        shutil.copy(ROOT / "book" / name, folder / "book")
    chapters = [{"file": "report/01_page"}, {"file": "bibliography"}]
    toc = {"format": "jb-book", "root": root, "chapters": chapters}
    (folder / "book" / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (folder / "book" / "report" / "old.ipynb").write_text("left from before", encoding="utf-8")
    return folder


def write_notebook(path: Path, *cells: str) -> None:
    parameters = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    body = [new_code_cell(cell) for cell in cells]
    title = new_markdown_cell("# A page\n\nIt holds $x^2$ and cites {cite:t}`li2018attention`.")
    notebook = new_notebook(cells=[title, parameters, *body], metadata={"kernelspec": KERNEL})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def toc_files(node: object) -> list[str]:
    """Every page that a table of contents names."""
    if isinstance(node, list):
        return [name for item in node for name in toc_files(item)]
    if isinstance(node, dict):
        own = [node[key] for key in ("root", "file") if key in node]
        return own + [name for value in node.values() for name in toc_files(value)]
    return []
