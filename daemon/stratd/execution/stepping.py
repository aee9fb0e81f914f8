"""Stepping: one account through the log, step by step, ahead of its strategy and back.

`advance` is the only thing that moves an account. It first brings it to the strategy's own event, then runs ahead until something
happens that the strategy must be told of; `submit` brings it to the event at which the strategy decided, and takes in the order.
Python calls them by `entry.py`, which saves it to give twenty arrays to every call.
"""

from __future__ import annotations

import numpy as np

from stratd.core.kernel import kernel
from stratd.execution.matching import AFTER_BAR, clear_others, end_order, fill_order, lots_of_bar, match_bar
from stratd.model import BarFlags
from stratd.portfolio.cells import (
    BAR_NS,
    BY_HALT,
    BY_SIZE,
    BY_TIME_IN_FORCE,
    C_AT_CLOSE,
    C_CASH,
    C_CELLS,
    C_CHARGED,
    C_CURSOR,
    C_DAY,
    C_DAY_START,
    C_ENDED,
    C_EXPIRE,
    C_FILLED,
    C_GROSS,
    C_HELD_STEPS,
    C_LOSSES,
    C_LOTS,
    C_NEXT_ID,
    C_OPEN,
    C_ORDER_COUNT,
    C_ORDERS,
    C_PEAK,
    C_POINTS,
    C_POSITIONS,
    C_RECORDS,
    C_REFUSED,
    C_STATE,
    C_STEPS,
    C_TIME,
    C_VALUE,
    CANCELLED,
    CHANGING,
    CLEARS,
    DAY_NS,
    EXPIRED,
    GTC,
    HELD,
    INTENT,
    IOC,
    K_ALLOW_SHORT,
    K_BOOK,
    K_CONSECUTIVE,
    K_CONSECUTIVE_STATE,
    K_DAILY,
    K_DAILY_STATE,
    K_DRAWDOWN,
    K_DRAWDOWN_STATE,
    K_EXPOSURE,
    K_EXPOSURE_STATE,
    K_FILL_CLOSE,
    K_LATENCY_NS,
    LIMIT,
    MARKET,
    NEVER,
    O_AMOUNT,
    O_AT,
    O_AT_CLOSE,
    O_CANCEL_AT,
    O_CLEARS,
    O_COLUMNS,
    O_CREATED,
    O_ELIGIBLE,
    O_EXPIRE,
    O_FLOATS,
    O_FRACTION,
    O_GROUP,
    O_ID,
    O_KIND,
    O_LIMIT,
    O_LOTS,
    O_PARENT,
    O_PLACE,
    O_REDUCE,
    O_REFERENCE,
    O_ROLE,
    O_SIDE,
    O_SPREAD,
    O_STATE,
    O_STOP,
    O_TIF,
    P_COST,
    P_LEFT,
    P_LEFT_TIME,
    P_LOT,
    P_LOTS,
    P_MARK,
    P_SPREAD,
    P_SYMBOL,
    P_VALUE,
    P_WORKING,
    PARTIAL,
    R_A,
    R_B,
    R_C,
    R_COLUMNS,
    R_D,
    R_F1,
    R_F2,
    R_F3,
    R_F4,
    R_LOTS,
    R_MONEY,
    R_ORDER,
    R_PRICE,
    R_SIDE,
    R_SYMBOL,
    R_TIME,
    REDUCES,
    REFUSED,
    STATE_HALTED,
    STOP,
    T_BARS,
    T_BEST,
    T_FRESH,
    T_WORST,
    WAITING,
    WORKING,
    X_AHEAD,
    X_EVENT,
    X_HORIZON,
    X_LEFT,
    X_REFUSAL,
    X_STOPPED,
    X_TAKEN,
)
from stratd.portfolio.ledger import charge_days, new_record, worth
from stratd.risk.checks import check_order, count_order, passed_limit, tighten, whole_lots

# Why the stepping stopped.
AT_END = 0  # of the entries
AT_TIME = 1
AT_RECORDS = 2
AT_ROOM = 3  # tables must grow or be emptied first
AT_FILL = 4  # orders have filled at the close that they were decided on, before the next step

