from __future__ import annotations

from stratd.core.states import State
from stratd.strategy.manager import StrategyManager, audit_hash

from ...support.spine import Spine, market
from .test_thread import DEADLINE, Bars, Hangs, both


def test_start_waits_until_every_thread_is_at_its_inbox() -> None:
    parts = Spine(market(history=20))
    threads = [parts.thread(Bars, str(number)) for number in range(5)]
    assert [thread.state for thread in threads] == [State.READY] * 5
    parts.build_rows([])
    parts.strategies.start()
    assert all(thread.started.is_set() and thread.state is State.RUNNING for thread in threads)
    parts.log.close()
    parts.gate.wake_all()
    assert parts.strategies.join(DEADLINE) == []
    assert [thread.state for thread in threads] == [State.STOPPED] * 5


def test_join_gives_those_that_have_not_ended_and_abandon_all_lets_them_go() -> None:
    parts = Spine(market(history=20), window=64)
    hangs, fine = parts.thread(Hangs, "hangs"), parts.thread(Bars, "fine")
    processor = parts.build_rows(both(5))
    parts.strategies.start()
    processor.start()
    assert hangs.strategy.reached.wait(DEADLINE)
    assert fine.join(0.0) is False
    assert parts.strategies.join(0.0) == [hangs, fine]
    parts.strategies.abandon_all("aborted")
    hangs.strategy.go_on.set()
    assert parts.strategies.join(DEADLINE) == []
    assert processor.join(DEADLINE)
    assert (hangs.state, hangs.ended_by) == (State.STOPPED, "aborted")


def test_bottleneck_is_whom_the_writer_waited_for_longest() -> None:
    parts = Spine(market(history=20))
    threads = [parts.thread(Bars, str(number)) for number in range(3)]
    manager = StrategyManager(threads)
    assert manager.bottleneck() is None
    threads[1].subscription.gate_wait_ns = 5
    threads[2].subscription.gate_wait_ns = 3
    assert manager.bottleneck() is threads[1]
    assert StrategyManager([]).bottleneck() is None


def test_audit_hash_is_that_of_what_was_told_and_said() -> None:
    def run(symbols: str, name: str = "one") -> str:
        parts = Spine(market(history=20))
        thread = parts.thread(Bars, name, symbols=(symbols,))
        parts.run(both(10))
        return audit_hash(thread)

    assert run("AAA") == run("AAA")
    assert len({run("AAA"), run("BBB"), run("*"), run("AAA", "other")}) == 4
