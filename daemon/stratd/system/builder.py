"""Builder: the one place where a session's parts are put together."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from stratd.core.clock import Clock, SystemClock
from stratd.core.container import ScopedContainer, SharedServices
from stratd.core.cores import current_core
from stratd.data.calendars import concatenate, grid_of
from stratd.data.derivation import Derivation
from stratd.data.event_log import EventLog
from stratd.data.feed import HistoryFeed
from stratd.data.gate import Gate
from stratd.data.intake import RejectsFile
from stratd.data.processor import DataProcessor
from stratd.data.session_data import SessionData
from stratd.data.subscription import StreamSubscription
from stratd.errors import BarrierTimeout, ConfigError, ContainerError
from stratd.execution.account import Account, load_kernels
from stratd.execution.book import Book, BookRules, Member, Netting
from stratd.execution.terms import TradingTerms
from stratd.indicators.hub import IndicatorHub
from stratd.model import Instrument, Interval
from stratd.risk.kill_switch import FILE_NAME, KillSwitch
from stratd.strategy.caretaker import Caretaker
from stratd.strategy.context import Market, StrategyContext
from stratd.strategy.manager import StrategyManager
from stratd.strategy.scope import open_scope
from stratd.strategy.thread import StrategyThread, ThreadPolicy, Trading
from stratd.system.account_config import risk_limits
from stratd.system.calendars import load_calendar
from stratd.system.config import SessionConfig, StrategyConfig
from stratd.system.loading import Loaded, LoadFailure, load_all, refuse
from stratd.system.restart_plan import orphans
from stratd.system.result import RunOptions
from stratd.system.session_journal import SessionJournal, open_journal

logger = structlog.get_logger("stratd.session")
MINUTE_1: Final = Interval("1m")
# Rows of all symbols together that a block, or what is out unread, may have: bounds memory for many symbols.
BLOCK_ROWS: Final = 262_144
WINDOW_ROWS: Final = 1_048_576
# Threads are kept on one core up to this window: they hand over too often for anything else to pay.
PINNED_WINDOW: Final = 64
DAY_NS: Final = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Session:
    """The parts of a session, wired and not started."""

    market: Market
    data: SessionData
    hub: IndicatorHub
    derivation: Derivation
    log: EventLog
    gate: Gate
    feed: HistoryFeed
    rejects: RejectsFile
    processor: DataProcessor
    strategies: StrategyManager
    failures: list[LoadFailure]
    timed_out: list[str]
    journal: SessionJournal | None
    closing: ExitStack
    kill_switch: KillSwitch
    book: Book | None = None

    def close(self) -> None:
        """Close everything, the last one opened first. What fails keeps nothing else from being closed; the first error is raised then."""
        self.closing.close()


def build_market(config: SessionConfig, clock: Clock) -> Market:
    """What the session offers to strategies: symbols, intervals, instruments, calendars.

    Raises:
        CalendarError: a calendar is unknown or does not support an interval.
    """
    instruments = config.instruments()
    intervals = (MINUTE_1, *config.derived_intervals)
    keys = list(dict.fromkeys((entry.calendar, entry.extended_hours) for entry in instruments))
    tables = tuple(load_calendar(name, extended, clock) for name, extended in keys)
    for table in tables:
        for interval in intervals:
            grid_of(table, interval)  # says which interval does not go with which calendar
    return Market(
        symbols=config.symbols,
        intervals=intervals,
        instruments={entry.symbol: entry for entry in instruments},
        calendars=tables,
        calendar_of={entry.symbol: keys.index((entry.calendar, entry.extended_hours)) for entry in instruments},
        history_bars=config.history_bars,
    )


def build_derivation(instruments: tuple[Instrument, ...], market: Market, data: SessionData, latest_ns: int) -> Derivation:
    """The derivation of a market's instruments."""
    return Derivation(
        data,
        concatenate(market.calendars, market.intervals),
        np.array([market.calendar_of[entry.symbol] for entry in instruments], np.int64),
        np.array([entry.sends_empty_minutes for entry in instruments], np.uint8),
        latest_ns,
    )


