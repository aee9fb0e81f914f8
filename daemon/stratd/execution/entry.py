"""The kernels by which Python moves an account: those of stepping.py, with one table of addresses in place of all arrays.

An account and its window are twenty arrays. An order is two calls, and to give the arrays to a call would cost more than what most
calls do with them (see core/addresses.py).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from stratd.core.addresses import array_of, f8_at, i4_at, i8_at, u1_at
from stratd.core.kernel import Intrinsic, kernel
from stratd.execution.stepping import AT_ROOM, MARKET_ARGUMENTS, advance, bring_to, submit
from stratd.portfolio.cells import (
    C_CASH,
    C_TIME,
    C_VALUE,
    GTC,
    MARKET,
    NEVER,
    P_LOT,
    P_LOTS,
    P_WORKING,
    X_AHEAD,
    X_STOPPED,
)

# Cells of the table: where the arrays are.
_CELLS: Final = 0
_ORDERS: Final = 1
_ORDER_FLOATS: Final = 2
_POSITIONS: Final = 3
_POSITION_FLOATS: Final = 4
_HELD: Final = 5
_RECORDS: Final = 6
_POINTS: Final = 7
_RULES: Final = 8
_PLACE_OF: Final = 9
_OWN: Final = 10
_DAYS: Final = 11
_FLOATS: Final = 12
_COUNTS: Final = 13
_BASE: Final = 14
_CLOSE_TIME: Final = 15
_STREAM: Final = 16
_ROW: Final = 17
_EVENT_TIME: Final = 18
# How long they are, in each dimension. Some share a length.
_CELL_COUNT: Final = 19
_ORDER_ROWS: Final = 20
_ORDER_COLUMNS: Final = 21
_ORDER_FLOAT_COLUMNS: Final = 22
_POSITION_ROWS: Final = 23
_POSITION_COLUMNS: Final = 24
_POSITION_FLOAT_COLUMNS: Final = 25
_HELD_ROWS: Final = 26
_HELD_COLUMNS: Final = 27
_RECORD_ROWS: Final = 28
_RECORD_COLUMNS: Final = 29
_POINT_ROWS: Final = 30
_RULE_COUNT: Final = 31
_SYMBOLS: Final = 32
_STREAMS: Final = 33
_DAY_COUNT: Final = 34
_FIELDS: Final = 35
_COUNT_FIELDS: Final = 36
_ROWS_OF_FRAME: Final = 37
_INTERVALS: Final = 38
_ENTRIES: Final = 39
_EVENT_COUNT: Final = 40
# Plain numbers of the window.
_PUBLISHED: Final = 41
_EVENTS: Final = 42
# What `stand_at` has found.
LOTS: Final = 43  # held, signed
ROWS: Final = 44  # of orders
EQUITY: Final = 45  # in units of money
TABLE_CELLS: Final = 46


@kernel(f"void({MARKET_ARGUMENTS}, i8, i8[:])")
def note_addresses(  # type: ignore[no-untyped-def]  # the kernel signature is its type
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
    published,
    event_time,
    events,
    table,
):
    """Write where the arrays are into `table`, int64[TABLE_CELLS]. To be called again whenever one of them is another."""
    table[_CELLS] = cells.ctypes.data
    table[_ORDERS] = orders.ctypes.data
    table[_ORDER_FLOATS] = order_floats.ctypes.data
    table[_POSITIONS] = positions.ctypes.data
    table[_POSITION_FLOATS] = position_floats.ctypes.data
    table[_HELD] = held.ctypes.data
    table[_RECORDS] = records.ctypes.data
    table[_POINTS] = points.ctypes.data
    table[_RULES] = rules.ctypes.data
    table[_PLACE_OF] = place_of.ctypes.data
    table[_OWN] = own.ctypes.data
    table[_DAYS] = days.ctypes.data
    table[_FLOATS] = floats.ctypes.data
    table[_COUNTS] = counts.ctypes.data
    table[_BASE] = base.ctypes.data
    table[_CLOSE_TIME] = close_time.ctypes.data
    table[_STREAM] = stream.ctypes.data
    table[_ROW] = row.ctypes.data
    table[_EVENT_TIME] = event_time.ctypes.data
    table[_CELL_COUNT] = cells.shape[0]
    table[_ORDER_ROWS], table[_ORDER_COLUMNS] = orders.shape
    table[_ORDER_FLOAT_COLUMNS] = order_floats.shape[1]
    table[_POSITION_ROWS], table[_POSITION_COLUMNS] = positions.shape
    table[_POSITION_FLOAT_COLUMNS] = position_floats.shape[1]
    table[_HELD_ROWS], table[_HELD_COLUMNS] = held.shape
    table[_RECORD_ROWS], table[_RECORD_COLUMNS] = records.shape
    table[_POINT_ROWS] = points.shape[0]
    table[_RULE_COUNT] = rules.shape[0]
    table[_SYMBOLS] = place_of.shape[0]
    table[_STREAMS] = own.shape[0]
    table[_DAY_COUNT] = days.shape[0]
    table[_FIELDS], _, table[_ROWS_OF_FRAME] = floats.shape
    table[_COUNT_FIELDS] = counts.shape[0]
    table[_INTERVALS] = base.shape[0]
    table[_ENTRIES] = close_time.shape[0]
    table[_EVENT_COUNT] = event_time.shape[0]
    table[_PUBLISHED] = published
    table[_EVENTS] = events


def _build_arrays() -> Any:
    """What makes a table's arrays: those of MARKET_ARGUMENTS."""
    import numba

    array, i8, i4, u1, f8 = (one.load() for one in (array_of, i8_at, i4_at, u1_at, f8_at))

    def arrays(t):  # type: ignore[no-untyped-def]
        if t[_CELLS] == 0:
            raise ValueError("the account has no window yet: its table of addresses is empty")
        symbols, rows, entries = t[_SYMBOLS], t[_ROWS_OF_FRAME], t[_ENTRIES]
        return (
            array(i8(t[_CELLS]), (t[_CELL_COUNT],)),
            array(i8(t[_ORDERS]), (t[_ORDER_ROWS], t[_ORDER_COLUMNS])),
            array(f8(t[_ORDER_FLOATS]), (t[_ORDER_ROWS], t[_ORDER_FLOAT_COLUMNS])),
            array(i8(t[_POSITIONS]), (t[_POSITION_ROWS], t[_POSITION_COLUMNS])),
            array(f8(t[_POSITION_FLOATS]), (t[_POSITION_ROWS], t[_POSITION_FLOAT_COLUMNS])),
            array(i8(t[_HELD]), (t[_HELD_ROWS], t[_HELD_COLUMNS])),
            array(i8(t[_RECORDS]), (t[_RECORD_ROWS], t[_RECORD_COLUMNS])),
            array(f8(t[_RECORDS]), (t[_RECORD_ROWS], t[_RECORD_COLUMNS])),
            array(i8(t[_POINTS]), (t[_POINT_ROWS], 2)),
            array(f8(t[_RULES]), (t[_RULE_COUNT],)),
            array(i4(t[_PLACE_OF]), (symbols,)),
            array(u1(t[_OWN]), (t[_STREAMS],)),
            array(i8(t[_DAYS]), (t[_DAY_COUNT],)),
            array(f8(t[_FLOATS]), (t[_FIELDS], symbols, rows)),
            array(i4(t[_COUNTS]), (t[_COUNT_FIELDS], symbols, rows)),
            array(i8(t[_BASE]), (t[_INTERVALS], symbols)),
            array(i8(t[_CLOSE_TIME]), (entries,)),
            array(i4(t[_STREAM]), (entries,)),
            array(i8(t[_ROW]), (entries,)),
            array(i8(t[_EVENT_TIME]), (t[_EVENT_COUNT],)),
        )

    return numba.njit(arrays)


