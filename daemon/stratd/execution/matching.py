"""Matching: what one bar of one minute does to one account's orders. The rules are in ADR 0007.

The order of phases is the assumption about what happened first: by default the worse (stops before limits).
"""

from __future__ import annotations

import numpy as np

from stratd.core.kernel import kernel
from stratd.execution.costs import commission, on_grid, slipped
from stratd.portfolio.cells import (
    BAR_NS,
    BY_NOTHING_LEFT,
    BY_OCO,
    BY_PARENT,
    BY_STRATEGY,
    BY_TIME_IN_FORCE,
    C_ENDED,
    C_ORDERS,
    CANCEL,
    CANCELLED,
    CHANGING,
    ENDED,
    FILL,
    FILLED,
    FOK,
    HELD,
    IOC,
    K_FIFO,
    K_FILL_CLOSE,
    K_OPTIMISTIC,
    K_PARTICIPATION,
    K_TOUCH,
    LIMIT,
    MARKET,
    O_ACTIVE,
    O_AMOUNT,
    O_AT,
    O_CANCEL_AT,
    O_CHANGES,
    O_CROSSED,
    O_ELIGIBLE,
    O_ENTERED,
    O_FILLED,
    O_FILLS,
    O_FRACTION,
    O_GROUP,
    O_ID,
    O_KIND,
    O_LATE,
    O_LIMIT,
    O_LOTS,
    O_MADE,
    O_OUTSIDE,
    O_PARENT,
    O_PLACE,
    O_REDUCE,
    O_REFERENCE,
    O_SEEN,
    O_SIDE,
    O_SPARE,
    O_STATE,
    O_STOP,
    O_TAKEN,
    O_TIF,
    O_TRIGGERED,
    P_LEFT,
    P_LEFT_TIME,
    P_LOT,
    P_LOTS,
    P_SYMBOL,
    P_TICK,
    P_WORKING,
    PARTIAL,
    R_A,
    R_B,
    R_C,
    R_D,
    R_LOTS,
    R_MONEY,
    R_ORDER,
    R_PRICE,
    R_SIDE,
    R_SYMBOL,
    R_TIME,
    STOP,
    STOP_LIMIT,
    T_ENTRIES,
    TRAILING,
    WAITING,
    WORKING,
    X_LEFT,
)
from stratd.portfolio.ledger import book_fill, money, new_record

AFTER_BAR = 6  # the phase of a fill at a close that is over
RESTS = 9  # O_ACTIVE of a stop-limit that was triggered within the bar: not looked at again before the next one


@kernel("void(i8[:], i8[:,:], i8[:,:], i8[:,:], i8, i8, i8, i8)")
def end_one(cells, orders, positions, records, i, state, reason, time):  # type: ignore[no-untyped-def]
    """An order ends. Its row stays until the step is over."""
    orders[i, O_STATE] = state
    cells[C_ENDED] += 1
    if orders[i, O_CHANGES] > 0:
        for j in range(i + 1, cells[C_ORDERS]):
            if orders[j, O_STATE] == CHANGING and orders[j, O_ID] == orders[i, O_ID]:
                orders[j, O_STATE] = CANCELLED
    p = orders[i, O_PLACE]
    positions[p, P_WORKING] -= 1
    at = new_record(cells, records, ENDED)
    records[at, R_TIME] = time
    records[at, R_ORDER] = orders[i, O_ID]
    records[at, R_SYMBOL] = positions[p, P_SYMBOL]
    records[at, R_SIDE] = orders[i, O_SIDE]
    records[at, R_LOTS] = orders[i, O_FILLED]
    records[at, R_A] = state
    records[at, R_B] = reason
    records[at, R_C] = orders[i, O_LOTS]


