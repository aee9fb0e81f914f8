"""Positions and money of ADR 0007, by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from stratd.execution.rules import LotRule
from stratd.model import MONEY, Instrument
from stratd.testing.bars import BarRow

from .plain_numbers import exact, money, share
from .plain_types import Round


@dataclass
class RoundTrip:
    """A trade that is under way.

    Attributes:
        first_bar: open time of the bar in which it began.
        at_open: whether it began at that bar's open.
    """

    sign: int
    entry_time: int
    first_bar: int
    at_open: bool
    lots: int = 0
    entered: int = 0
    left: int = 0
    brought: int = 0
    pnl: int = 0
    fees: int = 0
    mae: int = 0
    mfe: int = 0
    bars: int = 1

    def judge(self, unrealised: int) -> None:
        self.mae, self.mfe = min(self.mae, unrealised), max(self.mfe, unrealised)


@dataclass
class Holding:
    """What is held of a symbol. Lots and cost are negative for a short position."""

    instrument: Instrument
    lots: int = 0
    cost: int = 0
    realised: int = 0
    fees: int = 0
    close: Fraction | None = None
    oldest: list[tuple[int, int]] = field(default_factory=list)
    trip: RoundTrip | None = None

    def worth(self, price: Fraction, lots: int) -> int:
        return money(price * lots * exact(self.instrument.lot))

    @property
    def value(self) -> int:
        return 0 if self.close is None else self.worth(self.close, self.lots)

    def take_off(self, lots: int, rule: LotRule) -> int:
        """The cost of `lots` (signed as held) that are closed."""
        taken = 0
        if rule is LotRule.FIFO:
            rest = lots
            while rest:
                held, cost = self.oldest[0]
                part = held if abs(held) <= abs(rest) else rest
                off = share(cost, part, held)
                taken, rest = taken + off, rest - part
                if part == held:
                    self.oldest.pop(0)
                else:
                    self.oldest[0] = (held - part, cost - off)
        else:
            taken = share(self.cost, lots, self.lots)
        self.lots -= lots
        self.cost -= taken
        return taken


@dataclass
class Book:
    """An account's money."""

    capital: int
    rule: LotRule
    holdings: dict[str, Holding]
    cash: int = 0
    financing: int = 0
    losses_in_a_row: int = 0

    def __post_init__(self) -> None:
        self.cash = self.capital

    @property
    def equity(self) -> int:
        return self.cash + sum(holding.value for holding in self.holdings.values())

    @property
    def realised(self) -> int:
        return sum(holding.realised for holding in self.holdings.values())

    @property
    def fees(self) -> int:
        return sum(holding.fees for holding in self.holdings.values())

    def fill(self, symbol: str, lots: int, price: Fraction, fee: int, time: int, bar: BarRow, at_open: bool) -> list[Round]:
        """Take in a fill of `lots` (negative: sold), and give the trade that it ends."""
        holding = self.holdings[symbol]
        notional = holding.worth(price, lots)
        self.cash -= notional + fee
        holding.fees += fee
        ended = []
        closing = 0
        if holding.lots * lots < 0:
            closing = lots if abs(lots) <= abs(holding.lots) else -holding.lots
        worth = holding.worth(price, closing) if closing != lots else notional
        if closing:
            trip = holding.trip
            assert trip is not None
            trip.judge(holding.worth(price, holding.lots) - holding.cost)  # all that was held, at the exit's price
            pnl = -worth - holding.take_off(-closing, self.rule)
            holding.realised += pnl
            trip.pnl += pnl
            trip.left += abs(closing)
            trip.brought += abs(worth)
            own_fee = share(fee, closing, lots)
            trip.fees += own_fee
            fee -= own_fee
            if holding.lots == 0:
                holding.trip = None
                self.losses_in_a_row = self.losses_in_a_row + 1 if trip.pnl < trip.fees else 0
                ended.append(self._round(symbol, trip, time))
        if opening := lots - closing:
            cost = notional - worth
            holding.lots += opening
            holding.cost += cost
            holding.oldest.append((opening, cost))
            if holding.trip is None:
                holding.trip = RoundTrip(1 if opening > 0 else -1, time, bar.open_time, at_open)
            holding.trip.lots += abs(opening)
            holding.trip.entered += abs(cost)
            holding.trip.fees += fee
        return ended

    def _round(self, symbol: str, trip: RoundTrip, time: int) -> Round:
        lot = exact(self.holdings[symbol].instrument.lot)
        entry = Fraction(trip.entered, MONEY) / (trip.lots * lot)
        left = Fraction(trip.brought, MONEY) / (trip.left * lot)
        numbers = (trip.pnl, trip.fees, trip.mae, trip.mfe, trip.bars)
        return Round(symbol, trip.sign, trip.lots, trip.entry_time, time, entry, left, *numbers)

    def mark(self, bar: BarRow) -> None:
        """A 1m bar has closed."""
        holding = self.holdings[bar.symbol]
        holding.close = exact(bar.close)
        trip = holding.trip
        if trip is None:
            return
        trip.bars += trip.first_bar != bar.open_time
        prices = [bar.close]
        if trip.first_bar != bar.open_time or trip.at_open:
            prices += [bar.low, bar.high]
        for price in prices:
            trip.judge(holding.worth(exact(price), holding.lots) - holding.cost)

    def charge(self, symbol: str, amount: int) -> None:
        self.cash -= amount
        self.financing += amount
