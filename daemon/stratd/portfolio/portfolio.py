"""Portfolio: what an account holds, at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from stratd.model import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """Money and positions of an account. Money in the quote currency.

    Always: equity = cash + sum of market values = capital + realised_pnl + unrealised_pnl - fees - financing.

    Attributes:
        time: close time of the last step that is in it, ns UTC.
        capital: what it began with.
        financing: borrow and financing paid.
        exposure: sum of |market values|.
        open_positions: what is not flat, in order of first use.
    """

    time: int
    capital: float
    cash: float
    equity: float
    realised_pnl: float
    unrealised_pnl: float
    fees: float
    financing: float
    exposure: float
    open_positions: tuple[Position, ...]

    def positions(self) -> tuple[Position, ...]:
        """What is not flat."""
        return self.open_positions
