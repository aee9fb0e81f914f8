"""Risk kernels: what is checked before an order, and what is watched while it runs."""

from __future__ import annotations

import numpy as np

from stratd.core.kernel import kernel
from stratd.model.order import Refusal
from stratd.portfolio.cells import (
    BY_CONSECUTIVE_LOSSES,
    BY_DAILY_LOSS,
    BY_DRAWDOWN,
    BY_EXPOSURE,
    C_CASH,
    C_GROSS,
    C_MINUTE,
    C_MINUTE_ORDERS,
    C_ORDERS,
    C_SOLD_OUT,
    C_STATE,
    C_VALUE,
    K_ALLOW_SHORT,
    K_BAND,
    K_DUPLICATES,
    K_LEVERAGE,
    K_ORDER_NOTIONAL,
    K_ORDER_QUANTITY,
    K_POSITION_NOTIONAL,
    K_POSITION_QUANTITY,
    K_RATE,
    O_AMOUNT,
    O_CREATED,
    O_FILLED,
    O_FRACTION,
    O_KIND,
    O_LIMIT,
    O_LOTS,
    O_PARENT,
    O_PLACE,
    O_SIDE,
    O_STATE,
    O_STOP,
    P_LOT,
    P_LOTS,
    P_MARK,
    P_MIN_NOTIONAL,
    PARTIAL,
    R_A,
    R_B,
    R_MONEY,
    R_TIME,
    REDUCING,
    RISK,
    STATE_HALTED,
    UNITS,
    WAITING,
)
from stratd.portfolio.ledger import money, new_record

REASONS = tuple(Refusal)
"""Reasons in the order of the codes that the kernels give: 1 is the first."""

_HALTED = 1 + REASONS.index(Refusal.HALTED)
_REDUCING = 1 + REASONS.index(Refusal.REDUCING)
_ZERO_LOTS = 1 + REASONS.index(Refusal.ZERO_LOTS)
_TOO_LARGE = 1 + REASONS.index(Refusal.TOO_LARGE)
_NOTHING_TO_REDUCE = 1 + REASONS.index(Refusal.NOTHING_TO_REDUCE)
_SHORT = 1 + REASONS.index(Refusal.SHORT)
_MIN_NOTIONAL = 1 + REASONS.index(Refusal.MIN_NOTIONAL)
_ORDER_QUANTITY = 1 + REASONS.index(Refusal.ORDER_QUANTITY)
_ORDER_NOTIONAL = 1 + REASONS.index(Refusal.ORDER_NOTIONAL)
_POSITION_QUANTITY = 1 + REASONS.index(Refusal.POSITION_QUANTITY)
_POSITION_NOTIONAL = 1 + REASONS.index(Refusal.POSITION_NOTIONAL)
_ORDER_RATE = 1 + REASONS.index(Refusal.ORDER_RATE)
_PRICE_BAND = 1 + REASONS.index(Refusal.PRICE_BAND)
_DUPLICATE = 1 + REASONS.index(Refusal.DUPLICATE)
_BUYING_POWER = 1 + REASONS.index(Refusal.BUYING_POWER)
_LARGEST = 4.0e10  # of money in one order or position: int64 in units of 1e-8 holds twice as much
_ROUNDING = 1e-9  # of a quantity: 0.3 / 0.1 lots are 3


@kernel("i8(f8, f8)")
def whole_lots(quantity, lot):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """A quantity in whole lots, rounded towards zero; -1 if there are too many to count."""
    lots = quantity / lot
    if lots > 4.0e15:
        return np.int64(-1)
    nearest = np.rint(lots)
    return np.int64(nearest) if abs(nearest - lots) <= _ROUNDING * max(1.0, lots) else np.int64(np.floor(lots))


@kernel("b1(f8, f8, f8)")
def outside(price, last, band):  # type: ignore[no-untyped-def]
    """Whether a price is given and lies further than `band` (a fraction) from the last one."""
    return price > 0.0 and abs(price - last) > band * last * (1.0 + 1e-12)


@kernel("i8(i8[:], ro i8[:,:], ro f8[:,:], ro i8[:,:], ro f8[:,:])")
def open_increase(cells, orders, order_floats, positions, position_floats):  # type: ignore[no-untyped-def]
    """Value of what the open orders would add to positions, each by itself, at last prices, in units of money."""
    total = np.int64(0)
    for i in range(cells[C_ORDERS]):
        if WAITING <= orders[i, O_STATE] <= PARTIAL:
            p = orders[i, O_PLACE]
            held = positions[p, P_LOTS]
            left = orders[i, O_LOTS] - orders[i, O_FILLED]
            more = abs(held + orders[i, O_SIDE] * left) - abs(held)
            if more > 0:
                total += money(position_floats[p, P_MARK], more * position_floats[p, P_LOT])
    return total