_SYNTHETIC = int(BarFlags.SYNTHETIC)
_FLAGS = 3  # row of the flags among a frame's counts
RECORDS_EACH = 10  # of one order in one step, at most, with its children, trade and charge
SLACK = 32
FIRST_HORIZON = 512
_ANY_TIME = 2**62
COUNTABLE = 8_000_000_000_000_000_000  # units of money, of all positions: int64 ends a little above


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], i8)")
def keep_copy(cells, orders, order_floats, positions, position_floats, held, back):  # type: ignore[no-untyped-def]
    """Copy the state to the second half of each table; with `back` 1 the other way round."""
    source = C_CELLS if back else 0
    target = 0 if back else C_CELLS
    for c in range(C_CELLS):
        cells[target + c] = cells[source + c]
    copy_rows(orders, cells[C_ORDERS], back)
    copy_rows(positions, cells[C_POSITIONS], back)
    copy_rows(held, cells[C_LOTS], back)
    half = order_floats.shape[0] // 2
    for i in range(cells[C_ORDERS]):
        for c in range(O_FLOATS):
            order_floats[i + half * (1 - back), c] = order_floats[i + half * back, c]
    half = position_floats.shape[0] // 2
    for i in range(cells[C_POSITIONS]):
        for c in range(position_floats.shape[1]):
            position_floats[i + half * (1 - back), c] = position_floats[i + half * back, c]


@kernel("void(i8[:,:], i8, i8)")
def copy_rows(table, rows, back):  # type: ignore[no-untyped-def]
    """Copy rows between the halves of a table."""
    half = table.shape[0] // 2
    for i in range(rows):
        for c in range(table.shape[1]):
            table[i + half * (1 - back), c] = table[i + half * back, c]


@kernel("void(i8[:], i8[:,:], f8[:,:])")
def compact(cells, orders, order_floats):  # type: ignore[no-untyped-def]
    """Take ended orders out of the table; the rest stays in order of age."""
    if cells[C_ENDED] == 0:
        return
    cells[C_ENDED] = 0
    cells[C_EXPIRE] = NEVER
    kept = 0
    for i in range(cells[C_ORDERS]):
        if orders[i, O_STATE] > PARTIAL and orders[i, O_STATE] != CHANGING:
            continue
        if kept != i:
            for c in range(O_COLUMNS):
                orders[kept, c] = orders[i, c]
            for c in range(O_FLOATS):
                order_floats[kept, c] = order_floats[i, c]
        if orders[kept, O_STATE] <= PARTIAL:
            cells[C_EXPIRE] = min(cells[C_EXPIRE], orders[kept, O_EXPIRE])
        kept += 1
    cells[C_ORDERS] = kept


@kernel("void(i8[:], i8[:,:], i8[:,:], i8[:,:], i8)")
def expire(cells, orders, positions, records, time):  # type: ignore[no-untyped-def]
    """End the orders whose time in force is over."""
    if cells[C_EXPIRE] > time:
        return
    for i in range(cells[C_ORDERS]):
        if orders[i, O_STATE] <= PARTIAL and orders[i, O_EXPIRE] <= time:
            end_order(cells, orders, positions, records, i, EXPIRED, BY_TIME_IN_FORCE, orders[i, O_EXPIRE])


@kernel("void(i8[:], i8[:,:], i8[:,:], i8[:,:], i8, i8)")
def cancel_all(cells, orders, positions, records, reason, time):  # type: ignore[no-untyped-def]
    """Cancel everything that works, waits or is held."""
    for i in range(cells[C_ORDERS]):
        if orders[i, O_STATE] <= PARTIAL:
            end_order(cells, orders, positions, records, i, CANCELLED, reason, time)


