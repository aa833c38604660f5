"""What stands under figures and tables of a built book, and what the pages about it are made of."""

import json
import re
import shutil
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from unittest.mock import Mock

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from matplotlib.text import Text
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx.application import Sphinx
from tiny_notebook import KERNEL

from repro import config, model
from repro.report import build as report
from repro.report import plots, sphinx_links
from repro.report.pages import common, in_brief, left_open, speech
from repro.study import attention

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ["results/a/r.jsonl", "results/b/r.jsonl", "results/none.jsonl"]
FRAME = pd.DataFrame({"variant": ["a<b", "<span>c</span>"], "WA": [1 / 3, 65.25]})


def drawing() -> plots.Drawing:
    fig, ax = plots._subplots()
    ax.plot([0, 1], [0, 1])
    plots.tips(ax, [0.5], [0.5], ['WA 65.0 [58.1, 71.9], "quoted" & <odd>'])
    fig.data = FRAME
    return fig


def shown(source: str, name: str, caption: str, kind: str, data: str) -> nbformat.NotebookNode:
    """A cell with one output and what stands under it."""
    figure = {"figure": {"name": name, "caption": caption}, "image": {"alt": "A line's rise."}}
    outputs = [new_output("display_data", data={kind: data})]
    return new_code_cell(source, metadata={"mystnb": figure}, outputs=outputs)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built page with a figure, a table, and words where a table might have been."""
    folder = tmp_path_factory.mktemp("project") / "book"
    for corpus in ("a", "b"):
        (folder / "results" / corpus).mkdir(parents=True)
        file = folder / "results" / corpus / "r.jsonl"
        file.write_text(f"a fold of {corpus}", encoding="utf-8")
    shutil.copy(ROOT / "_config.yml", folder)
    shutil.copy(ROOT / "book" / "references.bib", folder)
    (folder / "_toc.yml").write_text("format: jb-book\nroot: page\n", encoding="utf-8")
    cells = [
        new_markdown_cell("# A page\n\nSee {numref}`fig-line` and {numref}`tab-two`."),
        shown("read(results)", "fig-line", "A line.", "image/svg+xml", plots.svg(drawing())),
        shown("table", "tab-two", "Two rows.", "text/html", common.table(FRAME).data),
        shown("words", "tab-none", "No rows.", "text/markdown", "Not run."),
    ]
    metadata = {"kernelspec": KERNEL, "repro": {"shown": RESULTS}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / "page.ipynb")
    built = report.build_book(folder, folder.parent / "log")
    return built.parent / "page.html"


def downloads(page: Path) -> dict[str, Path]:
    """The files under each figure, by the figure's identifier and the link's text."""
    links = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select(
        "figure a.download"
    )
    found = ((a.find_parent("figure")["id"], a) for a in links)
    return {f"{figure} {a.get_text(strip=True)}": page.parent / a["href"] for figure, a in found}


def test_figures_and_tables_are_numbered_apart_and_referred_to(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    references = re.findall(r'<span class="std std-numref">([^<]*)</span>', text)
    assert references == ["Fig. 1", "Table 1"]
    assert re.findall(r'caption-number">([^<]*)<', text) == ["Fig. 1 ", "Table 1 "]
    assert "Not run." in text and "No rows." not in text


def test_everything_behind_a_figure_can_be_had(page: Path) -> None:
    files = downloads(page)
    kinds = ("CSV", "notebook", "results: a/r", "b/r")
    line = {f"fig-line {kind}" for kind in ("SVG", *kinds)}
    table = {f"tab-two {kind}" for kind in kinds}
    assert set(files) == line | table
    for name in ("fig-line CSV", "tab-two CSV"):
        data = pd.read_csv(files[name])
        assert data["WA"].to_list() == pytest.approx(FRAME["WA"], rel=1e-5)
    assert pd.read_csv(files["tab-two CSV"])["variant"].to_list() == ["a<b", "c"]
    assert "<metadata" in plots.svg(drawing())
    assert files["fig-line SVG"].name == "fig-line.svg"
    assert 'class="csv"' not in files["fig-line SVG"].read_text(encoding="utf-8")
    assert json.loads(files["fig-line notebook"].read_text(encoding="utf-8"))["cells"]
    for corpus, link in (("a", "results: a/r"), ("b", "b/r")):
        file = files[f"fig-line {link}"]
        assert file.read_text(encoding="utf-8") == f"a fold of {corpus}"
    article = page.read_text(encoding="utf-8").split("<article")[1].split("</article")[0]
    assert "base64" not in article


def test_a_figure_with_tips_stands_in_the_page_and_says_what_it_shows(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert 'role="img" aria-label="A line&#x27;s rise."' in text
    assert '<title>WA 65.0 [58.1, 71.9], "quoted" &amp; &lt;odd&gt;</title>' in text


def test_two_figures_in_one_page_share_no_identifier() -> None:
    svg = plots.svg(drawing())
    one, other = (sphinx_links.inline(svg, prefix, "") for prefix in ("one", "other"))
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, other)]
    assert ids[0] and not ids[0] & ids[1]
    for text, own in zip((one, other), ids, strict=True):
        used = set(re.findall(r'(?:xlink:href="|url\()#([^")]+)', text))
        assert used and used <= own


def test_a_figure_is_the_same_bytes_again() -> None:
    plots.use_style()
    assert plots.svg(drawing()) == plots.svg(drawing())


def test_no_letter_of_a_figure_is_too_small_for_a_phone() -> None:
    plots.use_style()
    losses = [(f"{v}x2", 0, 0, epoch, 1.0) for v in range(22) for epoch in (1, 2)]
    history = pd.DataFrame(losses, columns=["variant", "fold", "seed", "epoch", "loss"])
    settings = config.preset("paper").network
    network = plots.network(in_brief.layers(settings))
    curve = plots.mu_law_curve(speech.mu_law_values())
    for figure in (network, curve, plots.histories(history, 1.4)):
        letters = [text for text in figure.findobj(Text) if text.get_text()]
        assert letters and min(text.get_fontsize() for text in letters) >= plots.SMALL
        assert figure.get_figwidth() <= plots.WIDTH


def test_the_names_of_filter_sizes_do_not_run_into_one_another() -> None:
    assert plots._apart([2, 10, 40, 100]) == {2, 10, 40, 100}
    sizes = [2, 4, 6, 8, 10, 15, 20, 30, 40, 60, 80, 100]
    assert plots._apart(sizes) == set(sizes) - {8, 80}


def test_the_drawn_network_has_the_parameters_of_the_real_one() -> None:
    settings = config.preset("paper").network
    for network in (
        settings,
        replace(settings, pooling="bilinear", pools=(2, 3, 4)),
        replace(settings, padding="none", stride=(4, 4)),
    ):
        drawn = plots.network(in_brief.layers(network)).data
        built = model.build_network(network)
        real = sum(p.numel() for p in built.parameters() if p.requires_grad)
        assert drawn["parameters"].sum() == real
    sizes = in_brief.layers(settings)[["maps", "rows", "frames"]]
    assert sizes.loc[5].to_list() == [80, 100, 50]  # the 6400-dimensional bilinear feature


def test_every_setting_left_open_can_be_given_as_the_page_says() -> None:
    rows = zip(config.READINGS, left_open.readings().to_dict("records"), strict=True)
    for reading, row in rows:
        assert row["field"] == f"<code>{reading.field}</code>"
        texts = re.findall(r"<code>(.*?)</code>", row["or else"])
        for text, (value, _) in zip(texts, reading.alternatives, strict=True):
            changed = config.preset("paper").override(f"{reading.field}={text}")
            assert attrgetter(reading.field)(changed) == value


def test_fields_of_named_tuples_are_not_told_twice() -> None:
    app = Mock(spec=Sphinx)
    field = vars(attention.Maps)["bottom_up"]
    assert sphinx_links._leave_out_aliases(app, "class", "bottom_up", field, False, {})
    assert sphinx_links._leave_out_aliases(app, "function", "svg", plots.svg, False, {}) is None


def test_every_module_stands_on_a_page_of_the_package() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "book" / "api").glob("*.md")]
    listed = set(re.findall(r"automodule:: (\S+)", "\n".join(pages)))
    paths = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "repro").rglob("*.py"))
    modules = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    unlisted = {"repro", "repro.__main__", "repro.corpora._speak"}
    assert listed == modules - unlisted
