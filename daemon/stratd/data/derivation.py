"""Derivation: one compiled pass over a block that checks rows, appends them, derives longer bars, and logs what happened.

The order of what it logs is docs/adr/0001-event-order.md. The pass goes minute by minute: everything that is due up to the
minute's open is closed first, then the minute's rows are appended and folded into the open buckets of each longer
interval, then what is due at the minute's end is closed. The 1m columns are filled last, symbol by symbol. What is due is
found by comparing two numbers; symbols are only gone through when a bucket does close. All state lies in arrays, so that any
split of the input into blocks (that cuts no minute) gives the same rows and the same log.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.kernel import kernel
from stratd.data.audit import fingerprint
from stratd.data.block import BarBlock
from stratd.data.calendars import GridSet, bucket_close, bucket_open, find_phase, regular_minutes_before
from stratd.data.event_log import Segment
from stratd.data.intake import Reject
from stratd.data.session_data import SessionData
from stratd.model import BarFlags
from stratd.model.interval import MINUTE_NS

# Constants that the kernels use are plain integers: numba freezes them into the code.
MINUTE: Final = MINUTE_NS
DAY: Final = 1440 * MINUTE_NS
NEVER: Final = 2**62
OK: Final = int(Reject.USED)
UNKNOWN_SYMBOL: Final = int(Reject.UNKNOWN_SYMBOL)
MALFORMED_TIME: Final = int(Reject.MALFORMED_TIME)
MISALIGNED: Final = int(Reject.MISALIGNED_MINUTE)
FUTURE: Final = int(Reject.FUTURE_TIME)
OUTSIDE: Final = int(Reject.OUTSIDE_SESSION)
NAN: Final = int(Reject.NAN)
NON_POSITIVE: Final = int(Reject.NON_POSITIVE_PRICE)
CONTRADICTION: Final = int(Reject.OHLC_CONTRADICTION)
NEGATIVE_VOLUME: Final = int(Reject.NEGATIVE_VOLUME)
OUT_OF_ORDER: Final = int(Reject.OUT_OF_ORDER)
SAME: Final = int(Reject.DUPLICATE_SAME)
CONFLICTING: Final = int(Reject.DUPLICATE_CONFLICTING)
INCOMPLETE: Final = int(BarFlags.INCOMPLETE)
LOST: Final = int(BarFlags.LOST)
TRUNCATED: Final = int(BarFlags.TRUNCATED)

# Columns of the state arrays.
B_OPEN: Final = 0  # bucket[k, s]: open time
B_CLOSE: Final = 1  # close time; 0 = no bucket is open
B_N: Final = 2  # minutes in it
B_BAD: Final = 3  # minutes whose row came and could not be used
B_REGULAR: Final = 4  # of its minutes, those in regular hours (counted where the venue sends every minute)
B_PHASE: Final = 5  # where its phase was found: the next search starts there
B_BAD_REGULAR: Final = 6  # of its bad minutes, those in regular hours (counted where the venue sends every minute)
S_LAST: Final = 0  # symbol[s]: open time of the last bar; -1 = none yet
S_BAD: Final = 1  # the last minute whose row could not be used; -1 = none
S_LOST: Final = 2  # minutes lost so far
S_PHASE: Final = 3  # where the last minute's phase was found
S_BAD_REGULAR: Final = 4  # bad minutes of regular hours since the last bar, which are in S_LOST already
W_MARK: Final = 0  # writer[]: watermark, ns; -1 = nothing yet
W_LOG: Final = 1  # entries of this block's log
W_STEPS: Final = 2  # steps of this block's log
W_STEP_END: Final = 3  # where the last step ended
W_SESSION: Final = 4  # time of the next session event of any calendar
W_DUE: Final = 5  # time of the next thing that is due: a bucket's end or a session event
W_PENDING: Final = 6  # close time of the step whose 1m bars have been logged last


@kernel("i8(ro i8[:], ro i8[:], i8, i8, i8, i8)")
def minutes_between(anchor, end, start, stop, opened, closed):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """Minutes of all phases of a calendar within [opened, closed)."""
    low, high = start, stop
    while low < high:
        middle = (low + high) // 2
        if end[middle] <= opened:
            low = middle + 1
        else:
            high = middle
    total = 0
    while low < stop and anchor[low] < closed:
        total += min(end[low], closed) - max(anchor[low], opened)
        low += 1
    return total // MINUTE


@kernel(
    "void(ro i8[:], ro i4[:], ro f8[:], ro f8[:], ro f8[:], ro f8[:], ro f8[:], u1[:], i4[:], i8[:], i4[:], i8, i8,"
    " f8[:], i8[:], i4[:], ro i8[:], ro i8[:], ro i8[:,:], i8[:,:], f8[:,:,:], i8[:,:,:], i8[:,:], i8[:], i8[:], i8[:,:],"
    " i8[:], i4[:], i8[:], f8[:], u8[:], i8[:],"
    " ro i8[:], ro i8[:], ro i8[:,:], ro i8[:,:], ro i8[:], ro i8[:], ro u1[:], ro i8[:], ro i8[:], ro i8[:], ro i8[:], ro i8[:],"
    " ro i8[:], ro i8[:], ro i8[:], ro i8[:])",
    release_gil=True,
)
def take_in(  # type: ignore[no-untyped-def]  # the kernel signature is its type
    open_time,
    symbol,
    opens,
    highs,
    lows,
    closes,
    volumes,
    code,
    last_row,
    first_row,
    by_symbol,
    latest,
    until,
    floats,
    times,
    counts,
    capacity,
    before,
    base,
    count,
    bucket_floats,
    bucket,
    symbol_state,
    next_close,
    writer,
    session_state,
    log_close,
    log_stream,
    log_row,
    log_quality,
    log_print,
    step_end,
    anchor,
    end,
    start_of,
    stop_of,
    duration,
    calendar_of,
    gapless,
    regular_open,
    regular_close,
    regular_before,
    regular_start,
    regular_stop,
    session_open,
    session_close,
    session_start,
    session_stop,
):
    """Take in the rows of one block, then raise the watermark to the end of its last minute (or to `until`, if not -1).

    `code[i]` says what became of row i (`intake.Reject`). One function, because passing this many arrays to another
    one costs more than the work (0.5 µs a call).
    """
    intervals, symbols = count.shape
    rows = open_time.shape[0]
    room = capacity[0]  # of a 1m stream
    strip = symbols * room  # cells of one 1m field
    minute = np.int64(-1)  # the minute whose rows are being taken; its step is not finished yet
    t = np.int64(-1)
    for z in range(symbols):
        last_row[z] = -1
    for i in range(rows + 1):
        to = np.int64(-1)
        s = np.int64(-1)
        c = np.int64(0)
        last = np.int64(-1)
        o = h = l = x = v = 0.0
        bad = OK
        if i == rows:
            to = until if until >= 0 or minute < 0 else minute + MINUTE
        else:
            t = open_time[i]
            s = np.int64(symbol[i])
            if s < 0:
                code[i] = UNKNOWN_SYMBOL
                continue
            if t < 0:
                code[i] = MALFORMED_TIME
                continue
            if t % MINUTE != 0:
                code[i] = MISALIGNED
                continue
            if t > latest:
                code[i] = FUTURE
                continue
            c = calendar_of[s]
            p = find_phase(anchor, end, start_of[c, 0], stop_of[c, 0], t, symbol_state[s, S_PHASE])
            if p < 0:
                code[i] = OUTSIDE
                continue
            last = symbol_state[s, S_LAST]
            o, h, l, x, v = opens[i], highs[i], lows[i], closes[i], volumes[i]
            if not (np.isfinite(o) and np.isfinite(h) and np.isfinite(l) and np.isfinite(x) and np.isfinite(v)):
                bad = NAN
            elif o <= 0 or h <= 0 or l <= 0 or x <= 0:
                bad = NON_POSITIVE
            elif h < l or h < o or h < x or l > o or l > x:
                bad = CONTRADICTION
            elif v < 0:
                bad = NEGATIVE_VOLUME
            if t <= last or t < minute or t + MINUTE <= writer[W_MARK]:
                if bad != OK:
                    code[i] = bad
                elif t == last:
                    q = last_row[s]
                    if q >= 0:
                        same = opens[q] == o and highs[q] == h and lows[q] == l and closes[q] == x and volumes[q] == v
                    else:
                        at = s * room + count[0, s] - 1 - base[0, s]
                        same = (
                            floats[at] == o and floats[at + strip] == h and floats[at + 2 * strip] == l
                            and floats[at + 3 * strip] == x and floats[at + 4 * strip] == v
                        )  # fmt: skip
                    code[i] = SAME if same else CONFLICTING
                else:
                    code[i] = OUT_OF_ORDER
                continue
            symbol_state[s, S_PHASE] = p
            if t != minute:
                if writer[W_MARK] < 0:
                    # The first minute of the session: sessions that ended before it are none of its business.
                    writer[W_SESSION] = NEVER
                    for q in range(session_state.shape[0]):
                        at = session_start[q]
                        while at < session_stop[q] and session_close[at] <= t:
                            at += 1
                        session_state[q, 0] = at
                        session_state[q, 1] = 0
                        if at < session_stop[q]:
                            writer[W_SESSION] = min(writer[W_SESSION], session_open[at])
                    writer[W_DUE] = writer[W_SESSION]
                minute = t
                to = t
        if to >= 0:
            if writer[W_DUE] > to:
                # Mostly nothing is due, and the minute before ends as a step of 1m bars alone.
                if writer[W_LOG] > writer[W_STEP_END]:
                    step_end[writer[W_STEPS]] = writer[W_LOG]
                    writer[W_STEPS] += 1
                    writer[W_STEP_END] = writer[W_LOG]
            else:
                # Close what is due by then, step by step: bars of shorter intervals first, then session events.
                while True:
                    due = writer[W_SESSION]
                    for k in range(1, intervals):
                        due = min(due, next_close[k])
                    if writer[W_LOG] > writer[W_STEP_END] and (due > to or due != writer[W_PENDING]):
                        # The bars of the minute before are a step of their own: nothing longer closes with them.
                        step_end[writer[W_STEPS]] = writer[W_LOG]
                        writer[W_STEPS] += 1
                        writer[W_STEP_END] = writer[W_LOG]
                    if due > to:
                        break
                    for k in range(1, intervals):
                        if next_close[k] == due:
                            following = NEVER
                            for z in range(symbols):
                                ends = bucket[k, z, B_CLOSE]
                                if ends == 0:
                                    continue
                                if ends != due:
                                    following = min(following, ends)
                                    continue
                                bucket[k, z, B_CLOSE] = 0
                                minutes = bucket[k, z, B_N]
                                if minutes == 0:
                                    continue
                                opened = bucket[k, z, B_OPEN]
                                y = calendar_of[z]
                                if duration[k] >= DAY:
                                    expected = minutes_between(anchor, end, start_of[y, 0], stop_of[y, 0], opened, ends)
                                else:
                                    expected = (ends - opened) // MINUTE
                                if gapless[z]:
                                    first, after = regular_start[y], regular_stop[y]
                                    lost = (
                                        regular_minutes_before(regular_open, regular_close, regular_before, first, after, ends)
                                        - regular_minutes_before(
                                            regular_open, regular_close, regular_before, first, after, opened
                                        )
                                        - bucket[k, z, B_REGULAR]
                                        + (bucket[k, z, B_BAD] - bucket[k, z, B_BAD_REGULAR])
                                    )
                                    # Absent minutes since the last bar are not in the symbol's count yet.
                                    absent = (
                                        regular_minutes_before(regular_open, regular_close, regular_before, first, after, ends)
                                        - regular_minutes_before(
                                            regular_open, regular_close, regular_before, first, after,
                                            symbol_state[z, S_LAST] + MINUTE,
                                        )
                                        - symbol_state[z, S_BAD_REGULAR]
                                    )  # fmt: skip
                                else:
                                    lost = bucket[k, z, B_BAD]
                                    absent = np.int64(0)
                                flags = 0
                                if minutes < expected:
                                    flags |= INCOMPLETE
                                if lost > 0:
                                    flags |= LOST
                                if ends < opened + duration[k] and duration[k] < DAY:
                                    flags |= TRUNCATED
                                to_row = z * capacity[k] + count[k, z] - base[k, z]
                                field = symbols * capacity[k]
                                for f in range(5):
                                    floats[5 * before[k] + f * field + to_row] = bucket_floats[k, z, f]
                                times[2 * before[k] + to_row] = opened
                                times[2 * before[k] + field + to_row] = ends
                                counts[4 * before[k] + to_row] = minutes
                                counts[4 * before[k] + field + to_row] = lost
                                counts[4 * before[k] + 2 * field + to_row] = expected - minutes - lost
                                counts[4 * before[k] + 3 * field + to_row] = flags
                                entry = writer[W_LOG]
                                log_close[entry] = due
                                log_stream[entry] = k * symbols + z
                                log_row[entry] = count[k, z]
                                log_print[entry] = fingerprint(
                                    opened, bucket_floats[k, z, 0], bucket_floats[k, z, 1], bucket_floats[k, z, 2],
                                    bucket_floats[k, z, 3], bucket_floats[k, z, 4], minutes, lost, expected - minutes - lost, flags,
                                )  # fmt: skip
                                log_quality[entry] = count[0, z] / (count[0, z] + symbol_state[z, S_LOST] + absent)
                                writer[W_LOG] = entry + 1
                                count[k, z] += 1
                            next_close[k] = following
                    if writer[W_SESSION] == due:
                        for closing in (1, 0):
                            for y in range(session_state.shape[0]):
                                held = session_state[y, 0]
                                if held >= session_stop[y] or session_state[y, 1] != closing:
                                    continue
                                if (session_close[held] if closing else session_open[held]) != due:
                                    continue
                                entry = writer[W_LOG]
                                log_close[entry] = due
                                log_stream[entry] = intervals * symbols + 2 * y + (1 - closing)
                                log_row[entry] = held - session_start[y]
                                log_print[entry] = 0
                                log_quality[entry] = 1.0
                                writer[W_LOG] = entry + 1
                                session_state[y, 0] = held + closing
                                session_state[y, 1] = 1 - closing
                        following = NEVER
                        for y in range(session_state.shape[0]):
                            held = session_state[y, 0]
                            if held < session_stop[y]:
                                following = min(following, session_close[held] if session_state[y, 1] else session_open[held])
                        writer[W_SESSION] = following
                    if writer[W_LOG] > writer[W_STEP_END]:
                        step_end[writer[W_STEPS]] = writer[W_LOG]
                        writer[W_STEPS] += 1
                        writer[W_STEP_END] = writer[W_LOG]
                writer[W_DUE] = due
            writer[W_MARK] = max(writer[W_MARK], to)
            writer[W_PENDING] = t + MINUTE
        if i == rows:
            break
        regular = 0
        if gapless[s]:
            a, b = regular_start[c], regular_stop[c]
            here = regular_minutes_before(regular_open, regular_close, regular_before, a, b, t)
            regular = regular_minutes_before(regular_open, regular_close, regular_before, a, b, t + MINUTE) - here
            if bad == OK:
                again = regular if symbol_state[s, S_BAD] == t else 0
                if last >= 0:
                    gap = here - regular_minutes_before(regular_open, regular_close, regular_before, a, b, last + MINUTE)
                    symbol_state[s, S_LOST] += gap - (symbol_state[s, S_BAD_REGULAR] - again)
                symbol_state[s, S_BAD_REGULAR] = 0
        for k in range(1, intervals):
            if bucket[k, s, B_CLOSE] == 0:
                g = find_phase(anchor, end, start_of[c, k], stop_of[c, k], t, bucket[k, s, B_PHASE])
                bucket[k, s, B_PHASE] = g
                bucket[k, s, B_OPEN] = bucket_open(anchor[g], duration[k], t)
                bucket[k, s, B_CLOSE] = bucket_close(anchor[g], end[g], duration[k], t)
                bucket[k, s, B_N] = 0
                bucket[k, s, B_BAD] = 0
                bucket[k, s, B_REGULAR] = 0
                bucket[k, s, B_BAD_REGULAR] = 0
                next_close[k] = min(next_close[k], bucket[k, s, B_CLOSE])
                writer[W_DUE] = min(writer[W_DUE], bucket[k, s, B_CLOSE])
        if bad != OK:
            code[i] = bad
            if symbol_state[s, S_BAD] != t:
                symbol_state[s, S_BAD] = t
                symbol_state[s, S_LOST] += 1
                symbol_state[s, S_BAD_REGULAR] += regular
                for k in range(1, intervals):
                    bucket[k, s, B_BAD] += 1
                    bucket[k, s, B_BAD_REGULAR] += regular
            continue
        if symbol_state[s, S_BAD] == t:
            # A usable row for a minute whose first row was not: the minute is there after all.
            symbol_state[s, S_LOST] -= 1
            for k in range(1, intervals):
                bucket[k, s, B_BAD] -= 1
                bucket[k, s, B_BAD_REGULAR] -= regular
        code[i] = OK
        symbol_state[s, S_LAST] = t
        last_row[s] = i
        e = writer[W_LOG]
        log_close[e] = t + MINUTE
        log_stream[e] = s
        log_row[e] = count[0, s]
        log_print[e] = fingerprint(t, o, h, l, x, v, 1, 0, 0, 0)
        count[0, s] += 1
        log_quality[e] = count[0, s] / (count[0, s] + symbol_state[s, S_LOST])
        writer[W_LOG] = e + 1
        for k in range(1, intervals):
            if bucket[k, s, B_N] == 0:
                bucket_floats[k, s, 0] = o
                bucket_floats[k, s, 1] = h
                bucket_floats[k, s, 2] = l
                bucket_floats[k, s, 4] = v
            else:
                bucket_floats[k, s, 1] = max(bucket_floats[k, s, 1], h)
                bucket_floats[k, s, 2] = min(bucket_floats[k, s, 2], l)
                bucket_floats[k, s, 4] += v
            bucket_floats[k, s, 3] = x
            bucket[k, s, B_N] += 1
            bucket[k, s, B_REGULAR] += regular
    # The 1m columns, symbol by symbol: one after the other in memory, where minute by minute each value of each symbol
    # would be a page of its own (2,000 symbols cost three times as much a bar as 20).
    for z in range(symbols + 1):
        first_row[z] = 0
    for r in range(rows):
        if code[r] == OK:
            first_row[symbol[r] + 1] += 1
    for z in range(symbols):
        first_row[z + 1] += first_row[z]
    for r in range(rows):
        if code[r] == OK:
            by_symbol[first_row[symbol[r]]] = r
            first_row[symbol[r]] += 1
    begin = np.int64(0)
    for z in range(symbols):
        stop = first_row[z]
        cell = z * room + count[0, z] - base[0, z] - (stop - begin)
        for j in range(begin, stop):
            r = by_symbol[j]
            floats[cell] = opens[r]
            floats[cell + strip] = highs[r]
            floats[cell + 2 * strip] = lows[r]
            floats[cell + 3 * strip] = closes[r]
            floats[cell + 4 * strip] = volumes[r]
            times[cell] = open_time[r]
            times[cell + strip] = open_time[r] + MINUTE
            counts[cell] = 1
            counts[cell + strip] = 0
            counts[cell + 2 * strip] = 0
            counts[cell + 3 * strip] = 0
            cell += 1
        begin = stop


Logs = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint64], NDArray[np.int64]]


def _log_arrays(entries: int) -> Logs:
    return (
        np.empty(entries, np.int64),
        np.empty(entries, np.int32),
        np.empty(entries, np.int64),
        np.empty(entries),
        np.empty(entries, np.uint64),
        np.empty(entries, np.int64),
    )


class Derivation:
    """Takes blocks in: checks rows, appends them to SessionData, derives longer bars, and makes the log's segments.

    Args:
        data: where rows go. Its first interval is 1m, the others are derived.
        grids: bucket grids of every (calendar, interval), and the calendars' sessions.
        calendar_of: int64[s], index of each symbol's calendar in `grids`.
        gapless: uint8[s], 1 where the venue sends a bar for every minute, trades or not.
        latest: a row with a later open time (ns UTC) is rejected as `future_time`.

    Thread safety: the writer's own.
    """

    def __init__(
        self, data: SessionData, grids: GridSet, calendar_of: NDArray[np.int64], gapless: NDArray[np.uint8], latest: int
    ) -> None:
        intervals, symbols = data.count.shape
        self.data = data
        self._latest = latest
        self._grids, self._calendar_of, self._gapless = grids, calendar_of, gapless
        self._first_session = grids.session_start.tolist()
        ends = grids.session_stop.tolist()
        self._closes = [grids.session_close[a:b] for a, b in zip(self._first_session, ends, strict=True)]
        self._bucket_floats = np.zeros((intervals, symbols, 5))
        self._bucket = np.zeros((intervals, symbols, 7), np.int64)
        self._symbol_state = np.zeros((symbols, 5), np.int64)
        self._symbol_state[:, (S_LAST, S_BAD)] = -1
        self._next_close = np.full(intervals, NEVER, np.int64)
        self._writer = np.zeros(7, np.int64)
        self._writer[W_MARK] = -1
        self._writer[W_SESSION] = self._writer[W_DUE] = NEVER
        self._session_state = np.zeros((len(grids.session_start), 2), np.int64)
        self._durations = grids.duration.tolist()
        self._last_row = np.empty(symbols, np.int32)
        self._first_row = np.empty(symbols + 1, np.int64)
        self._rows_by_symbol = np.empty(0, np.int32)
        self._length = 0
        self._logs = _log_arrays(1024)
        self._tables = (
            grids.anchor,
            grids.end,
            grids.start_of,
            grids.stop_of,
            grids.duration,
            calendar_of,
            gapless,
            grids.regular_open,
            grids.regular_close,
            grids.minutes_before,
            grids.regular_start,
            grids.regular_stop,
            grids.session_open,
            grids.session_close,
            grids.session_start,
            grids.session_stop,
        )
        self._take_in = take_in.load()

    @property
    def watermark_ns(self) -> int:
        """Time up to which nothing more is awaited; -1 before the first minute."""
        return int(self._writer[W_MARK])

    @property
    def lost(self) -> NDArray[np.int64]:
        """int64[s], minutes lost so far. Where the venue sends every minute, those absent since the last bar count too."""
        lost = self._symbol_state[:, S_LOST].copy()
        mark = self.watermark_ns
        for s in np.flatnonzero(self._gapless).tolist():
            last = int(self._symbol_state[s, S_LAST])
            if last >= 0 and mark > last + MINUTE:
                absent = self._regular_minutes(s, mark) - self._regular_minutes(s, last + MINUTE)
                lost[s] += absent - self._symbol_state[s, S_BAD_REGULAR]
        return lost

    def _regular_minutes(self, s: int, time_ns: int) -> int:
        grids, c = self._grids, self._calendar_of[s]
        start, stop = grids.regular_start[c], grids.regular_stop[c]
        return int(regular_minutes_before(grids.regular_open, grids.regular_close, grids.minutes_before, start, stop, time_ns))

    def take(self, block: BarBlock) -> tuple[Segment, NDArray[np.uint8]]:
        """Take a block in.

        Returns:
            The events, not yet part of a log, and uint8[n], what became of each row (`intake.Reject`).
        """
        intervals, symbols = self.data.count.shape
        rows = len(block)
        first, last = int(block.open_time.min(initial=NEVER)), int(block.open_time.max(initial=-1))
        if first < 0 or last > self._latest:
            times = block.open_time[(block.open_time >= 0) & (block.open_time <= self._latest)]
            first, last = int(times.min(initial=NEVER)), int(times.max(initial=-1))
        sessions = self._sessions_between(first, last + MINUTE) if last >= 0 else 0
        # A derived stream gains at most one bar per 1m bar, and the bucket that was open before. It also gains at most
        # one per bucket of the block's span: whole ones, and one at each end of a phase, of which a session has four.
        gain = np.empty((intervals, symbols), np.int64)
        gain[:] = np.bincount(block.symbol + 1, minlength=symbols + 1)[1:] + 1
        if last >= 0:
            for k in range(1, intervals):
                np.minimum(gain[k], (last - first) // self._durations[k] + 4 * sessions + 4, out=gain[k])
        self.data.make_room(gain)
        code = np.zeros(rows, np.uint8)
        logs = self._room(rows * intervals + symbols * intervals + 2 * sessions)
        self._take_in(
            block.open_time, block.symbol, block.open, block.high, block.low, block.close, block.volume, code,
            *self._by_symbol(rows), self._latest, -1, *self._state(), *logs, *self._tables,
        )  # fmt: skip
        return self._segment(), code

    def finish(self) -> Segment:
        """The feed has ended: close the buckets that are open, at their own ends. No further session events."""
        intervals, symbols = self.data.count.shape
        self.data.make_room(np.ones((intervals, symbols), np.int64))
        self._writer[W_SESSION] = NEVER
        logs = self._room(symbols * intervals)
        mark = self._writer[W_MARK]
        none, numbers = np.zeros(0, np.int64), np.zeros(0)
        self._take_in(
            none, none.astype(np.int32), numbers, numbers, numbers, numbers, numbers, none.astype(np.uint8),
            *self._by_symbol(0), self._latest, NEVER - 1, *self._state(), *logs, *self._tables,
        )  # fmt: skip
        self._writer[W_MARK] = mark
        return self._segment()

    def _state(self) -> tuple[NDArray[Any], ...]:
        frame = self.data.frame
        self._writer[W_LOG] = self._writer[W_STEPS] = self._writer[W_STEP_END] = 0
        return (
            frame.floats.flat,
            frame.times.flat,
            frame.counts.flat,
            frame.capacity,
            frame.before,
            frame.base,
            self.data.count,
            self._bucket_floats,
            self._bucket,
            self._symbol_state,
            self._next_close,
            self._writer,
            self._session_state,
        )

    def _by_symbol(self, rows: int) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
        """Scratch arrays for going through a block's rows symbol by symbol."""
        if len(self._rows_by_symbol) < rows:
            self._rows_by_symbol = np.empty(rows, np.int32)
        return self._last_row, self._first_row, self._rows_by_symbol

    def _room(self, entries: int) -> Logs:
        """Arrays for at most `entries` log entries: the writer's own, used for every block."""
        if len(self._logs[0]) < entries:
            self._logs = _log_arrays(entries)
        return self._logs

    def _segment(self) -> Segment:
        """What the last call logged, copied: most blocks log far less than they might."""
        entries, steps = int(self._writer[W_LOG]), int(self._writer[W_STEPS])
        frame = self.data.frame
        if entries > len(self._logs[0]) or ((self.data.count - frame.base).max(axis=1) > frame.capacity).any():
            # Kernels check no bounds. Should the room reserved above ever be too small, nothing that follows can be trusted.
            raise MemoryError("the derivation has written past its columns or its log: this is a bug of stratd, please report it")
        close_time, stream, row, quality, prints, step_end = self._logs
        segment = Segment(
            self._length,
            close_time[:entries].copy(),
            stream[:entries].copy(),
            row[:entries].copy(),
            quality[:entries].copy(),
            prints[:entries].copy(),
            step_end[:steps].copy(),
        )
        self._length += entries
        return segment

    def _sessions_between(self, first: int, last: int) -> int:
        """At most how many sessions, of all calendars, a block with rows from `first` to `last` opens or closes."""
        total = 0
        for c, closes in enumerate(self._closes):
            if self.watermark_ns >= 0:
                done = int(self._session_state[c, 0]) - self._first_session[c]
            else:
                done = int(closes.searchsorted(first, "right"))
            # Rows that come too late may lie before sessions that are over.
            total += max(0, int(closes.searchsorted(last, "right")) - done) + 2
        return total