@kernel("b1(i8[:], i8[:,:], i8[:,:], i8[:,:], i8[:,:])")
def short_of_room(cells, positions, held, records, points):  # type: ignore[no-untyped-def]
    """Whether a step could need more rows than the tables have."""
    room = SLACK + RECORDS_EACH * (cells[C_ORDERS] + 1) + cells[C_POSITIONS]
    return (
        cells[C_RECORDS] + room > records.shape[0]
        or cells[C_LOTS] + 2 * cells[C_ORDERS] + 1 > held.shape[0] // 2
        or cells[C_POINTS] >= points.shape[0]
    )


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], f8[:,:], ro f8[:])")
def fill_at_close(  # type: ignore[no-untyped-def]
    cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules
):
    """Fill the orders that wait for the close on which they were decided (`fill: close`)."""
    cells[C_AT_CLOSE] = 0
    for i in range(cells[C_ORDERS]):
        if orders[i, O_AT_CLOSE] != 0 and WORKING <= orders[i, O_STATE] <= PARTIAL:
            orders[i, O_AT_CLOSE] = 0
            p = orders[i, O_PLACE]
            cells[X_LEFT] = positions[p, P_LEFT] if positions[p, P_LEFT_TIME] == orders[i, O_CREATED] else -1
            fill_order(
                cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules,
                i, order_floats[i, O_AT], 1, False, orders[i, O_CREATED], AFTER_BAR, order_floats[i, O_SPREAD],
            )  # fmt: skip
            positions[p, P_LEFT] = cells[X_LEFT]
            if orders[i, O_STATE] <= PARTIAL and orders[i, O_TIF] >= IOC:
                end_order(cells, orders, positions, records, i, CANCELLED, BY_TIME_IN_FORCE, orders[i, O_CREATED])


