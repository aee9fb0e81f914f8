"""SystemManager: runs a session from start to end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from stratd.core import kernel
from stratd.core.clock import Clock, SystemClock, perf_ns, utc_text
from stratd.core.states import State
from stratd.data.feed import HistoryFeed
from stratd.data.processor import END_OF_FEED
from stratd.data.quality import StreamQuality, quality_by_symbol
from stratd.errors import SessionError
from stratd.execution.book import Book
from stratd.execution.records import RISK_REASONS
from stratd.model import MONEY
from stratd.portfolio.cells import C_FILL_COUNT, C_ORDER_COUNT, C_TRADE_COUNT
from stratd.strategy.manager import audit_hash
from stratd.strategy.thread import StrategyThread
from stratd.system.builder import Session, build_session
from stratd.system.config import SessionConfig
from stratd.system.result import BookResult, Progress, RunOptions, SessionResult, StrategyResult
from stratd.system.signals_file import check_signals_path, write_signals
from stratd.telemetry.collector import SessionCollector, SessionParts
from stratd.telemetry.metrics_server import MetricsServer

POLL_SECONDS: Final = 0.1
DRAIN_SECONDS: Final = 10.0
NOTED_SHARE: Final = 0.01  # of rows rejected, above which the result says so

log = structlog.get_logger("stratd.session")


class SystemManager:
    """Starts a session's parts in order of dependence, runs it, and stops them so that nothing is lost.

    Start: calendars, strategies (imported and set up), columns, feed; then the strategy threads, then the data-processor.
    Stop: the data-processor publishes nothing further, strategies work through what is published, threads end, files close.

    Thread safety: `run` is called once. `stop` and `abort` may be called by any thread and by a signal handler.

    Args:
        feed: where bars come from, instead of the session's own feed.
    """

    def __init__(
        self,
        config: SessionConfig,
        options: RunOptions = RunOptions(),  # noqa: B008 - frozen
        on_progress: Callable[[Progress], None] | None = None,
        *,
        feed: HistoryFeed | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.config = config
        self.options = options
        self.session: Session | None = None
        self.first_bar_ns = 0
        self._on_progress = on_progress
        self._feed = feed
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._abort = threading.Event()
        self._started_ns = 0

    def stop(self) -> None:
        """End the run gracefully: take in nothing more, let strategies finish what they were given."""
        self._stop.set()
        if self.session is not None:
            self.session.processor.stop()

    def abort(self) -> None:
        """End the run at once: strategies end after the callback that they are in."""
        self._abort.set()
        self.stop()
        if self.session is not None:
            self.session.strategies.abandon_all("aborted")

    def run(self) -> SessionResult:
        """Run the session to its end.

        Raises:
            ConfigError: a strategy cannot be loaded and the session says to abort then.
            CalendarError, FeedError: a calendar or the feed cannot be used.
        """
        if self.options.signals_path is not None:
            check_signals_path(Path(self.options.signals_path))
        session = self.session = build_session(self.config, self.options, self._feed, self._clock)
        server = None
        try:
            for failure in session.failures:
                log.error("strategy is left out", strategy=failure.name, reason="; ".join(map(str, failure.problems)))
            if self.options.metrics_port is not None:
                server = MetricsServer(SessionCollector(self._parts(session)), self.options.metrics_port)
            kernel.stats.sealed = True
            self._started_ns = perf_ns()
            try:
                session.strategies.start()
                session.processor.start()
                if self._stop.is_set():
                    session.processor.stop()
                self._wait(session)
            except BaseException:
                # Something here failed, not a strategy: nothing may go on in the background.
                self._shut_down(session)
                raise
            elapsed = (perf_ns() - self._started_ns) / 1e9
            self.first_bar_ns = session.processor.first_bar_ns
            if self.options.signals_path is not None:
                self._write_signals(session, Path(self.options.signals_path))
            result = self._result(session, elapsed)
            if session.journal is not None:
                finished = result.stopped_by == END_OF_FEED and result.error is None
                left = _left_open(session) if finished else []
                session.journal.close(finished=finished and not left)
                result = replace(result, notes=(*result.notes, *left))
            return result
        finally:
            kernel.stats.sealed = False
            if server is not None:
                server.close()
            session.close()

    def _write_signals(self, session: Session, path: Path) -> None:
        try:
            write_signals(path, session.strategies.threads, session.market.symbols)
        except OSError as error:
            raise SessionError(
                f"the run is done, but its signals cannot be written to {path} ({error.strerror or error}); "
                "make room or name another file with --signals, and run it again"
            ) from error

    def _shut_down(self, session: Session) -> None:
        session.processor.stop()
        session.processor.join(DRAIN_SECONDS)
        session.log.close()
        session.strategies.abandon_all("the session failed")
        session.strategies.join(DRAIN_SECONDS)

    def _parts(self, session: Session) -> SessionParts:
        return SessionParts(
            self.config.session_name,
            session.processor,
            session.derivation,
            session.gate,
            session.rejects,
            session.strategies,
            session.hub,
            None if session.journal is None else session.journal.journal,
        )

    def _wait(self, session: Session) -> None:
        """Until the data-processor has ended and the strategies are through."""
        while not session.processor.join(POLL_SECONDS):
            session.kill_switch.check()
            if _unrecorded(session):
                session.processor.stop()
            self._say(session)
        stopped = self._stop.is_set() or session.processor.error is not None
        late = session.strategies.join(0.5 if self._abort.is_set() else DRAIN_SECONDS)
        if not self._abort.is_set():
            for thread in late:
                log.error("strategy did not end in time", strategy=thread.name, seconds=DRAIN_SECONDS)
                thread.abandon(State.STOPPED if stopped else State.FAULTED, f"did not end within {DRAIN_SECONDS:g} s")
        self._say(session)

    def _say(self, session: Session) -> None:
        if self._on_progress is not None:
            processor = session.processor
            elapsed = (perf_ns() - self._started_ns) / 1e9
            self._on_progress(Progress(session.feed.progress(), processor.bars_in, processor.event_time_ns, elapsed))

    def _result(self, session: Session, elapsed: float) -> SessionResult:
        data, processor = session.data, session.processor
        threads = session.strategies.threads
        digest, ledger = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
        for thread in threads:
            digest.update(audit_hash(thread).encode())
            if thread.account is not None:
                ledger.update(thread.account.ledger_hash().encode())
        quality = quality_by_symbol(session.derivation)
        whole = processor.ended_by == END_OF_FEED and not self._abort.is_set()
        faulted = any(thread.state is State.FAULTED for thread in threads)
        return SessionResult(
            session=self.config.session_name,
            mode="data-driven",
            deterministic=whole and not session.timed_out and not faulted and not session.kill_switch.count,
            elapsed_seconds=elapsed,
            bars_in=int(data.count[0].sum()),
            bars_derived={str(interval): int(data.count[k].sum()) for k, interval in enumerate(data.intervals) if k},
            rejected=session.rejects.rejected(),
            audit_hash=digest.hexdigest(),
            ledger_hash=ledger.hexdigest(),
            strategies={thread.name: _strategy_result(thread, elapsed) for thread in threads},
            stopped_by="aborted" if self._abort.is_set() else processor.ended_by,
            error=_error(session),
            notes=tuple(self._notes(session, quality)),
            quality={
                symbol: {"present": found.present, "lost": found.lost, "quality": found.quality}
                for symbol, found in quality.items()
            },
            gate_wait_seconds=session.gate.wait_ns / 1e9,
            rejects_file=str(session.rejects.path) if session.rejects.written else None,
            journal_file=None if session.journal is None else str(session.journal.journal.path),
            restart_plan=() if session.journal is None else tuple(session.journal.plan),
            book=None if session.book is None else _book_result(session.book),
        )

    def _notes(self, session: Session, quality: dict[str, StreamQuality]) -> list[str]:
        notes = [
            f"strategy {failure.name} was left out: {'; '.join(problem.message for problem in failure.problems)}"
            for failure in session.failures
        ]
        if session.book is not None:
            notes += session.book.notes()
        if session.kill_switch.count:
            notes.append(f"the kill switch was thrown ({session.kill_switch.path}): no new orders, and open ones were cancelled")
        for thread in session.strategies.threads:
            if thread.account is not None and thread.account.stopped_by is not None:
                notes.append(f"strategy {thread.name} trades no more: {thread.account.stopped_by}")
            left = ""
            if thread.gave_up and thread.account is not None and thread.account.active:
                left = (
                    f"; its account is as it was at {utc_text(thread.last_event_ns)}: its orders were cancelled then, and what it held was "
                    "neither marked nor closed afterwards"
                )
            if thread.state is State.QUARANTINED:
                notes.append(f"strategy {thread.name} was {thread.ended_by}{left}")
            elif thread.ended_by != "end of the log":
                notes.append(f"strategy {thread.name} ended early: {thread.ended_by}{left}")
            if thread.catch_up is not None and thread.catch_up.missing_minutes:
                notes.append(
                    f"strategy {thread.name}: bars of {thread.catch_up.missing_minutes:,} minutes are missing, from "
                    f"{utc_text(thread.catch_up.until)}, up to where it had come before the restart, to {utc_text(thread.catch_up.first_bar_ns)}, "
                    "where the feed begins: its orders were not matched there"
                )
            if thread.subscription.held_back:
                notes.append(
                    f"strategy {thread.name}: {thread.subscription.held_back} notifications were held back, "
                    "quality was below its min_quality"
                )
        rejected = sum(session.rejects.rejected().values())
        rows = rejected + int(session.data.count[0].sum())
        if rejected > NOTED_SHARE * rows:
            notes.append(f"{rejected:,} of {rows:,} rows ({rejected / rows:.1%}) were not used: look at the rejects file")
        notes += [f"indicator {where} has no values: its computation raised {error}" for where, error in session.hub.errors()]
        for thread in session.strategies.threads:
            notes += [f"strategy {thread.name}: indicator {where} raised {error}" for where, error in thread.indicator_errors()]
        notes += [f"{symbol}: no bars came" for symbol, found in quality.items() if not found.present]
        return notes


def _left_open(session: Session) -> list[str]:
    """What keeps a session whose feed has ended from having come to its end, in words; nothing where it has.

    What such strategies hold would be forgotten if the next run began anew.
    """
    assert session.journal is not None  # asked before
    threads = {thread.name: thread for thread in session.strategies.threads}
    ended = [name for name, thread in threads.items() if thread.state is State.STOPPED]
    left = session.journal.left_open(threads, ended)
    return [
        f"the session has not come to its end: strategy {name} "
        f"{f'was {threads[name].ended_by}' if name in threads else 'was not run'}, and has something open in {', '.join(symbols)}; the next "
        f"run goes on with it. To begin anew, move {session.journal.journal.path} away"
        for name, symbols in left.items()
    ]


def _unrecorded(session: Session) -> bool:
    """Whether a backtest's record has failed: what it would still find out is lost. A durable run goes on, without orders."""
    if session.journal is None or session.journal.durable:
        return False
    return any(thread.account is not None and thread.account.stopped_by for thread in session.strategies.threads)


