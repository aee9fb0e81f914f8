"""What a strategy's thread records of it, as of when, and what happens where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stratd.core.states import State
from stratd.errors import JournalError
from stratd.execution.account_journal import Past, unpack_state
from stratd.execution.records import OrderEnded
from stratd.execution.rules import AccountRules
from stratd.model import MINUTE_NS, Fill, Interval, Refusal, RiskRefused
from stratd.portfolio import cells as c
from stratd.strategy.base import Strategy
from stratd.strategy.thread import StrategyThread, ThreadPolicy
from stratd.testing.bars import BarRow, nanoseconds
from tests.support.spine import Spine, lines, market

START = nanoseconds("2024-01-03T00:00")
NAMES = ("AAA", "BBB", "CCC")


def minute(count: int) -> int:
    return START + count * MINUTE_NS


def rows(minutes: int, names: tuple[str, ...] = NAMES, first: int = 0) -> list[BarRow]:
    """A price that rises by 1 each minute, for every symbol."""
    found = []
    for at in range(first, minutes):
        price = 100.0 + at
        found += [BarRow(name, minute(at), price, price, price, price, 1000.0) for name in names]
    return found


class Notebook:
    """In place of an account's way to the journal.

    Attributes:
        commits: (time, what the strategy kept, rows of orders that may still fill) of each checkpoint.
        fails: what the next calls do.
    """

    held = False

    def __init__(self, durable: bool = True) -> None:
        self.durable = durable
        self.commits: list[tuple[int, dict[str, Any], int]] = []
        self.states: list[bytes] = []
        self.lengths: list[tuple[int, int]] = []  # of records and points, at each checkpoint
        self.records: list[np.ndarray[Any, Any]] = []
        self.points: list[np.ndarray[Any, Any]] = []
        self.fails: Callable[[], str | None] = lambda: None

    def add_records(self, records: np.ndarray[Any, Any]) -> None:
        self.records.append(records.copy())

    def add_points(self, points: np.ndarray[Any, Any]) -> None:
        self.points.append(points.copy())

    def commit(self, time: int, state: bytes) -> str | None:
        failure = self.fails()
        values, (_, orders, *_) = unpack_state(state)
        self.commits.append((time, values["strategy"], int((orders[:, c.O_STATE] <= c.PARTIAL).sum())))
        self.states.append(state)
        self.lengths.append((len(self.records), len(self.points)))
        return failure

    def hold(self, *kept: Any) -> bool:
        return False

    def flush(self) -> None:
        self.fails()

    @property
    def times(self) -> list[int]:
        return [time for time, _, _ in self.commits]

    def past(self, at: int = -1) -> Past:
        """What a restart finds after a checkpoint."""
        records, points = self.lengths[at]
        return Past(self.records[:records], self.points[:points], self.times[at], self.states[at])


class Counting(Strategy[Any]):
    """Counts its bars and keeps the count. `acts` is called with it at each, and may be set by a test."""

    def setup(self, ctx: Any) -> None:
        self.n = 0
        self.seen: list[tuple[int, str]] = []
        self.at_first: list[tuple[int, list[int]]] = []  # of each minute: what was recorded when its first bar came
        self.acts: Callable[[Any, str], object] = lambda strategy, symbol: None
        self.ids: list[Any] = []
        self.fills: list[Fill] = []
        self.notebook: Notebook | None = None
        ctx.subscribe("*", "1m")

    def save_state(self) -> dict[str, Any]:
        return {"n": self.n}

    def restore_state(self, state: dict[str, Any]) -> None:
        self.n = state["n"]

    def on_bars(self, symbol: str, interval: Interval) -> None:
        self.n += 1
        if self.notebook is not None and (not self.seen or self.seen[-1][0] != self.ctx.now):
            self.at_first.append((self.ctx.now, self.notebook.times))
        self.seen.append((self.ctx.now, symbol))
        self.acts(self, symbol)

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)


def played(
    acts: Callable[[Any, str], object],
    bars: list[BarRow],
    *,
    kind: type[Counting] = Counting,
    notebook: Notebook | None = None,
    names: tuple[str, ...] = NAMES,
    window: int = 64,
    block: int = 50,
    max_errors: int = 10,
    past: Past | None = None,
    rules: AccountRules | None = None,
    how: str = "resume",
) -> StrategyThread:
    spine = Spine(market(names, ["1m"], history=20), window=window, block=block)
    thread = spine.thread(kind, policy=ThreadPolicy(max_errors=max_errors), rules=rules or AccountRules())
    strategy: Any = thread.strategy
    strategy.acts = acts
    if notebook is not None:
        strategy.notebook = notebook
        assert thread.account is not None
        thread.account.journal = notebook  # type: ignore[assignment]
    if past is not None:
        thread.resume(past, how)
    spine.run(bars)
    return thread


def rest_at(*numbers: int) -> Callable[[Any, str], object]:
    """Leaves a limit order at these bars."""

    def act(strategy: Any, symbol: str) -> None:
        if strategy.n in numbers:
            strategy.ids.append(strategy.ctx.order(symbol, "buy", 1, kind="limit", limit_price=1.0))

    return act


# Checkpoints are of whole steps.


@pytest.mark.parametrize("acting", [4093, 4094, 4095, 4096, 4097, 4098])
def test_checkpoint_where_a_window_ends_in_mid_step_claims_no_event_that_was_not_handled(acting: int) -> None:
    # A window has 4,096 events, three a minute: the first one ends with the first bar of minute 1,366.
    notebook = Notebook()
    thread = played(rest_at(10, acting, 4110), rows(1400), notebook=notebook, window=4096, block=2000)
    assert thread.errors == 0, lines(thread).kept
    assert [state["n"] for _, state, _ in notebook.commits] == [3 * ((time - START) // MINUTE_NS) for time in notebook.times]
    decided = (acting + 2) // 3  # the minute of that bar
    strategy: Any = thread.strategy
    recorded = dict(strategy.at_first)[minute(decided + 1)]
    assert recorded[-1] == minute(decided), "it is on the disk before the next step"


@pytest.mark.parametrize("acting", [4094, 4095, 4096])
def test_resume_after_a_kill_in_mid_step_gives_the_steps_other_events_again(acting: int) -> None:
    notebook, found = Notebook(), []

    def act(strategy: Any, symbol: str) -> None:
        rest_at(10, acting)(strategy, symbol)
        if strategy.n == 4097:
            found.append(notebook.past())  # what a restart finds, were it killed here

    played(act, rows(1400), notebook=notebook, window=4096, block=2000)
    again = played(rest_at(), rows(1400), notebook=Notebook(), past=found[0])
    strategy: Any = again.strategy
    assert strategy.n == 3 * 1400


# Cancellations and amendments are decisions too.


@pytest.mark.parametrize("window", [1, 64])
@pytest.mark.parametrize("what", ["cancel", "amend"])
def test_cancel_or_amend_is_recorded_before_the_next_step(what: str, window: int) -> None:
    def act(strategy: Any, symbol: str) -> None:
        rest_at(3)(strategy, symbol)
        if strategy.n == 31:
            done = strategy.ctx.cancel(1) if what == "cancel" else strategy.ctx.amend(1, limit_price=2.0)
            assert done is True

    notebook = Notebook()
    thread = played(act, rows(60), notebook=notebook, window=window)
    assert thread.errors == 0, lines(thread).kept
    strategy: Any = thread.strategy
    assert dict(strategy.at_first)[minute(12)][-1] == minute(11)
    assert notebook.commits[notebook.times.index(minute(11))] == (minute(11), {"n": 33}, 1 if what == "amend" else 0)


class Hearing(Counting):
    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        self.heard: list[tuple[int, str, int]] = []
        ctx.on(OrderEnded, lambda event: self.heard.append((self.ctx.now, str(event.state), self.n)))


def test_cancel_is_heard_of_before_the_next_step_whatever_the_window() -> None:
    def act(strategy: Any, symbol: str) -> None:
        rest_at(3, 4094)(strategy, symbol)
        if strategy.n in (31, 4096):
            strategy.ctx.cancel(strategy.ids[-1])

    for window, block, bars in ((1, 1, 60), (8, 5, 60), (64, 50, 60), (4096, 2000, 1400)):
        thread = played(act, rows(bars), kind=Hearing, window=window, block=block)
        strategy: Any = thread.strategy
        expected = [(minute(12), "cancelled", 33), (minute(1367), "cancelled", 4098)]
        assert strategy.heard == expected[: 1 if bars == 60 else 2], window


# A state that cannot be kept, and a record that cannot be made.


class Bad(Counting):
    """Gives what cannot be kept from its 10th bar to its 20th."""

    wrong: Any = None

    def save_state(self) -> dict[str, Any]:
        return self.wrong if 10 <= self.n <= 20 else super().save_state()


@pytest.mark.parametrize("wrong", [None, [1], {"x": object()}], ids=["none", "list", "no_json"])
def test_commit_state_that_cannot_be_kept_counts_as_an_error_and_the_last_good_one_is_recorded(wrong: Any) -> None:
    notebook = Notebook()
    kind = type("Bad", (Bad,), {"wrong": wrong})
    thread = played(rest_at(3, 12, 40), rows(60), kind=kind, notebook=notebook)
    assert thread.errors == 1
    assert "StrategyStateError: save_state gave" in str(thread.last_error)
    assert [(time, state["n"], orders) for time, state, orders in notebook.commits] == [
        (minute(1), 3, 1), (minute(4), 3, 2), (minute(14), 42, 3), (minute(60), 180, 3),
    ]  # fmt: skip
    assert thread.account is not None
    assert thread.account.stopped_by is None


def test_commit_state_that_cannot_be_kept_once_too_often_quarantines_with_all_on_record() -> None:
    notebook = Notebook()
    kind = type("Bad", (Bad,), {"wrong": None})
    thread = played(rest_at(3, 12, 40), rows(60), kind=kind, notebook=notebook, max_errors=0)
    assert thread.state is State.QUARANTINED
    assert notebook.commits[-1] == (minute(4), {"n": 3}, 0)
    assert len(np.concatenate(notebook.records)) == 4  # two orders and their ends
    assert thread.strategy.seen[-1] == (minute(4), "CCC")  # type: ignore[attr-defined]


def raising(error: Exception) -> Callable[[], str | None]:
    def fail() -> str | None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        (lambda: "no disk", "no disk"),
        (raising(ValueError("a payload has at most 16,777,216 bytes")), "ValueError: a payload has at most 16,777,216 bytes"),
        (raising(JournalError("is closed", path="j")), "j: is closed"),
    ],
    ids=["says_so", "value_error", "journal_error"],
)
def test_commit_that_fails_in_any_way_halts_and_is_not_the_strategys_error(fails: Callable[[], str | None], said: str) -> None:
    notebook = Notebook()

    def act(strategy: Any, symbol: str) -> None:
        rest_at(3, 30, 40)(strategy, symbol)
        if strategy.n == 20:
            notebook.fails = fails

    thread = played(act, rows(60), notebook=notebook)
    strategy: Any = thread.strategy
    assert (thread.state, thread.errors, strategy.n) == (State.STOPPED, 0, 180)
    assert thread.account is not None
    assert thread.account.stopped_by == said
    assert strategy.ids[2] == RiskRefused(Refusal.JOURNAL)
    assert thread.account.working(minute(60)) == ()


def test_end_record_that_fails_is_said_and_the_strategy_is_torn_down() -> None:
    notebook = Notebook(durable=False)
    torn: list[bool] = []

    class Tears(Counting):
        def teardown(self) -> None:
            torn.append(True)

    def act(strategy: Any, symbol: str) -> None:
        rest_at(3)(strategy, symbol)
        if strategy.n == 60:
            notebook.fails = raising(JournalError("no disk"))

    thread = played(act, rows(20), kind=Tears, notebook=notebook)
    assert (thread.state, thread.errors, torn) == (State.STOPPED, 0, [True])
    assert thread.account is not None
    assert thread.account.stopped_by == "no disk"


# A strategy that gives up.


def left(thread: StrategyThread) -> tuple[Any, ...]:
    """What came of an account, to the last unit."""
    account = thread.account
    assert account is not None
    times, values = account.points
    performance = account.performance(thread.last_event_ns).to_dict()
    held = [(one.symbol, one.quantity, one.market_value) for one in account.final.open_positions]
    return account.equity_units, held, times.tolist(), values.tolist(), performance, account.kept, account.working(minute(9999))


SIZES = [(1, 1), (3, 7), (8, 50), (64, 50), (4096, 2000)]


@pytest.mark.parametrize("kind", [Counting, type("Silent", (Counting,), {"on_fill": Strategy.on_fill})], ids=["told", "silent"])
def test_quarantine_leaves_the_account_as_of_the_event_whatever_the_window(kind: type[Counting]) -> None:
    def act(strategy: Any, symbol: str) -> None:
        if strategy.n == 3:
            strategy.ctx.order("AAA", "buy", 10, stop_loss_price=50.0)
        if strategy.n == 29:
            raise ValueError("bad")

    found = []
    for window, block in SIZES:
        thread = played(act, rows(300), kind=kind, window=window, block=block, max_errors=0)
        assert thread.state is State.QUARANTINED
        assert thread.last_event_ns == minute(10)
        found.append(left(thread))
    # Bought at 101, and at the 10th minute's close the price is 109.
    assert found[0][:2] == (10_008_000_000_000, [("AAA", 10.0, 1090.0)])
    assert found[0][2][-1] == minute(10)
    assert found[0][-1] == ()
    assert all(one == found[0] for one in found)


def test_quarantine_in_on_fill_leaves_the_account_as_of_its_step_whatever_the_window() -> None:
    class Faints(Counting):
        def on_fill(self, fill: Fill) -> None:
            raise ValueError("bad")

    found = []
    for window, block in SIZES:
        thread = played(
            lambda strategy, symbol: strategy.n == 3 and strategy.ctx.order("AAA", "buy", 10),
            rows(300), kind=Faints, window=window, block=block, max_errors=0,
        )  # fmt: skip
        assert (thread.state, thread.last_event_ns, thread.strategy.n) == (State.QUARANTINED, minute(2), 3)  # type: ignore[attr-defined]
        found.append(left(thread))
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize(("window", "block"), SIZES)
def test_quarantine_is_recorded_as_of_the_event_with_its_reason(window: int, block: int, durable: bool) -> None:
    def act(strategy: Any, symbol: str) -> None:
        rest_at(3)(strategy, symbol)
        if strategy.n == 29:
            raise ValueError("bad")

    notebook = Notebook(durable)
    thread = played(act, rows(300), notebook=notebook, window=window, block=block, max_errors=0)
    assert thread.gave_up
    assert notebook.commits[-1] == (minute(10), {"n": 29}, 0)
    values, _ = unpack_state(notebook.states[-1])
    assert values["gave_up"] == "quarantined after 1 errors: ValueError: bad"
    # After a restart it trades again, behind that event.
    after = Notebook(durable)
    again = played(rest_at(40), rows(300), notebook=after, past=notebook.past())
    strategy: Any = again.strategy
    assert strategy.seen[0] == (minute(11), "AAA")
    assert isinstance(strategy.ids[0], int)
    values, _ = unpack_state(after.states[-1])
    assert values["gave_up"] == ""


def test_fault_cancels_what_works_and_leaves_the_rest() -> None:
    class Breaks(Counting):
        pass

    spine = Spine(market(NAMES, ["1m"], history=20), window=8, block=50)
    thread = spine.thread(Breaks, rules=AccountRules())
    strategy: Any = thread.strategy
    strategy.acts = lambda one, symbol: one.n == 3 and one.ctx.order("AAA", "buy", 10, stop_loss_price=50.0)
    context: Any = thread.strategy.ctx
    advance = context.advance

    def breaking(frame: Any, last_end: Any) -> None:
        if strategy.n > 20:
            raise RuntimeError("an indicator of the user's own")
        advance(frame, last_end)

    context.advance = breaking
    notebook = Notebook()
    assert thread.account is not None
    thread.account.journal = notebook  # type: ignore[assignment]
    spine.run(rows(60))
    assert (thread.state, thread.gave_up) == (State.FAULTED, True)
    assert thread.account.working(minute(60)) == ()
    assert thread.account.final.open_positions[0].quantity == 10.0
    assert notebook.times[-1] == thread.last_event_ns == minute(strategy.n // 3)


# After a restart.


def interrupted(minutes: int = 20) -> Past:
    """Of a strategy that has left an order at its third bar, and was cut off later."""
    notebook = Notebook()
    played(rest_at(3, 10), rows(minutes), notebook=notebook)
    return notebook.past(notebook.times.index(minute(4)))


@pytest.mark.parametrize("how", ["resume", "flatten"])
def test_resume_feed_begins_behind_the_checkpoint_is_said_and_the_next_checkpoint_has_its_time(how: str) -> None:
    notebook = Notebook()
    thread = played(lambda *_: None, rows(130, first=120), notebook=notebook, past=interrupted(), how=how)
    assert thread.catch_up is not None
    assert thread.catch_up.missing_minutes == 116
    (said,) = lines(thread).of(
        "bars are missing: the feed begins behind where the strategy had come before the restart; its orders were not matched there"
    )
    assert said == {"handled_up_to": "2024-01-03T00:04:00Z", "first_bar": "2024-01-03T02:00:00Z", "minutes": 116}
    assert notebook.times[0] >= minute(4)


@pytest.mark.parametrize("first", [0, 3, 4])
def test_resume_feed_begins_before_or_at_the_checkpoint_misses_nothing(first: int) -> None:
    thread = played(lambda *_: None, rows(30, first=first), notebook=Notebook(), past=interrupted())
    strategy: Any = thread.strategy
    assert strategy.seen[0] == (minute(5), "AAA")
    assert strategy.n == 90
    assert thread.catch_up is not None
    assert thread.catch_up.missing_minutes == 0
    assert lines(thread).kept == []