@kernel(
    "void(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], f8[:,:], i8[:,:], ro f8[:], ro i4[:], ro u1[:], ro i8[:],"
    " ro f8[:,:,:], ro i4[:,:,:], ro i8[:,:], ro i8[:], ro i4[:], ro i8[:], i8, i8, b1)"
)
def step_through(  # type: ignore[no-untyped-def]
    cells,
    orders,
    order_floats,
    positions,
    position_floats,
    held,
    records,
    record_floats,
    points,
    rules,
    place_of,
    own,
    days,
    floats,
    counts,
    base,
    close_time,
    stream,
    row,
    limit_time,
    stop,
    until_records,
):
    """Take the account through whole steps: up to `limit_time`, entry `stop`, or the first step that leaves a record."""
    symbols = place_of.shape[0]
    at = cells[C_CURSOR]
    cells[X_STOPPED] = AT_END
    if cells[C_AT_CLOSE] != 0 and limit_time > cells[C_TIME]:
        if short_of_room(cells, positions, held, records, points):
            cells[X_STOPPED] = AT_ROOM
            return
        fill_at_close(cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules)
        compact(cells, orders, order_floats)
        cells[C_FILLED] = 1
        if until_records:
            cells[X_STOPPED] = AT_FILL
            return
    # Calls with arrays cost more than what they do for most bars (their references are counted), so this loop makes none of them unless
    # something happens.
    days_count = days.shape[0]
    if cells[C_ORDERS] == 0 and cells[C_OPEN] == 0 and cells[C_FILLED] == 0:
        # Nothing can happen to an account that holds nothing and has no orders: marks, days and points go on, and no more.
        equity = cells[C_CASH] + cells[C_VALUE]
        count, most = cells[C_POINTS], points.shape[0]
        time = cells[C_TIME]
        while at < stop:
            if close_time[at] > limit_time:
                cells[X_STOPPED] = AT_TIME
                break
            if count >= most:
                cells[X_STOPPED] = AT_ROOM
                break
            time = close_time[at]
            is_own = False
            while at < stop and close_time[at] == time:
                st = stream[at]
                is_own = is_own or own[st] != 0
                if st < symbols and place_of[st] >= 0:
                    r = row[at] - base[0, st]
                    position_floats[place_of[st], P_MARK] = floats[3, st, r]
                    position_floats[place_of[st], P_SPREAD] = floats[1, st, r] - floats[2, st, r]
                at += 1
            if is_own:
                points[count, 0] = time
                points[count, 1] = equity
                count += 1
        cells[C_STEPS] += count - cells[C_POINTS]
        cells[C_POINTS] = count
        cells[C_TIME] = time
        cells[C_CURSOR] = at
        day = cells[C_DAY] + 1
        if day < days_count and days[day] <= time - BAR_NS:
            while day < days_count and days[day] <= time - BAR_NS:
                day += 1
            cells[C_DAY] = day - 1
            cells[C_DAY_START] = equity
        return
    daily, daily_state = rules[K_DAILY], rules[K_DAILY_STATE]
    drawdown, drawdown_state = rules[K_DRAWDOWN], rules[K_DRAWDOWN_STATE]
    consecutive, consecutive_state = rules[K_CONSECUTIVE], rules[K_CONSECUTIVE_STATE]
    exposure, exposure_state = rules[K_EXPOSURE], rules[K_EXPOSURE_STATE]
    room = SLACK + RECORDS_EACH * (cells[C_ORDERS] + 1) + cells[C_POSITIONS]
    while at < stop:
        time = close_time[at]
        if time > limit_time:
            cells[X_STOPPED] = AT_TIME
            return
        if (
            cells[C_RECORDS] + room > records.shape[0]
            or cells[C_LOTS] + 2 * cells[C_ORDERS] + 1 > held.shape[0] // 2
            or cells[C_POINTS] >= points.shape[0]
        ):
            cells[X_STOPPED] = AT_ROOM
            return
        before = cells[C_RECORDS]
        open_time = time - BAR_NS
        day = cells[C_DAY] + 1
        if day < days_count and days[day] <= open_time:
            while day < days_count and days[day] <= open_time:
                day += 1
            cells[C_DAY] = day - 1
            cells[C_DAY_START] = cells[C_CASH] + cells[C_VALUE]
        if cells[C_EXPIRE] <= open_time:
            expire(cells, orders, positions, records, open_time)
        is_own = False
        busy = cells[C_ORDERS] > 0 or cells[C_OPEN] > 0 or cells[C_FILLED] != 0
        cells[C_FILLED] = 0
        while at < stop and close_time[at] == time:
            st = stream[at]
            is_own = is_own or own[st] != 0
            if st < symbols and place_of[st] >= 0:
                p = place_of[st]
                if (
                    open_time >= (cells[C_CHARGED] + 1) * DAY_NS
                    and busy
                    and (positions[p, P_LOTS] != 0 or positions[p, P_WORKING] > 0)
                ):
                    charge_days(cells, positions, records, rules, open_time // DAY_NS, time)
                r = row[at] - base[0, st]
                close = floats[3, st, r]
                if positions[p, P_WORKING] > 0 and counts[_FLAGS, st, r] & _SYNTHETIC == 0:
                    match_bar(
                        cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules, p,
                        floats[0, st, r], floats[1, st, r], floats[2, st, r], close, floats[4, st, r], time,
                    )  # fmt: skip
                position_floats[p, P_MARK] = close
                position_floats[p, P_SPREAD] = floats[1, st, r] - floats[2, st, r]
                lots = positions[p, P_LOTS]
                if lots != 0:
                    # The bar has closed: value the position there, and note how far the trade has been.
                    lot, cost = position_floats[p, P_LOT], positions[p, P_COST]
                    value = worth(lots, lot, close)
                    worst = min(positions[p, T_WORST], value - cost)
                    best = max(positions[p, T_BEST], value - cost)
                    if positions[p, T_FRESH] != 2:
                        high = worth(lots, lot, floats[1, st, r]) - cost
                        low = worth(lots, lot, floats[2, st, r]) - cost
                        worst = min(worst, high, low)
                        best = max(best, high, low)
                    positions[p, T_FRESH] = 0
                    positions[p, T_BARS] += 1
                    positions[p, T_WORST] = worst
                    positions[p, T_BEST] = best
                    old = positions[p, P_VALUE]
                    positions[p, P_VALUE] = value
                    cells[C_VALUE] += value - old
                    cells[C_GROSS] += abs(value) - abs(old)
            at += 1
        if cells[C_EXPIRE] <= time:
            expire(cells, orders, positions, records, time)
        equity = cells[C_CASH] + cells[C_VALUE]
        if busy:
            cells[C_PEAK] = max(cells[C_PEAK], equity)
            code = passed_limit(
                cells[C_STATE], equity, cells[C_PEAK], cells[C_DAY_START], cells[C_LOSSES], cells[C_GROSS], daily, daily_state,
                drawdown, drawdown_state, consecutive, consecutive_state, exposure, exposure_state,
            )  # fmt: skip
            if not 0 <= cells[C_GROSS] <= COUNTABLE and cells[C_STATE] != STATE_HALTED:
                code = np.int64(16 * STATE_HALTED + BY_SIZE)
            if code != 0:
                tighten(cells, records, code // 16, code % 16, time)
                if cells[C_STATE] == STATE_HALTED:
                    cancel_all(cells, orders, positions, records, BY_HALT, time)
            if cells[C_ENDED] > 0:
                compact(cells, orders, order_floats)
                room = SLACK + RECORDS_EACH * (cells[C_ORDERS] + 1) + cells[C_POSITIONS]
        if is_own:
            points[cells[C_POINTS], 0] = time
            points[cells[C_POINTS], 1] = equity
            cells[C_POINTS] += 1
            cells[C_STEPS] += 1
            cells[C_HELD_STEPS] += cells[C_OPEN] > 0
        cells[C_TIME] = time
        cells[C_CURSOR] = at
        if until_records and cells[C_RECORDS] > before:
            cells[X_STOPPED] = AT_RECORDS
            return


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], f8[:,:], ro f8[:], i8, i8)")
def close_out(  # type: ignore[no-untyped-def]
    cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules, p, time
):
    """Close a position at its last close, with costs."""
    lots = positions[p, P_LOTS]
    if lots == 0:
        return
    last = position_floats[p, P_MARK]
    i = add_order(
        cells, orders, order_floats, positions, p, -1 if lots > 0 else 1, MARKET, GTC, abs(lots), np.nan, np.nan, np.nan, np.nan, 1, 0,
        0, 0, WORKING, time, NEVER, np.nan,
    )  # fmt: skip
    orders[i, O_CREATED] = time
    record_intent(cells, orders, order_floats, positions, records, record_floats, i, time, last)
    cells[X_LEFT] = -1
    fill_order(
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, rules,
        i, last, 1, False, time, AFTER_BAR, position_floats[p, P_SPREAD],
    )  # fmt: skip
    compact(cells, orders, order_floats)


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8, i8)")
def leave(cells, orders, order_floats, positions, position_floats, records, record_floats, p, time):  # type: ignore[no-untyped-def]
    """Have a position closed at its next open."""
    lots = positions[p, P_LOTS]
    if lots == 0:
        return
    i = add_order(
        cells, orders, order_floats, positions, p, -1 if lots > 0 else 1, MARKET, GTC, abs(lots), np.nan, np.nan, np.nan, np.nan, 1, 0,
        0, 0, WORKING, time, NEVER, np.nan,
    )  # fmt: skip
    orders[i, O_CREATED] = time
    record_intent(cells, orders, order_floats, positions, records, record_floats, i, time, position_floats[p, P_MARK])


