"""Numbers of ADR 0007 in exact arithmetic: decimals as they are written, lots, ticks, and money in its units."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

from stratd.model import MONEY, Instrument

ON_GRID = Fraction(1, 1_000_000)  # of a tick: this near to the grid is on it


def exact(number: float) -> Fraction:
    """The decimal that a float was written as: 0.1 is a tenth."""
    return Fraction(repr(float(number)))


def money(amount: Fraction) -> int:
    """In units, to the nearest; a half goes to the even one."""
    return round(amount * MONEY)


def to_lots(quantity: float, instrument: Instrument) -> int:
    """Towards zero."""
    return floor(exact(quantity) / exact(instrument.lot))


def on_grid(price: Fraction, instrument: Instrument, up: bool) -> Fraction:
    """Onto the tick grid, upwards or downwards."""
    if instrument.tick is None:
        return price
    tick = exact(instrument.tick)
    nearest = round(price / tick)
    if abs(price / tick - nearest) <= ON_GRID:
        return nearest * tick
    return (ceil(price / tick) if up else floor(price / tick)) * tick


def share(cost: int, part: int, of: int) -> int:
    """What `part` of `of` lots have cost, in proportion; a half goes to the even unit."""
    return round(Fraction(cost * part, of))
