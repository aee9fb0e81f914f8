"""Sizing: from a signal to the position that is wanted.

    UnitsSizing             so many units
    EquityFractionSizing    so much of equity
    TargetWeightSizing      what the signal's target_weight says
    VolatilityTargetSizing  so much that the position's value moves so much a year
    FixedRiskSizing         so much that the stop costs a fraction of equity

All multiply by the signal's strength, and round towards zero to whole lots. FLAT wants 0. A `target_weight`, where a signal has one, is
obeyed as it is, whatever the strength: a weight says already how much.

How a size becomes a position: with nothing held, or a position on the other side, the size is the position. With a position on the
signal's side it is added, until `max_entries` entries are in; from then on there is nothing to do. A target is a position, not an
entry: it is wanted however many entries are in, and its sign is the weight's, so that a SELL may reduce a long position to a smaller one.

Sizing bounds nothing: whether buying power allows a position is for risk to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from stratd.model import Side

_BUY: Final = Side.BUY
_FLAT: Final = Side.FLAT
_ROUNDING: Final = 1e-9  # of a quantity: 0.3 / 0.1 lots are 3
_MOST_LOTS: Final = 4.0e15  # beyond which a float does not count one by one
# Of log returns of a bar: prices have 16 digits, so that a steady price seems to deviate by some 1e-16.
_LEAST_DEVIATION: Final = 1e-12


class SizingInputs(NamedTuple):
    """What sizes are worked out from. (A named tuple: made for every signal, it costs a third of a frozen dataclass.)

    Attributes:
        side, strength, stop_price, target_weight: of the signal.
        price: last price of the symbol, in quote currency.
        equity: of the strategy, in quote currency.
        closes: gives the last n closes of the strategy's interval up to its event, float64[n], oldest first; fewer where there are
            fewer. Called only by methods that need it.
        bars_per_year: gives how many bars of that interval there are in a year.
        lot: smallest quantity step.
        position: signed units held. What working orders will add counts too, or the same entry is asked for twice.
        entries: how many entries made up that position.
    """

    side: Side
    strength: float
    price: float
    equity: float
    stop_price: float | None
    target_weight: float | None
    closes: Callable[[int], NDArray[np.float64]]
    bars_per_year: Callable[[], float]
    lot: float
    position: float = 0.0
    entries: int = 0


class Sizing(Protocol):
    """A way to work out positions."""

    def wanted(self, inputs: SizingInputs) -> float | str:
        """The position wanted, in signed units and whole lots; or why there is nothing to do, for a person to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsSizing:
    """So many units.

    Attributes:
        units: for an entry of strength 1.
        max_entries: how often a position is entered on one side.

    Raises:
        ValueError: a number cannot be used. (All methods.)
    """

    units: float
    max_entries: int = 1

    def __post_init__(self) -> None:
        _check(self.max_entries, units=self.units)

    def wanted(self, inputs: SizingInputs) -> float | str:
        """Units x strength. See `Sizing.wanted`."""
        return _entered(inputs, self.units, self.max_entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityFractionSizing:
    """So much of equity, at the last price.

    Attributes:
        fraction: of equity, for an entry of strength 1; above 1 with leverage.
        max_entries: how often a position is entered on one side: together up to max_entries x fraction.
    """

    fraction: float
    max_entries: int = 1

    def __post_init__(self) -> None:
        _check(self.max_entries, fraction=self.fraction)

    def wanted(self, inputs: SizingInputs) -> float | str:
        """Fraction x equity / price x strength. See `Sizing.wanted`."""
        if inputs.side is _FLAT or inputs.target_weight is not None:
            return _target(inputs)
        return _unusable(inputs) or _entered(inputs, self.fraction * inputs.equity / inputs.price, self.max_entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetWeightSizing:
    """What the signal's `target_weight` says; a signal without one changes nothing."""

    def wanted(self, inputs: SizingInputs) -> float | str:
        """Weight x equity / price. See `Sizing.wanted`."""
        if inputs.side is _FLAT or inputs.target_weight is not None:
            return _target(inputs)
        return "the signal has no target_weight, which this sizing needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityTargetSizing:
    """So much that the position's value is expected to deviate by so much of equity in a year.

    Moskowitz, Ooi and Pedersen, Time series momentum (2012), scale positions by target / volatility in this way; here volatility is the
    sample standard deviation (ddof 1) of the interval's log returns, each of the same weight.

    Attributes:
        annual_volatility: target, as a fraction of equity, for an entry of strength 1.
        lookback: closes that volatility is measured on, which make one return less; at least 3.
        max_entries: how often a position is entered on one side.
    """

    annual_volatility: float
    lookback: int
    max_entries: int = 1

    def __post_init__(self) -> None:
        _check(self.max_entries, annual_volatility=self.annual_volatility)
        if self.lookback < 3:
            raise ValueError(f"lookback is at least 3 closes, not {self.lookback}")

    def wanted(self, inputs: SizingInputs) -> float | str:
        """Target / (deviation x sqrt(bars_per_year)) x equity / price x strength. See `Sizing.wanted`."""
        if inputs.side is _FLAT or inputs.target_weight is not None:
            return _target(inputs)
        if _is_full(inputs, self.max_entries):
            return _FULL  # before the closes are asked for: a strategy may say BUY at every bar
        if reason := _unusable(inputs):
            return reason
        closes = inputs.closes(self.lookback)
        if len(closes) < self.lookback:
            return f"there are {len(closes)} of the {self.lookback} closes that volatility is measured on"
        with np.errstate(divide="ignore", invalid="ignore"):  # a close of zero or NaN makes the deviation NaN, which is refused
            deviation = float(np.std(np.diff(np.log(closes)), ddof=1))
        if not deviation > _LEAST_DEVIATION:
            return f"the last {self.lookback} closes have no volatility to size by"
        weight = self.annual_volatility / (deviation * math.sqrt(inputs.bars_per_year()))
        return _entered(inputs, weight * inputs.equity / inputs.price, self.max_entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedRiskSizing:
    """So much that a move from the last price to the signal's `stop_price` costs a fraction of equity. Gaps and fees come on top.

    Attributes:
        risk_fraction: of equity, for an entry of strength 1; at most 1.
        max_entries: how often a position is entered on one side.
    """

    risk_fraction: float
    max_entries: int = 1

    def __post_init__(self) -> None:
        _check(self.max_entries, risk_fraction=self.risk_fraction)
        if self.risk_fraction > 1:
            raise ValueError(f"risk_fraction is at most 1, not {self.risk_fraction}")

    def wanted(self, inputs: SizingInputs) -> float | str:
        """Risk fraction x equity / |price - stop_price| x strength. See `Sizing.wanted`."""
        side, price, stop = inputs.side, inputs.price, inputs.stop_price
        if side is _FLAT or inputs.target_weight is not None:
            return _target(inputs)
        if reason := _unusable(inputs):
            return reason
        if stop is None:
            return "the signal has no stop_price, which sizing by risk needs"
        distance = price - stop if side is _BUY else stop - price
        if not distance > 0:
            return f"stop_price {stop} is not {'below' if side is _BUY else 'above'} the price {price}"
        return _entered(inputs, self.risk_fraction * inputs.equity / distance, self.max_entries)


_FULL: Final = "all of max_entries are in"
_NO_LOT: Final = "the size comes to less than one lot"
_TOO_LARGE: Final = "the size comes to more lots than can be counted"


def _entered(inputs: SizingInputs, size: float, max_entries: int) -> float | str:
    """The position after one more entry of `size` units (at strength 1) on the signal's side; a target where there is one."""
    # Unpacked at once: reading fields one by one costs half as much again.
    side, strength, _, _, _, weight, _, _, lot, held, entries = inputs
    if side is _FLAT or weight is not None:
        return _target(inputs)
    if side is not _BUY:
        held = -held
    if held > 0.0 and entries >= max_entries:
        return _FULL
    lots = size * strength / lot
    if lots // 1.0 != lots or lots > _MOST_LOTS:
        lots = _whole(lots)
    if lots <= 0.0:
        if lots < 0.0:
            return _TOO_LARGE
        if held >= 0.0:
            return _NO_LOT
        # A size of no lots is still reason enough to leave the other side.
    wanted = lots * lot
    if held > 0.0:
        wanted += held
    return wanted if side is _BUY else 0.0 - wanted


def _is_full(inputs: SizingInputs, max_entries: int) -> bool:
    held = inputs.position if inputs.side is _BUY else -inputs.position
    return held > 0.0 and inputs.entries >= max_entries


def _target(inputs: SizingInputs) -> float | str:
    """The position that FLAT or a target_weight asks for."""
    weight = inputs.target_weight
    if inputs.side is _FLAT or weight is None:
        return 0.0
    if reason := _unusable(inputs):
        return reason
    lots = _whole(abs(weight) * inputs.equity / inputs.price / inputs.lot)
    if lots < 0.0:
        return _TOO_LARGE
    return lots * inputs.lot if weight > 0.0 else 0.0 - lots * inputs.lot


def _unusable(inputs: SizingInputs) -> str:
    """Why nothing can be sized by equity and price; empty where it can."""
    if not 0.0 < inputs.price < math.inf:
        return f"there is no price to size by ({inputs.price})"
    if not 0.0 < inputs.equity < math.inf:
        return f"there is no equity to size by ({inputs.equity})"
    return ""


def _whole(lots: float) -> float:
    """Lots rounded towards zero; -1 if there are too many to count. `stratd.risk.checks.whole_lots` does it to orders."""
    if not lots < _MOST_LOTS:
        return -1.0
    whole = lots // 1.0
    left = 1.0 - (lots - whole)
    if left < 0.5 and left <= _ROUNDING * (lots if lots > 1.0 else 1.0):
        return whole + 1.0
    return whole


def _check(max_entries: int, **numbers: float) -> None:
    if max_entries < 1:
        raise ValueError(f"max_entries is at least 1, not {max_entries}")
    for name, number in numbers.items():
        if not 0.0 < number < math.inf:
            raise ValueError(f"{name} is a number above zero, not {number}")