@kernel("i8(ro i8[:], i8, i8, i8)")
def first_after(times, start, stop, time):  # type: ignore[no-untyped-def]
    """Index of the first of times[start:stop] (ascending) that is after `time`; `stop` if there is none."""
    while start < stop:
        middle = (start + stop) // 2
        if times[middle] > time:
            stop = middle
        else:
            start = middle + 1
    return start


@kernel("void(i8[:], i8[:,:], i8)")
def drop_taken(cells, records, ahead):  # type: ignore[no-untyped-def]
    """Remove the records that have been taken away."""
    taken = cells[X_TAKEN]
    if taken == 0 or ahead != 0:
        return
    for i in range(taken, cells[C_RECORDS]):
        for c in range(R_COLUMNS):
            records[i - taken, c] = records[i, c]
    cells[C_RECORDS] -= taken
    cells[X_TAKEN] = 0


MARKET_ARGUMENTS = (
    "i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], f8[:,:], i8[:,:], ro f8[:], ro i4[:], ro u1[:], ro i8[:],"
    " ro f8[:,:,:], ro i4[:,:,:], ro i8[:,:], ro i8[:], ro i4[:], ro i8[:], i8, ro i8[:]"
)


@kernel(f"void({MARKET_ARGUMENTS}, i8, i8, i8, b1)")
def advance(  # type: ignore[no-untyped-def]
    cells,
    orders,
    order_floats,
    positions,
    position_floats,
    held,
    records,
    record_floats,
    points,
    rules,
    place_of,
    own,
    days,
    floats,
    counts,
    base,
    close_time,
    stream,
    row,
    stop,
    event_time,
    first_event,
    events,
    limit_time,
    ahead,
):
    """Bring the account to `limit_time`; then, with `ahead`, run on until the strategy must be told of something.

    Args:
        event_time: int64, close times of the strategy's events in this window; from `first_event` to `events` they are to come.
    """
    if cells[X_AHEAD] != 0:
        # What filled at a close that the strategy has not gone past is before its time too.
        if cells[C_TIME] + cells[C_FILLED] > limit_time:
            keep_copy(cells, orders, order_floats, positions, position_floats, held, 1)
        cells[X_AHEAD] = 0
    drop_taken(cells, records, 0)
    before = cells[C_RECORDS]
    step_through(
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, limit_time, stop, False,
    )  # fmt: skip
    cells[X_EVENT] = events
    if not ahead or cells[X_STOPPED] == AT_ROOM or cells[C_RECORDS] > before:
        return
    keep_copy(cells, orders, order_floats, positions, position_floats, held, 0)
    cells[X_AHEAD] = 1
    upto = min(stop, cells[C_CURSOR] + cells[X_HORIZON])
    # The last step of the stretch is taken as a whole.
    while upto < stop and close_time[upto] == close_time[upto - 1]:
        upto += 1
    cells[X_HORIZON] = min(2 * cells[X_HORIZON], 1 << 40)
    step_through(
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, _ANY_TIME, upto, True,
    )  # fmt: skip
    if cells[X_STOPPED] == AT_RECORDS:
        cells[X_EVENT] = first_after(event_time, first_event, events, cells[C_TIME] - 1)
    elif cells[X_STOPPED] == AT_FILL or cells[C_CURSOR] < stop:
        cells[X_EVENT] = first_after(event_time, first_event, events, cells[C_TIME])


