"""A second ledger in plain integers: what the kernels' money is checked against. It shares no code with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

UNITS: Final = 100_000_000  # of money in 1.00


def money(price: float, quantity: float) -> int:
    """Price times quantity in units of money, to the nearest one, halves to even."""
    return round(price * quantity * UNITS)


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """From flat to flat. Money in units, before fees."""

    symbol: int
    direction: int
    lots: int
    entry_time: int
    exit_time: int
    pnl: int
    fees: int


@dataclass(slots=True)
class PlainPosition:
    """What is held of a symbol. `parts` are the lots held and what they cost, oldest first; `cost` is of all of them."""

    lots: int = 0
    cost: int = 0
    realised: int = 0
    fees: int = 0
    parts: list[tuple[int, int]] = field(default_factory=list)
    entry_time: int = 0
    entered: int = 0
    trip_pnl: int = 0
    trip_fees: int = 0

    def take(self, lots: int, fifo: bool) -> int:
        """Take the cost of lots off: of the oldest ones, or their share of all."""
        if not fifo:
            held = abs(self.lots)
            return self.cost if lots == held else round(self.cost * (lots / held))
        taken = 0
        while lots > 0 and self.parts:
            held, cost = self.parts.pop(0)
            if held > lots:
                part = round(cost * (lots / held))
                self.parts.insert(0, (held - lots, cost - part))
                return taken + part
            lots -= held
            taken += cost
        return taken


@dataclass(slots=True)
class PlainLedger:
    """Cash and positions, moved by fills and charges. Cash begins at zero: what it comes to is the change.

    Args:
        fifo: whether the oldest lots are closed first; else costs are averaged.
        lot: units of each symbol in one lot.
    """

    fifo: bool
    lot: list[float]
    cash: int = 0
    realised: int = 0
    fees: int = 0
    financing: int = 0
    turnover: int = 0
    positions: dict[int, PlainPosition] = field(default_factory=dict)

    def charge(self, amount: int) -> None:
        """Borrow or financing is paid."""
        self.cash -= amount
        self.financing += amount

    def fill(self, symbol: int, side: int, lots: int, price: float, fee: int, time: int) -> RoundTrip | None:
        """Book a fill. Returns the round trip that it ends, if it ends one."""
        position = self.positions.setdefault(symbol, PlainPosition())
        lot = self.lot[symbol]
        closing = min(lots, abs(position.lots)) if position.lots * side < 0 else 0
        opening = lots - closing
        notional = money(price, lots * lot)
        closed = notional if not opening else money(price, closing * lot) if closing else 0
        fee_closed = fee if not opening else round(fee * (closing / lots)) if closing else 0
        self.cash -= side * notional + fee
        self.fees += fee
        self.turnover += notional
        position.fees += fee
        ended = None
        if closing:
            ended = self._close(position, symbol, side, closing, closed, fee_closed, time)
        if opening:
            if position.lots == 0:
                position.entry_time, position.entered, position.trip_pnl, position.trip_fees = time, 0, 0, 0
            cost = side * (notional - closed)
            position.cost += cost
            position.lots += side * opening
            position.entered += opening
            position.trip_fees += fee - fee_closed
            position.parts.append((opening, cost))
        return ended

    def _close(
        self, position: PlainPosition, symbol: int, side: int, lots: int, brought: int, fee: int, time: int
    ) -> RoundTrip | None:
        cost = position.take(lots, self.fifo)
        pnl = -side * brought - cost
        position.cost -= cost
        position.lots += side * lots
        position.realised += pnl
        position.trip_pnl += pnl
        position.trip_fees += fee
        self.realised += pnl
        if position.lots:
            return None
        position.parts.clear()
        return RoundTrip(symbol, -side, position.entered, position.entry_time, time, position.trip_pnl, position.trip_fees)