def build_feed(config: SessionConfig, latest_ns: int) -> HistoryFeed:
    """The session's replay feed, not opened yet."""
    from stratd.feeds.replay import ReplayFeed, ReplaySource

    found = config.replay()
    sources = [ReplaySource(path, symbol, found.stamp) for path, symbol in found.files]
    return ReplayFeed(sources, start_ns=found.start_ns, end_ns=found.end_ns, future_ns=latest_ns)


def build_session(
    config: SessionConfig, options: RunOptions, feed: HistoryFeed | None = None, clock: Clock | None = None
) -> Session:
    """Put a session together.

    Args:
        feed: where bars come from, instead of the session's own feed.

    Raises:
        ConfigError: a strategy cannot be loaded and `on_load_error` is "abort", or none can.
        CalendarError: a calendar is unknown.
        FeedError: the feed cannot be opened.
    """
    clock = clock or SystemClock()
    market = build_market(config, clock)
    loaded, failures = load_all(config, market)
    if failures and (config.on_load_error == "abort" or not loaded):
        raise ConfigError([problem for failure in failures for problem in failure.problems])
    symbols = len(market.symbols)
    latest_ns = clock.now_ns() + DAY_NS
    # With a book, what strategies do to each other in a step is settled before the next: whatever the window is to be.
    window = 1 if config.book is not None else max(1, min(options.window or config.window, WINDOW_ROWS // symbols))
    block_minutes = max(1, min(options.block_minutes or config.block_minutes, BLOCK_ROWS // symbols))
    # When rows are moved, everything before the coming block is published, and readers are at most a window behind.
    keep = config.history_bars + window + 1
    data = SessionData(market.symbols, market.intervals, keep)
    derivation = build_derivation(config.instruments(), market, data, latest_ns)
    hub = IndicatorHub(data, lambda symbol, interval: market.streams[symbol, interval])
    for entry in tuple(loaded):
        try:
            entry.context.attach(hub)
        except Exception as error:
            # What it asks for cannot be computed: it is left out like one that cannot be loaded. An operation or parameters of its own
            # may raise anything.
            failures.append(refuse(entry, config, error))
            loaded.remove(entry)
    if failures and (config.on_load_error == "abort" or not loaded):
        raise ConfigError([problem for failure in failures for problem in failure.problems])
    log = EventLog()
    core = current_core() if window <= PINNED_WINDOW else None
    log_streams = len(market.intervals) * symbols + 2 * len(market.calendars)
    load_kernels()
    terms = TradingTerms(market.symbols, market.instruments, market.calendars, market.calendar_of, log_streams)
    directory = config.results_path if options.results_dir is None else Path(options.results_dir)
    with ExitStack() as opened:  # closes what is open, should the rest fail
        opened.callback(hub.close)
        journal = open_journal(config, options, directory, terms, clock, [entry.config.name for entry in loaded])
        if journal is not None:
            opened.callback(journal.journal.close)
        caretakers = {} if journal is None else _take_care(journal, config, terms, market, hub, loaded)
        shared = SharedServices({Market: market, TradingTerms: terms})
        threads = []
        for entry in loaded:
            policy, trading = (
                _policy(entry, options, core),
                _trading(entry, config, terms, journal is not None and journal.durable),
            )
            scope = open_scope(entry.strategy, entry.context, shared, data, log, policy, trading, market)
            opened.callback(_close_scope, scope)
            threads.append(scope.get(StrategyThread))
        # Before accounts go on where a journal ended: their cells are the book's.
        book = _book(config, threads, terms, data)
        if journal is not None:
            journal.attach(threads, config.journal.on_restart, caretakers, book)
        strategies = StrategyManager(threads)
        timed_out: list[str] = []

        def on_timeout(reader: StreamSubscription) -> None:
            timed_out.append(reader.name)
            strategies.abandon_hung(reader, config.barrier_timeout_seconds)
            if config.on_barrier_timeout == "abort":
                raise BarrierTimeout(f"strategy {reader.name} made no progress for {config.barrier_timeout_seconds:g} s")

        readers = [thread.subscription for thread in threads]
        at_rest = None if book is None else book.at_rest
        gate = Gate(window, readers, log_streams, config.barrier_timeout_seconds, on_timeout, at_rest)
        feed = feed if feed is not None else build_feed(config, latest_ns)
        opened.callback(feed.close)
        feed.open(market.symbols)
        rejects = RejectsFile(directory / config.session_name / "rejects.csv")
        opened.callback(rejects.close)
        processor = DataProcessor(feed, derivation, log, gate, rejects, block_minutes, BLOCK_ROWS, core, hub.advance)
        kill_switch = KillSwitch(directory / config.session_name / FILE_NAME, [_account(thread) for thread in threads])
        kill_switch.check()
        return Session(
            market, data, hub, derivation, log, gate, feed, rejects, processor, strategies, failures, timed_out, journal,
            opened.pop_all(), kill_switch, book,
        )  # fmt: skip


def _account(thread: StrategyThread) -> Account:
    assert thread.account is not None  # every strategy of a session has one
    return thread.account


def _book(config: SessionConfig, threads: list[StrategyThread], terms: TradingTerms, data: SessionData) -> Book | None:
    """What strategies share; None where they know nothing of each other."""
    if config.book is None:
        return None
    rules = BookRules(
        netting=Netting(config.book.netting),
        shared_buying_power=config.book.shared_buying_power,
        capital=config.book.capital,
        limits=risk_limits(config.book.risk),
    )
    return Book([Member(thread.name, _account(thread), thread.subscription) for thread in threads], terms, rules, data)


def _take_care(
    journal: SessionJournal, config: SessionConfig, terms: TradingTerms, market: Market, hub: IndicatorHub, loaded: list[Loaded]
) -> dict[str, str]:
    """Do with what strategies that are gone, or could not be loaded, have left open what the session says. Returns how each caretaker goes on."""
    caretakers: dict[str, str] = {}
    configured = {entry.name: entry for _, entry in config.enabled_strategies}
    for name, symbols in orphans(journal.past.pasts, terms, [entry.config.name for entry in loaded]).items():
        if config.journal.on_orphan == "alert":
            logger.error("nobody looks after what a strategy has left open", strategy=name, symbols=symbols)
            continue
        caretakers[name] = "flatten" if config.journal.on_orphan == "close" else "resume"
        context, caretaker = StrategyContext(name, market), Caretaker(symbols)
        caretaker.ctx = context
        caretaker.setup(context)
        context.seal()
        context.attach(hub)
        stands_for = configured.get(name)
        if stands_for is None:
            # By the rules that its lots and fees came about by, as far as the journal has them.
            rules = (journal.past.about or {}).get("rules", {}).get(name, {})
            stands_for = StrategyConfig(name=name, module=Caretaker.__module__, **rules)
        loaded.append(Loaded(stands_for, caretaker, context))
    return caretakers


def _close_scope(scope: ScopedContainer) -> None:
    """Close a strategy's container. What fails in it is said, and keeps no other from being closed."""
    try:
        scope.close()
    except ContainerError as error:
        logger.error("a strategy's parts failed to close", strategy=scope.name, reason=str(error))


def _trading(entry: Loaded, config: SessionConfig, terms: TradingTerms, durable: bool) -> Trading:
    """What a strategy's account is made from."""
    return Trading(
        terms,
        config.account_rules(entry.config),
        config.risk_limits(entry.config),
        config.sizing(entry.config),
        prefix=config.session_name,
        durable=durable,
    )


def _policy(entry: Loaded, options: RunOptions, core: int | None) -> ThreadPolicy:
    return ThreadPolicy(
        max_errors=entry.config.max_errors,
        min_quality=entry.strategy.params.min_quality,
        keep_signals=options.signals_path is not None,
        core=core,
    )
