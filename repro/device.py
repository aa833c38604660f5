"""Where to compute: the device, the precision, and its memory (Section 3.1).

To import this, as every module that trains does, makes torch's cuDNN deterministic and its float32
exact in the whole process.
"""

import ctypes
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import torch

from repro.errors import ReproError

Precision = Literal["fp32", "bf16"]
ROOM = 8 * 2**30  # bytes of available memory
# What torch says of it on a processor, and a GPU's libraries, where it has no exception of its own.
SHORT_OF_MEMORY = re.compile(
    "can't allocate memory|not enough memory|out of memory|ALLOC_FAILED|ALLOCATION_FAILED|"
    "unable to find an engine"
)
CPUINFO = Path("/proc/cpuinfo")
MEMINFO = Path("/proc/meminfo")  # on Linux, the only system whose freed memory can be kept
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # from glibc's malloc.h

# Same seed, same result: cuBLAS needs this before CUDA starts, cuDNN must not try algorithms out.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
torch.backends.cudnn.deterministic = True
# By default cuDNN rounds the inputs of float32 convolutions to 11 bits, and so may products of
# matrices, where the environment asks for it; fp32 means float32 here.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cuda.matmul.allow_tf32 = False


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `auto`, `cpu` or `cuda`; `auto` takes a GPU that torch can use.

    Raises:
        ReproError: the name is unknown, or `cuda` and there is no GPU that torch can use.
    """
    if name not in {"auto", "cpu", "cuda"}:
        raise ReproError(f"no device {name!r}: choose auto, cpu or cuda")
    if name == "cpu":
        return torch.device(name)
    fault = fault_of_gpu()
    if name == "cuda" and fault:
        raise ReproError(f"--device cuda: {fault}; use --device cpu or auto")
    return torch.device("cpu" if fault else "cuda")


def fault_of_gpu() -> str:
    """Return why torch cannot use a GPU here; empty if it can."""
    if not torch.cuda.is_available():
        need = f" (this torch needs a driver for CUDA {torch.version.cuda})"
        return f"torch sees no GPU here{need if torch.version.cuda else ''}"
    try:
        torch.ones(1, device="cuda").add_(1).item()
    except RuntimeError as error:  # such as a torch that has no code for it
        if not SHORT_OF_MEMORY.search(str(error)):  # which training will say
            return str(error).splitlines()[0]
    return ""


def processor() -> str:
    """Return the name of the processor, and which of its vector instructions torch uses."""
    try:
        names = re.findall(r"^model name\s*:\s*(.+)$", CPUINFO.read_text(), re.MULTILINE)
    except OSError:  # not on Linux
        names = []
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def choose_precision(name: str) -> Precision:
    """Return `fp32` or `bf16`; `auto` is float32, in which the paper trained.

    Raises:
        ReproError: the name is unknown.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise ReproError(f"no precision {name!r}: choose auto, fp32 or bf16")
    return "bf16" if name == "bf16" else "fp32"


@contextmanager
def enough_memory(device: torch.device | str, what: str) -> Iterator[None]:
    """Context manager: say in one line that there is too little memory for what is done within.

    Raises:
        ReproError: the device ran out of memory within.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not SHORT_OF_MEMORY.search(str(error)):
            raise
        on_gpu = torch.device(device).type == "cuda"
        more = ", use --device cpu, or, with --ray, raise --gpus-per-fold" if on_gpu else ""
        raise ReproError(
            f"{device} has too little memory for {what}: end what else uses it{more}"
        ) from error


def keep_freed_memory(keep: bool) -> None:
    """Let the C library keep what is freed, or give large blocks back to the system as it likes.

    glibc by itself gives every large block back at once, and each training step on a processor
    then spends a third of its time on getting zeroed pages for the same maps again. What is kept
    does not always fit the next step: the process grows to one and a half times its size. Blocks of
    the size of an utterance's segments are kept either way, up to 64 MB of them.
    """
    if libc := _glibc():
        # Otherwise, what glibc's limits grow to by themselves when large blocks come and go.
        libc.mallopt(M_MMAP_MAX, 0 if keep else 65536)
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)
        libc.mallopt(M_TRIM_THRESHOLD, -1 if keep else 2**26)


def give_back_memory() -> None:
    """Give back to the system what was kept for an earlier network, and does not fit the next."""
    if libc := _glibc():
        libc.malloc_trim(0)


def ready_to_train(device: torch.device) -> None:
    """Give back what an earlier network left; on a processor with room, keep what is freed now."""
    give_back_memory()
    keep_freed_memory(device.type == "cpu" and has_room())


def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it is glibc, as on most Linux systems."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "malloc_trim") else None


@cache
def has_room() -> bool:
    """Return whether much memory was available when this process began to train.

    What the system keeps of files that were read counts as available; of free memory alone there is
    little wherever a corpus has been read.
    """
    try:
        [available] = re.findall(r"^MemAvailable: +(\d+) kB$", MEMINFO.read_text(), re.MULTILINE)
    except (OSError, ValueError):  # the system does not say
        return False
    return 1024 * int(available) >= ROOM
