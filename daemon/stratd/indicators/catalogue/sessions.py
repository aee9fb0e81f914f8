"""SessionClock: which session of the calendar a bar belongs to, and the time of day in it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stratd.core.kernel import operation
from stratd.core.names import nearest
from stratd.data.calendars import CalendarTable
from stratd.indicators.base import Indicator, Primitive, Source, StreamInfo, check_whole
from stratd.model import MINUTE_NS

Reset: TypeAlias = str | int

SESSION: Final = "session"
NEVER: Final = "never"

_MINUTE: Final = float(MINUTE_NS)
# One session in the table: its open and close, the open and close of its regular hours.
_CORNERS: Final = 4


@functools.lru_cache(16)
def session_table(calendar: CalendarTable) -> NDArray[np.float64]:
    """A calendar's sessions as parameters of an operation: int64 bits in float64 cells. One array for all who ask.

    The first cell is the number of sessions; four of each session follow, in ns UTC: session open, session close,
    regular open, regular close.
    """
    corners = (calendar.session_open, calendar.session_close, calendar.regular_open, calendar.regular_close)
    cells = np.concatenate([np.array([len(calendar.session_open)], np.int64), np.stack(corners, axis=1).ravel()])
    cells.flags.writeable = False
    return cells.view(np.float64)


@operation
def session_clock(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Session of each row. Parameters: see `session_table`. State: how many sessions open at or before the last row."""
    times = inputs[0]
    number, minute, left = outputs[0], outputs[1], outputs[2]
    count = int(np.float64(parameters[0]).view(np.int64))
    opened = int(state[0])
    if opened == 0 and start < stop:
        # The first row of all may lie anywhere; from then on both go forward.
        first = np.float64(times[start]).view(np.int64)
        high = count
        while opened < high:
            middle = (opened + high) // 2
            if np.float64(parameters[1 + _CORNERS * middle]).view(np.int64) <= first:
                opened = middle + 1
            else:
                high = middle
    for row in range(start, stop):
        time = np.float64(times[row]).view(np.int64)
        while opened < count and np.float64(parameters[1 + _CORNERS * opened]).view(np.int64) <= time:
            opened += 1
        cell = 1 + _CORNERS * (opened - 1)
        if opened > 0 and time < np.float64(parameters[cell + 1]).view(np.int64):
            number[row] = opened - 1
            minute[row] = (time - np.float64(parameters[cell + 2]).view(np.int64)) / _MINUTE
            left[row] = (np.float64(parameters[cell + 3]).view(np.int64) - time) / _MINUTE
        else:
            number[row] = np.nan
            minute[row] = np.nan
            left[row] = np.nan
    state[0] = float(opened)


@dataclass(frozen=True, slots=True)
class SessionClock(Primitive):
    """Where the open time of a bar lies in the sessions of the instrument's calendar. One for all who need it on a stream.

    With extended hours a session runs from the pre-market's open to the post-market's close. On `24/7` it is a UTC day.
    A bar lies in the regular hours if `minute >= 0` and `left > 0`; a lunch break counts as regular hours, and its
    minutes are counted.

    Warm-up: 1 row. NaN: bars that open outside all sessions, or beyond the calendar's table.

    Outputs:
        number: of the session, in the calendar's table; it only tells one session from another.
        minute: minutes since the regular open, negative before it.
        left: minutes to the regular close, negative after it.
    """

    outputs: ClassVar[tuple[str, ...]] = ("number", "minute", "left")
    operation = session_clock

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("open_time",)

    def parameters(self, stream: StreamInfo) -> NDArray[np.float64]:
        return session_table(stream.calendar)

    @property
    def state_size(self) -> int:
        return 1


def check_reset(reset: object) -> Reset:
    """When something cumulative begins again: `session`, `never`, or after so many bars.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(reset, str):
        if reset in (SESSION, NEVER):
            return reset
        near = nearest(reset, (SESSION, NEVER))
        hint = f"; did you mean {near!r}?" if near else ""
        raise ValueError(f"reset is 'session', 'never', or a number of bars, not {reset!r}{hint}")
    return check_whole("reset", reset, 1)


def reset_sources(reset: Reset) -> tuple[Indicator, ...]:
    """What an operation needs besides, to know when to begin again."""
    return (SessionClock().output("number"),) if reset == SESSION else ()


def reset_parameters(reset: Reset) -> Sequence[float]:
    """Two parameters of an operation: whether it begins again with each session, and else after how many rows."""
    return (float(reset == SESSION), float("inf") if isinstance(reset, str) else float(reset))
