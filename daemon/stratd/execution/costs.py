"""Costs: how much worse than its price an order fills, what a fill costs, and prices on the grid of ticks."""

from __future__ import annotations

import numpy as np

from stratd.core.kernel import kernel
from stratd.portfolio.cells import (
    K_BPS,
    K_MAKER_BPS,
    K_MINIMUM,
    K_PER_ORDER,
    K_PER_SHARE,
    K_RANDOM_BPS,
    K_RANGE,
    K_SEED,
    K_TAKER_BPS,
    K_TICKS,
    UNITS,
)


@kernel("f8(f8, f8, b1)")
def on_grid(price, tick, up):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """A price on the grid of ticks; within 1e-6 ticks of the grid it is on it. Without a tick (0) it stays as it is."""
    if tick <= 0.0:
        return price
    exact = price / tick
    whole = np.rint(exact)
    if abs(exact - whole) > 1e-6:
        whole = np.ceil(exact) if up else np.floor(exact)
    # 0.01 has no exact double, 100 has: dividing gives the double nearest to the decimal price.
    per_unit = np.rint(1.0 / tick)
    if per_unit >= 1.0 and abs(per_unit * tick - 1.0) < 1e-12:
        return whole / per_unit
    return whole * tick


@kernel("f8(i8, i8, i8)")
def uniform(seed, order, number):  # type: ignore[no-untyped-def]
    """A number in [0, 1) that depends on nothing else. (splitmix64: Steele, Lea, Flood, 2014.)"""
    x = np.uint64(seed) + np.uint64(order) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(number) * np.uint64(0xD1B54A32D192ED03)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return np.float64(x >> np.uint64(11)) / 9007199254740992.0


@kernel("f8(ro f8[:], f8, i8, f8, f8, i8, i8)")
def slipped(rules, price, side, tick, spread, order, number):  # type: ignore[no-untyped-def]
    """The price that a taker gets, on the grid, rounded against him.

    Args:
        side: 1 buys, -1 sells.
        spread: high - low of the bar.
        order, number: id, and how many fills it has had.
    """
    worse = price * rules[K_BPS] * 1e-4 + rules[K_TICKS] * tick + rules[K_RANGE] * spread
    if rules[K_RANDOM_BPS] > 0.0:
        worse += price * rules[K_RANDOM_BPS] * 1e-4 * uniform(np.int64(rules[K_SEED]), order, number)
    # However much it slips, nobody is paid less than a tick.
    return max(on_grid(price + side * worse, tick, side > 0), min(tick, price))


@kernel("i8(ro f8[:], f8, f8, i8, b1, b1)")
def commission(rules, before, quantity, notional, first, maker):  # type: ignore[no-untyped-def]
    """What a fill costs, in units of money.

    Args:
        before: what the order had filled.
        quantity: of this fill, both in units of the instrument.
        notional: of this fill, in units of money.
        first: whether it is the order's first fill.
    """
    fee = 0.0
    if rules[K_PER_SHARE] > 0.0 or rules[K_MINIMUM] > 0.0:
        paid = 0.0 if first else max(rules[K_MINIMUM], rules[K_PER_SHARE] * before)
        fee += (max(rules[K_MINIMUM], rules[K_PER_SHARE] * (before + quantity)) - paid) * UNITS
    fee += notional * (rules[K_MAKER_BPS] if maker else rules[K_TAKER_BPS]) * 1e-4
    if first:
        fee += rules[K_PER_ORDER] * UNITS
    return np.int64(np.rint(fee))
