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
    C_POSITIONS,
    C_SOLD_OUT,
    C_STATE,
    C_VALUE,
    CHANGING,
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
    O_MADE,
    O_PARENT,
    O_PLACE,
    O_REDUCE,
    O_SIDE,
    O_STATE,
    O_STOP,
    P_BUYING,
    P_LOT,
    P_LOTS,
    P_MARK,
    P_MIN_NOTIONAL,
    P_SELLING,
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
_LARGEST = 4.0e10  # of money in orders and positions when an order is let through: int64 in units of 1e-8 holds twice as much
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


@kernel("i8(i8[:], ro i8[:,:], i8, i8)")
def open_lots(cells, orders, p, side):  # type: ignore[no-untyped-def]
    """Lots of a position's open orders of one side that may open or enlarge it: all but what only reduces."""
    total = np.int64(0)
    for i in range(cells[C_ORDERS]):
        if orders[i, O_PLACE] == p and orders[i, O_SIDE] == side and orders[i, O_REDUCE] == 0:
            if WAITING <= orders[i, O_STATE] <= PARTIAL:
                total += orders[i, O_LOTS] - orders[i, O_FILLED]
            elif orders[i, O_STATE] == CHANGING:
                total += orders[i, O_MADE]
    return total


@kernel("i8(i8, i8)")
def growth(held, lots):  # type: ignore[no-untyped-def]
    """By how many lots a position becomes larger, whichever way it points then, if signed lots are added to it."""
    return max(np.int64(0), abs(held + lots) - abs(held))


@kernel("i8(i8[:], ro i8[:,:], i8[:,:], ro f8[:,:], i8)")
def open_increase(cells, orders, positions, position_floats, without):  # type: ignore[no-untyped-def]
    """Value of what the open orders would add to positions at last prices, in units of money: of each symbol all buys together, and all sales.

    Args:
        without: row of a position whose orders do not count; -1 for none.
    """
    for p in range(cells[C_POSITIONS]):
        positions[p, P_BUYING] = 0
        positions[p, P_SELLING] = 0
    for i in range(cells[C_ORDERS]):
        if orders[i, O_REDUCE] == 0:
            column = P_BUYING if orders[i, O_SIDE] > 0 else P_SELLING
            if WAITING <= orders[i, O_STATE] <= PARTIAL:
                positions[orders[i, O_PLACE], column] += orders[i, O_LOTS] - orders[i, O_FILLED]
            elif orders[i, O_STATE] == CHANGING:
                positions[orders[i, O_PLACE], column] += orders[i, O_MADE]
    total = np.int64(0)
    for p in range(cells[C_POSITIONS]):
        if p == without:
            continue
        held = positions[p, P_LOTS]
        more = growth(held, positions[p, P_BUYING]) + growth(held, -positions[p, P_SELLING])
        if more > 0:
            total += money(position_floats[p, P_MARK], more * position_floats[p, P_LOT])
    return total


@kernel("i8(i8[:], ro i8[:,:], i8[:,:], ro f8[:,:], ro f8[:], i8, i8, i8, i8, b1)")
def check_size(cells, orders, positions, position_floats, rules, p, side, lots, ahead, clears):  # type: ignore[no-untyped-def]
    """Whether a position may become so large, and whether there is buying power for it. 0, or the number of the reason why not.

    Args:
        lots: that are to be added by this order; `ahead` lots of open orders of its side come before it.
        clears: whether the position's open orders will be cancelled for it.
    """
    held = positions[p, P_LOTS]
    last, lot = position_floats[p, P_MARK], position_floats[p, P_LOT]
    after = abs(held + side * (ahead + lots)) * lot
    if after * last > _LARGEST:
        return _TOO_LARGE
    if after > rules[K_POSITION_QUANTITY] * (1.0 + 1e-12):
        return _POSITION_QUANTITY
    if money(last, after) > rules[K_POSITION_NOTIONAL] * UNITS:
        return _POSITION_NOTIONAL
    more = growth(held, side * (ahead + lots)) - growth(held, side * ahead)
    if more > 0:
        wanted = cells[C_GROSS] + open_increase(cells, orders, positions, position_floats, p if clears else -1)
        wanted += money(last, more * lot)
        if wanted > _LARGEST * UNITS:
            return _TOO_LARGE
        if wanted > (cells[C_CASH] + cells[C_VALUE]) * rules[K_LEVERAGE]:
            return _BUYING_POWER
    return np.int64(0)


