"""What a person is told of strategies that gave up, of bars that are missing after a restart, and of a record that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stratd.errors import JournalError
from stratd.journal.store import Store
from stratd.model import MINUTE_NS
from stratd.system.config import SessionConfig
from stratd.system.manager import SystemManager
from stratd.system.result import RunOptions, SessionResult
from stratd.system.session_journal import SessionJournal
from stratd.testing.bars import BarRow, nanoseconds
from tests.support.replays import session
from tests.support.row_feed import RowFeed

START = nanoseconds("2024-01-03T00:00")
STRATEGIES = """
from stratd import Strategy, StrategyParams

class Counting(Strategy[StrategyParams]):
    def setup(self, ctx):
        self.n, self.id = 0, 0
        ctx.subscribe("*", "1m")

    def save_state(self):
        return {"n": self.n, "id": self.id}

    def restore_state(self, state):
        self.n, self.id = state["n"], state["id"]

    def on_bars(self, symbol, interval):
        self.n += 1
        self.act(symbol)

class Fails(Counting):
    def act(self, symbol):
        if self.n == 3:
            self.ctx.order(symbol, "buy", 10)
        if self.n == 10:
            raise ValueError("bad")

class Cancels(Counting):
    def act(self, symbol):
        if self.n == 3:
            self.id = self.ctx.order(symbol, "buy", 10, kind="limit", limit_price=1.0)
        if self.n == 10:
            self.ctx.cancel(self.id)

class Churns(Counting):
    def act(self, symbol):
        self.ctx.order(symbol, "buy" if self.n % 2 else "sell", 1)
"""


def rows(minutes: int, first: int = 0) -> list[BarRow]:
    prices = [(at, 100.0 + at % 50) for at in range(first, minutes)]
    return [BarRow("AAA", START + at * MINUTE_NS, price, price, price, price, 1000.0) for at, price in prices]


Run = Callable[..., SessionResult]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a session of one of the strategies above; with `cut` as if it were killed at its end."""
    module = tmp_path / "strategies.py"
    module.write_text(STRATEGIES)

    def one(name: str, bars: list[BarRow], *, cut: bool = False, durable: bool = True, **more: Any) -> SessionResult:
        entry = {"module": str(module), "class_name": name, "name": name.lower(), "max_errors": 0, "config": {}}
        config = SessionConfig.model_validate(session(["AAA"], [], [entry], tick=0.01, **more))
        options = RunOptions(durable=durable, results_dir=str(tmp_path / "results"))
        with monkeypatch.context() as patch:
            if cut:
                patch.setattr(SessionJournal, "close", lambda self, finished: self.journal.close())
            return SystemManager(config, options, feed=RowFeed(bars)).run()

    return one


def test_run_quarantined_strategy_is_said_as_of_when_and_that_it_trades_again_after_a_restart(run: Run) -> None:
    first = run("Fails", rows(60), cut=True)
    note, left = first.notes
    assert left.startswith(
        "the session has not come to its end: strategy fails was quarantined after 1 errors: ValueError: bad, and has "
    )
    assert note == (
        "strategy fails was quarantined after 1 errors: ValueError: bad; its account is as it was at 2024-01-03T00:10:00Z: its orders were "
        "cancelled then, and what it held was neither marked nor closed afterwards"
    )
    assert first.strategies["fails"].final_equity == 100_060.0
    second = run("Fails", rows(60))
    (line,) = second.restart_plan
    assert line.startswith("fails goes on after 2024-01-03T00:10:00Z with 10 lots of AAA, 0 working orders and equity 100,060.00")
    assert line.endswith("; it was quarantined after 1 errors: ValueError: bad, and trades again")
    assert (second.notes, second.strategies["fails"].state) == ((), "STOPPED")
    assert second.strategies["fails"].notifications == 50


def test_run_order_that_was_cancelled_last_is_not_open(run: Run) -> None:
    run("Cancels", rows(60), cut=True)
    (line,) = run("Cancels", rows(61), cut=True).restart_plan
    assert "with no position, 0 working orders" in line
    assert run("Churns", rows(60), cut=True).restart_plan == (), "nothing was left open by the strategy that is gone"


def test_run_feed_that_begins_behind_the_checkpoint_is_noted(run: Run) -> None:
    run("Fails", rows(60), cut=True)
    result = run("Fails", rows(90, first=60), cut=True)
    (note,) = result.notes
    assert note == (
        "strategy fails: bars of 50 minutes are missing, from 2024-01-03T00:10:00Z, up to where it had come before the restart, to "
        "2024-01-03T01:00:00Z, where the feed begins: its orders were not matched there"
    )
    # And what it did there is gone on with.
    (line,) = run("Fails", rows(90, first=60)).restart_plan
    assert line.startswith("fails goes on after 2024-01-03T01:30:00Z with 10 lots of AAA")


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full after some pages, and a queue that is full after a little more."""
    given = Store._connect

    def connect(self: Store, *, alone: bool = False) -> None:
        given(self, alone=alone)
        self.connection.execute("PRAGMA max_page_count = 40")

    monkeypatch.setattr(Store, "_connect", connect)
    monkeypatch.setattr("stratd.journal.journal.BATCH_BYTES", 20_000)
    monkeypatch.setattr("stratd.journal.journal._BOUND_BYTES", 100_000)


@pytest.mark.usefixtures("small_disk")
def test_backtest_whose_disk_is_full_ends_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "strategies.py").write_text(STRATEGIES)
    entry = {"module": str(tmp_path / "strategies.py"), "class_name": "Churns", "name": "churns", "config": {}}
    config = SessionConfig.model_validate(session(["AAA"], [], [entry], tick=0.01, history_bars=50))
    options = RunOptions(window=4, block_minutes=10, results_dir=str(tmp_path))
    manager = SystemManager(config, options, feed=RowFeed(rows(100_000)))
    with pytest.raises(JournalError, match="the disk is full: free some space"):
        manager.run()
    assert manager.session is not None
    assert manager.session.processor.ended_by == "stopped"
    (thread,) = manager.session.strategies.threads
    assert (str(thread.state), thread.errors) == ("STOPPED", 0)
    assert thread.account is not None
    assert "the disk is full" in str(thread.account.stopped_by)
