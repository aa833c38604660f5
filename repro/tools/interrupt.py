"""Ctrl-C, and the SIGTERM that batch schedulers send: end soon, cleanly and with one line.

Python acts on a signal between two of its own steps, and a step of torch can take seconds. The
usual end is a KeyboardInterrupt, so that whatever is open is closed; if that has not come through
after `PATIENCE` (1 s), a thread ends the process there and then. Nothing is lost by that: files are
written such that even a kill leaves them whole.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

PATIENCE = 1.0  # seconds
NAMES: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Stop:
    """The signal that came, if one did."""

    def __init__(self) -> None:
        self.number = 0
        self.told = threading.Lock()
        self.stderr = sys.stderr

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Interrupt the main thread, once: a second signal must not interrupt the closing."""
        if not self.number:
            self.number = number
            # Libraries that are torn out of their work complain at length: one line is enough.
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            raise KeyboardInterrupt

    def end(self) -> NoReturn:
        """Print the line and exit with the status that shells give to this signal."""
        number = self.number or signal.SIGINT
        if self.told.acquire(blocking=False):
            sys.stderr = self.stderr
            print(_line(number), end="", file=sys.stderr, flush=True)
        if self.number:
            os._exit(128 + number)  # all is closed; to take torch down takes seconds
        sys.exit(128 + number)

    def watch(self, wakeup: socket.socket) -> None:
        """Wait for a signal, then for the main thread to end; end the process if it does not."""
        while number := int.from_bytes(wakeup.recv(1)):
            if number in NAMES:
                time.sleep(PATIENCE)
                if self.told.acquire(blocking=False):
                    os.write(2, _line(number).encode())  # the main thread may hold sys.stderr
                os._exit(128 + number)


def _line(number: int) -> str:
    """Give the last line; on a terminal with the cursor, which a progress bar hides."""
    cursor = "\n\x1b[?25h" if os.isatty(2) else ""
    return f"{cursor}repro: {NAMES[number]}; the same command goes on from what was written\n"


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Context manager: turn SIGINT and SIGTERM into one KeyboardInterrupt, and end soon after.

    It gives the `Stop` that says which signal came.
    """
    stop = Stop()
    ours, wakeup = socket.socketpair()
    ours.setblocking(False)
    # A signal that is ignored stays so: that is how nohup and shells protect what they start.
    before = {n: signal.getsignal(n) for n in NAMES if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop.handle)
    # The system writes the number here at once, whatever Python is doing.
    wakeup_before = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=stop.watch, args=[wakeup], daemon=True).start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(wakeup_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        ours.close()
