"""What the next start finds: after one that failed, after a strategy that was not loaded, and after one that did not come to its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stratd.errors import FeedError
from stratd.execution.account_journal import BOOK, ENDED
from stratd.journal.reader import read_journal
from stratd.model import MINUTE_NS
from stratd.system.config import SessionConfig
from stratd.system.manager import SystemManager
from stratd.system.result import RunOptions, SessionResult
from stratd.system.session_journal import SessionJournal
from stratd.testing.bars import BarRow, nanoseconds
from tests.support.replays import session
from tests.support.row_feed import RowFeed

START = nanoseconds("2024-01-03T00:00")
BUYS = """
import threading

from stratd import Strategy, StrategyParams

class Buys(Strategy[StrategyParams]):
    def setup(self, ctx):
        self.n, self.go = 0, threading.Event()
        ctx.subscribe("*", "1m")

    def save_state(self):
        return {"n": self.n}

    def restore_state(self, state):
        self.n = state["n"]

    def on_bars(self, symbol, interval):
        self.n += 1
        if self.n == 3:
            self.ctx.order(symbol, "buy", 10)
        self.act(symbol)

    def act(self, symbol):
        pass
"""
FAILS = """
    def act(self, symbol):
        if self.n == 10:
            raise ValueError("bad")
"""
SELLS_AND_FAILS = """
    def act(self, symbol):
        if self.n == 7:
            self.ctx.order(symbol, "sell", 10)
        if self.n == 10:
            raise ValueError("bad")
"""
HANGS = """
    def act(self, symbol):
        if self.n == 10:
            self.go.wait()
"""
AMENDS = """
    def act(self, symbol):
        if self.n == 5:
            self.id = self.ctx.order(symbol, "buy", 10, kind="limit", limit_price=1.0)
        if self.n in (20, 60):
            self.ctx.amend(self.id, limit_price=2.0 + self.n)
"""


def rows(minutes: int) -> list[BarRow]:
    prices = [(at, 100.0 + at % 50) for at in range(minutes)]
    return [BarRow("AAA", START + at * MINUTE_NS, price, price, price, price, 1000.0) for at, price in prices]


class Project:
    """A session of strategies alpha and beta, whose texts can be changed between two runs."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.results = directory / "results"
        self._directory = directory
        self._monkeypatch = monkeypatch
        self.managers: list[SystemManager] = []

    def write(self, name: str, text: str) -> None:
        (self._directory / f"{name}.py").write_text(text)

    def run(
        self, *names: str, minutes: int = 60, cut: bool = False, durable: bool = True, feed: RowFeed | None = None, **more: Any
    ) -> SessionResult:
        """Run the session; with `cut` as if it were killed at its end."""
        entries = [
            {"module": str(self._directory / f"{name}.py"), "class_name": "Buys", "name": name, "max_errors": 0, "config": {}}
            for name in names
        ]
        config = SessionConfig.model_validate(session(["AAA"], [], entries, **({"tick": 0.01, "on_load_error": "skip"} | more)))
        options = RunOptions(durable=durable, results_dir=str(self.results), window=1)
        manager = SystemManager(config, options, feed=feed or RowFeed(rows(minutes)))
        self.managers.append(manager)
        with self._monkeypatch.context() as patch:
            if cut:
                patch.setattr(SessionJournal, "close", lambda self, finished: self.journal.close())
            return manager.run()

    @property
    def ended(self) -> bool:
        return any(record.entry.kind == ENDED for record in read_journal(self.journal))

    @property
    def journal(self) -> Path:
        return self.results / "replay" / "journal.sqlite3"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    made = Project(tmp_path, monkeypatch)
    for name in ("alpha", "beta"):
        made.write(name, BUYS)
    yield made
    for manager in made.managers:
        for thread in () if manager.session is None else manager.session.strategies.threads:
            if hasattr(thread.strategy, "go"):
                thread.strategy.go.set()
            assert thread.join(10.0)


# A strategy that cannot be loaded.


@pytest.mark.parametrize(("on_orphan", "does", "lots"), [("adopt", "kept, and marked", 10), ("close", "closed", 0)])
def test_strategy_that_cannot_be_loaded_is_looked_after_as_the_session_says(
    project: Project, on_orphan: str, does: str, lots: int
) -> None:
    project.run("alpha", "beta", cut=True, minutes=20)
    project.write("alpha", "raise RuntimeError('broken')")
    result = project.run("alpha", "beta", journal={"on_orphan": on_orphan})
    beta, alpha = result.restart_plan
    assert beta.startswith("beta goes on after")
    assert alpha == f"alpha could not be loaded and has left something open in AAA: it is {does}"
    account = next(thread.account for thread in project.managers[-1].session.strategies.threads if thread.name == "alpha")  # type: ignore[union-attr]
    assert account is not None
    assert account.position(0, account.cells.item(18)).quantity == lots
    assert project.ended


def test_strategy_that_cannot_be_loaded_is_looked_after_by_the_rules_of_the_session(project: Project) -> None:
    project.run("alpha", "beta", cut=True, minutes=20, account={"leverage": 1.0})
    project.write("alpha", "raise RuntimeError('broken')")
    project.run("alpha", "beta", account={"leverage": 3.0}, journal={"on_orphan": "adopt"})
    accounts = [thread.account for thread in project.managers[-1].session.strategies.threads]  # type: ignore[union-attr]
    assert [account.rules.leverage for account in accounts if account is not None] == [3.0, 3.0]


