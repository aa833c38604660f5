"""Imports go down only: on which floor of the library each module stands."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import repro

FLOORS = """repro errors paper files / config audio device / results / layers spectrogram model /
trainer / corpora crossval / study / evidence / tools / report / cli __main__"""
FLOOR = {name: i for i, names in enumerate(FLOORS.split("/")) for name in names.split()}
# A machine that only trains has none of these.
OF_THE_REPORT = ("IPython", "jupyter", "matplotlib", "nb", "papermill", "seaborn", "sphinx")

HOUSE = Path(repro.__file__).parent
TREES = {}  # of each module by its name
for path in sorted(HOUSE.rglob("*.py")):
    words = path.relative_to(HOUSE.parent).with_suffix("").parts
    TREES[".".join(words).removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))


def imports(node: ast.AST, at_start: bool) -> Iterator[str]:
    """What code imports as it is imported itself, and unless `at_start` also what it does later."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                module = f"{child.module}.{alias.name}"
                yield module if module in TREES else str(child.module)
        elif not at_start or not (
            isinstance(child, ast.FunctionDef)
            or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING")
        ):
            yield from imports(child, at_start)


ARROWS = {(name, used) for name, tree in TREES.items() for used in imports(tree, at_start=False)}


def place(module: str) -> tuple[int, str]:
    """The floor of a module and its room; the modules of the core are in one room."""
    name = module.removeprefix("repro.").split(".")[0]
    return FLOOR[name], name if (HOUSE / name).is_dir() else "core"


def allowed(name: str, used: str) -> bool:
    if used.split(".")[0] != "repro":
        return place(name)[0] > FLOOR["study"] or not used.startswith(OF_THE_REPORT)
    return place(used)[0] < place(name)[0] or place(used) == place(name)


def test_imports_go_down_and_what_trains_needs_nothing_of_the_report() -> None:
    wrong = [" -> ".join(arrow) for arrow in sorted(ARROWS) if not allowed(*arrow)]
    assert not wrong, f"imports of a higher floor, another room or the report: {wrong}"


def test_no_modules_import_each_other() -> None:
    graph = {n: TREES.keys() & set(imports(t, at_start=True)) for n, t in TREES.items()}
    TopologicalSorter(graph).prepare()  # its error names the circle