@kernel("void(i8[:], i8[:,:], i8[:,:], i8[:,:], i8, i8, i8, i8)")
def end_order(cells, orders, positions, records, i, state, reason, time):  # type: ignore[no-untyped-def]
    """An order ends, and with it the children that can get nothing any more, or have nothing to reduce."""
    end_one(cells, orders, positions, records, i, state, reason, time)
    held = positions[orders[i, O_PLACE], P_LOTS]
    for j in range(i + 1, cells[C_ORDERS]):
        if orders[j, O_PARENT] == orders[i, O_ID] and orders[j, O_STATE] <= PARTIAL:
            if orders[i, O_FILLED] == 0:
                end_one(cells, orders, positions, records, j, CANCELLED, BY_PARENT, time)
            elif orders[j, O_LOTS] <= orders[j, O_FILLED]:
                if orders[j, O_TAKEN] == 0:
                    end_one(cells, orders, positions, records, j, FILLED, 0, time)
                else:
                    end_one(cells, orders, positions, records, j, CANCELLED, BY_OCO, time)
            elif orders[j, O_SIDE] * held >= 0:
                end_one(cells, orders, positions, records, j, CANCELLED, BY_NOTHING_LEFT, time)


@kernel("void(i8[:], i8[:,:], i8[:,:], i8[:,:], i8, i8, i8)")
def clear_others(cells, orders, positions, records, i, time, latency):  # type: ignore[no-untyped-def]
    """Order `i` was let through at `time`: the other orders of its symbol are cancelled, or asked to be."""
    for j in range(cells[C_ORDERS]):
        if orders[j, O_PLACE] != orders[i, O_PLACE] or orders[j, O_STATE] > PARTIAL:
            continue
        if j == i or orders[j, O_PARENT] == orders[i, O_ID]:
            continue
        at = new_record(cells, records, CANCEL)
        records[at, R_TIME] = time
        records[at, R_ORDER] = orders[j, O_ID]
        records[at, R_SYMBOL] = positions[orders[j, O_PLACE], P_SYMBOL]
        records[at, R_SIDE] = orders[j, O_SIDE]
        if latency > 0 and orders[j, O_STATE] != WAITING:
            orders[j, O_CANCEL_AT] = min(orders[j, O_CANCEL_AT], time + latency)
        else:
            end_order(cells, orders, positions, records, j, CANCELLED, BY_STRATEGY, time)


@kernel("b1(i8[:], ro i8[:,:], i8)")
def entry_works(cells, orders, i):  # type: ignore[no-untyped-def]
    """Whether an order is the child of an entry that may still fill."""
    if orders[i, O_PARENT] == 0:
        return False
    for j in range(cells[C_ORDERS]):
        if orders[j, O_ID] == orders[i, O_PARENT]:
            return orders[j, O_STATE] <= PARTIAL
    return False


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], i8, i8, f8, i8, i8)")
def after_fill(  # type: ignore[no-untyped-def]
    cells, orders, order_floats, positions, records, i, lots, base, phase, time
):
    """What a fill does to other orders: children get what their entry has, a group's others lose what this one took."""
    group = orders[i, O_GROUP]
    for j in range(cells[C_ORDERS]):
        if j == i or orders[j, O_STATE] > PARTIAL:
            continue
        if orders[j, O_PARENT] == orders[i, O_ID]:
            orders[j, O_LOTS] += lots
            if orders[j, O_STATE] == HELD:
                orders[j, O_STATE] = WORKING
            elif phase == 0:
                continue  # it works already, and the whole bar is still to come
            orders[j, O_LATE] += lots
            orders[j, O_ACTIVE] = phase + 1
            order_floats[j, O_AT] = base
        elif group != 0 and orders[j, O_GROUP] == group:
            orders[j, O_LOTS] -= lots
            orders[j, O_TAKEN] += lots
            if orders[j, O_LOTS] <= orders[j, O_FILLED] and not entry_works(cells, orders, j):
                end_order(cells, orders, positions, records, j, CANCELLED, BY_OCO, time)