@kernel("i8(i8[:], i8[:,:], f8[:,:], i8[:,:], i8, i8, i8, i8, i8, f8, f8, f8, f8, i8, i8, i8, i8, i8, i8, i8, f8)")
def add_order(  # type: ignore[no-untyped-def]
    cells,
    orders,
    order_floats,
    positions,
    p,
    side,
    kind,
    tif,
    lots,
    limit,
    stop,
    amount,
    fraction,
    reduce_only,
    group,
    parent,
    role,
    state,
    eligible,
    expires,
    reference,
):
    """Append an order to the table. Returns its row."""
    i = cells[C_ORDERS]
    cells[C_ORDERS] += 1
    for c in range(O_COLUMNS):
        orders[i, c] = 0
    for c in range(O_FLOATS):
        order_floats[i, c] = np.nan
    orders[i, O_ID] = cells[C_NEXT_ID]
    cells[C_NEXT_ID] += 1
    cells[C_ORDER_COUNT] += 1
    orders[i, O_PLACE] = p
    orders[i, O_SIDE] = side
    orders[i, O_KIND] = kind
    orders[i, O_TIF] = tif
    orders[i, O_STATE] = state
    orders[i, O_LOTS] = lots
    orders[i, O_REDUCE] = reduce_only
    orders[i, O_PARENT] = parent
    orders[i, O_GROUP] = group
    orders[i, O_ROLE] = role
    orders[i, O_ELIGIBLE] = eligible
    orders[i, O_EXPIRE] = expires
    orders[i, O_CANCEL_AT] = NEVER
    order_floats[i, O_LIMIT] = limit
    order_floats[i, O_STOP] = stop
    order_floats[i, O_AMOUNT] = amount
    order_floats[i, O_FRACTION] = fraction
    order_floats[i, O_REFERENCE] = reference
    positions[p, P_WORKING] += 1
    cells[C_EXPIRE] = min(cells[C_EXPIRE], expires)
    return i


@kernel("void(i8[:], ro i8[:,:], ro f8[:,:], ro i8[:,:], i8[:,:], f8[:,:], i8, i8, f8)")
def record_intent(cells, orders, order_floats, positions, records, record_floats, i, time, last):  # type: ignore[no-untyped-def]
    """Record an order that was let through, with all that is needed to make it again."""
    at = new_record(cells, records, INTENT)
    records[at, R_TIME] = time
    records[at, R_ORDER] = orders[i, O_ID]
    records[at, R_SYMBOL] = positions[orders[i, O_PLACE], P_SYMBOL]
    records[at, R_SIDE] = orders[i, O_SIDE]
    records[at, R_LOTS] = orders[i, O_LOTS]
    records[at, R_MONEY] = orders[i, O_ELIGIBLE]
    records[at, R_A] = (
        orders[i, O_KIND]
        + (orders[i, O_TIF] << 8)
        + (orders[i, O_REDUCE] << 16)
        + (orders[i, O_ROLE] << 24)
        + (orders[i, O_STATE] << 32)
    )
    records[at, R_B] = orders[i, O_PARENT]
    records[at, R_C] = orders[i, O_GROUP]
    records[at, R_D] = orders[i, O_EXPIRE]
    record_floats[at, R_PRICE] = order_floats[i, O_LIMIT]
    record_floats[at, R_F1] = order_floats[i, O_STOP]
    record_floats[at, R_F2] = order_floats[i, O_AMOUNT]
    record_floats[at, R_F3] = order_floats[i, O_FRACTION]
    record_floats[at, R_F4] = last