def _error(session: Session) -> str | None:
    """What ended the run, or kept a strategy from trading to its end; None where nothing did."""
    error = session.processor.error
    if error is not None:
        return f"{type(error).__name__}: {error}"
    awaiting = [thread for thread in session.strategies.threads if thread.awaits_ns >= 0]
    if awaiting and session.processor.ended_by == END_OF_FEED:
        return (
            f"the feed ended before {utc_text(awaiting[0].awaits_ns)}, up to where strategy {awaiting[0].name} had come before the restart: "
            "give the session the bars that it had, and run it again"
        )
    halted = [thread for thread in session.strategies.threads if thread.account is not None and thread.account.stopped_by]
    if not halted:
        return None
    names = ", ".join(thread.name for thread in halted)
    reason = halted[0].account.stopped_by if halted[0].account is not None else None
    return f"trading was halted ({names}): {reason}"


def _book_result(book: Book) -> BookResult:
    struck = book.strikes[-1] if book.strikes else None
    return BookResult(
        equity=round(book.final_equity() / MONEY, 2),
        peak=round(book.monitor.peak / MONEY, 2),
        state=str(book.state),
        limit=None if struck is None else RISK_REASONS[struck.reason],
        limit_time=None if struck is None else utc_text(struck.time),
        approved=book.approved,
        refused={str(reason): count for reason, count in book.refusals.items()},
        crossed_lots=book.crossed_lots(),
        crossed_notional=round(book.crossings.notional / MONEY, 2),
    )


def _strategy_result(thread: StrategyThread, elapsed: float) -> StrategyResult:
    durations, account = thread.durations, thread.account
    assert account is not None  # every strategy of a session has one
    return StrategyResult(
        notifications=durations.count,
        signals=thread.signals.count,
        errors=thread.errors,
        state=str(thread.state),
        held_back=thread.subscription.held_back,
        on_bars_seconds={
            "mean": durations.mean_seconds,
            "p99": durations.quantile_seconds(0.99),
            "max": durations.max_seconds,
        },
        bottleneck_share=thread.subscription.gate_wait_ns / 1e9 / elapsed if elapsed else 0.0,
        audit_hash=audit_hash(thread),
        last_error=thread.last_error,
        orders=account.count(C_ORDER_COUNT),
        refused={str(reason): count for reason, count in account.refusals.items()},
        fills=account.count(C_FILL_COUNT),
        trades=account.count(C_TRADE_COUNT),
        final_equity=round(account.equity_units / MONEY, 2),
        trading_state=str(account.trading_state),
        ledger_hash=account.ledger_hash(),
        metrics=account.performance(thread.last_event_ns).to_dict(),
    )
