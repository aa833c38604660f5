"""The built book in a browser without a network: Debian's Chromium, driven by Playwright.

Every page is opened from its file, as a reader opens a report. In CI two books were built before
the tests and both are opened: the report that `make report` makes, and the published edition.
Elsewhere the edition is built from `book/` as it stands, so that no old build is tested.
"""

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from conftest import missing
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from repro import config
from repro.cli import app
from repro.model import build_network
from repro.report.build import build_book
from repro.tools import recogniser

ROOT = Path(__file__).resolve().parent.parent
# What `make report` and `make book` leave.
BUILT = {"report": ROOT / "build" / "report" / "book", "edition": ROOT / "book"}
PHONE, SCREEN = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=900)
OWN = {"file", "data", "blob", "about"}  # schemes that ask no other machine

FORWARD = re.compile(r'http-equiv="refresh" content="0; *url=([^"]+)"', re.IGNORECASE)

# What the tests want to know of a page, in one go.
LOOK = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (element) => element.getClientRects().length > 0;
  return {
    title: document.title,
    ids: all("[id], a[name]").map((e) => e.id || e.name),
    links: all("a[href]").map((a) => a.href),
    images: all("img, svg.figure").length,
    broken: all("img").filter((i) => i.complete && !i.naturalWidth).map((i) => i.src),
    unnamed: all("article img, article svg.figure")
      .filter((i) => !(i.getAttribute("alt") ?? i.getAttribute("aria-label")))
      .map((i) => i.outerHTML.slice(0, 200)),
    figures: all("article figure").map((f) => ({
      caption: f.querySelector("figcaption .caption-number")?.textContent ?? "",
      links: [...f.querySelectorAll("a.download")].map((a) => a.textContent),
    })),
    headings: all("article :is(h1, h2, h3, h4, h5, h6)").map((h) => Number(h.tagName[1])),
    formulas: all("article .math").length,
    drawn: all("article mjx-container").length,
    raw: all("article .math").filter((m) => !m.querySelector("mjx-container")).length,
    faults: all("mjx-merror, article .problematic, article .system-message").length,
    wide: all("article *").filter((e) => shown(e) && e.scrollWidth > e.clientWidth + 1
      && getComputedStyle(e).overflowX !== "visible"
      && !e.closest(".math"))
      .map((e) => `${e.tagName}.${e.className}`),
    clipped: all("article div.math").filter((d) => [...d.querySelectorAll("mjx-math")].some(
      (m) => m.getBoundingClientRect().right > d.getBoundingClientRect().right + 1))
      .map((d) => d.textContent.slice(0, 80)),
  };
}"""
PALE = """() => {
  // Text whose contrast with what is behind it is below 4.5 (3 for large text).
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const over = ([r, g, b, a = 1], [s, t, u]) =>
    [r * a + s * (1 - a), g * a + t * (1 - a), b * a + u * (1 - a)];
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length && colour[3] !== 0) layers.push(colour);
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const pale = new Map();
  for (const element of document.querySelectorAll("article *, .bd-sidebar-primary a")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest("svg, mjx-container")) continue;
    const style = getComputedStyle(element);
    if (style.visibility === "hidden" || Number(style.opacity) === 0) continue;
    const under = behind(element);
    let opacity = 1;
    for (let e = element; e; e = e.parentElement) opacity *= getComputedStyle(e).opacity;
    const [red, green, blue, alpha = 1] = parse(style.color);
    const [a, b] = [light(over([red, green, blue, alpha * opacity], under)), light(under)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5))
      pale.set(`${element.tagName}.${element.className} ${style.color} on ${under}`,
        `${contrast.toFixed(2)} ${element.textContent.trim().slice(0, 40)}`);
  }
  return [...pale].map(([where, what]) => `${where}: ${what}`);
}"""


@dataclass
class Visit:
    """What a page showed, asked for and complained of."""

    look: dict
    pale: dict[str, list[str]] = field(default_factory=dict)  # by theme
    elsewhere: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module", params=list(BUILT))
def html(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a built book."""
    if os.environ.get("CI") == "true":
        return BUILT[request.param] / "_build" / "html"
    if request.param == "report":
        pytest.skip("a report may be older than the pages; CI builds one and opens it")
    book = tmp_path_factory.mktemp("book") / "book"
    shutil.copytree(ROOT / "book", book, ignore=shutil.ignore_patterns("_build"))
    shutil.copytree(ROOT / "results", book / "results")
    return build_book(book, book.parent / "log").parent


