"""The ledger's kernels: what a fill, a bar and a day do to positions and money."""

from __future__ import annotations

import numpy as np

from stratd.core.kernel import kernel
from stratd.portfolio.cells import (
    C_CASH,
    C_CHARGED,
    C_FEES,
    C_FILL_COUNT,
    C_FINANCING,
    C_GROSS,
    C_LOSSES,
    C_LOTS,
    C_OPEN,
    C_POSITIONS,
    C_REALISED,
    C_RECORDS,
    C_TRADE_COUNT,
    C_TURNOVER,
    C_TURNOVER_HIGH,
    C_VALUE,
    CHARGE,
    K_BORROW,
    K_FINANCING,
    L_COST,
    L_LOTS,
    L_PLACE,
    P_COST,
    P_FEES,
    P_LOT,
    P_LOTS,
    P_MARK,
    P_REALISED,
    P_SYMBOL,
    P_VALUE,
    R_A,
    R_B,
    R_C,
    R_COLUMNS,
    R_D,
    R_F1,
    R_F2,
    R_KIND,
    R_LOTS,
    R_MONEY,
    R_PRICE,
    R_SIDE,
    R_SYMBOL,
    R_TIME,
    T_BARS,
    T_BEST,
    T_ENTRY,
    T_FEES,
    T_FRESH,
    T_IN_LOTS,
    T_IN_MONEY,
    T_OUT_MONEY,
    T_PNL,
    T_WORST,
    TRADE,
    TURNOVER_CARRY,
    UNITS,
)

MOST = 9.0e18  # units of money: int64 holds a little more


@kernel("i8(f8, f8)")
def money(price, quantity):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """Price times quantity in units of money, to the nearest one, halves to even; at most `MOST`, so that nothing wraps."""
    return np.int64(np.rint(min(price * quantity * UNITS, MOST)))


@kernel("i8(i8[:], i8[:,:], i8)")
def new_record(cells, records, kind):  # type: ignore[no-untyped-def]
    """Begin a record. Returns its row."""
    at = cells[C_RECORDS]
    cells[C_RECORDS] += 1
    for column in range(R_COLUMNS):
        records[at, column] = 0
    records[at, R_KIND] = kind
    return at


@kernel("i8(i8, f8, f8)")
def worth(lots, lot, price):  # type: ignore[no-untyped-def]
    """What signed lots would bring at a price, in units of money."""
    return money(price, lots * lot) if lots >= 0 else -money(price, -lots * lot)


@kernel("i8(i8[:,:], f8[:,:], i8, f8)")
def unrealised(positions, position_floats, p, price):  # type: ignore[no-untyped-def]
    """What a position would bring at a price, less what it cost."""
    return worth(positions[p, P_LOTS], position_floats[p, P_LOT], price) - positions[p, P_COST]


@kernel("void(i8[:,:], i8, i8)")
def excursion(positions, p, pnl):  # type: ignore[no-untyped-def]
    """The trade has come to `pnl` on its way."""
    if pnl < positions[p, T_WORST]:
        positions[p, T_WORST] = pnl
    if pnl > positions[p, T_BEST]:
        positions[p, T_BEST] = pnl


@kernel("void(i8[:], i8[:,:], f8[:,:], i8)")
def revalue(cells, positions, position_floats, p):  # type: ignore[no-untyped-def]
    """Value a position at its last close, and the account's sums with it."""
    before = positions[p, P_VALUE]
    value = unrealised(positions, position_floats, p, position_floats[p, P_MARK]) + positions[p, P_COST]
    positions[p, P_VALUE] = value
    cells[C_VALUE] += value - before
    cells[C_GROSS] += abs(value) - abs(before)


@kernel("i8(i8[:], i8[:,:], i8[:,:], i8, i8, b1)")
def take_cost(cells, positions, held, p, lots, fifo):  # type: ignore[no-untyped-def]
    """The cost of `lots` that are closed, taken off the lots that are held (not off the position)."""
    all_lots = abs(positions[p, P_LOTS])
    cost = positions[p, P_COST]
    if not fifo:
        return cost if lots == all_lots else np.int64(np.rint(cost * (lots / all_lots)))
    taken = np.int64(0)
    left = lots
    kept = np.int64(0)
    for i in range(cells[C_LOTS]):
        if held[i, L_PLACE] == p and left > 0:
            if held[i, L_LOTS] <= left:
                left -= held[i, L_LOTS]
                taken += held[i, L_COST]
                continue
            part = np.int64(np.rint(held[i, L_COST] * (left / held[i, L_LOTS])))
            held[i, L_LOTS] -= left
            held[i, L_COST] -= part
            taken += part
            left = 0
        for column in range(held.shape[1]):
            held[kept, column] = held[i, column]
        kept += 1
    cells[C_LOTS] = kept
    return taken


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8, i8, i8)")
def end_trade(cells, positions, position_floats, records, record_floats, p, direction, time):  # type: ignore[no-untyped-def]
    """The position is flat: its round trip is a record."""
    if positions[p, T_FRESH] != 0:
        positions[p, T_BARS] += 1  # it ends in the bar in which it began, which counts
    lot = position_floats[p, P_LOT]
    quantity = positions[p, T_IN_LOTS] * lot * UNITS
    at = new_record(cells, records, TRADE)
    records[at, R_TIME] = time
    records[at, R_SYMBOL] = positions[p, P_SYMBOL]
    records[at, R_SIDE] = direction
    records[at, R_LOTS] = positions[p, T_IN_LOTS]
    records[at, R_MONEY] = positions[p, T_PNL]
    records[at, R_A] = positions[p, T_ENTRY]
    records[at, R_B] = positions[p, T_FEES]
    records[at, R_C] = positions[p, T_WORST]
    records[at, R_D] = positions[p, T_BEST]
    record_floats[at, R_PRICE] = position_floats[p, T_IN_MONEY] / quantity
    record_floats[at, R_F1] = position_floats[p, T_OUT_MONEY] / quantity
    record_floats[at, R_F2] = positions[p, T_BARS]
    cells[C_TRADE_COUNT] += 1
    cells[C_OPEN] -= 1
    if positions[p, T_PNL] - positions[p, T_FEES] < 0:
        cells[C_LOSSES] += 1
    else:
        cells[C_LOSSES] = 0


