"""Which column of a file is what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stratd.core.names import nearest
from stratd.errors import FeedError
from stratd.feeds.rows import FIELDS

TIME_NAMES: Final = ("timestamp", "open_time", "ts", "datetime", "time", "date")
"""Names of the time column; where a file has several, the first of this list counts."""
_LISTED: Final = 24


@dataclass(frozen=True, slots=True)
class Columns:
    """Places of the columns that are read; all others are ignored.

    Attributes:
        time: place of the time column.
        values: places of open, high, low, close, volume.
        symbol: place of the symbol column, None where there is none.
        time_name: the time column's name in the file.
    """

    time: int
    values: tuple[int, ...]
    symbol: int | None
    time_name: str

    @property
    def places(self) -> tuple[int, ...]:
        """All places in one order: time, values, symbol."""
        return (self.time, *self.values) if self.symbol is None else (self.time, *self.values, self.symbol)


def find_columns(where: str, names: Sequence[str]) -> Columns:
    """Finds the columns by name, upper and lower case alike.

    Args:
        where: the file, for errors.
        names: the file's columns.

    Raises:
        FeedError: some are missing; all of them are named, with the nearest column that is there.
    """
    clean = [name.strip().lower() for name in names]
    places = {name: place for place, name in reversed(list(enumerate(clean)))}
    time_name = next((name for name in TIME_NAMES if name in places), None)
    missing = [name for name in FIELDS if name not in places]
    if time_name is None or missing:
        raise FeedError(where, _explain(names, clean, time_name is None, missing))
    values = tuple(places[name] for name in FIELDS)
    return Columns(places[time_name], values, places.get("symbol"), names[places[time_name]].strip())


def _explain(names: Sequence[str], clean: Sequence[str], no_time: bool, missing: Sequence[str]) -> str:
    if not any(name and name[0].isalpha() for name in clean):
        line = ",".join(names)[:80]
        return f"its first line {line!r} looks like data; put a line of column names above it: timestamp,{','.join(FIELDS)}"
    spare = [name.strip() for name, lower in zip(names, clean, strict=True) if lower not in FIELDS]
    parts = [f"has no time column (one of {', '.join(TIME_NAMES)})"] if no_time else []
    for name in missing:
        near = nearest(name, spare)
        parts.append(f"has no column {name!r}" + (f" (did you mean {near!r}? rename it)" if near else ""))
    if no_time and (near := next((hit for name in TIME_NAMES if (hit := nearest(name, spare))), None)):
        parts[0] += f" (did you mean {near!r}? rename it)"
    listed = ", ".join(name.strip() for name in names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    hint = ""
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        hint = "; columns must be separated by commas"
    return f"{'; '.join(parts)}; its columns are: {listed}{hint}"
