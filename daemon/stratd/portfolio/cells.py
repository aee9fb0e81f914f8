"""Where the kernels find an account's numbers: columns of its tables.

An account is a handful of tables that one kernel call works on: `cells` (int64[C_CELLS] twice: the second half is the copy that a run
ahead is taken back to), orders, positions and lots (each int64 and float64, rows twice likewise). Money is int64 in units
of 1e-8; quantities are whole lots; times are ns UTC.
"""

from __future__ import annotations

from typing import Final

UNITS: Final = 1e8  # units of money in 1.00
DAY_NS: Final = 86_400_000_000_000
BAR_NS: Final = 60_000_000_000
NEVER: Final = 2**62

LAYOUT: Final = 2
"""Of all the tables below, as checkpoints keep them: to be raised whenever a column comes, goes or means something else."""

# Cells of an account.
C_CASH: Final = 0
C_REALISED: Final = 1
C_FEES: Final = 2
C_FINANCING: Final = 3  # borrow and financing paid
C_VALUE: Final = 4  # sum of positions at their last closes, signed
C_GROSS: Final = 5  # the same, without signs
C_PEAK: Final = 6  # highest equity so far
C_DAY_START: Final = 7  # equity at the start of the day
C_DAY: Final = 8  # the day's index among the days' starts
C_LOSSES: Final = 9  # losing trades in a row
C_STATE: Final = 10
C_CHARGED: Final = 11  # UTC day up to which borrow and financing are paid
C_ORDERS: Final = 12  # rows in use
C_POSITIONS: Final = 13
C_LOTS: Final = 14
C_NEXT_ID: Final = 15
C_MINUTE: Final = 16  # UTC minute of the last order
C_MINUTE_ORDERS: Final = 17
C_CURSOR: Final = 18  # next entry of the segment
C_TIME: Final = 19  # steps up to here are done
C_RECORDS: Final = 20
C_POINTS: Final = 21
C_ORDER_COUNT: Final = 22  # let through, ever
C_FILL_COUNT: Final = 23
C_TRADE_COUNT: Final = 24
C_REFUSED: Final = 25
C_OPEN: Final = 26  # positions that are not flat
C_EXPIRE: Final = 27  # the earliest end of an order
C_AT_CLOSE: Final = 28  # orders that wait for the close they were decided on
C_TURNOVER: Final = 29  # notional of all fills, below TURNOVER_CARRY
C_HELD_STEPS: Final = 30  # recorded steps with a position
C_STEPS: Final = 31  # recorded steps
C_ENDED: Final = 32  # rows of orders that have ended and are still in the table
C_SOLD_OUT: Final = 33  # the state's reason
C_FILLED: Final = 34  # 1: something filled at a close since the last step
C_TURNOVER_HIGH: Final = 35  # times that TURNOVER_CARRY was carried
C_CELLS: Final = 40

TURNOVER_CARRY: Final = 10**18

# What a call says of itself: behind the two copies of the cells.
X_EVENT: Final = 2 * C_CELLS  # index of the event that the strategy has to be stopped at
X_AHEAD: Final = 2 * C_CELLS + 1  # 1: the state has run ahead of the strategy
X_STOPPED: Final = 2 * C_CELLS + 2  # why the stepping stopped
X_HORIZON: Final = 2 * C_CELLS + 3  # entries to run ahead
X_REFUSAL: Final = 2 * C_CELLS + 4
X_LEFT: Final = 2 * C_CELLS + 5  # lots that the bar at hand still has for the account; -1: no bound
X_TAKEN: Final = 2 * C_CELLS + 6  # records that have been taken away
CELLS: Final = 2 * C_CELLS + 8

# Trading states.
ACTIVE: Final = 0
REDUCING: Final = 1
STATE_HALTED: Final = 2

