"""What the pictures in docs/indicators.md show: which bars, which values, where. And how to tell that a picture is stale.

Nothing here needs matplotlib: a picture carries the hash of what it shows in a text chunk of its PNG.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import stratd.indicators as ind
from stratd.indicators.base import FIELDS, Indicator
from stratd.indicators.catalogue.listing import CATALOGUE
from stratd.system.calendars import load_calendar
from tests.support.calendar_oracle import NEW_YORK, read_bars, session_resample
from tests.support.paths import repo_root

DIRECTORY: Final = repo_root() / "docs" / "indicators"
KEYWORD: Final = "stratd-shown"  # of the text chunk
_STYLE: Final = 1  # raise it when all pictures are to be drawn anew
_SAMPLE: Final = repo_root() / "session_configs" / "sample_data" / "us_equity_2013-10"
_MINUTES: Final = 5
_DAYS: Final = ("2013-10-09", "2013-10-10")
_DIGITS: Final = 9  # of a value; the last bits may differ from machine to machine
_ANCHOR: Final = 1_381_336_800_000_000_000  # 2013-10-09 12:40 in New York

# What is drawn instead of the catalogue's example, which is of one symbol's own fields, or begins after these bars.
_INSTEAD: Final[Mapping[str, Indicator]] = {
    "AnchoredVWAP": ind.AnchoredVWAP(_ANCHOR),
    "Correlation": ind.Correlation(20).of(ind.Return(), ind.On(ind.Return(), "SPY")),
    "Beta": ind.Beta(20).of(ind.Return(), ind.On(ind.Return(), "SPY")),
}
_OTHER_SYMBOL: Final = "BAC"  # what is drawn of those that compare with SPY

# In which panel each output is drawn: those of the first one lie over the bars. One panel below the bars unless named here.
_OVER: Final = (("value",),)
_PANELS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    **dict.fromkeys(("TypicalPrice", "MedianPrice", "WeightedPrice", "OHLC4"), _OVER),
    **dict.fromkeys(("SMA", "WMA", "HMA", "TRIMA", "VWMA", "Highest", "Lowest", "Median", "Quantile"), _OVER),
    **dict.fromkeys(("VWAP", "AnchoredVWAP", "EMA", "RMA", "DEMA", "TEMA", "T3", "KAMA", "VIDYA", "ParabolicSAR"), _OVER),
    **dict.fromkeys(("Donchian", "Keltner"), (("middle", "upper", "lower"),)),
    "Bollinger": (("middle", "upper", "lower"), ("percent_b",), ("width",)),
    "PivotPoints": (("pivot", "r1", "r2", "r3", "s1", "s2", "s3"),),
    "LinearRegression": (("line",), ("slope",), ("r_squared",)),
    "OpeningRange": (("high", "low", "middle"),),
    "PreviousSession": (("high", "low", "close", "open"),),
    "MAMA": (("mama", "fama"),),
    "SuperTrend": (("line", "direction"),),
    "ChandelierExit": (("long_stop", "short_stop"),),
    "Aroon": ((), ("up", "down"), ("oscillator",)),
}
_CLOSE_UP: Final = ("TypicalPrice", "MedianPrice", "WeightedPrice", "OHLC4")  # lines that lie within the bars
_CLOSE_UP_BARS: Final = 48


@dataclass(frozen=True)
class Picture:
    """A picture of one indicator.

    Attributes:
        spec: what is drawn.
        panels: outputs by panel; the first panel has the bars too.
        bars: those that are shown, by field; open_time and close_time with them.
        values: by output, of those bars.
    """

    spec: Indicator
    symbol: str
    panels: tuple[tuple[str, ...], ...]
    bars: Mapping[str, NDArray[Any]]
    values: Mapping[str, NDArray[np.float64]]

    @property
    def file(self) -> Path:
        return DIRECTORY / f"{self.spec.name}.png"

    @property
    def caption(self) -> str:
        return f"{self.symbol} {_MINUTES}m"

    @cached_property
    def digest(self) -> str:
        """Names what is shown."""
        found = hashlib.blake2b(repr((_STYLE, self.spec, self.spec.label, self.symbol, self.panels)).encode(), digest_size=16)
        found.update(self.bars["open_time"].astype("<i8").tobytes())
        for name in FIELDS:
            found.update(_text(self.bars[name]))
        for name in self.spec.outputs:
            found.update(_text(self.values[name]))
        return found.hexdigest()


def _text(values: Iterable[float]) -> bytes:
    return " ".join(f"{value + 0.0:.{_DIGITS}g}" for value in values).encode()


@cache
def _bars(symbol: str) -> dict[str, NDArray[Any]]:
    """A symbol's bars of all days of the sample, regular hours."""
    frame = session_resample(read_bars(_SAMPLE / f"{symbol}.csv.gz"), _MINUTES, extended=False)
    return {name: frame[name].to_numpy() for name in (*FIELDS, "open_time", "close_time")}


def days_of(open_times: NDArray[np.int64]) -> list[str]:
    """New York's date of each bar."""
    import pandas as pd

    return [f"{stamp:%Y-%m-%d}" for stamp in pd.to_datetime(open_times, utc=True).tz_convert(NEW_YORK)]


@cache
def pictures() -> tuple[Picture, ...]:
    """One for each indicator of the catalogue."""
    return tuple(_picture(entry.spec) for entry in CATALOGUE)


def _picture(example: Indicator) -> Picture:
    name = example.name
    spec = _INSTEAD.get(name, example)
    compared = name in ("Correlation", "Beta")
    symbol = _OTHER_SYMBOL if compared else "SPY"
    bars = _bars(symbol)
    others = {"SPY": _bars("SPY")} if compared else None
    values = spec.compute(bars, interval=f"{_MINUTES}m", tick=0.01, calendar=load_calendar("XNYS", False), others=others)
    days = days_of(bars["open_time"])
    shown = np.flatnonzero([day in _DAYS for day in days])
    if name in _CLOSE_UP:
        shown = shown[-_CLOSE_UP_BARS:]
    return Picture(
        spec,
        symbol,
        _PANELS.get(name, ((), spec.outputs)),
        {field: column[shown] for field, column in bars.items()},
        {output: column[shown] for output, column in values.items()},
    )


def text_chunks(png: bytes) -> dict[str, str]:
    """The text chunks of a PNG, by keyword (PNG specification, 11.3.4.3)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    found, at = {}, 8
    while at < len(png):
        (length,), kind = struct.unpack_from(">I", png, at), png[at + 4 : at + 8]
        if kind == b"tEXt":
            keyword, _, text = png[at + 8 : at + 8 + length].partition(b"\0")
            found[keyword.decode("latin-1")] = text.decode("latin-1")
        at += 12 + length
    return found


def shown_in(file: Path) -> str | None:
    """The hash of what a picture shows; None where there is none."""
    return text_chunks(file.read_bytes()).get(KEYWORD) if file.exists() else None


def stale() -> list[Picture]:
    """Pictures that are absent, or show something else than is so."""
    return [picture for picture in pictures() if shown_in(picture.file) != picture.digest]


def left_over() -> list[Path]:
    """Files among the pictures that belong to no indicator."""
    known = {picture.file for picture in pictures()}
    return sorted(path for path in DIRECTORY.iterdir() if path not in known)
