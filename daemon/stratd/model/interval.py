"""Interval: how long a bar is."""

from __future__ import annotations

import operator
import re
from functools import total_ordering
from typing import Any, Final

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
_UNIT_MINUTES: Final = {"m": 1, "h": 60, "d": 1440}
_PATTERN: Final = re.compile(r"\s*([1-9][0-9]{0,5})\s*([mhd])\s*")


@total_ordering
class Interval:
    """The duration of a bar: a whole number of minutes.

    Written `1m`, `5m`, `90m`, `1h`, `1d`; `60m` and `1h` are the same interval and print as `1h`. Intervals
    compare by duration. An interval equals the text that parses to it, `Interval("5m") == "5m"`, so that
    `if interval == "5m"` in a strategy means what it says; as a dictionary key only the canonical text does
    (`"1h"`, not `"60m"`).

    Instances are interned: the same duration is the same object.

    Raises:
        ValueError: the text is not `<number><m|h|d>`.
    """

    __slots__ = ("_text", "duration_ns", "minutes")
    minutes: int
    duration_ns: int
    _text: str
    _interned: dict[int, Interval] = {}

    def __new__(cls, text: str | Interval) -> Interval:
        if isinstance(text, Interval):
            return text
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"{text!r} is not an interval: write a number and m, h or d, such as 1m, 15m, 1h, 1d")
        return cls.from_minutes(int(match[1]) * _UNIT_MINUTES[match[2]])

    @classmethod
    def from_minutes(cls, minutes: int) -> Interval:
        """The interval of `minutes` minutes (at least 1)."""
        minutes = operator.index(minutes)  # 5.0 equals 5 as a key: it would become everybody's 5m
        known = cls._interned.get(minutes)
        if known is not None:
            return known
        if minutes < 1:
            raise ValueError(f"an interval is at least one minute, not {minutes}")
        made = object.__new__(cls)
        made.minutes = minutes
        made.duration_ns = minutes * MINUTE_NS
        made._text = next(f"{minutes // size}{unit}" for unit, size in (("d", 1440), ("h", 60), ("m", 1)) if minutes % size == 0)
        return cls._interned.setdefault(minutes, made)

    def bucket_open(self, time_ns: int) -> int:
        """Open time of the UTC-aligned bucket that holds `time_ns` (int64 ns since 1970)."""
        return time_ns - time_ns % self.duration_ns

    def bucket_close(self, time_ns: int) -> int:
        """Close time (exclusive) of the UTC-aligned bucket that holds `time_ns`."""
        return self.bucket_open(time_ns) + self.duration_ns

    def is_multiple_of(self, other: Interval) -> bool:
        """Whether whole buckets of `other` make up one of this interval."""
        return self.minutes % other.minutes == 0

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Interval({self._text!r})"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, str):
            match = _PATTERN.fullmatch(other)
            return match is not None and int(match[1]) * _UNIT_MINUTES[match[2]] == self.minutes
        return isinstance(other, Interval) and other.minutes == self.minutes

    def __lt__(self, other: Interval | str) -> bool:
        return self.minutes < Interval(other).minutes

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Interval, (self._text,))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Lets pydantic models hold intervals: from text, or from a number of minutes; written as text."""
        from pydantic_core import core_schema

        def parse(value: Any) -> Interval:
            if isinstance(value, int) and not isinstance(value, bool):
                return cls.from_minutes(value)
            return cls(value)

        return core_schema.no_info_plain_validator_function(
            parse,
            json_schema_input_schema=core_schema.str_schema(pattern=r"^[1-9][0-9]*[mhd]$"),
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="always"),
        )
