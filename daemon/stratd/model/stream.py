"""Stream: what is subscribed to."""

from __future__ import annotations

from typing import NamedTuple

from stratd.model.interval import Interval


class Stream(NamedTuple):
    """The bars of one symbol at one interval."""

    symbol: str
    interval: Interval

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval}"
