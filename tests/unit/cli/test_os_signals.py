from __future__ import annotations

import signal
import threading

from stratd.cli.os_signals import EXIT_INTERRUPTED, StopRequests, handled_by


class Told:
    """Remembers what it was asked to do."""

    def __init__(self, last_resort_seconds: float = 60.0) -> None:
        self.asked: list[str] = []
        self.exits: list[int] = []
        self.exited = threading.Event()
        self.requests = StopRequests(
            lambda: self.asked.append("stop"),
            lambda: self.asked.append("abort"),
            lambda text: None,
            exit_now=self._exit,
            last_resort_seconds=last_resort_seconds,
        )

    def _exit(self, code: int) -> None:
        self.exits.append(code)
        self.exited.set()


def test_third_request_ends_the_process() -> None:
    told = Told()
    for _ in range(3):
        told.requests.handle(signal.SIGINT, None)
    told.requests.close()
    assert told.asked == ["stop", "abort"]
    assert told.exits == [EXIT_INTERRUPTED]
    assert told.requests.aborted


def test_second_request_that_changes_nothing_ends_the_process_by_itself() -> None:
    told = Told(last_resort_seconds=0.01)
    told.requests.handle(signal.SIGINT, None)
    told.requests.handle(signal.SIGINT, None)
    assert told.exited.wait(10)
    assert told.exits == [EXIT_INTERRUPTED]


def test_first_request_never_ends_the_process() -> None:
    told = Told(last_resort_seconds=0.0)
    told.requests.handle(signal.SIGTERM, None)
    told.requests.close()
    assert not told.exited.wait(0.05)
    assert not told.requests.aborted


def test_run_that_ends_in_time_is_not_ended_by_force() -> None:
    told = Told(last_resort_seconds=0.05)
    with handled_by(told.requests):
        told.requests.handle(signal.SIGINT, None)
        told.requests.handle(signal.SIGINT, None)
    assert not told.exited.wait(0.15)


def test_handled_by_in_another_thread_leaves_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    found: list[object] = []

    def body() -> None:
        with handled_by(Told().requests):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert found == [before]