# Orders, int64.
O_ID: Final = 0
O_PLACE: Final = 1  # row of its position
O_SIDE: Final = 2  # 1 buys, -1 sells
O_KIND: Final = 3
O_TIF: Final = 4
O_STATE: Final = 5
O_LOTS: Final = 6
O_FILLED: Final = 7
O_REDUCE: Final = 8
O_PARENT: Final = 9
O_GROUP: Final = 10
O_ELIGIBLE: Final = 11
O_EXPIRE: Final = 12
O_CREATED: Final = 13
O_FILLS: Final = 14
O_OUTSIDE: Final = 15  # lots that did not cross: what commission is for
O_TRIGGERED: Final = 16
O_ACTIVE: Final = 17  # phase in which it was activated in the bar at hand, + 1; 0: before the bar
O_CANCEL_AT: Final = 18
O_CHANGES: Final = 19  # amendments under way, each a row of state CHANGING
O_TAKEN: Final = 20  # lots that others of its group have filled
O_CROSSED: Final = 21  # lots that cross with another strategy's
O_SEEN: Final = 22  # whether it has had an eligible bar
O_ROLE: Final = 23  # 1: stop-loss of a bracket, 2: take-profit
O_MADE: Final = 24  # notional so far; of an amendment under way: lots that it adds
O_AT_CLOSE: Final = 25  # fills at the close that it was decided on
O_ENTERED: Final = 26  # whether it has opened or enlarged a position
O_LATE: Final = 27  # lots that a child was given within the bar at hand
O_SPARE: Final = 28  # of these, lots that the phase at hand is not for
O_CLEARS: Final = 29  # the position's other orders are cancelled when the book lets it through
O_COLUMNS: Final = 30
# Orders, float64.
O_LIMIT: Final = 0
O_STOP: Final = 1
O_AMOUNT: Final = 2
O_FRACTION: Final = 3
O_REFERENCE: Final = 4  # best price so far, of a trailing stop
O_AT: Final = 5  # price at which it was activated in mid-bar, or the close on which it was decided
O_SPREAD: Final = 6  # high - low of the bar of that close
O_FLOATS: Final = 7

# Positions, int64.
P_SYMBOL: Final = 0
P_LOTS: Final = 1
P_COST: Final = 2
P_REALISED: Final = 3
P_FEES: Final = 4
P_VALUE: Final = 5
P_WORKING: Final = 6  # rows of its orders
T_ENTRY: Final = 7  # the round trip: time of its first fill
T_IN_LOTS: Final = 8
T_ENTRIES: Final = 9  # orders that opened it
T_PNL: Final = 10
T_FEES: Final = 11
T_BARS: Final = 12
T_WORST: Final = 13
T_BEST: Final = 14
T_FRESH: Final = 15  # entered in the bar at hand: 1 at its open, 2 later
P_LEFT: Final = 16  # lots that the last bar still has for the account at its close; -1: no bound
P_LEFT_TIME: Final = 17  # close time of that bar
P_BUYING: Final = 18  # lots of open orders that may open or enlarge: scratch of open_increase
P_SELLING: Final = 19
P_COLUMNS: Final = 20
# Positions, float64.
P_MARK: Final = 0
P_TICK: Final = 1
P_LOT: Final = 2
P_MIN_NOTIONAL: Final = 3
P_SPREAD: Final = 4  # high - low of the last bar
T_IN_MONEY: Final = 5  # of the round trip, in units of money: only for its average prices, so float64 will do and cannot overflow
T_OUT_MONEY: Final = 6
P_FLOATS: Final = 7

# Lots held, int64, oldest first (FIFO only).
L_PLACE: Final = 0
L_LOTS: Final = 1
L_COST: Final = 2
L_COLUMNS: Final = 3