@kernel("void(i8[:], i8[:,:], i8[:,:], i8[:,:], i8, i8)")
def drop_reducers(cells, orders, positions, records, p, time):  # type: ignore[no-untyped-def]
    """Cancel the orders of a position that may only reduce it and no longer can: they must not meet the next position."""
    for i in range(cells[C_ORDERS]):
        if orders[i, O_PLACE] != p or not WORKING <= orders[i, O_STATE] <= PARTIAL:
            continue
        if orders[i, O_REDUCE] != 0 and orders[i, O_SIDE] * positions[p, P_LOTS] >= 0 and not entry_works(cells, orders, i):
            end_order(cells, orders, positions, records, i, CANCELLED, BY_NOTHING_LEFT, time)


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], f8[:,:], ro f8[:], i8, f8, i8, b1, i8, i8, f8)")
def fill_order(  # type: ignore[no-untyped-def]
    cells,
    orders,
    order_floats,
    positions,
    position_floats,
    held,
    records,
    record_floats,
    rules,
    i,
    base,
    slips,
    maker,
    time,
    phase,
    spread,
):
    """Fill what can be filled of an order at a price.

    Args:
        base: the price before slippage.
        slips: 0 for none, 1 for slippage, 2 for slippage that stops at the order's limit.
        maker: whether a resting limit order fills at its own price.
        phase: of the bar.
        spread: high - low of the bar.
    """
    p = orders[i, O_PLACE]
    side = orders[i, O_SIDE]
    wanted = orders[i, O_LOTS] - orders[i, O_FILLED] - orders[i, O_SPARE]
    lots = wanted
    may_grow = entry_works(cells, orders, i)
    if orders[i, O_REDUCE] != 0:
        lots = min(lots, max(np.int64(0), -side * positions[p, P_LOTS]))
        if lots == 0:
            if may_grow:
                return
            end_order(cells, orders, positions, records, i, CANCELLED, BY_NOTHING_LEFT, time)
            return
    closes = lots < wanted
    # What crosses with another strategy of the book goes at the price itself, costs nothing and needs no volume; the rest is the venue's.
    crossing = min(lots, orders[i, O_CROSSED])
    if cells[X_LEFT] >= 0:
        if orders[i, O_TIF] == FOK and cells[X_LEFT] < lots - crossing:
            return
        lots = crossing + min(lots - crossing, cells[X_LEFT])
        if lots == 0:
            return
        cells[X_LEFT] -= lots - crossing
    left = lots
    while left > 0:
        crossed = min(left, orders[i, O_CROSSED])
        part = crossed if crossed > 0 else left
        tick = position_floats[p, P_TICK]
        if slips > 0 and crossed == 0:
            price = slipped(rules, base, side, tick, spread, orders[i, O_ID], orders[i, O_FILLS])
            if slips == 2:
                price = min(price, order_floats[i, O_LIMIT]) if side > 0 else max(price, order_floats[i, O_LIMIT])
        else:
            price = on_grid(base, tick, side > 0 or crossed > 0)  # two that cross have one price
        lot = position_floats[p, P_LOT]
        notional = money(price, part * lot)
        fee = np.int64(0)
        if crossed == 0:
            outside = orders[i, O_OUTSIDE]
            fee = commission(rules, outside * lot, part * lot, notional, outside == 0, maker)
            orders[i, O_OUTSIDE] += part
        orders[i, O_CROSSED] -= crossed
        orders[i, O_FILLED] += part
        orders[i, O_FILLS] += 1
        orders[i, O_MADE] += notional
        orders[i, O_STATE] = PARTIAL
        left -= part
        at = new_record(cells, records, FILL)
        records[at, R_TIME] = time
        records[at, R_ORDER] = orders[i, O_ID]
        records[at, R_SYMBOL] = positions[p, P_SYMBOL]
        records[at, R_SIDE] = side
        records[at, R_LOTS] = part
        records[at, R_MONEY] = fee
        records[at, R_A] = orders[i, O_FILLS]
        records[at, R_B] = 1 if maker else 0
        records[at, R_C] = notional
        record_floats[at, R_PRICE] = price
        fresh = 1 if phase == 0 else (0 if phase == AFTER_BAR else 2)
        book_fill(
            cells, positions, position_floats, held, records, record_floats, p, side, part, price, fee, time, fresh,
            rules[K_FIFO] != 0.0,
        )  # fmt: skip
        records[at, R_D] = positions[p, P_LOTS]
        if positions[p, P_LOTS] * side > 0 and orders[i, O_ENTERED] == 0:
            orders[i, O_ENTERED] = 1
            positions[p, T_ENTRIES] += 1
    after_fill(cells, orders, order_floats, positions, records, i, lots, base, phase, time)
    if may_grow:
        pass  # its entry may yet give it more
    elif orders[i, O_FILLED] >= orders[i, O_LOTS]:
        end_order(cells, orders, positions, records, i, FILLED, 0, time)
    elif closes and positions[p, P_LOTS] == 0:
        end_order(cells, orders, positions, records, i, CANCELLED, BY_NOTHING_LEFT, time)
    drop_reducers(cells, orders, positions, records, p, time)


