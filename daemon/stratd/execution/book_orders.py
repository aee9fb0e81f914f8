"""Kernels of the book: orders that wait for its decision, and market orders that cross between strategies. ADR 0010 has the rules."""

from __future__ import annotations

from typing import Final

import numpy as np

from stratd.core.kernel import kernel
from stratd.execution.matching import clear_others, end_order
from stratd.model import Refusal
from stratd.portfolio.cells import (
    BAR_NS,
    BY_BOOK,
    C_AT_CLOSE,
    C_CELLS,
    C_FILL_COUNT,
    C_ORDER_COUNT,
    C_ORDERS,
    C_RECORDS,
    C_REFUSED,
    C_TIME,
    K_ALLOW_SHORT,
    K_BAND,
    K_FILL_CLOSE,
    K_LATENCY_NS,
    K_ORDER_NOTIONAL,
    K_ORDER_QUANTITY,
    K_PARTICIPATION,
    K_POSITION_NOTIONAL,
    K_POSITION_QUANTITY,
    K_RATE,
    MARKET,
    NEVER,
    O_AT,
    O_AT_CLOSE,
    O_CANCEL_AT,
    O_CHANGES,
    O_CLEARS,
    O_CREATED,
    O_ELIGIBLE,
    O_EXPIRE,
    O_FILLED,
    O_GROUP,
    O_KIND,
    O_LIMIT,
    O_LOTS,
    O_PLACE,
    O_REDUCE,
    O_SIDE,
    O_STATE,
    O_STOP,
    P_LOT,
    P_LOTS,
    P_MARK,
    P_SYMBOL,
    PARTIAL,
    R_D,
    REDUCING,
    REFUSED_BY_BOOK,
    STATE_HALTED,
    UNITS,
    WAITING,
    WORKING,
    X_AHEAD,
)
from stratd.portfolio.ledger import money
from stratd.risk.checks import REASONS, outside

HALTED: Final = 1 + REASONS.index(Refusal.HALTED)
ONLY_REDUCES: Final = 1 + REASONS.index(Refusal.REDUCING)
SYMBOL: Final = 1 + REASONS.index(Refusal.SYMBOL)
ORDER_QUANTITY: Final = 1 + REASONS.index(Refusal.ORDER_QUANTITY)
ORDER_NOTIONAL: Final = 1 + REASONS.index(Refusal.ORDER_NOTIONAL)
POSITION_QUANTITY: Final = 1 + REASONS.index(Refusal.POSITION_QUANTITY)
POSITION_NOTIONAL: Final = 1 + REASONS.index(Refusal.POSITION_NOTIONAL)
ORDER_RATE: Final = 1 + REASONS.index(Refusal.ORDER_RATE)
PRICE_BAND: Final = 1 + REASONS.index(Refusal.PRICE_BAND)
BUYING_POWER: Final = 1 + REASONS.index(Refusal.BUYING_POWER)

# What `changes` says.
PAST: Final = -1
FILLS: Final = 1
ORDERS: Final = 2

# Cells of the decisions of one step.
D_STATE: Final = 0  # of the book
D_MINUTE: Final = 1  # UTC minute of the last order that was let through
D_MINUTE_ORDERS: Final = 2
D_USED: Final = 3  # shared buying power in use, in units of money
D_POWER: Final = 4  # all of it; NEVER where it is not shared
D_APPROVED: Final = 5  # orders that were let through, ever
D_CELLS: Final = 6

# Columns of the market orders that may cross, int64.
M_MEMBER: Final = 0
M_ROW: Final = 1  # of the account's orders
M_SIDE: Final = 2
M_LOTS: Final = 3  # that are certain to fill
M_CROSSED: Final = 4
M_SYMBOL: Final = 5  # from here on: two orders cross only if all of these are the same
M_CREATED: Final = 6
M_MINUTE: Final = 7  # the first open at which it may fill
M_EXPIRE: Final = 8
M_RULE: Final = 9  # 0 fills at an open, 1 at a close, 2 at the close on which it was decided
M_COLUMNS: Final = 10