@pytest.fixture(scope="module")
def pages(html: Path) -> list[Path]:
    """Every page but the one that only leads to the first."""
    found = sorted(p for p in html.rglob("*.html") if "_static" not in p.parts)
    assert len(found) > 10
    return [page for page in found if not FORWARD.search(page.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, with every host name and address led nowhere."""
    program = shutil.which("chromium") or missing("Debian's package chromium")
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"]
        chromium = playwright.chromium.launch(executable_path=program, args=args)
        yield chromium
        chromium.close()


def opened(browser: Browser, size: ViewportSize) -> BrowserContext:
    return browser.new_context(viewport=size, color_scheme="light", offline=True)


def settled(page: Page, path: Path) -> None:
    """Open a page and wait until its fonts are there and its formulas are drawn."""
    page.goto(path.as_uri())
    page.evaluate(
        "async () => { await document.fonts.ready; if (window.MathJax?.startup) "
        "await window.MathJax.startup.promise; }"
    )


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page on a large screen."""
    context = opened(browser, SCREEN)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def visits(browser: Browser, pages: list[Path]) -> dict[Path, Visit]:
    """Every page, opened once on a phone: where links lead, what was asked for, what went wrong."""
    context = opened(browser, PHONE)
    page = context.new_page()
    found: dict[Path, Visit] = {}
    seen = Visit({})
    page.on("request", lambda r: urlsplit(r.url).scheme in OWN or seen.elsewhere.append(r.url))
    page.on("requestfailed", lambda r: seen.failed.append(f"{r.url}: {r.failure}"))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    told = ("error", "warning")
    page.on("console", lambda m: m.type in told and seen.complaints.append(m.text))
    for path in pages:
        seen = found[path] = Visit({})
        settled(page, path)
        seen.look = page.evaluate(LOOK)
        seen.look["width"] = page.evaluate("document.documentElement.scrollWidth")
        page.add_style_tag(content="* { transition: none !important }")
        for theme in ("light", "dark"):
            page.evaluate("(theme) => { document.documentElement.dataset.theme = theme }", theme)
            seen.pale[theme] = page.evaluate(PALE)
    context.close()
    return found


def test_no_page_asks_another_machine_or_complains(
    visits: dict[Path, Visit], capsys: pytest.CaptureFixture[str]
) -> None:
    links = sum(len(visit.look["links"]) for visit in visits.values())
    images = sum(visit.look["images"] for visit in visits.values())
    elsewhere = [url for visit in visits.values() for url in visit.elsewhere]
    failed = [fault for visit in visits.values() for fault in visit.failed]
    complaints = [text for visit in visits.values() for text in visit.complaints]
    with capsys.disabled():
        print(
            f"\n{len(visits)} pages, {links} links, {images} images, {len(elsewhere)} requests to "
            f"other hosts, {len(failed)} failed requests, {len(complaints)} console errors"
        )
    assert links > 100 and images > 10
    assert (elsewhere, failed, complaints) == ([], [], [])


def test_no_link_or_image_is_broken(visits: dict[Path, Visit], html: Path) -> None:
    forward = FORWARD.search((html / "index.html").read_text(encoding="utf-8"))
    assert not forward or html / forward[1] in visits
    ids = {path: set(visit.look["ids"]) for path, visit in visits.items()}
    broken = {path: list(visit.look["broken"]) for path, visit in visits.items()}
    for path, visit in visits.items():
        for link in visit.look["links"]:
            url = urlsplit(link)
            if url.scheme != "file":
                assert url.scheme in {"http", "https", "mailto", "data", "javascript"}, link
                continue
            target, anchor = Path(unquote(url.path)), unquote(url.fragment)
            if not target.is_file() or (anchor and target in ids and anchor not in ids[target]):
                broken[path].append(link)
    assert not {path.name: links for path, links in broken.items() if links}


def test_every_formula_is_drawn(visits: dict[Path, Visit]) -> None:
    assert sum(visit.look["drawn"] for visit in visits.values()) > 10
    for path, look in ((path, visit.look) for path, visit in visits.items()):
        assert not look["faults"], f"{path.name}: an error stands on the page"
        assert not look["raw"], f"{path.name}: {look['raw']} of {look['formulas']} are not drawn"


def test_every_figure_has_a_number_a_description_and_its_sources(visits: dict[Path, Visit]) -> None:
    captions = []
    for path, visit in visits.items():
        assert not visit.look["unnamed"], path.name
        for figure in visit.look["figures"]:
            captions.append(figure["caption"])
            assert re.match(r"(Fig\.|Table) \d", figure["caption"]), (path.name, figure)
            assert {"notebook"} < set(figure["links"]), (path.name, figure)
            kind = "CSV" if figure["caption"].startswith("Table") else "SVG"
            assert kind in figure["links"], (path.name, figure)
    assert any(caption.startswith("Table") for caption in captions)


def test_headings_are_in_order(visits: dict[Path, Visit]) -> None:
    for path, visit in visits.items():
        if path.name == "search.html":  # the theme writes it: no heading until something is found
            continue
        levels = visit.look["headings"]
        assert levels.count(1) == 1 and levels[0] == 1, path.name
        assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), path.name


def test_nothing_scrolls_sideways_on_a_phone(visits: dict[Path, Visit]) -> None:
    for path, visit in visits.items():
        assert visit.look["width"] <= PHONE["width"], path.name
        assert not visit.look["wide"], path.name
        assert not visit.look["clipped"], path.name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out(visits: dict[Path, Visit], theme: str) -> None:
    pale = {path.name: visit.pale[theme] for path, visit in visits.items()}
    assert not {name: found for name, found in pale.items() if found}


def test_the_button_switches_to_the_dark_theme(page: Page, html: Path) -> None:
    settled(page, html / "run.html")
    brightness = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert min(page.evaluate(brightness)) > 200
    for _ in range(3):  # the button goes round light, dark and what the system has
        page.locator(".theme-switch-button").first.click()
        if page.locator("html").get_attribute("data-theme") == "dark":
            break
    assert max(page.evaluate(brightness)) < 60


def test_the_search_finds_attention(page: Page, html: Path) -> None:
    complaints: list[str] = []
    page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
    page.goto((html / "run.html").as_uri())
    page.locator(".search-button__button:visible, .search-button-field:visible").first.click()
    field = page.locator("input[type=search]:visible").first
    field.fill("attention")
    field.press("Enter")
    page.wait_for_url("**/search.html?q=attention*")
    page.locator("#search-results li a", has_text="Attention maps").first.click(timeout=20_000)
    page.wait_for_url("**/04_attention_maps.html*")
    assert not complaints


def test_a_point_of_a_figure_tells_its_value(page: Page, html: Path) -> None:
    settled(page, html / "report" / "09_how_sure.html")  # which needs no results
    page.locator("svg.figure .tip").last.hover()  # the others may lie below one another
    tip = page.locator("#figure-tip")
    tip.wait_for(state="visible")
    text = tip.text_content()
    assert re.match(r"\w+: [\d.]+ points found in \d+%$", text or ""), text


def test_a_prediction_can_be_read_and_heard(browser: Browser, corpus: Path, tmp_path: Path) -> None:
    settings = config.preset("smoke")
    model = recogniser.Recogniser(build_network(settings.network), settings, None, {"speakers": 10})
    recogniser.save(model, tmp_path / "m.safetensors")
    odd = shutil.copy(next((corpus / "wav").iterdir()), tmp_path / "<b>&.wav")
    files = ["predict", tmp_path / "m.safetensors", odd, "--plot", tmp_path / "page"]
    app([str(word) for word in files], standalone_mode=False)
    wrong: list[str] = []
    for size, theme in itertools.product((PHONE, SCREEN), ("light", "dark")):
        context = browser.new_context(viewport=size, color_scheme=theme, offline=True)
        page = context.new_page()
        page.on("request", lambda r: urlsplit(r.url).scheme in OWN or wrong.append(r.url))
        page.on("requestfailed", lambda r: wrong.append(r.url))
        page.on("console", lambda m: wrong.append(m.text))
        page.goto((tmp_path / "page" / "index.html").as_uri())
        page.wait_for_function("document.querySelector('audio').duration > 1")
        assert page.evaluate("document.images[0].naturalWidth") >= 200
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        assert "<b>&.wav" in page.inner_text("h2 >> nth=0")
        plot, strip = (page.locator(each).bounding_box() for each in (".plot img", ".plot svg"))
        assert (plot["x"], plot["width"]) == (strip["x"], strip["width"])  # one time axis
        assert (wrong, page.evaluate(PALE.replace("article *", "body *"))) == ([], [])
        context.close()