arrays_of = Intrinsic(_build_arrays)


@kernel("void(i8[:], i8, i8, b1)")
def advance_at(table, first_event, limit_time, ahead):  # type: ignore[no-untyped-def]
    """`advance`, on the arrays of a table that `note_addresses` has filled in."""
    (
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, event_time,
    ) = arrays_of(table)  # fmt: skip
    advance(
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, table[_PUBLISHED], event_time, first_event, table[_EVENTS], limit_time, ahead,
    )  # fmt: skip


@kernel("b1(i8[:], i8, i8)")
def stand_at(table, symbol, time):  # type: ignore[no-untyped-def]
    """Bring the account to the strategy's own event at `time`, and see where it stands in a symbol (`LOTS` and the next two).

    Returns:
        Whether it has come there. If not, tables must grow first.
    """
    (
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, _,
    ) = arrays_of(table)  # fmt: skip
    if cells[X_AHEAD] != 0 or cells[C_TIME] < time:
        bring_to(
            cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own,
            days, floats, counts, base, close_time, stream, row, table[_PUBLISHED], time,
        )  # fmt: skip
        if cells[X_STOPPED] == AT_ROOM:
            return False
    p = place_of[symbol]
    table[LOTS] = positions[p, P_LOTS] if p >= 0 else 0
    table[ROWS] = positions[p, P_WORKING] if p >= 0 else 0
    table[EQUITY] = cells[C_CASH] + cells[C_VALUE]
    return True