def test_strategy_that_cannot_be_loaded_and_is_left_as_it_is_keeps_the_session_from_its_end(project: Project) -> None:
    project.run("alpha", "beta", cut=True, minutes=20)
    project.write("alpha", "raise RuntimeError('broken')")
    second = project.run("alpha", "beta", journal={"on_orphan": "alert"})
    assert second.restart_plan[1] == "alpha could not be loaded and has left something open in AAA: it is left as it is"
    assert second.notes[-1] == (
        "the session has not come to its end: strategy alpha was not run, and has something open in AAA; the next run goes on with it. To "
        f"begin anew, move {project.journal} away"
    )
    assert not project.ended
    project.write("alpha", BUYS)
    third = project.run("alpha", "beta", minutes=90)
    assert any(line.startswith("alpha goes on after") and "with 10 lots of AAA" in line for line in third.restart_plan)
    assert third.strategies["alpha"].state == "STOPPED"
    assert project.ended


def test_strategy_that_cannot_be_loaded_and_has_nothing_open_keeps_nobody(project: Project) -> None:
    project.write("alpha", BUYS.replace("== 3", "== 999"))
    project.run("alpha", "beta", cut=True, minutes=20)
    project.write("alpha", "raise RuntimeError('broken')")
    result = project.run("alpha", "beta")
    assert len(result.restart_plan) == 1
    assert project.ended


# A strategy that does not come to its end.


def test_strategy_that_gave_up_with_something_open_keeps_the_session_from_its_end(project: Project) -> None:
    project.write("alpha", BUYS + FAILS)
    first = project.run("alpha", "beta")
    assert first.notes[-1].startswith(
        "the session has not come to its end: strategy alpha was quarantined after 1 errors: ValueError: bad, and has something open in AAA; "
    )
    assert not project.ended
    project.write("alpha", BUYS)
    second = project.run("alpha", "beta")
    line = next(line for line in second.restart_plan if line.startswith("alpha"))
    assert "with 10 lots of AAA" in line
    assert project.ended
    assert project.run("alpha", "beta").restart_plan == ()


@pytest.mark.parametrize("book", [None, {}], ids=["alone", "book"])
def test_strategy_that_gave_up_with_nothing_open_keeps_nobody(project: Project, book: dict[str, Any] | None) -> None:
    project.write("alpha", BUYS + SELLS_AND_FAILS)
    result = project.run("alpha", "beta", book=book)
    assert result.strategies["alpha"].state == "QUARANTINED"
    assert project.ended


def test_strategy_of_a_book_that_gave_up_with_something_open_keeps_the_session_from_its_end(project: Project) -> None:
    project.write("alpha", BUYS + FAILS)
    project.run("alpha", "beta", book={})
    assert not project.ended
    *_, last, newest = (record.entry for record in read_journal(project.journal))
    assert (last.kind, newest.kind) != (BOOK, BOOK), "the book's last word is written twice"
    project.write("alpha", BUYS)
    plan = project.run("alpha", "beta", book={}).restart_plan
    assert [line.split(" after ")[0] for line in plan] == ["alpha goes on", "beta goes on", "the book goes on"]
    assert project.ended


def test_strategy_that_the_barrier_has_given_up_keeps_the_session_from_its_end(project: Project) -> None:
    project.write("alpha", BUYS + HANGS)
    result = project.run("alpha", "beta", barrier_timeout_seconds=0.5)
    assert "alpha was quarantined: no progress for 0.5 s, and has something open in AAA" in result.notes[-1]
    assert not project.ended


def test_backtest_of_a_strategy_that_gave_up_has_ended(project: Project) -> None:
    project.write("alpha", BUYS + FAILS)
    result = project.run("alpha", "beta", durable=False)
    assert not any("has not come to its end" in note for note in result.notes)
    assert project.ended


def test_amendment_under_way_is_no_order_of_its_own(project: Project) -> None:
    project.write("alpha", BUYS.replace("== 3", "== 999") + AMENDS)
    project.run("alpha", cut=True, minutes=20, account={"latency_seconds": 3600.0})
    (line,) = project.run("alpha", cut=True, minutes=21, account={"latency_seconds": 3600.0}).restart_plan
    assert "with no position, 1 working orders" in line


# A run that failed at its start.


class Unreadable(RowFeed):
    def open(self, symbols: object) -> None:
        raise FeedError("AAA.csv", "has no time column")


@pytest.mark.parametrize("durable", [True, False], ids=["run", "backtest"])
@pytest.mark.parametrize("tick", [0.01, 0.05], ids=["same", "other"])
@pytest.mark.parametrize("before", [0, 1])
def test_run_that_failed_at_its_start_is_in_nobodys_way(project: Project, durable: bool, tick: float, before: int) -> None:
    for _ in range(before):
        project.run("alpha")
    with pytest.raises(FeedError):
        project.run("alpha", feed=Unreadable([]))
    result = project.run("alpha", durable=durable, tick=tick)
    assert (result.error, result.restart_plan, result.strategies["alpha"].fills) == (None, (), 1)
    assert project.ended


def test_run_that_failed_at_its_start_loses_nothing_of_one_that_has_not_ended(project: Project) -> None:
    project.run("alpha", cut=True, minutes=20)
    with pytest.raises(FeedError):
        project.run("alpha", feed=Unreadable([]))
    (line,) = project.run("alpha").restart_plan
    assert line.startswith("alpha goes on after")
    assert "with 10 lots of AAA" in line
