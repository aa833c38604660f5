"""A notebook of a title, parameters and a few cells."""

from pathlib import Path

import nbformat
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


def write_notebook(path: Path, *cells: str) -> None:
    parameters = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    body = [new_code_cell(cell) for cell in cells]
    title = new_markdown_cell("# A page\n\nIt holds $x^2$ and cites {cite:t}`li2018attention`.")
    notebook = new_notebook(cells=[title, parameters, *body], metadata={"kernelspec": KERNEL})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
