"""pyproject.toml, requirements.lock and environment.yml agree; what is built of them is whole."""

import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import python
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import repro

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def lock() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def pins(lock: str) -> list[tuple[Requirement, list[str]]]:
    """Each pinned requirement with its hashes."""
    text = "\n".join(line for line in lock.splitlines() if not line.lstrip().startswith("#"))
    entries = re.split(r"\n(?=\S)", text.replace("\\\n", " ").strip())
    found = []
    for entry in entries:
        requirement, *hashes = entry.split("--hash=")
        found.append((Requirement(requirement.strip()), [h.strip() for h in hashes]))
    return found


def test_every_pin_is_exact_and_has_hashes_and_no_address(lock: str) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links|@ ?file", lock)
    found = pins(lock)
    assert len(found) > 100
    for requirement, hashes in found:
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in hashes), requirement


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize(
    ("platform", "machine"), [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]
)
def test_lock_satisfies_pyproject(
    project: dict, lock: str, python: str, platform: str, machine: str
) -> None:
    here = {"python_version": python, "python_full_version": f"{python}.5", "os_name": "posix"}
    here |= {"sys_platform": platform, "platform_machine": machine}
    here["platform_system"] = {"linux": "Linux", "darwin": "Darwin"}[platform]
    pinned: dict[str, str] = {}
    for requirement, _ in pins(lock):
        if requirement.marker is None or requirement.marker.evaluate(here):
            name = canonicalize_name(requirement.name)
            assert name not in pinned, f"{name} is pinned twice for Python {python} on {platform}"
            pinned[name] = str(requirement.specifier).removeprefix("==")
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["dev"] + extras["cluster"]
    for requirement in map(Requirement, wanted):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_torch_and_torchaudio_are_the_pair_that_works_together(project: dict) -> None:
    assert {"torch==2.11.0", "torchaudio==2.11.0"} <= set(project["dependencies"])


def test_conda_users_get_the_very_same_pins(project: dict) -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, *others = environment["dependencies"]
    assert others == ["pip", {"pip": ["--requirement requirements.lock"]}]
    name, version = python.split("=")
    assert name == "python"
    assert Requirement(f"python{project['requires-python']}").specifier.contains(version)


def test_version_stands_once(project: dict) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == repro.__version__ == str(citation["version"])


def test_wheel_and_source_archive_are_whole(tmp_path: Path, project: dict) -> None:
    """The wheel holds the library, the source archive everything that a checkout needs."""
    if not (ROOT / ".git").exists():
        pytest.skip("only git knows what a checkout holds")
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True)
    tracked = {name for name in listed.splitlines() if (ROOT / name).exists()}
    for name in tracked:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    program = "from setuptools.build_meta import *; print(build_sdist('dist'), build_wheel('dist'))"
    done = python("-c", program, cwd=tmp_path, check=True)
    archive, wheel = done.stdout.splitlines()[-1].split()
    with zipfile.ZipFile(tmp_path / "dist" / wheel) as built:
        inside = {name for name in built.namelist() if ".dist-info/" not in name}
    assert inside == {name for name in tracked if name.startswith("repro/")}
    with tarfile.open(tmp_path / "dist" / archive) as built:
        root = f"repro-{project['version']}/"
        assert tracked - {name.removeprefix(root) for name in built.getnames()} == set()


def test_book_configuration_is_a_relative_link() -> None:
    link = ROOT / "book" / "_config.yml"
    assert link.readlink() == Path("../_config.yml")


def test_a_machine_that_only_trains_needs_neither_jupyter_nor_plots() -> None:
    program = """
import sys
for name in ("IPython", "beartype", "jupyter_book", "jupytext", "librosa",
             "matplotlib", "nbclient", "nbformat", "papermill", "parselmouth", "pooch", "ray",
             "seaborn", "statsmodels"):
    sys.modules[name] = None
import repro.cli, repro.study.cluster, repro.study.grids
assert repro.study.grids.variants("pooling", "smoke")
"""
    done = python("-c", program, cwd=ROOT)
    assert done.returncode == 0, done.stderr
