"""Session-aligned bars of US equities, computed without stratd: pandas, zoneinfo, and NYSE's hours written by hand.

Independent on purpose: it works in New York's local minutes of the day, knows only the days of the market data that the
tests use, and refuses all others.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pandas as pd

NEW_YORK: Final = ZoneInfo("America/New_York")

# First and last day of each span that has been looked up.
SPANS: Final = (
    (date(2008, 3, 7), date(2008, 3, 10)),
    (date(2011, 1, 3), date(2011, 3, 31)),
    (date(2013, 6, 27), date(2013, 7, 2)),
    (date(2013, 10, 4), date(2013, 10, 11)),
    (date(2015, 12, 23), date(2015, 12, 29)),
    (date(2019, 2, 11), date(2019, 2, 15)),
    (date(2023, 8, 3), date(2023, 8, 3)),
    (date(2025, 4, 24), date(2025, 4, 25)),
    (date(2025, 9, 26), date(2025, 9, 26)),
)
HOLIDAYS: Final = frozenset(
    {
        date(2011, 1, 17),  # Martin Luther King day
        date(2011, 2, 21),  # Presidents' day
        date(2015, 12, 25),  # Christmas
    }
)
HALF_DAYS: Final = frozenset({date(2015, 12, 24)})  # closes at 13:00

COLUMNS: Final = ["open_time", "close_time", "open", "high", "low", "close", "volume", "n"]


def phases_of(day: date) -> list[tuple[str, int, int]]:
    """Name, open and close of the phases of a day, in minutes after New York's midnight; empty when closed."""
    if not any(first <= day <= last for first, last in SPANS):
        raise LookupError(f"the calendar oracle does not know {day}: look it up and add it to SPANS")
    if day.weekday() >= 5 or day in HOLIDAYS:
        return []
    close = 13 * 60 if day in HALF_DAYS else 16 * 60
    return [("pre", 4 * 60, 9 * 60 + 30), ("regular", 9 * 60 + 30, close), ("post", close, close + 4 * 60)]


def read_bars(path: Path) -> pd.DataFrame:
    """A file of ../shared/data/bars: timestamp (text, UTC, open of the minute), open, high, low, close, volume."""
    return pd.read_csv(path)


def session_resample(frame: pd.DataFrame, minutes: int, extended: bool) -> pd.DataFrame:
    """Bars of `minutes` minutes that start at the open of each phase and never span two phases.

    Args:
        frame: 1-minute bars with the columns of `read_bars`, in time order, each minute once. Minutes outside
            the session are left out.
        minutes: length of a bar, less than a day.
        extended: whether the pre-market and the post-market belong to the session.

    Returns:
        open_time, close_time (int64 ns UTC), open, high, low, close, volume (float64), n (minutes in the bar), in time order.
    """
    stamps = pd.to_datetime(frame["timestamp"], utc=True).dt.tz_convert(NEW_YORK)
    days = [stamp.date() for stamp in stamps]
    minute_of_day = (stamps.dt.hour * 60 + stamps.dt.minute).tolist()
    known = {day: phases_of(day) for day in set(days)}
    bucket: list[tuple[date, int, int] | None] = []
    for day, minute in zip(days, minute_of_day, strict=True):
        found = None
        for name, opened, closed in known[day]:
            if opened <= minute < closed and (extended or name == "regular"):
                start = opened + (minute - opened) // minutes * minutes
                found = (day, start, min(start + minutes, closed))
        bucket.append(found)
    rows = frame.assign(bucket=pd.Series(bucket, index=frame.index, dtype=object)).dropna(subset=["bucket"])
    bars = rows.groupby("bucket", sort=True).agg(
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        volume=("volume", "sum"),
        n=("close", "size"),
    )
    keys = list(bars.index)
    bars["open_time"] = [_utc_ns(day, start) for day, start, _ in keys]
    bars["close_time"] = [_utc_ns(day, end) for day, _, end in keys]
    kinds = dict.fromkeys(("open", "high", "low", "close", "volume"), "float64") | {"n": "int64"}
    return bars.reset_index(drop=True).astype(kinds)[COLUMNS]


def _utc_ns(day: date, minute: int) -> int:
    """ns UTC of a minute after New York's midnight. The clocks are never changed between 04:00 and 20:00."""
    local = pd.Timestamp(day.year, day.month, day.day, minute // 60, minute % 60)
    return int(local.tz_localize(NEW_YORK).as_unit("ns").value)