@kernel("void(i8[:], i8[:,:], f8[:,:], i8[:,:], i8[:,:], f8[:,:], i8, i8, i8, f8, i8, i8, i8, b1)")
def book_fill(  # type: ignore[no-untyped-def]
    cells, positions, position_floats, held, records, record_floats, p, side, lots, price, fee, time, fresh, fifo
):
    """Book a fill: cash, position, realised PnL, and the round trip.

    Args:
        side: 1 buys, -1 sells.
        lots: above zero.
        fee: in units of money.
        fresh: 1 where it happened at a bar's open, 2 where within it.
    """
    lot = position_floats[p, P_LOT]
    before = positions[p, P_LOTS]
    closing = min(lots, abs(before)) if before * side < 0 else np.int64(0)
    opening = lots - closing
    notional = money(price, lots * lot)
    closed = notional if opening == 0 else (money(price, closing * lot) if closing > 0 else np.int64(0))
    cells[C_TURNOVER] += notional
    if cells[C_TURNOVER] >= TURNOVER_CARRY:  # a busy year's sum is more than int64 holds
        cells[C_TURNOVER_HIGH] += cells[C_TURNOVER] // TURNOVER_CARRY
        cells[C_TURNOVER] %= TURNOVER_CARRY
    cells[C_CASH] -= side * notional + fee
    cells[C_FEES] += fee
    cells[C_FILL_COUNT] += 1
    positions[p, P_FEES] += fee
    fee_closed = fee if opening == 0 else (np.int64(np.rint(fee * (closing / lots))) if closing > 0 else np.int64(0))
    if closing > 0:
        direction = np.int64(1) if before > 0 else np.int64(-1)
        excursion(positions, p, unrealised(positions, position_floats, p, price))
        cost = take_cost(cells, positions, held, p, closing, fifo)
        pnl = direction * closed - cost
        positions[p, P_COST] -= cost
        positions[p, P_LOTS] += side * closing
        positions[p, P_REALISED] += pnl
        cells[C_REALISED] += pnl
        positions[p, T_PNL] += pnl
        position_floats[p, T_OUT_MONEY] += closed
        positions[p, T_FEES] += fee_closed
        if positions[p, P_LOTS] == 0:
            end_trade(cells, positions, position_floats, records, record_floats, p, direction, time)
    if opening > 0:
        if positions[p, P_LOTS] == 0:
            for column in range(T_ENTRY, T_FRESH):
                positions[p, column] = 0
            position_floats[p, T_IN_MONEY] = 0.0
            position_floats[p, T_OUT_MONEY] = 0.0
            positions[p, T_ENTRY] = time
            positions[p, T_FRESH] = fresh
            cells[C_OPEN] += 1
        opened = notional - closed
        positions[p, P_COST] += side * opened
        positions[p, P_LOTS] += side * opening
        positions[p, T_IN_LOTS] += opening
        position_floats[p, T_IN_MONEY] += opened
        positions[p, T_FEES] += fee - fee_closed
        if fifo:
            at = cells[C_LOTS]
            cells[C_LOTS] += 1
            held[at, L_PLACE] = p
            held[at, L_LOTS] = opening
            held[at, L_COST] = side * opened
    revalue(cells, positions, position_floats, p)


@kernel("void(i8[:], i8[:,:], i8[:,:], ro f8[:], i8, i8)")
def charge_days(cells, positions, records, rules, day, time):  # type: ignore[no-untyped-def]
    """Charge borrow and financing for the days since the last charge, up to `day`."""
    days = day - cells[C_CHARGED]
    cells[C_CHARGED] = day
    if rules[K_BORROW] > 0.0:
        for p in range(cells[C_POSITIONS]):
            if positions[p, P_LOTS] < 0:
                amount = np.int64(np.rint(-positions[p, P_VALUE] * rules[K_BORROW] / 365.0 * days))
                if amount == 0:
                    continue
                cells[C_CASH] -= amount
                cells[C_FINANCING] += amount
                at = new_record(cells, records, CHARGE)
                records[at, R_TIME] = time
                records[at, R_SYMBOL] = positions[p, P_SYMBOL]
                records[at, R_MONEY] = amount
                records[at, R_A] = days
                records[at, R_B] = 1
    if rules[K_FINANCING] > 0.0 and cells[C_CASH] < 0:
        amount = np.int64(np.rint(-cells[C_CASH] * rules[K_FINANCING] / 365.0 * days))
        if amount == 0:
            return
        cells[C_CASH] -= amount
        cells[C_FINANCING] += amount
        at = new_record(cells, records, CHARGE)
        records[at, R_TIME] = time
        records[at, R_SYMBOL] = -1
        records[at, R_MONEY] = amount
        records[at, R_A] = days
        records[at, R_B] = 2