@kernel("f8(ro i8[:,:], ro f8[:,:], ro f8[:,:], i8)")
def trailing_level(orders, order_floats, position_floats, i):  # type: ignore[no-untyped-def]
    """Where a trailing stop stands now."""
    side = orders[i, O_SIDE]
    reference = order_floats[i, O_REFERENCE]
    distance = order_floats[i, O_AMOUNT]
    if distance != distance:
        distance = reference * order_floats[i, O_FRACTION]
    return on_grid(reference + side * distance, position_floats[orders[i, O_PLACE], P_TICK], side > 0)


@kernel("void(ro i8[:,:], f8[:,:], i8, f8)")
def follow(orders, order_floats, i, price):  # type: ignore[no-untyped-def]
    """A trailing stop's reference takes in a price."""
    reference = order_floats[i, O_REFERENCE]
    if reference != reference:
        order_floats[i, O_REFERENCE] = price
    elif orders[i, O_SIDE] > 0:
        order_floats[i, O_REFERENCE] = min(reference, price)
    else:
        order_floats[i, O_REFERENCE] = max(reference, price)


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], i8, i8)")
def change_order(cells, orders, order_floats, positions, records, change, time):  # type: ignore[no-untyped-def]
    """An amendment has arrived: row `change` says what of its order changes."""
    orders[change, O_STATE] = CANCELLED
    cells[C_ENDED] += 1
    i = change - 1
    while orders[i, O_ID] != orders[change, O_ID] or orders[i, O_STATE] > PARTIAL:
        i -= 1  # rows are in order of age, and with an order its amendments end
    orders[i, O_CHANGES] -= 1
    for column in (O_LIMIT, O_STOP):
        if order_floats[change, column] == order_floats[change, column]:
            order_floats[i, column] = order_floats[change, column]
    if orders[change, O_LOTS] < 0:
        return
    # What its group has taken off it since the amendment was asked for is gone.
    orders[i, O_LOTS] = orders[change, O_LOTS] - (orders[i, O_TAKEN] - orders[change, O_TAKEN])
    if orders[i, O_LOTS] <= orders[i, O_FILLED]:
        end_order(cells, orders, positions, records, i, CANCELLED, BY_STRATEGY, time)


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], i8, i8, i8)")
def begin_bar(cells, orders, order_floats, positions, records, p, open_time, time):  # type: ignore[no-untyped-def]
    """Cancellations and amendments that have reached the venue by the bar's open take effect."""
    for i in range(cells[C_ORDERS]):
        if orders[i, O_PLACE] != p:
            continue
        if orders[i, O_STATE] == CHANGING and orders[i, O_ELIGIBLE] <= open_time:
            change_order(cells, orders, order_floats, positions, records, i, time)
        if orders[i, O_STATE] > PARTIAL:
            continue
        orders[i, O_ACTIVE] = 0
        orders[i, O_LATE] = 0
        orders[i, O_SPARE] = 0
        if orders[i, O_CANCEL_AT] <= open_time:
            end_order(cells, orders, positions, records, i, CANCELLED, BY_STRATEGY, time)


