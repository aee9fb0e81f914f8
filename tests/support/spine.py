"""The writer, the gate and strategy threads, put together without configuration files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stratd.data.calendars import CalendarTable, concatenate, utc_table
from stratd.data.derivation import Derivation
from stratd.data.event_log import EventLog
from stratd.data.feed import HistoryFeed
from stratd.data.gate import Gate
from stratd.data.intake import RejectsFile
from stratd.data.processor import DataProcessor
from stratd.data.session_data import SessionData
from stratd.data.subscription import StreamSubscription
from stratd.execution.account import load_kernels
from stratd.execution.book import Book, BookRules, Member
from stratd.execution.rules import AccountRules
from stratd.execution.terms import TradingTerms
from stratd.indicators.hub import IndicatorHub
from stratd.model import Instrument, Interval
from stratd.portfolio.sizing import Sizing
from stratd.risk.limits import RiskLimits
from stratd.strategy.base import Strategy
from stratd.strategy.context import Market, StrategyContext
from stratd.strategy.manager import StrategyManager
from stratd.strategy.thread import StrategyThread, ThreadPolicy, Trading
from stratd.testing.bars import BarRow

from .row_feed import RowFeed

LATEST = 2**62


class Lines:
    """A logger that keeps what it is given: (level, event, values)."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **values: Any) -> None:
        self.kept.append(("info", event, values))

    def warning(self, event: str, **values: Any) -> None:
        self.kept.append(("warning", event, values))

    def error(self, event: str, **values: Any) -> None:
        self.kept.append(("error", event, values))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [values for _, held, values in self.kept if held == event]


def market(
    symbols: Sequence[str] = ("AAA", "BBB"),
    intervals: Sequence[str] = ("1m", "2m"),
    history: int = 50,
    tables: Sequence[CalendarTable] | None = None,
    calendar_of: dict[str, int] | None = None,
    tick: float | None = None,
) -> Market:
    """What a session of these symbols offers; around the clock where no tables are given."""
    return Market(
        tuple(symbols),
        tuple(Interval(text) for text in intervals),
        {symbol: Instrument(symbol, tick=tick) for symbol in symbols},
        (utc_table(),) if tables is None else tuple(tables),
        dict.fromkeys(symbols, 0) if calendar_of is None else calendar_of,
        history,
    )


class Spine:
    """A session's inner parts. Make threads, then `run`."""

    def __init__(
        self,
        offered: Market | None = None,
        *,
        window: int = 8,
        block: int = 5,
        timeout: float = 20.0,
        results: Path | None = None,
        book: BookRules | None = None,
    ) -> None:
        self.market = offered = market() if offered is None else offered
        self.window, self.block, self.timeout = window if book is None else 1, block, timeout
        self.book_rules = book
        self.book: Book | None = None
        keep = offered.history_bars + window + 1
        self.data = SessionData(offered.symbols, offered.intervals, keep)
        self.derivation = Derivation(
            self.data,
            concatenate(offered.calendars, offered.intervals),
            np.array([offered.calendar_of[symbol] for symbol in offered.symbols], np.int64),
            np.zeros(len(offered.symbols), np.uint8),
            LATEST,
        )
        self.hub = IndicatorHub(self.data, lambda symbol, interval: offered.streams[symbol, interval])
        self.log = EventLog()
        streams = len(offered.intervals) * len(offered.symbols) + 2 * len(offered.calendars)
        self.terms = TradingTerms(offered.symbols, offered.instruments, offered.calendars, offered.calendar_of, streams)
        self.threads: list[StrategyThread] = []
        self.timed_out: list[str] = []
        self.rejects = RejectsFile((results or Path()) / "rejects.csv")

    def thread(
        self,
        kind: type[Strategy[Any]],
        name: str = "one",
        policy: ThreadPolicy | None = None,
        *,
        rules: AccountRules | None = None,
        limits: RiskLimits | None = None,
        sizing: Sizing | None = None,
        **params: Any,
    ) -> StrategyThread:
        """A strategy, set up, in a thread that is not started. It has an account if there are `rules`."""
        context = StrategyContext(name, self.market)
        context.log = Lines()
        strategy = kind()
        strategy.params = kind.Params(**params)
        strategy.ctx = context
        strategy.setup(context)
        context.seal()
        context.attach(self.hub)
        policy = ThreadPolicy(keep_signals=True) if policy is None else policy
        trading = None
        if rules is not None:
            load_kernels()  # as a session does, so that no strategy waits for a compiler
            trading = Trading(self.terms, rules, RiskLimits() if limits is None else limits, sizing, keep=True)
        made = StrategyThread(strategy, context, self.market, self.data, self.log, policy, trading)
        self.threads.append(made)
        return made

    def build(self, feed: HistoryFeed) -> DataProcessor:
        """The writer, with a gate before the threads made so far."""
        self.strategies = StrategyManager(self.threads)

        def on_timeout(reader: StreamSubscription) -> None:
            self.timed_out.append(reader.name)
            self.strategies.abandon_hung(reader, self.timeout)

        if self.book_rules is not None:
            members = [Member(one.name, one.account, one.subscription) for one in self.threads if one.account is not None]
            self.book = Book(members, self.terms, self.book_rules, self.data, Lines())
        streams = len(self.market.intervals) * len(self.market.symbols) + 2 * len(self.market.calendars)
        at_rest = None if self.book is None else self.book.at_rest
        self.gate = Gate(
            self.window, [thread.subscription for thread in self.threads], streams, self.timeout, on_timeout, at_rest
        )
        feed.open(self.market.symbols)
        self.processor = DataProcessor(
            feed, self.derivation, self.log, self.gate, self.rejects, self.block, 10_000, None, self.hub.advance
        )
        return self.processor

    def build_rows(self, rows: Sequence[BarRow]) -> DataProcessor:
        """The writer of rows that stand in feed order."""
        return self.build(RowFeed(rows))

    def run(self, rows: Sequence[BarRow]) -> None:
        """Play rows that stand in feed order, to the end."""
        self.build_rows(rows)
        self.strategies.start()
        self.processor.start()
        assert self.processor.join(30)
        assert self.strategies.join(30) == []
        self.rejects.close()


def lines(thread: StrategyThread) -> Lines:
    """What a strategy's thread has logged."""
    log = thread.strategy.ctx.log
    assert isinstance(log, Lines)
    return log
