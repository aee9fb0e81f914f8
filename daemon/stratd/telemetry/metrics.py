"""Every metric that stratd has. docs/metrics.md is compared with this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family: its name in Prometheus' convention, kind, labels beside `session`, and what it says."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    labels: tuple[str, ...]
    help: str


BARS_IN: Final = Metric("stratd_bars_in_total", "counter", (), "1-minute bars taken in")
BARS_DERIVED: Final = Metric("stratd_bars_derived_total", "counter", ("interval",), "bars derived")
ROWS_REJECTED: Final = Metric("stratd_rows_rejected_total", "counter", ("kind",), "rows not used")
EVENT_TIME: Final = Metric(
    "stratd_event_time_seconds", "gauge", (), "watermark: close time of the last minute taken in, Unix time"
)
STEPS: Final = Metric("stratd_steps_published_total", "counter", (), "steps published")
GATE_WAIT: Final = Metric("stratd_gate_wait_seconds_total", "counter", (), "time the data-processor waited for strategies")
BARRIER_TIMEOUTS: Final = Metric("stratd_barrier_timeouts_total", "counter", (), "barriers at which a strategy made no progress")
HELD_BYTES: Final = Metric("stratd_session_data_bytes", "gauge", (), "bytes of the bars that are held")
COMPACTIONS: Final = Metric("stratd_session_data_compactions_total", "counter", (), "moves of held bars to new memory")
MINUTES_LOST: Final = Metric(
    "stratd_minutes_lost_total", "counter", ("symbol",), "minutes that should have been there and are not"
)
KERNELS_COMPILED: Final = Metric("stratd_kernels_compiled_total", "counter", (), "kernels compiled, not taken from the cache")
KERNELS_COMPILED_LATE: Final = Metric(
    "stratd_kernels_compiled_after_activation_total", "counter", (), "kernels compiled while a session ran; should stay 0"
)
INDICATOR_COLUMNS: Final = Metric(
    "stratd_indicator_columns", "gauge", ("indicator", "interval"), "columns that are computed for all strategies together"
)
INDICATOR_USERS: Final = Metric("stratd_indicator_users", "gauge", ("indicator", "interval"), "requests that these columns serve")
INDICATOR_VALUES: Final = Metric("stratd_indicator_values_total", "counter", ("indicator", "interval"), "values computed")
INDICATOR_SAVED: Final = Metric(
    "stratd_indicator_values_saved_total",
    "counter",
    ("indicator", "interval"),
    "values that were not computed because they were shared",
)
INDICATOR_BYTES: Final = Metric("stratd_indicator_bytes", "gauge", ("indicator", "interval"), "bytes of the values that are held")
INDICATOR_SECONDS: Final = Metric(
    "stratd_indicator_seconds_total",
    "counter",
    ("indicator", "interval"),
    "time spent on computing; of blocks of few rows every 61st is timed and stands for the others",
)
INDICATOR_ERRORS: Final = Metric("stratd_indicator_errors", "gauge", (), "indicators whose computation has raised")
INDICATOR_VALUE: Final = Metric(
    "stratd_strategy_indicator_value",
    "gauge",
    ("strategy", "name", "symbol", "interval"),
    "newest value, at the strategy's cursor, of an indicator that its author has named",
)
NOTIFICATIONS: Final = Metric("stratd_strategy_notifications_total", "counter", ("strategy",), "notifications handled")
SIGNALS: Final = Metric("stratd_strategy_signals_total", "counter", ("strategy",), "signals emitted")
ERRORS: Final = Metric("stratd_strategy_errors_total", "counter", ("strategy",), "exceptions raised by the strategy")
HELD_BACK: Final = Metric("stratd_strategy_held_back_total", "counter", ("strategy",), "notifications held back for low quality")
ON_BARS: Final = Metric(
    "stratd_strategy_on_bars_seconds",
    "summary",
    ("strategy",),
    "time one notification took: quantiles 0.5 and 0.99, count and sum",
)
ON_BARS_MAX: Final = Metric("stratd_strategy_on_bars_max_seconds", "gauge", ("strategy",), "longest time one notification took")
QUEUE: Final = Metric("stratd_strategy_queue_entries", "gauge", ("strategy",), "log entries published and not yet worked through")
BOTTLENECK: Final = Metric(
    "stratd_strategy_bottleneck_seconds_total", "counter", ("strategy",), "time the data-processor waited for this strategy"
)
STATE: Final = Metric("stratd_strategy_state", "gauge", ("strategy", "state"), "1 for the state that the strategy is in")
ORDERS: Final = Metric("stratd_strategy_orders_total", "counter", ("strategy",), "orders let through, brackets' children too")
FILLS: Final = Metric("stratd_strategy_fills_total", "counter", ("strategy",), "fills")
TRADES: Final = Metric("stratd_strategy_trades_total", "counter", ("strategy",), "round trips that have ended")
REFUSED: Final = Metric("stratd_strategy_refused_total", "counter", ("strategy", "reason"), "orders not let through")
EQUITY: Final = Metric(
    "stratd_strategy_equity", "gauge", ("strategy",), "cash and positions at their last closes, in the account's currency"
)
CASH: Final = Metric("stratd_strategy_cash", "gauge", ("strategy",), "cash, in the account's currency")
REALISED: Final = Metric(
    "stratd_strategy_realised_pnl",
    "gauge",
    ("strategy",),
    "what closing positions has brought, before fees, in the account's currency",
)
OPEN_POSITIONS: Final = Metric("stratd_strategy_open_positions", "gauge", ("strategy",), "symbols in which it holds a position")
TRADING_STATE: Final = Metric(
    "stratd_strategy_trading_state", "gauge", ("strategy", "state"), "1 for the trading state that its account is in"
)
CLOSED: Final = Metric(
    "stratd_strategy_closed", "gauge", ("strategy", "reason"), "1 where no new order is let through, whatever it is, and why"
)
JOURNAL_WRITTEN: Final = Metric("stratd_journal_groups_written_total", "counter", (), "groups of entries in the journal's file")
JOURNAL_BACKLOG: Final = Metric("stratd_journal_backlog_groups", "gauge", (), "groups of entries posted and not written yet")
JOURNAL_FAILING: Final = Metric("stratd_journal_failing", "gauge", (), "1 while the journal cannot be written, 0 while it can")

ALL: Final = (
    BARS_IN,
    BARS_DERIVED,
    ROWS_REJECTED,
    EVENT_TIME,
    STEPS,
    GATE_WAIT,
    BARRIER_TIMEOUTS,
    HELD_BYTES,
    COMPACTIONS,
    MINUTES_LOST,
    KERNELS_COMPILED,
    KERNELS_COMPILED_LATE,
    INDICATOR_COLUMNS,
    INDICATOR_USERS,
    INDICATOR_VALUES,
    INDICATOR_SAVED,
    INDICATOR_BYTES,
    INDICATOR_SECONDS,
    INDICATOR_ERRORS,
    INDICATOR_VALUE,
    NOTIFICATIONS,
    SIGNALS,
    ERRORS,
    HELD_BACK,
    ON_BARS,
    ON_BARS_MAX,
    QUEUE,
    BOTTLENECK,
    STATE,
    ORDERS,
    FILLS,
    TRADES,
    REFUSED,
    EQUITY,
    CASH,
    REALISED,
    OPEN_POSITIONS,
    TRADING_STATE,
    CLOSED,
    JOURNAL_WRITTEN,
    JOURNAL_BACKLOG,
    JOURNAL_FAILING,
)
