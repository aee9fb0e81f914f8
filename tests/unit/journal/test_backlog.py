from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from stratd.journal.backlog import Backlog

DEADLINE = 20.0


class Call(threading.Thread):
    """Calls something in a thread, and keeps what it gave."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.result: Any = "nothing yet"
        self.start()

    def run(self) -> None:
        self.result = self._work()

    def end(self) -> Any:
        self.join(DEADLINE)
        assert not self.is_alive()
        return self.result


def waiting(backlog: Backlog, count: int) -> None:
    """Until so many threads wait for tickets."""
    reached = threading.Event()
    while len(backlog._waiters) < count:
        reached.wait(0.001)


def test_wait_only_those_whose_ticket_is_written_are_woken() -> None:
    backlog = Backlog(0, 0)
    for _ in range(3):
        backlog.post([], 1)
    calls = [Call(partial(backlog.wait, ticket, None)) for ticket in (1, 2, 3)]
    waiting(backlog, 3)
    taken = backlog.take()
    backlog.written(taken[:2])
    assert [calls[0].end(), calls[1].end()] == [True, True]
    assert len(backlog._waiters) == 1
    backlog.written(taken[2:])
    assert calls[2].end() is True


def test_wait_time_runs_out_gives_false_and_forgets_the_waiter() -> None:
    backlog = Backlog(0, 0)
    ticket = backlog.post([], 1)
    assert ticket is not None
    assert backlog.wait(ticket, 0.0) is False
    assert backlog.wait(ticket, -1.0) is False
    assert backlog._waiters == []


def test_wait_failure_tells_those_who_wait_and_those_who_come_at_once() -> None:
    backlog = Backlog(0, 0)
    ticket = backlog.post([], 1)
    assert ticket is not None
    call = Call(lambda: backlog.wait(ticket, None))
    waiting(backlog, 1)
    backlog.fail("no disk")
    assert call.end() is False
    assert backlog.wait(ticket, None) is False
    backlog.written(backlog.take())
    assert backlog.failure is None
    assert backlog.wait(ticket, None) is True


def test_wait_for_ever_is_as_long_as_the_system_can() -> None:
    backlog = Backlog(0, 0)
    ticket = backlog.post([], 1)
    assert ticket is not None
    call = Call(lambda: backlog.wait(ticket, float("inf")))
    waiting(backlog, 1)
    backlog.end()
    assert call.end() is False


def test_post_beyond_the_bound_waits_until_something_is_written() -> None:
    backlog = Backlog(10, 100)
    assert [backlog.post([], 60), backlog.post([], 60)] == [1, 2]
    call = Call(lambda: backlog.post([], 60))
    reached = threading.Event()
    while not backlog._without_room:
        reached.wait(0.001)
    backlog.written(backlog.take()[:1])
    assert call.end() == 3


def test_post_beyond_the_bound_close_lets_it_go() -> None:
    backlog = Backlog(10, 100)
    backlog.post([], 100)
    call = Call(lambda: backlog.post([], 1))
    reached = threading.Event()
    while not backlog._without_room:
        reached.wait(0.001)
    backlog.close()
    assert call.end() is None


def test_post_beyond_the_bound_gives_up_when_nothing_can_be_written() -> None:
    backlog = Backlog(10, 100)
    backlog.post([], 100)
    call = Call(lambda: backlog.post([], 1))
    reached = threading.Event()
    while not backlog._without_room:
        reached.wait(0.001)
    backlog.fail("no disk")
    assert call.end() is None
    assert backlog.post([], 1) is None
    backlog.written(backlog.take())  # what was queued stays, and there is room again
    assert (backlog.durable, backlog.post([], 1)) == (1, 2)


def test_post_while_nothing_can_be_written_and_there_is_room_is_queued() -> None:
    backlog = Backlog(10, 100)
    backlog.fail("no disk")
    assert backlog.post([], 60) == 1


def test_enough_a_batch_is_full_or_somebody_waits() -> None:
    backlog = Backlog(100, 1000)
    backlog.post([], 50)
    assert backlog.something()
    assert not backlog.enough()
    assert backlog.wait(1, 0.0) is False
    assert backlog.enough()
    backlog.take()
    assert not backlog.enough()
    backlog.post([], 100)
    assert backlog.enough()