@kernel("i8(ro i8[:,:], ro i8[:,:], i8)")
def changes(table, seen, time):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """What has changed in accounts (their cells are rows of `table`) since their fills and orders were `seen` (int64[n, 2]).

    Returns:
        FILLS, ORDERS, both or 0; PAST if an account is beyond `time`, because a journal's past is played again.
    """
    found = np.int64(0)
    for a in range(table.shape[0]):
        at = C_CELLS if table[a, X_AHEAD] != 0 else 0
        if table[a, at + C_TIME] > time:
            return np.int64(PAST)
        if table[a, at + C_FILL_COUNT] != seen[a, 0]:
            found |= FILLS
        if table[a, at + C_ORDER_COUNT] != seen[a, 1]:
            found |= ORDERS
    return found


@kernel("b1(ro i8[:,:], ro f8[:], i8)")
def only_reduces(orders, rules, i):  # type: ignore[no-untyped-def]
    """Whether an order can never open a position."""
    return orders[i, O_REDUCE] != 0 or (orders[i, O_SIDE] < 0 and rules[K_ALLOW_SHORT] == 0.0)


@kernel("i8(ro i8[:,:], ro i8[:,:], ro f8[:], i8)")
def counted(orders, positions, rules, i):  # type: ignore[no-untyped-def]
    """Lots of an open order that count towards the net position which orders of its side may lead to.

    What rests and may only reduce does not: it is an exit, of which there are often two where only one will fill.
    """
    left = orders[i, O_LOTS] - orders[i, O_FILLED]
    if not only_reduces(orders, rules, i):
        return left
    if orders[i, O_KIND] != MARKET:
        return np.int64(0)
    return min(left, max(np.int64(0), -orders[i, O_SIDE] * positions[orders[i, O_PLACE], P_LOTS]))


@kernel("i8(ro i8[:,:], ro i8[:,:], ro f8[:], i8)")
def increase(orders, positions, rules, i):  # type: ignore[no-untyped-def]
    """Lots that an open order by itself would add to its account's position, either way."""
    if only_reduces(orders, rules, i):
        return np.int64(0)
    held = positions[orders[i, O_PLACE], P_LOTS]
    left = orders[i, O_LOTS] - orders[i, O_FILLED]
    return max(np.int64(0), abs(held + orders[i, O_SIDE] * left) - abs(held))


@kernel("void(i8[:], ro i8[:,:], ro i8[:,:], ro f8[:,:], ro f8[:], ro f8[:], i8[:,:], i8[:])")
def add_open(cells, orders, positions, position_floats, rules, closes, open_lots, book):  # type: ignore[no-untyped-def]
    """Add an account's open orders, those that the book has let through, to what all have open.

    Args:
        open_lots: int64[2, symbols], of buys and of sells.
    """
    for i in range(cells[C_ORDERS]):
        if WORKING <= orders[i, O_STATE] <= PARTIAL:
            p = orders[i, O_PLACE]
            s = positions[p, P_SYMBOL]
            last = closes[s] if closes[s] == closes[s] else position_floats[p, P_MARK]
            open_lots[0 if orders[i, O_SIDE] > 0 else 1, s] += counted(orders, positions, rules, i)
            book[D_USED] += money(last, increase(orders, positions, rules, i) * position_floats[p, P_LOT])


