from __future__ import annotations

import threading
from collections.abc import Callable

from stratd.core.parking import Parker

ROUNDS = 5_000


def in_threads(*calls: Callable[[], None]) -> None:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_parker_thousands_of_rounds_lose_no_wake_up() -> None:
    ball = [0]
    parkers = (Parker(), Parker())
    lost: list[int] = []

    def player(me: int) -> None:
        for round_ in range(ROUNDS):
            mine = 2 * round_ + me
            if not parkers[me].wait(lambda: ball[0] == mine, 10):  # noqa: B023 - called before the loop goes on
                lost.append(mine)
                return
            ball[0] += 1
            parkers[1 - me].wake()

    in_threads(lambda: player(0), lambda: player(1))
    assert lost == []
    assert ball == [2 * ROUNDS]


def test_parker_two_wakers_lose_no_wake_up() -> None:
    parker, done = Parker(), Parker()
    counts = [0, 0]
    seen = [0]
    timed_out: list[int] = []

    def waker(me: int) -> None:
        for _ in range(ROUNDS):
            counts[me] += 1
            parker.wake()

    def waiter() -> None:
        while seen[0] < 2 * ROUNDS:
            before = seen[0]
            if not parker.wait(lambda: sum(counts) > before, 10):  # noqa: B023
                timed_out.append(before)
                return
            seen[0] = sum(counts)
        done.wake()

    in_threads(waiter, lambda: waker(0), lambda: waker(1))
    assert timed_out == []
    assert done.wait(lambda: seen[0] == 2 * ROUNDS, 10)


def test_wait_condition_true_already_returns_at_once() -> None:
    assert Parker().wait(lambda: True, 0) is True


def test_wait_nobody_wakes_gives_up_with_the_conditions_last_word() -> None:
    answers = iter([False, False, True])
    parker = Parker()
    assert parker.wait(lambda: False, 0.001) is False
    assert parker.wait(lambda: next(answers), 0.001) is True


def test_wake_twice_before_the_waiter_runs_leaves_at_most_one_spurious_wake_up() -> None:
    parker = Parker()
    looked = [0]

    def condition() -> bool:
        looked[0] += 1
        if looked[0] == 2:  # after the flag has been raised, before the lock is taken
            parker.wake()
            parker.wake()
        return False

    assert parker.wait(condition, 0.001) is False
    assert looked[0] == 5  # two looks, woken, two looks, and one when the time has run out


def test_wake_without_a_waiter_is_nothing() -> None:
    parker = Parker()
    parker.wake()
    parker.wake()
    assert parker.wait(lambda: False, 0.001) is False
