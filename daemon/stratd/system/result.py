"""What a session's run came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """What one strategy did.

    Attributes:
        state: component state at the end: STOPPED; QUARANTINED after too many errors or no progress; FAULTED where it did
            not end in time.
        held_back: notifications not given because the stream's quality was under `min_quality`.
        on_bars_seconds: mean, p99 and max of one notification's processing time.
        bottleneck_share: share of the run in which the data-processor waited for this strategy.
        last_error: last line of the last error; None where there was none.
        orders: let through by risk. refused: not let through, by reason.
        fills, trades: how many; a trade is a round trip from flat to flat.
        final_equity: in the account's currency, to the cent.
        trading_state: of its account, at the end.
        ledger_hash: over its fills, in ticks, lots and cents.
        metrics: performance (see `stratd.portfolio.performance.Performance`); what is undefined is None.
    """

    notifications: int
    signals: int
    errors: int
    state: str
    held_back: int
    on_bars_seconds: dict[str, float]
    bottleneck_share: float
    audit_hash: str
    last_error: str | None = None
    orders: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    fills: int = 0
    trades: int = 0
    final_equity: float = 0.0
    trading_state: str = "active"
    ledger_hash: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BookResult:
    """What all strategies of a book came to together.

    Attributes:
        equity: money of the book at the end, in its currency, to the cent; positions of strategies that were let go at the market's closes.
        peak: the most that it ever was at the end of a step.
        state: trading state at the end.
        limit, limit_time: the running limit that has led to it, and when (UTC); None where none has, or a person has reset it.
        approved: orders that were let through. refused: not let through, by reason.
        crossed_lots: by symbol, lots that strategies have settled between them; each was bought and sold.
        crossed_notional: what these were worth, once.
    """

    equity: float
    peak: float
    state: str = "active"
    limit: str | None = None
    limit_time: str | None = None
    approved: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    crossed_lots: dict[str, int] = field(default_factory=dict)
    crossed_notional: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What a session's run came to. `to_dict` is the document of `stratd backtest --json`.

    Attributes:
        deterministic: False where wall-clock time had a say (a strategy abandoned at the barrier, a stop by hand).
        bars_in: 1-minute bars taken in.
        bars_derived: bars made, by interval.
        rejected: rows not used, by kind.
        audit_hash: over every notification and signal in order, and every fill, per strategy.
        ledger_hash: over all strategies' fills, in ticks, lots and cents.
        stopped_by: why the run ended: "end of feed", "signal", "error", ...
        error: what ended the run, where an error did.
        notes: what a person should know: strategies skipped, quality below the mark, ...
        quality: by stream: minutes present, minutes lost, quality.
        rejects_file: where rejected rows are kept; None where there were none.
        journal_file: the record of orders, fills and money; None where none is kept.
        restart_plan: what was gone on with after a crash, by strategy; empty for a new run.
        book: what strategies came to together; None where they share nothing.
    """

    session: str
    mode: str
    deterministic: bool
    elapsed_seconds: float
    bars_in: int
    bars_derived: dict[str, int]
    rejected: dict[str, int]
    audit_hash: str
    strategies: dict[str, StrategyResult]
    stopped_by: str = "end of feed"
    error: str | None = None
    notes: tuple[str, ...] = ()
    quality: dict[str, dict[str, float]] = field(default_factory=dict)
    gate_wait_seconds: float = 0.0
    rejects_file: str | None = None
    ledger_hash: str = ""
    journal_file: str | None = None
    restart_plan: tuple[str, ...] = ()
    book: BookResult | None = None

    @property
    def exit_code(self) -> int:
        """0 done; 1 a runtime failure (no strategy was left at the end is one), or a run that is not deterministic."""
        nobody_left = bool(self.strategies) and all(found.state != "STOPPED" for found in self.strategies.values())
        return 0 if self.error is None and self.deterministic and not nobody_left else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        from dataclasses import asdict

        return asdict(self)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line may override.

    Attributes:
        window: steps that the slowest strategy may be behind.
        block_minutes: minutes taken from the feed at a time.
        signals_path: write every signal there (.csv or .parquet).
        metrics_port: serve Prometheus metrics on this port.
        results_dir: directory for what the session leaves behind.
        durable: whether the journal is on the disk before anybody acts on what it says, unless the session says otherwise; such a run
            goes on where the last one stopped.
    """

    window: int | None = None
    block_minutes: int | None = None
    signals_path: str | None = None
    metrics_port: int | None = None
    results_dir: str | None = None
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. `fraction` is None where the feed cannot tell."""

    fraction: float | None
    bars_in: int
    event_time_ns: int
    elapsed_seconds: float
