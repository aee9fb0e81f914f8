"""Strategy: what users write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic

from typing_extensions import TypeVar

from stratd.model import Fill, Interval, Signal
from stratd.strategy.params import StrategyParams

if TYPE_CHECKING:
    from stratd.strategy.context import StrategyContext

P = TypeVar("P", bound=StrategyParams, default=StrategyParams)


class Strategy(Generic[P]):
    """Base class of strategies.

    A strategy runs in a thread of its own, and everything it is given (its context, bars, indicators) belongs to
    that thread. It must not keep what it reads beyond a callback in another thread. Only `setup` and one of
    `on_bars` and `on_slice` are needed; the rest may be overridden.

    Class attributes:
        Params: the pydantic model of its parameters.
    """

    Params: ClassVar[type[StrategyParams]] = StrategyParams

    params: P
    ctx: StrategyContext

    def setup(self, ctx: StrategyContext) -> None:
        """Subscribe to streams and ask for indicators. Called once, before the first bar.

        The default subscribes to `params.symbols` at `params.interval`.
        """
        ctx.subscribe(self.params.symbols, self.params.interval)

    def on_bars(self, symbol: str, interval: Interval) -> None:
        """A bar of a subscribed stream has closed. Read it with `self.ctx.bars(symbol, interval)`."""

    def on_slice(self, interval: Interval, close_time: int, missing: tuple[str, ...]) -> None:
        """All of the strategy's streams of `interval` have had their bar that closes at `close_time`.

        Args:
            close_time: int64 ns UTC.
            missing: subscribed symbols that had a bucket to close then and gave no bar.
        """

    def on_fill(self, fill: Fill) -> None:
        """One of the strategy's orders was filled: told before the first event of the step in which the 1m bar closed."""

    def on_symbol_added(self, symbol: str) -> None:
        """A symbol has joined the session and matches a subscription. Never called when history is played."""

    def on_gap(self, symbol: str, interval: Interval, open_time: int) -> None:
        """A bar that had been given as absent turned up too late to be used. Never called when history is played."""

    def on_revision(self, symbol: str, interval: Interval, open_time: int) -> None:
        """The venue corrected a bar that had already been seen. Never called when history is played."""

    def on_overrun(self, symbol: str, interval: Interval, skipped: int) -> None:
        """The strategy fell behind; `skipped` notifications were passed over. Never called when history is played."""

    def on_session_open(self, calendar: str, open_time: int, close_time: int) -> None:
        """A session of `calendar` has opened (int64 ns UTC)."""

    def on_session_close(self, calendar: str, open_time: int, close_time: int) -> None:
        """A session of `calendar` has closed (int64 ns UTC)."""

    def save_state(self) -> dict[str, Any]:
        """What must survive a restart, as plain JSON values. History is played from its start, and never restarted."""
        return {}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave. Called after `setup`."""

    def teardown(self) -> None:
        """The session has ended or the strategy is removed."""


__all__ = ["Signal", "Strategy", "StrategyParams"]