@kernel("i8(i8[:], ro i8[:,:], ro f8[:,:], ro i8[:,:], ro f8[:,:], ro f8[:], i8, i8, i8, i8, b1, f8, f8, f8, f8, f8, i8)")
def check_order(  # type: ignore[no-untyped-def]
    cells,
    orders,
    order_floats,
    positions,
    position_floats,
    rules,
    p,
    side,
    kind,
    lots,
    reduce_only,
    limit,
    stop,
    amount,
    fraction,
    last,
    time,
):
    """Whether an order may be sent. 0, or the number of the reason why not (see `REASONS`).

    Args:
        p: row of its position.
        lots: above zero, or what `whole_lots` gave.
        limit, stop, amount, fraction: NaN where the order has none.
        last: last price.
        time: of the decision.
    """
    held = positions[p, P_LOTS]
    reduces = held * side < 0 and lots <= abs(held)
    if cells[C_STATE] == STATE_HALTED:
        return _HALTED
    if cells[C_STATE] == REDUCING and not reduces:
        return _REDUCING
    if lots == 0:
        return _ZERO_LOTS
    quantity = lots * position_floats[p, P_LOT]
    if lots < 0 or quantity * max(last, limit if limit > 0.0 else 0.0) > _LARGEST:
        return _TOO_LARGE
    if reduce_only and held * side >= 0:
        return _NOTHING_TO_REDUCE
    if rules[K_ALLOW_SHORT] == 0.0 and side < 0 and held <= 0:
        return _SHORT
    notional = money(last, quantity)
    if notional < position_floats[p, P_MIN_NOTIONAL] * UNITS and not (reduces and lots == abs(held)):
        return _MIN_NOTIONAL
    if quantity > rules[K_ORDER_QUANTITY] * (1.0 + 1e-12):
        return _ORDER_QUANTITY
    if notional > rules[K_ORDER_NOTIONAL] * UNITS:
        return _ORDER_NOTIONAL
    after = abs(held + side * lots)
    if not reduces and not reduce_only:
        if after * position_floats[p, P_LOT] > rules[K_POSITION_QUANTITY] * (1.0 + 1e-12):
            return _POSITION_QUANTITY
        if money(last, after * position_floats[p, P_LOT]) > rules[K_POSITION_NOTIONAL] * UNITS:
            return _POSITION_NOTIONAL
    minute = time // np.int64(60_000_000_000)
    if cells[C_MINUTE] == minute and cells[C_MINUTE_ORDERS] >= rules[K_RATE]:
        return _ORDER_RATE
    if outside(limit, last, rules[K_BAND]) or outside(stop, last, rules[K_BAND]):
        return _PRICE_BAND
    if rules[K_DUPLICATES] != 0.0:
        for i in range(cells[C_ORDERS]):
            if (
                orders[i, O_CREATED] == time
                and orders[i, O_PLACE] == p
                and orders[i, O_SIDE] == side
                and orders[i, O_KIND] == kind
                and orders[i, O_LOTS] == lots
                and orders[i, O_PARENT] == 0
                and same(order_floats[i, O_LIMIT], limit)
                and same(order_floats[i, O_STOP], stop)
                and same(order_floats[i, O_AMOUNT], amount)
                and same(order_floats[i, O_FRACTION], fraction)
            ):
                return _DUPLICATE
    more = after - abs(held)
    if more > 0 and not reduce_only:
        wanted = cells[C_GROSS] + open_increase(cells, orders, order_floats, positions, position_floats)
        wanted += money(last, more * position_floats[p, P_LOT])
        if wanted > (cells[C_CASH] + cells[C_VALUE]) * rules[K_LEVERAGE]:
            return _BUYING_POWER
    return np.int64(0)


@kernel("b1(f8, f8)")
def same(one, other):  # type: ignore[no-untyped-def]
    """Whether two prices are the same, or neither is given (NaN)."""
    return one == other or (one != one and other != other)


@kernel("void(i8[:], i8)")
def count_order(cells, time):  # type: ignore[no-untyped-def]
    """An order was let through: it counts for its minute."""
    minute = time // np.int64(60_000_000_000)
    if cells[C_MINUTE] != minute:
        cells[C_MINUTE] = minute
        cells[C_MINUTE_ORDERS] = 0
    cells[C_MINUTE_ORDERS] += 1


@kernel("b1(i8[:], i8[:,:], i8, i8, i8)")
def tighten(cells, records, state, reason, time):  # type: ignore[no-untyped-def]
    """Go to a stricter trading state. Returns whether it is one."""
    if state <= cells[C_STATE]:
        return False
    cells[C_STATE] = state
    cells[C_SOLD_OUT] = reason
    at = new_record(cells, records, RISK)
    records[at, R_TIME] = time
    records[at, R_MONEY] = cells[C_CASH] + cells[C_VALUE]
    records[at, R_A] = state
    records[at, R_B] = reason
    return True


@kernel("i8(i8, i8, i8, i8, i8, i8, f8, f8, f8, f8, f8, f8, f8, f8)")
def passed_limit(  # type: ignore[no-untyped-def]
    state,
    equity,
    peak,
    day_start,
    losses,
    gross,
    daily,
    daily_state,
    drawdown,
    drawdown_state,
    consecutive,
    consecutive_state,
    exposure,
    exposure_state,
):
    """Compare an account with its running limits, given as fractions (infinite for none) and the states they lead to.

    All are numbers, and none an array, so that nothing is counted when it is called at every bar.

    Returns:
        0, or 16 x the state to go to + the reason: the strictest, of equals the first.
    """
    code = np.int64(0)
    if daily < np.inf and daily_state > state and day_start - equity >= daily * day_start:
        state = np.int64(daily_state)
        code = 16 * state + BY_DAILY_LOSS
    if drawdown_state > state and peak - equity >= drawdown * peak:
        state = np.int64(drawdown_state)
        code = 16 * state + BY_DRAWDOWN
    if consecutive_state > state and losses >= consecutive:
        state = np.int64(consecutive_state)
        code = 16 * state + BY_CONSECUTIVE_LOSSES
    if exposure < np.inf and exposure_state > state and gross > exposure * equity:
        state = np.int64(exposure_state)
        code = 16 * state + BY_EXPOSURE
    return code
