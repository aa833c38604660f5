"""This machine and this installation in short: what to paste into a bug report.

Whatever is broken is told in its own line, and the other lines are told all the same.
"""

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import repro

DRIVER = Path("/proc/driver/nvidia/version")
GB = 1e9


def facts() -> dict[str, Any]:
    """Return by name what matters of the machine and the installation, mostly as text."""
    found: dict[str, Any] = {}
    for name, look in LOOKS.items():
        try:
            found[name] = look()
        except Exception as error:  # of any kind: what is broken here is what is asked for
            found[name] = f"unknown: {type(error).__name__}: {' '.join(str(error).split())}"
    return found


def text(found: dict[str, Any]) -> str:
    """Lay out what `facts` found, a line for each."""
    return "\n".join(
        f"{name:14} {', '.join(map(' '.join, value.items())) if isinstance(value, dict) else value}"
        for name, value in found.items()
    )


def _packages() -> dict[str, str]:
    """Return the version of everything that this package asks for, extras left out."""
    wanted = [text for text in metadata.requires("repro") or [] if "extra ==" not in text]
    names = [re.split(r"[^\w.-]", text)[0] for text in wanted]
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "MISSING"


def _gpu() -> str:
    import torch

    from repro.device import fault_of_gpu

    if fault := fault_of_gpu():
        driver = DRIVER.read_text().splitlines()[0] if DRIVER.exists() else "none"
        return f"not used: {fault}; NVIDIA driver: {driver}"
    total = torch.cuda.get_device_properties(0).total_memory
    return f"{torch.cuda.get_device_name()}, {total / GB:.1f} GB, CUDA {torch.version.cuda}"


def _memory() -> str:
    lines = Path("/proc/meminfo").read_text()
    kilobytes = dict(re.findall(r"^(\w+): +(\d+) kB$", lines, re.MULTILINE))
    total, available = (1024 * int(kilobytes[name]) / GB for name in ("MemTotal", "MemAvailable"))
    return f"{total:.1f} GB, {available:.1f} GB of them available"


def _cache() -> str:
    from repro.corpora.cache import cache_folder

    folder = cache_folder("")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    return f"{folder}, {'can' if writable else 'CANNOT'} be written"


# What a look needs is imported when it is taken, as it may be what is broken.
LOOKS: dict[str, Callable[[], Any]] = {
    "repro": lambda: (
        f"{repro.__version__}, commit {import_module('repro.results.provenance').commit()}"
    ),
    "python": lambda: f"{platform.python_version()}, {sys.executable}",
    "platform": platform.platform,
    "packages": _packages,
    "libsndfile": lambda: import_module("soundfile").__libsndfile_version__,
    "processor": lambda: import_module("repro.device").processor(),
    "GPU": _gpu,
    "precision": lambda: import_module("repro.device").choose_precision("auto"),
    "threads": lambda: f"{import_module('torch').get_num_threads()} of {os.cpu_count()} processors",
    "memory": _memory,
    "disk": lambda: f"{shutil.disk_usage('.').free / GB:.1f} GB free in {Path.cwd()}",
    "cache": _cache,
}