@kernel("i8(ro f8[:], f8, f8)")
def lots_of_bar(rules, volume, lot):  # type: ignore[no-untyped-def]
    """Lots that a bar of this volume has for the account; -1: no bound."""
    if rules[K_PARTICIPATION] > 0.0:
        return np.int64(np.floor(rules[K_PARTICIPATION] * volume / lot + 1e-9))
    return np.int64(-1)


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], f8[:,:], ro f8[:], i8, f8, f8, f8, f8, f8, i8)")
def match_bar(  # type: ignore[no-untyped-def]
    cells,
    orders,
    order_floats,
    positions,
    position_floats,
    held,
    records,
    record_floats,
    rules,
    p,
    open_,
    high,
    low,
    close,
    volume,
    time,
):
    """Match the orders of position p against a bar that closes at `time`."""
    open_time = time - BAR_NS
    begin_bar(cells, orders, order_floats, positions, records, p, open_time, time)
    cells[X_LEFT] = lots_of_bar(rules, volume, position_floats[p, P_LOT])
    spread = high - low
    at_close = rules[K_FILL_CLOSE] != 0.0
    optimistic = rules[K_OPTIMISTIC] != 0.0
    touch = rules[K_TOUCH] != 0.0
    count = cells[C_ORDERS]
    for i in range(count):
        if orders[i, O_PLACE] != p or not WORKING <= orders[i, O_STATE] <= PARTIAL or orders[i, O_ELIGIBLE] > open_time:
            continue
        # Activated just now: it comes in a later phase. Nothing open: a child of an entry that works.
        if orders[i, O_ACTIVE] != 0 or orders[i, O_LOTS] <= orders[i, O_FILLED]:
            continue
        side = orders[i, O_SIDE]
        kind = orders[i, O_KIND]
        orders[i, O_SEEN] = 1
        if kind == MARKET and at_close:
            continue
        if kind == TRAILING and orders[i, O_TRIGGERED] == 0:
            follow(orders, order_floats, i, open_)
            order_floats[i, O_STOP] = trailing_level(orders, order_floats, position_floats, i)
        slips = -1
        if kind == MARKET:
            slips = 1
        elif kind in (STOP, TRAILING):
            if orders[i, O_TRIGGERED] != 0 or side * (open_ - order_floats[i, O_STOP]) >= 0.0:
                orders[i, O_TRIGGERED] = 1
                slips = 1
        else:
            meets = side * (open_ - order_floats[i, O_LIMIT]) <= 0.0
            if kind == LIMIT or orders[i, O_TRIGGERED] != 0:
                slips = 0 if meets else -1
            elif side * (open_ - order_floats[i, O_STOP]) >= 0.0:
                orders[i, O_TRIGGERED] = 1
                slips = 2 if meets else -1
        if slips >= 0:
            fill_order(
                cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules,
                i, open_, slips, False, open_time, 0, spread,
            )  # fmt: skip
        if (orders[i, O_TIF] == IOC or orders[i, O_TIF] == FOK) and orders[i, O_STATE] <= PARTIAL:
            end_order(cells, orders, positions, records, i, CANCELLED, BY_TIME_IN_FORCE, time)
    for turn in range(4):
        # Pessimistic: 1, 2, 3, 4. Optimistic: limits come before stops, 2, 1, 4, 3.
        phase = turn + 1
        if optimistic:
            phase += 1 if turn % 2 == 0 else -1
        stops = phase == 1 or phase == 3
        for i in range(count):
            if orders[i, O_PLACE] != p or not WORKING <= orders[i, O_STATE] <= PARTIAL or orders[i, O_ELIGIBLE] > open_time:
                continue
            active = orders[i, O_ACTIVE]
            if active == RESTS or orders[i, O_LOTS] <= orders[i, O_FILLED]:
                continue
            late = active > (1 if optimistic else 2)
            orders[i, O_SPARE] = 0
            if phase <= 2 and late:
                # What it was given in the meantime has phases 3 and 4; what it had before is as it was.
                if orders[i, O_LOTS] - orders[i, O_FILLED] <= orders[i, O_LATE]:
                    continue
                orders[i, O_SPARE] = orders[i, O_LATE]
                active = np.int64(0)
            elif phase > 2 and not late:
                continue
            side = orders[i, O_SIDE]
            kind = orders[i, O_KIND]
            best = low if side > 0 else high  # the bar's extreme that is best for the order
            worst = high if side > 0 else low
            if stops:
                # A child that was reached before is a market order: what it is given fills there and then.
                is_market = kind == STOP and active > 0 and orders[i, O_TRIGGERED] != 0
                if (orders[i, O_TRIGGERED] != 0 and not is_market) or kind not in (STOP, STOP_LIMIT, TRAILING):
                    continue
                stop = order_floats[i, O_STOP]
                base = np.nan
                passed = is_market or (active > 0 and side * (order_floats[i, O_AT] - stop) >= 0.0)
                if passed:
                    base = order_floats[i, O_AT]
                elif side * (worst - stop) >= 0.0 and not (optimistic and active >= 2 and side * (close - stop) < 0.0):
                    base = stop
                elif kind == TRAILING:
                    follow(orders, order_floats, i, best)
                    stop = trailing_level(orders, order_floats, position_floats, i)
                    order_floats[i, O_STOP] = stop
                    if side * (close - stop) >= 0.0:
                        base = stop
                if base != base:
                    continue
                orders[i, O_TRIGGERED] = 1
                slips = 1
                if kind == STOP_LIMIT:
                    limit = order_floats[i, O_LIMIT]
                    slips = 2
                    if side * (base - limit) > 0.0:
                        beyond = side * (close - limit)
                        if beyond > 0.0 or (beyond == 0.0 and not touch):
                            orders[i, O_ACTIVE] = RESTS
                            continue
                        base = limit
                        slips = 0
                fill_order(
                    cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules,
                    i, base, slips, False, open_time if passed and active == 1 else time, phase, spread,
                )  # fmt: skip
            else:
                if not (kind == LIMIT or (kind == STOP_LIMIT and orders[i, O_TRIGGERED] != 0)):
                    continue
                limit = order_floats[i, O_LIMIT]
                base = limit
                maker = True
                if active > 0 and side * (order_floats[i, O_AT] - limit) <= 0.0:
                    base = order_floats[i, O_AT]
                    maker = False
                else:
                    # Of an entry that filled as a limit it is not known whether the extreme came before or after.
                    reach = close if active == 3 and not optimistic else best
                    beyond = side * (reach - limit)
                    if beyond > 0.0 or (beyond == 0.0 and not touch):
                        continue
                fill_order(
                    cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules,
                    i, base, 0, maker, open_time if not maker and active == 1 else time, phase, spread,
                )  # fmt: skip
    if at_close:
        for i in range(count):
            if orders[i, O_PLACE] != p or not WORKING <= orders[i, O_STATE] <= PARTIAL or orders[i, O_ELIGIBLE] > open_time:
                continue
            if orders[i, O_KIND] == MARKET:
                fill_order(
                    cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules,
                    i, close, 1, False, time, 5, spread,
                )  # fmt: skip
                if (orders[i, O_TIF] == IOC or orders[i, O_TIF] == FOK) and orders[i, O_STATE] <= PARTIAL:
                    end_order(cells, orders, positions, records, i, CANCELLED, BY_TIME_IN_FORCE, time)
        positions[p, P_LEFT] = cells[X_LEFT]
        positions[p, P_LEFT_TIME] = time
