"""Ctrl-C and SIGTERM: first gracefully, then at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

EXIT_INTERRUPTED: Final = 130
OS_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StopRequests:
    """What the signals of the operating system have asked for so far.

    The first one stops gracefully. The second one aborts; where the process is still there a little later, or
    a third one comes, it ends without asking anybody.

    Thread safety: signal handlers run in the main thread. The last resort runs in a timer's thread and touches nothing.
    """

    def __init__(
        self,
        stop: Callable[[], None],
        abort: Callable[[], None],
        say: Callable[[str], None],
        *,
        exit_now: Callable[[int], object] = os._exit,
        last_resort_seconds: float = 2.0,
    ) -> None:
        self._stop = stop
        self._abort = abort
        self._say = say
        self._exit_now = exit_now
        self._last_resort = threading.Timer(last_resort_seconds, exit_now, (EXIT_INTERRUPTED,))
        self._last_resort.daemon = True
        self.count = 0

    @property
    def aborted(self) -> bool:
        """Whether it was to end at once."""
        return self.count >= 2

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal handler, as `signal.signal` takes it."""
        self.count += 1
        if self.count == 1:
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            self._say(f"{name}: stopping gracefully; a second Ctrl-C ends at once")
            self._stop()
        elif self.count == 2:
            self._say("ending at once")
            self._last_resort.start()
            self._abort()
        else:
            self._exit_now(EXIT_INTERRUPTED)

    def close(self) -> None:
        """The run has ended: nothing is to be done by force any more."""
        self._last_resort.cancel()


@contextmanager
def handled_by(requests: StopRequests) -> Iterator[StopRequests]:
    """Let `requests` handle SIGINT and SIGTERM. Outside the main thread, where Python forbids that, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    before = {number: signal.signal(number, requests.handle) for number in OS_SIGNALS}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        requests.close()
