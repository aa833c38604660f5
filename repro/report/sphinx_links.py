"""A Sphinx extension for the book: numbered tables, and what stands under figures and tables.

A notebook's cell that shows a figure or a table names and captions it in its metadata, and Jupyter
Book makes a numbered figure of either. Here tables get numbers of their own, and below each figure
and table come links: to the figure as SVG, to its data as CSV, to the notebook that made it and to
the results file behind it. Figures with tips (`plots.tips`) are put into the page itself, where the
mouse finds them.
"""

import base64
import html
import json
import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

# What `pages.common.table` and `plots.svg` write their data into.
TABLE_DATA = re.compile(r'<p class="csv">.*?base64,([^"]*)".*?</p>\s*', re.DOTALL)
FIGURE_DATA = re.compile(r'<metadata class="csv">(.*?)</metadata>\s*', re.DOTALL)
WITHOUT_RESULTS = "without-results"  # the tag of a cell that shows none
ELEMENT_IDS = re.compile(r'(\bid="|xlink:href="#|url\(#)')


class Table(nodes.figure):
    """A table with a caption, numbered among the tables and not among the figures."""


class Links(SphinxTransform):
    """Make each captioned table of a notebook a `Table`, and write the links under it."""

    default_priority = 800  # before labels are collected, so that references find the tables

    def apply(self, **kwargs: Any) -> None:
        """Go through the page that was just read."""
        page = Path(self.env.doc2path(self.env.docname))
        if page.suffix != ".ipynb":
            return
        notebook = json.loads(page.read_text(encoding="utf-8"))
        without = {
            cell["metadata"]["mystnb"]["figure"]["name"]
            for cell in notebook["cells"]
            if WITHOUT_RESULTS in cell["metadata"].get("tags", [])
        }
        shown = self._results(notebook)
        for figure in list(self.document.findall(nodes.figure)):
            sources = {"notebook": page} | ({} if without & set(figure["names"]) else shown)
            cells = [raw for raw in figure.findall(nodes.raw) if "<table" in raw.astext()]
            images = [i for i in figure.findall(nodes.image) if i["uri"].endswith(".svg")]
            if cells:
                figure = self._as_table(figure)
                files = self._take_table(figure, cells[0])
            elif images:
                files = self._take_figure(figure, images[0])
            else:  # words stand in a table's place, such as that it was not run
                figure.replace_self([n for n in figure if not isinstance(n, nodes.caption)])
                continue
            line = nodes.paragraph(classes=["downloads"])
            for label, path in (files | sources).items():
                target = "/" + Path(os.path.relpath(path, self.env.srcdir)).as_posix()
                text = nodes.inline("", label)
                line += [
                    addnodes.download_reference("", "", text, reftarget=target),
                    nodes.Text(" "),
                ]
            figure.append(nodes.legend("", line))

    def _results(self, notebook: dict[str, Any]) -> dict[str, Path]:
        """Find the results files that a page shows: in the book, or in the project."""
        names = notebook["metadata"].get("repro", {}).get("shown", [])
        book = Path(self.env.srcdir)
        found = {
            name.removeprefix("results/").removesuffix(".jsonl"): folder / name
            for name in sorted(names)
            for folder in (book.parent, book)
            if (folder / name).is_file()
        }
        if not found:
            return {}
        first, path = next(iter(found.items()))
        del found[first]
        return {f"results: {first}" if found else "results": path} | found

    def _as_table(self, figure: nodes.figure) -> Table:
        """Put a `Table` in a figure's place, its caption first."""
        children = sorted(figure, key=lambda node: not isinstance(node, nodes.caption))
        table = Table("", *children, **figure.attributes)
        figure.replace_self(table)
        for identifier in table["ids"]:
            self.document.ids[identifier] = table
        return table

    def _take_table(self, table: Table, cells: nodes.raw) -> dict[str, Path]:
        """Move the data of a table from its cells into a file."""
        before, *data = TABLE_DATA.split(cells.astext(), maxsplit=1)
        kept = nodes.raw("", before + "".join(data[1:]), format="html", classes=cells["classes"])
        cells.replace_self(kept)
        if not data:  # a table that `common.table` has not made
            return {}
        return {"CSV": self._write(table, ".csv", base64.b64decode(data[0]).decode())}

    def _take_figure(self, figure: nodes.figure, image: nodes.image) -> dict[str, Path]:
        """Move the data of a figure into a file, and a figure with tips into the page."""
        _, path = self.env.relfn2path(image["uri"], self.env.docname)
        before, *data = FIGURE_DATA.split(Path(path).read_text(encoding="utf-8"))
        bare = before + "".join(data[1:])
        files = {"SVG": self._write(figure, ".svg", bare)}
        if data:
            files["CSV"] = self._write(figure, ".csv", html.unescape(data[0]))
        if "<title>" in bare:
            drawn = inline(bare, prefix=figure["ids"][0], alt=image.get("alt", ""))
            image.replace_self(nodes.raw("", drawn, format="html"))
        return files

    def _write(self, figure: nodes.figure, suffix: str, text: str) -> Path:
        folder = Path(self.app.doctreedir).parent / "downloads" / self.env.docname
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (figure["ids"][0] + suffix)
        path.write_text(text, encoding="utf-8")
        return path


def inline(svg: str, prefix: str, alt: str) -> str:
    """Make an SVG file fit to stand inside a page, beside others like it.

    Args:
        svg: as `plots.svg` draws it.
        prefix: what sets its identifiers apart from those of the page's other figures.
        alt: what it shows, for readers who cannot see it.
    """
    body = svg[svg.index("<svg") :]
    body = ELEMENT_IDS.sub(rf"\g<1>{prefix}-", body)
    body = body.replace("*{", f".{prefix} *{{")  # matplotlib's style is for one figure
    label = html.escape(alt, quote=True)
    return body.replace("<svg", f'<svg class="figure {prefix}" role="img" aria-label="{label}"', 1)


def _without_thebe(app: Sphinx, page: str, template: str, context: dict, tree: Any) -> None:
    """Leave out scripts for live cells: no page has any, and declaring them twice is an error."""
    scripts = context.get("script_files", [])
    context["script_files"] = [s for s in scripts if "thebe" not in f"{s}{vars(s)}".lower()]


def _leave_out_aliases(
    app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out the fields of named tuples, whose signatures name them already."""
    return (getattr(thing, "__doc__", None) or "").startswith("Alias for field number") or None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", _without_thebe, priority=900)
    app.add_enumerable_node(
        Table, "table", html=(HTML5Translator.visit_figure, HTML5Translator.depart_figure)
    )
    app.add_transform(Links)
    app.connect("autodoc-skip-member", _leave_out_aliases)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
