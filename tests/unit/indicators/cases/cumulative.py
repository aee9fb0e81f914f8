"""Cumulative indicators and those that know about sessions, with UTC days as sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from stratd.indicators.catalogue.cumulative import BarCount, CumulativeVolume, RealisedVariance
from stratd.indicators.catalogue.session_levels import OpeningRange, PivotPoints, PreviousSession
from stratd.indicators.catalogue.sessions import SessionClock
from stratd.indicators.catalogue.vwap import VWAP, AnchoredVWAP

from ....support.indicator_cases import BarArrays, Case, Floats
from ....support.session_bars import utc_sessions

ANCHOR_NS = 1_381_240_800_000_000_000  # 2013-10-08 14:00 UTC, in the middle of some files of real bars
LATER_ANCHOR_NS = 1_704_240_000_000_000_001  # 2024-01-03 00:00 UTC, and a ns

Oracle = Callable[[pd.DataFrame], dict[str, Floats]]


def groups(frame: pd.DataFrame, reset: str | int) -> Any:
    """What the rows are grouped by."""
    if reset == "session":
        return frame["session"]
    return np.zeros(len(frame), int) if isinstance(reset, str) else np.arange(len(frame)) // reset


def one(values: Any) -> dict[str, Floats]:
    return {"value": np.asarray(values, float)}


def vwap(reset: str | int) -> Oracle:
    def compute(frame: pd.DataFrame) -> dict[str, Floats]:
        typical = frame[["high", "low", "close"]].mean(axis=1)
        key = groups(frame, reset)
        return one((typical * frame["volume"]).groupby(key).cumsum() / frame["volume"].groupby(key).cumsum())

    return compute


def anchored_vwap(anchor_ns: int) -> Oracle:
    def compute(frame: pd.DataFrame) -> dict[str, Floats]:
        chosen = frame[frame["open_time"] >= anchor_ns]
        return one(pd.Series(vwap("never")(chosen)["value"], chosen.index).reindex(frame.index))

    return compute


def cumulative_volume(reset: str | int) -> Oracle:
    return lambda frame: one(frame["volume"].groupby(groups(frame, reset)).cumsum())


def bar_count(reset: str | int) -> Oracle:
    return lambda frame: one(frame["close"].groupby(groups(frame, reset)).cumcount() + 1)


def realised_variance(reset: str | int, source: str = "close") -> Oracle:
    def compute(frame: pd.DataFrame) -> dict[str, Floats]:
        # In more digits: the difference of two logarithms loses most of those of a small return.
        log = np.log(frame[source].to_numpy().astype(np.longdouble))
        returns = pd.Series(np.diff(log, prepend=np.nan).astype(float), frame.index)
        if reset == "session":
            returns[frame["session"] != frame["session"].shift()] = np.nan
        return one((returns**2).groupby(groups(frame, reset)).cumsum())

    return compute


def session_clock(frame: pd.DataFrame) -> dict[str, Floats]:
    days = (pd.to_datetime(frame["session"]) - pd.Timestamp("1990-01-01")).dt.days
    return {name: np.asarray(frame[name], float) for name in ("minute", "left")} | {"number": np.asarray(days, float)}


def opening_range(minutes: float) -> Oracle:
    def compute(frame: pd.DataFrame) -> dict[str, Floats]:
        found = pd.DataFrame(np.nan, frame.index, ["high", "low"])
        length = (frame["close_time"] - frame["open_time"]) / 60e9
        for _, rows in frame.groupby("session"):
            inside = rows[(rows["minute"] >= 0) & (rows["minute"] < minutes) & (rows["left"] > 0)]
            span = min(minutes, rows["minute"].iloc[0] + rows["left"].iloc[0])
            known = rows.index[rows["minute"] + length[rows.index] >= span - 1e-9]
            if len(inside) and len(known):
                found.loc[known[0] : rows.index[-1], "high"] = inside["high"].max()
                found.loc[known[0] : rows.index[-1], "low"] = inside["low"].min()
        values = {name: found[name].to_numpy() for name in found}
        return values | {"middle": (values["high"] + values["low"]) / 2}

    return compute


def previous_session(frame: pd.DataFrame) -> dict[str, Floats]:
    regular = frame[(frame["minute"] >= 0) & (frame["left"] > 0)]
    days = regular.groupby("session").agg({"high": "max", "low": "min", "close": "last", "open": "first"})
    at = days.index.searchsorted(frame["session"], side="left") - 1
    return {name: np.where(at >= 0, days[name].to_numpy()[np.maximum(at, 0)], np.nan) for name in days}


def pivot_points(frame: pd.DataFrame) -> dict[str, Floats]:
    before = previous_session(frame)
    high, low, close = before["high"], before["low"], before["close"]
    pivot = (high + low + close) / 3
    r1, s1 = 2 * pivot - low, 2 * pivot - high
    # As the book has them: each level out of those before.
    r2, s2 = pivot - s1 + r1, pivot - (r1 - s1)
    r3, s3 = high + 2 * (pivot - low), low - 2 * (high - pivot)
    return {"pivot": pivot, "r1": r1, "s1": s1, "r2": r2, "s2": s2, "r3": r3, "s3": s3}


# Every indicator of the family, and how to compute it from bars whose sessions are known.
ORACLES: list[tuple[Any, Oracle]] = [
    (SessionClock(), session_clock),
    (VWAP(), vwap("session")),
    (VWAP("never"), vwap("never")),
    (VWAP(30), vwap(30)),
    (AnchoredVWAP(ANCHOR_NS), anchored_vwap(ANCHOR_NS)),
    (CumulativeVolume(), cumulative_volume("session")),
    (CumulativeVolume("never"), cumulative_volume("never")),
    (CumulativeVolume(7), cumulative_volume(7)),
    (BarCount(), bar_count("session")),
    (BarCount("never"), bar_count("never")),
    (BarCount(1), bar_count(1)),
    (RealisedVariance(), realised_variance("session")),
    (RealisedVariance("never"), realised_variance("never")),
    (RealisedVariance(20).of("open"), realised_variance(20, "open")),
    (OpeningRange(1), opening_range(1)),
    (AnchoredVWAP(LATER_ANCHOR_NS), anchored_vwap(LATER_ANCHOR_NS)),
    (OpeningRange(), opening_range(30)),
    (OpeningRange(300), opening_range(300)),
    (PreviousSession(), previous_session),
    (PivotPoints(), pivot_points),
]


def utc_case(spec: Any, oracle: Oracle) -> Case:
    def compute(bars: BarArrays) -> dict[str, Floats]:
        return oracle(utc_sessions(bars))

    # Variances are far smaller than prices, so what is allowed is relative only.
    return Case(spec, compute, "independent", atol=0.0 if isinstance(spec, RealisedVariance) else 1e-12)


ALL = [utc_case(spec, oracle) for spec, oracle in ORACLES]
# Those whose first value comes within the rows that `warmup` names, whatever the interval and the calendar.
CASES = ALL[:15]
# Those that need the end of a span or a second session: tests of this family compute them on bars of many days.
SESSION_CASES = ALL[15:]