@kernel("void(i8[:], ro i8[:,:], f8[:,:], ro f8[:,:,:], ro i8[:,:], ro i8[:], ro i4[:], ro i8[:], i8, i8)")
def mark_new(cells, positions, position_floats, floats, base, close_time, stream, row, p, time):  # type: ignore[no-untyped-def]
    """A symbol for which there was no order before is followed from the step at `time` on: it is marked at that step's close, if it has one."""
    at = cells[C_CURSOR] - 1
    while at >= 0 and close_time[at] == time:
        if stream[at] == positions[p, P_SYMBOL]:
            position_floats[p, P_MARK] = floats[3, stream[at], row[at] - base[0, stream[at]]]
            return
        at -= 1


@kernel("f8(i8[:], i8[:,:], f8[:,:], ro f8[:], ro f8[:,:,:], ro i8[:,:], ro i8[:], ro i4[:], ro i8[:], i8, i8)")
def look_at_bar(cells, positions, position_floats, rules, floats, base, close_time, stream, row, p, time):  # type: ignore[no-untyped-def]
    """The 1m bar that closed at `time`, for an order that fills at its close: high - low, and into `P_LEFT` the lots that it has left.

    Where a longer bar closed and no 1m bar with it, there is no range, and no bound.
    """
    at = cells[C_CURSOR] - 1
    while at >= 0 and close_time[at] == time:
        st = stream[at]
        if st == positions[p, P_SYMBOL]:
            r = row[at] - base[0, st]
            if positions[p, P_LEFT_TIME] != time:  # else it has been matched, and some of it may be taken
                positions[p, P_LEFT_TIME] = time
                positions[p, P_LEFT] = lots_of_bar(rules, floats[4, st, r], position_floats[p, P_LOT])
            position_floats[p, P_SPREAD] = floats[1, st, r] - floats[2, st, r]
            return position_floats[p, P_SPREAD]
        at -= 1
    positions[p, P_LEFT_TIME] = 0
    return 0.0


@kernel(
    "void(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], f8[:,:], i8[:,:], ro f8[:], ro i4[:], ro u1[:], ro i8[:],"
    " ro f8[:,:,:], ro i4[:,:,:], ro i8[:,:], ro i8[:], ro i4[:], ro i8[:], i8, i8)"
)
def bring_to(  # type: ignore[no-untyped-def]
    cells,
    orders,
    order_floats,
    positions,
    position_floats,
    held,
    records,
    record_floats,
    points,
    rules,
    place_of,
    own,
    days,
    floats,
    counts,
    base,
    close_time,
    stream,
    row,
    stop,
    time,
):
    """Bring the account to the strategy's own event at `time`, if it has run ahead or stayed behind."""
    if cells[X_AHEAD] != 0:
        if cells[C_TIME] + cells[C_FILLED] > time:
            keep_copy(cells, orders, order_floats, positions, position_floats, held, 1)
        cells[X_AHEAD] = 0
    step_through(
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, time, stop, False,
    )  # fmt: skip


