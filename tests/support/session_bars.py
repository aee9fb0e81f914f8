"""Bars with the session that each belongs to, worked out in pandas: what indicators of sessions are compared with."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stratd.data.calendars import CalendarTable
from stratd.system.calendars import load_calendar

from .calendar_oracle import NEW_YORK, phases_of, read_bars, session_resample
from .indicator_cases import BarArrays
from .paths import shared_data

DAY_MINUTES = 1440


@functools.cache
def xnys(extended: bool = True) -> CalendarTable:
    """New York's calendar."""
    return load_calendar("XNYS", extended)


@functools.cache
def new_york_bars(file: str, minutes: int = 1, extended: bool = True) -> dict[str, NDArray[Any]]:
    """A file of ../shared/data/bars as bars of so many minutes that lie in New York's sessions."""
    frame = session_resample(read_bars(shared_data() / "bars" / f"{file}.csv.gz"), minutes, extended)
    names = ("open", "high", "low", "close", "volume", "open_time", "close_time")
    return {name: frame[name].to_numpy() for name in names}


def new_york_sessions(bars: BarArrays) -> pd.DataFrame:
    """The bars with three more columns: session (date), minute since the regular open, minutes left to the regular close."""
    frame = pd.DataFrame(dict(bars))
    stamps = pd.to_datetime(frame["open_time"], utc=True).dt.tz_convert(NEW_YORK)
    frame["session"] = [stamp.date() for stamp in stamps]
    hours = {day: (opened, closed) for day in set(frame["session"]) for _, opened, closed in phases_of(day)[1:2]}
    minute_of_day = stamps.dt.hour * 60 + stamps.dt.minute
    frame["minute"] = [now - hours[day][0] for now, day in zip(minute_of_day, frame["session"], strict=True)]
    frame["left"] = [hours[day][1] - now for now, day in zip(minute_of_day, frame["session"], strict=True)]
    return frame


def utc_sessions(bars: BarArrays) -> pd.DataFrame:
    """The same with UTC days as sessions."""
    frame = pd.DataFrame(dict(bars))
    stamps = pd.to_datetime(frame["open_time"], utc=True)
    frame["session"] = [stamp.date() for stamp in stamps]
    frame["minute"] = (stamps - stamps.dt.floor("D")) / pd.Timedelta("1min")
    frame["left"] = DAY_MINUTES - frame["minute"]
    return frame


def made_up_days(rows: int, minutes: int = 5, seed: int = 3) -> dict[str, NDArray[Any]]:
    """Made-up bars round the clock, with holes, from the middle of a UTC day on."""
    random = np.random.default_rng(seed)
    close = np.round(40 * np.exp(np.cumsum(random.normal(0, 2e-3, rows))), 2)
    open_ = np.concatenate([[40.0], close[:-1]])
    step = minutes * 60_000_000_000
    open_time = 1_704_110_400_000_000_000 + step * np.cumsum(1 + (random.random(rows) < 0.05) * random.integers(0, 40, rows))
    volume = random.integers(1, 900, rows) * (random.random(rows) < 0.9)
    return {
        "open": open_,
        "high": np.round(np.maximum(open_, close) + 0.01 * random.integers(0, 4, rows), 2),
        "low": np.round(np.minimum(open_, close) - 0.01 * random.integers(0, 4, rows), 2),
        "close": close,
        "volume": volume.astype(float),
        "open_time": open_time,
        "close_time": open_time + step,
    }
