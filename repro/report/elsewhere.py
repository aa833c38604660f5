"""Pages that show again, of another corpus or setting, what a page of the report shows.

A results file may hold the study of a page on several corpora and under several settings. Each
further one has a page of its own below that page: the same notebook, without the words and the code
that are true of any.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from repro import results
from repro.corpora import BUILT_IN, CORPORA, name_of
from repro.report.pages import wording

ONCE = "once"  # the tag of a cell that is true of any corpus and setting


class Elsewhere(NamedTuple):
    """A corpus, and a preset with what is changed of it, for which a page is made once more."""

    corpus: str
    setting: str

    def name(self, of: str) -> str:
        """Return what a page, figure or table is called here that has a name `of` its own."""
        return f"{of}_" + re.sub(r"\W+", "-", ", ".join(self))

    def run(
        self, page: Path, folder: Path, parameters: dict[str, Any]
    ) -> tuple[Path, dict[str, Any]]:
        """Return the notebook of a page as it is run here, and its parameters: it trains nothing.

        Args:
            page: its notebook.
            folder: where to write the other one.
            parameters: those of the page.
        """
        target = folder / f"{self.name(page.stem)}.ipynb"
        _write(page, target, self)
        here = {"preset": self.setting, "seeds": 0}
        if self.corpus != name_of(parameters["corpus"]):
            here |= {"corpus": self.corpus, "root": None}
        return target, parameters | here


def held(path: Path, study: str, variant: str | None, corpus: str, setting: str) -> list[Elsewhere]:
    """Return on which further corpora, and under which settings, a results file holds a study.

    Synthetic sound is not among them, nor is a corpus that is known by a table of one's own alone.

    Args:
        path: the results file, which need not exist.
        study: its name.
        variant: the one that is looked for; by default any.
        corpus: the name of the one that is at hand.
        setting: the one that is not looked for on it.

    Raises:
        ReproError: the results file cannot be read.
    """
    if not path.is_file():
        return []
    known = ({corpus} | CORPORA.keys()) - {*BUILT_IN}
    found = dict.fromkeys(
        Elsewhere(record["corpus"]["name"], record["preset"])
        for record in results.read_lines(path)
        if record["study"] == study and variant in (None, record["variant"])
    )
    return [of for of in found if of != (corpus, setting) and of.corpus in known]


def _write(source: Path, target: Path, where: Elsewhere) -> None:
    """Write the notebook of a page as it is run for another corpus.

    Words go, but for the headings of what is left, and so does what is tagged `ONCE`. Figures and
    tables get names of their own.
    """
    import nbformat

    read = nbformat.read(source, as_version=4)
    kept = []
    for cell in read.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            cell.source = "\n\n".join(re.findall(r"^#+ .*$", cell.source, re.MULTILINE))
        elif ONCE in tags:
            continue
        elif figure := cell.metadata.get("mystnb", {}).get("figure"):
            figure["name"] = where.name(figure["name"])
        if cell.cell_type == "code":
            cell.metadata["tags"] = sorted({*tags, "remove-input"})
        kept.append(cell)
    read.cells = [
        cell
        for cell, after in zip(kept, [*kept[1:], None], strict=True)
        if cell.cell_type == "code" or (cell.source and after and after.cell_type == "code")
    ]
    read.cells[0].source += (
        f": {wording.title(where.corpus)}, {where.setting}\n\n"
        f"*What {{doc}}`{source.stem}` shows, on another corpus or under other settings. What "
        "figures and tables mean is said there.*"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(read, target)