@kernel(f"i8({MARKET_ARGUMENTS}, i8, i8, i8, i8, i8, i8, i8, f8, f8, f8, f8, f8, i8, i8, i8, f8, f8, f8, b1)")
def submit(  # type: ignore[no-untyped-def]
    cells,
    orders,
    order_floats,
    positions,
    position_floats,
    held,
    records,
    record_floats,
    points,
    rules,
    place_of,
    own,
    days,
    floats,
    counts,
    base,
    close_time,
    stream,
    row,
    stop_entry,
    event_time,
    first_event,
    events,
    time,
    p,
    side,
    kind,
    tif,
    quantity,
    limit,
    stop,
    amount,
    fraction,
    flags,
    group,
    expires,
    stop_loss,
    take_profit,
    last,
    last_is_now,
):
    """Bring the account to the event that the strategy is at, check an order there, and take it in.

    Args:
        time: close time of the event.
        p: row of the symbol's position.
        quantity: in units of the instrument.
        limit, stop, amount, fraction, stop_loss, take_profit: on the grid of ticks; NaN where there is none.
        flags: REDUCES, CLEARS.
        group: of OCO; 0 for none.
        expires: when it ends by itself.
        last: last price; `last_is_now` says whether it is the close of a bar that closed at `time`.

    Returns:
        The order's id; 0 if it was refused (`X_REFUSAL` has the reason); -1 if the tables must grow first.
    """
    bring_to(
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, stop_entry, time,
    )  # fmt: skip
    room = SLACK + RECORDS_EACH * (cells[C_ORDERS] + 3) + cells[C_POSITIONS]
    if (
        cells[X_STOPPED] == AT_ROOM
        or cells[C_ORDERS] + 3 > orders.shape[0] // 2
        or cells[C_LOTS] + 2 * cells[C_ORDERS] + 8 > held.shape[0] // 2
        or cells[C_RECORDS] + room > records.shape[0]
    ):
        return np.int64(-1)
    if cells[C_ORDERS] == 0 and cells[C_OPEN] == 0:
        # Days on which it followed nothing cost nothing.
        cells[C_CHARGED] = time // DAY_NS
    mark = position_floats[p, P_MARK]
    lots = whole_lots(quantity, position_floats[p, P_LOT])
    reduce_only, clears = flags & REDUCES, flags & CLEARS != 0
    refusal = check_order(
        cells, orders, order_floats, positions, position_floats, rules, p, side, kind, lots, reduce_only != 0, clears, limit, stop,
        amount, fraction, mark, time,
    )  # fmt: skip
    cells[X_REFUSAL] = refusal
    if refusal != 0:
        cells[C_REFUSED] += 1
        at = new_record(cells, records, REFUSED)
        records[at, R_TIME] = time
        records[at, R_SYMBOL] = positions[p, P_SYMBOL]
        records[at, R_SIDE] = side
        records[at, R_LOTS] = lots
        records[at, R_A] = refusal
        records[at, R_B] = kind
        record_floats[at, R_PRICE] = last
        record_floats[at, R_F1] = quantity
        return np.int64(0)
    count_order(cells, time)
    if side < 0 and rules[K_ALLOW_SHORT] == 0.0:
        reduce_only = np.int64(1)
    latency = np.int64(rules[K_LATENCY_NS])
    state = WAITING if rules[K_BOOK] != 0.0 else WORKING
    i = add_order(
        cells, orders, order_floats, positions, p, side, kind, tif, lots, limit, stop, amount, fraction, reduce_only, group, 0, 0,
        state, time + latency, expires, np.nan,
    )  # fmt: skip
    orders[i, O_CREATED] = time
    identity = orders[i, O_ID]
    record_intent(cells, orders, order_floats, positions, records, record_floats, i, time, last)
    if kind == MARKET and rules[K_FILL_CLOSE] != 0.0 and last_is_now and latency == 0:
        order_floats[i, O_AT] = last
        order_floats[i, O_SPREAD] = look_at_bar(
            cells, positions, position_floats, rules, floats, base, close_time, stream, row, p, time
        )
        if state == WORKING:
            orders[i, O_AT_CLOSE] = 1
            cells[C_AT_CLOSE] += 1
    for role in range(1, 3):
        price = stop_loss if role == 1 else take_profit
        if price == price:
            j = add_order(
                cells, orders, order_floats, positions, p, -side, STOP if role == 1 else LIMIT, GTC, 0,
                np.nan if role == 1 else price, price if role == 1 else np.nan, np.nan, np.nan, 1, -identity, identity, role,
                HELD, time + latency, NEVER, np.nan,
            )  # fmt: skip
            orders[j, O_CREATED] = time
            record_intent(cells, orders, order_floats, positions, records, record_floats, j, time, last)
    if clears and state == WAITING:
        orders[i, O_CLEARS] = 1
    elif clears:
        clear_others(cells, orders, positions, records, i, time, latency)
    cells[X_HORIZON] = FIRST_HORIZON
    cells[X_EVENT] = first_after(event_time, first_event, events, time)
    return identity