# Rules and limits, float64.
K_FILL_CLOSE: Final = 0
K_LATENCY_NS: Final = 1
K_OPTIMISTIC: Final = 2
K_TOUCH: Final = 3
K_PARTICIPATION: Final = 4
K_ALLOW_SHORT: Final = 5
K_FIFO: Final = 6
K_LEVERAGE: Final = 7
K_BORROW: Final = 8
K_FINANCING: Final = 9
K_SEED: Final = 10
K_BPS: Final = 11
K_TICKS: Final = 12
K_RANGE: Final = 13
K_RANDOM_BPS: Final = 14
K_PER_SHARE: Final = 15
K_MINIMUM: Final = 16
K_TAKER_BPS: Final = 17
K_MAKER_BPS: Final = 18
K_PER_ORDER: Final = 19
K_POSITION_QUANTITY: Final = 20
K_POSITION_NOTIONAL: Final = 21
K_ORDER_QUANTITY: Final = 22
K_ORDER_NOTIONAL: Final = 23
K_RATE: Final = 24
K_BAND: Final = 25
K_DUPLICATES: Final = 26
K_DAILY: Final = 27
K_DAILY_STATE: Final = 28
K_DRAWDOWN: Final = 29
K_DRAWDOWN_STATE: Final = 30
K_CONSECUTIVE: Final = 31
K_CONSECUTIVE_STATE: Final = 32
K_EXPOSURE: Final = 33
K_EXPOSURE_STATE: Final = 34
K_BOOK: Final = 35  # 1: the book decides on orders at the end of the step
K_CELLS: Final = 36

# Records: int64 columns, of which the last are float64 bits.
R_KIND: Final = 0
R_TIME: Final = 1
R_ORDER: Final = 2
R_SYMBOL: Final = 3
R_SIDE: Final = 4
R_LOTS: Final = 5
R_MONEY: Final = 6
R_A: Final = 7
R_B: Final = 8
R_C: Final = 9
R_D: Final = 10
R_PRICE: Final = 11  # float64 from here
R_F1: Final = 12
R_F2: Final = 13
R_F3: Final = 14
R_F4: Final = 15
R_COLUMNS: Final = 16

# Kinds of records.
INTENT: Final = 1
REFUSED: Final = 2
FILL: Final = 3
ENDED: Final = 4
TRADE: Final = 5
RISK: Final = 6
CHARGE: Final = 7
CANCEL: Final = 8
AMEND: Final = 9

# Kinds of orders, and how long they work, as in model/order.py.
MARKET: Final = 0
LIMIT: Final = 1
STOP: Final = 2
STOP_LIMIT: Final = 3
TRAILING: Final = 4
GTC: Final = 0
DAY: Final = 1
IOC: Final = 2
FOK: Final = 3

# What an order is, besides.
REDUCES: Final = 1  # it may only reduce
CLEARS: Final = 2  # where it is let through, the other orders of its symbol are cancelled

# States of orders in the table.
HELD: Final = 0
WAITING: Final = 1  # for the book
WORKING: Final = 2
PARTIAL: Final = 3
FILLED: Final = 4
CANCELLED: Final = 5
EXPIRED: Final = 6
REJECTED: Final = 7
REFUSED_BY_BOOK: Final = 8
CHANGING: Final = 9  # no order: an amendment that has not arrived, with its order's id, and NaN or -1 for what stays

# Why an order ended.
BY_STRATEGY: Final = 1
BY_OCO: Final = 2
BY_PARENT: Final = 3
BY_NOTHING_LEFT: Final = 4
BY_TIME_IN_FORCE: Final = 5
BY_HALT: Final = 6
BY_END: Final = 7
BY_KILL_SWITCH: Final = 8
BY_BOOK: Final = 9
BY_PERSON_RESTART: Final = 10

# Limits that lead to a state.
BY_DAILY_LOSS: Final = 1
BY_DRAWDOWN: Final = 2
BY_CONSECUTIVE_LOSSES: Final = 3
BY_EXPOSURE: Final = 4
BY_BOOK_RISK: Final = 5
BY_PERSON: Final = 6
BY_SIZE: Final = 7