@kernel("i8(i8[:], ro i8[:,:], ro f8[:,:], i8[:,:], ro f8[:,:], ro f8[:], i8, i8, f8, f8)")
def check_amendment(  # type: ignore[no-untyped-def]
    cells, orders, order_floats, positions, position_floats, rules, i, lots, limit, stop
):
    """Whether order `i` may become one of so many lots at these prices (NaN: it has none). 0, or the number of the reason why not."""
    if lots <= 0:
        return _TOO_LARGE if lots < 0 else _ZERO_LOTS
    p, side = orders[i, O_PLACE], orders[i, O_SIDE]
    held, before = positions[p, P_LOTS], orders[i, O_LOTS]
    last = position_floats[p, P_MARK]
    moves = not same(limit, order_floats[i, O_LIMIT]) or not same(stop, order_floats[i, O_STOP])
    ahead = open_lots(cells, orders, p, side)  # with this order as it is
    left = max(lots, before) - orders[i, O_FILLED]
    others = ahead - (before - orders[i, O_FILLED]) if orders[i, O_REDUCE] == 0 else np.int64(0)
    reduces = (held * side < 0 and (orders[i, O_REDUCE] != 0 or others + left <= abs(held))) or orders[i, O_PARENT] != 0
    if not reduces and (lots > before or moves):
        if cells[C_STATE] == STATE_HALTED:
            return _HALTED
        if cells[C_STATE] == REDUCING:
            return _REDUCING
    if moves and (outside(limit, last, rules[K_BAND]) or outside(stop, last, rules[K_BAND])):
        return _PRICE_BAND
    if lots <= before or reduces:
        return np.int64(0)
    quantity = lots * position_floats[p, P_LOT]
    if quantity > rules[K_ORDER_QUANTITY] * (1.0 + 1e-12):
        return _ORDER_QUANTITY
    if money(last, quantity) > rules[K_ORDER_NOTIONAL] * UNITS:
        return _ORDER_NOTIONAL
    if orders[i, O_REDUCE] != 0:
        return np.int64(0)
    return check_size(cells, orders, positions, position_floats, rules, p, side, lots - before, ahead, False)


@kernel("i8(i8[:], ro i8[:,:], ro f8[:,:], i8[:,:], ro f8[:,:], ro f8[:], i8, i8, i8, i8, b1, b1, f8, f8, f8, f8, f8, i8)")
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
    clears,
    limit,
    stop,
    amount,
    fraction,
    last,
    time,
):
    """Whether an order may be sent. 0, or the number of the reason why not (see `REASONS`).

    What reduces (it only may, or the open orders of its side and this one come to no more than what is held) is exempt from the limits on
    the sizes of orders and positions, their rate, and buying power: nobody is kept from leaving.

    Args:
        p: row of its position.
        lots: above zero, or what `whole_lots` gave.
        clears: whether the symbol's open orders will be cancelled if it is let through: they do not count then.
        limit, stop, amount, fraction: NaN where the order has none.
        last: last price.
        time: of the decision.
    """
    held = positions[p, P_LOTS]
    only_reduces = reduce_only or (side < 0 and rules[K_ALLOW_SHORT] == 0.0)
    ahead = np.int64(0) if only_reduces or clears else open_lots(cells, orders, p, side)
    reduces = held * side < 0 and (only_reduces or ahead + lots <= abs(held))
    if cells[C_STATE] == STATE_HALTED:
        return _HALTED
    if cells[C_STATE] == REDUCING and not reduces:
        return _REDUCING
    if lots == 0:
        return _ZERO_LOTS
    quantity = lots * position_floats[p, P_LOT]
    if lots < 0 or quantity * max(last, limit if limit > 0.0 else 0.0) > _LARGEST:
        return _TOO_LARGE
    if only_reduces and held * side >= 0:
        return _NOTHING_TO_REDUCE if reduce_only else _SHORT
    notional = money(last, quantity)
    if notional < position_floats[p, P_MIN_NOTIONAL] * UNITS and not (reduces and lots == abs(held)):
        return _MIN_NOTIONAL
    if not reduces:
        if quantity > rules[K_ORDER_QUANTITY] * (1.0 + 1e-12):
            return _ORDER_QUANTITY
        if notional > rules[K_ORDER_NOTIONAL] * UNITS:
            return _ORDER_NOTIONAL
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
    if reduces:
        return np.int64(0)
    return check_size(cells, orders, positions, position_floats, rules, p, side, lots, ahead, clears)


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