@kernel("i8(i8[:], i8, i8, i8, i8, f8, f8, b1)")
def follow_at(table, first_event, time, symbol, side, quantity, last, last_is_now):  # type: ignore[no-untyped-def]
    """What most signals come to, in one call: a market order that enters where nothing is held, or leaves what is held.

    Args:
        side: 1 buys, -1 sells `quantity` units; 0 leaves.

    Returns:
        As `submit`; -1 also where it is another case: orders work already, the symbol is new, something is held, or nothing to leave.
    """
    (
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, event_time,
    ) = arrays_of(table)  # fmt: skip
    p = np.int64(place_of[symbol])
    if p < 0:
        return np.int64(-1)
    bring_to(
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, table[_PUBLISHED], time,
    )  # fmt: skip
    lots = positions[p, P_LOTS]
    if cells[X_STOPPED] == AT_ROOM or positions[p, P_WORKING] != 0 or (lots == 0) == (side == 0):
        return np.int64(-1)
    leaves = np.int64(side == 0)
    if leaves != 0:
        side = np.int64(-1) if lots > 0 else np.int64(1)
        quantity = abs(lots) * position_floats[p, P_LOT]
    return submit(
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, table[_PUBLISHED], event_time, first_event, table[_EVENTS], time, p, side,
        MARKET, GTC, quantity, np.nan, np.nan, np.nan, np.nan, leaves, 0, NEVER, np.nan, np.nan, last, last_is_now,
    )  # fmt: skip


@kernel("i8(i8[:], i8, i8, i8, i8, i8, i8, f8, f8, f8, f8, f8, i8, i8, i8, f8, f8, f8, b1)")
def submit_at(  # type: ignore[no-untyped-def]
    table,
    first_event,
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
    """`submit`, on the arrays of a table that `note_addresses` has filled in."""
    (
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, event_time,
    ) = arrays_of(table)  # fmt: skip
    return submit(
        cells, orders, order_floats, positions, position_floats, held, records, record_floats, points, rules, place_of, own, days,
        floats, counts, base, close_time, stream, row, table[_PUBLISHED], event_time, first_event, table[_EVENTS], time, p, side,
        kind, tif, quantity, limit, stop, amount, fraction, flags, group, expires, stop_loss, take_profit, last, last_is_now,
    )  # fmt: skip