@kernel(
    "i8(i8[:], i8[:,:], f8[:,:], i8[:,:], f8[:,:], i8[:,:], ro f8[:], ro i8[:], i8[:,:], ro f8[:], ro u1[:], ro f8[:], i8[:], i8[:],"
    " i8)"
)
def decide(  # type: ignore[no-untyped-def]
    cells,
    orders,
    order_floats,
    positions,
    position_floats,
    records,
    rules,
    net,
    open_lots,
    closes,
    allowed,
    limits,
    book,
    reasons,
    time,
):
    """Decide on the orders of one account that wait, oldest first: each is let through, or ends.

    Args:
        net: int64[symbols], lots of all strategies together.
        open_lots: int64[2, symbols], lots of open orders; what is let through is added.
        allowed: uint8[symbols], whether the book may trade it.
        limits: as `RiskLimits.fill_cells` writes them.
        book: see `D_STATE` and so on.
        reasons: int64, refusals by number of the reason; brought up to date.

    Returns:
        How many were refused.
    """
    refused = np.int64(0)
    minute = time // BAR_NS
    for i in range(cells[C_ORDERS]):
        if orders[i, O_STATE] != WAITING:
            continue
        p = orders[i, O_PLACE]
        s = positions[p, P_SYMBOL]
        side = orders[i, O_SIDE]
        lots = orders[i, O_LOTS]
        held = positions[p, P_LOTS]
        lot = position_floats[p, P_LOT]
        last = closes[s] if closes[s] == closes[s] else position_floats[p, P_MARK]
        reduces = only_reduces(orders, rules, i)
        if not reduces and held * side < 0:
            ahead = np.int64(0)
            for j in range(cells[C_ORDERS]):
                if orders[j, O_PLACE] == p and orders[j, O_SIDE] == side and WORKING <= orders[j, O_STATE] <= PARTIAL:
                    ahead += counted(orders, positions, rules, j)
            reduces = ahead + lots <= abs(held)
        at = 0 if side > 0 else 1
        more = counted(orders, positions, rules, i)
        after = side * net[s] + open_lots[at, s] + more
        adds = money(last, increase(orders, positions, rules, i) * lot)
        reason = 0
        if book[D_STATE] == STATE_HALTED:
            reason = HALTED
        elif book[D_STATE] == REDUCING and not reduces:
            reason = ONLY_REDUCES
        elif allowed[s] == 0:
            reason = SYMBOL
        elif not reduces and lots * lot > limits[K_ORDER_QUANTITY] * (1.0 + 1e-12):
            reason = ORDER_QUANTITY
        elif not reduces and money(last, lots * lot) > limits[K_ORDER_NOTIONAL] * UNITS:
            reason = ORDER_NOTIONAL
        elif not reduces and after > 0 and after * lot > limits[K_POSITION_QUANTITY] * (1.0 + 1e-12):
            reason = POSITION_QUANTITY
        elif not reduces and after > 0 and after * lot * last > limits[K_POSITION_NOTIONAL] * (1.0 + 1e-12):
            reason = POSITION_NOTIONAL
        elif not reduces and book[D_MINUTE] == minute and book[D_MINUTE_ORDERS] >= limits[K_RATE]:
            reason = ORDER_RATE
        elif outside(order_floats[i, O_LIMIT], last, limits[K_BAND]) or outside(order_floats[i, O_STOP], last, limits[K_BAND]):
            reason = PRICE_BAND
        elif not reduces and adds > 0 and book[D_USED] + adds > book[D_POWER]:
            reason = BUYING_POWER
        if reason != 0:
            ended = cells[C_RECORDS]
            end_order(cells, orders, positions, records, i, REFUSED_BY_BOOK, BY_BOOK, time)
            records[ended, R_D] = reason
            cells[C_REFUSED] += 1
            reasons[reason] += 1
            refused += 1
            continue
        orders[i, O_STATE] = WORKING
        if orders[i, O_KIND] == MARKET and order_floats[i, O_AT] == order_floats[i, O_AT]:
            orders[i, O_AT_CLOSE] = 1
            cells[C_AT_CLOSE] += 1
        open_lots[at, s] += more
        book[D_USED] += adds
        if book[D_MINUTE] != minute:
            book[D_MINUTE] = minute
            book[D_MINUTE_ORDERS] = 0
        book[D_MINUTE_ORDERS] += 1
        book[D_APPROVED] += 1
        if orders[i, O_CLEARS] != 0:
            orders[i, O_CLEARS] = 0
            clear_others(cells, orders, positions, records, i, time, np.int64(rules[K_LATENCY_NS]))
    return refused


@kernel("i8(ro i8[:,:], ro i8[:,:], ro f8[:], i8, i8)")
def certain(orders, positions, rules, i, count):  # type: ignore[no-untyped-def]
    """Lots of a market order that are certain to fill, all in one bar, whatever that bar is like."""
    if rules[K_PARTICIPATION] > 0.0 or orders[i, O_GROUP] > 0:
        return np.int64(0)
    if orders[i, O_CANCEL_AT] != NEVER or orders[i, O_CHANGES] != 0:
        return np.int64(0)
    left = orders[i, O_LOTS] - orders[i, O_FILLED]
    if not only_reduces(orders, rules, i):
        return left
    # What it may reduce can be less by then: older orders come first at an open, all others before a close that is to come.
    at_close = rules[K_FILL_CLOSE] != 0.0 and orders[i, O_AT_CLOSE] == 0
    for j in range(count if at_close else i):
        if j != i and orders[j, O_PLACE] == orders[i, O_PLACE] and orders[j, O_STATE] <= PARTIAL:
            return np.int64(0)
    return min(left, max(np.int64(0), -orders[i, O_SIDE] * positions[orders[i, O_PLACE], P_LOTS]))


@kernel("i8(i8, i8[:], ro i8[:,:], ro f8[:,:], ro i8[:,:], ro f8[:], i8[:,:], f8[:], i8)")
def gather(member, cells, orders, order_floats, positions, rules, market, prices, count):  # type: ignore[no-untyped-def]
    """Append an account's market orders that the book has let through and that have not filled. Returns how many there are then.

    Args:
        market: int64[n, M_COLUMNS], with room for all orders; `prices` float64[n], of the close that it was decided on, or 0.
    """
    for i in range(cells[C_ORDERS]):
        if orders[i, O_STATE] != WORKING or orders[i, O_KIND] != MARKET:
            continue
        market[count, M_MEMBER] = member
        market[count, M_ROW] = i
        market[count, M_SIDE] = orders[i, O_SIDE]
        market[count, M_LOTS] = certain(orders, positions, rules, i, cells[C_ORDERS])
        market[count, M_CROSSED] = 0
        market[count, M_SYMBOL] = positions[orders[i, O_PLACE], P_SYMBOL]
        market[count, M_CREATED] = orders[i, O_CREATED]
        market[count, M_MINUTE] = (orders[i, O_ELIGIBLE] + BAR_NS - 1) // BAR_NS
        market[count, M_EXPIRE] = orders[i, O_EXPIRE]
        market[count, M_RULE] = 0 if rules[K_FILL_CLOSE] == 0.0 else 1 + orders[i, O_AT_CLOSE]
        prices[count] = order_floats[i, O_AT] if orders[i, O_AT_CLOSE] != 0 else 0.0
        count += 1
    return count


@kernel("i8(i8[:,:], ro f8[:], i8)")
def cross(market, prices, count):  # type: ignore[no-untyped-def]
    """Cross buys with sells, both in the order in which they stand. Returns how many lots."""
    total = np.int64(0)
    for i in range(count):
        if market[i, M_SIDE] < 0:
            continue
        for j in range(count):
            left = market[i, M_LOTS] - market[i, M_CROSSED]
            if left == 0:
                break
            lots = min(left, market[j, M_LOTS] - market[j, M_CROSSED])
            if market[j, M_SIDE] > 0 or lots == 0 or market[i, M_SYMBOL] != market[j, M_SYMBOL] or prices[i] != prices[j]:
                continue
            same = True
            for column in range(M_CREATED, M_COLUMNS):
                same = same and market[i, column] == market[j, column]
            if same:
                market[i, M_CROSSED] += lots
                market[j, M_CROSSED] += lots
                total += lots
    return total
