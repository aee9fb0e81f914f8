"""The adapter to exchange_calendars: sessions of the world's exchanges as plain int64 tables, kept on disk.

Building a table imports pandas and takes about a second; reading a kept one takes milliseconds and imports neither
pandas nor exchange_calendars. Kept tables are only ever a shortcut: one that is damaged or cannot be written
means building again.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import warnings
import zipfile
import zlib
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from stratd.core.clock import Clock, SystemClock
from stratd.core.names import nearest
from stratd.core.paths import cache_root
from stratd.data.calendars import UTC_CALENDAR, CalendarTable, Int64s, table_from_sessions, utc_table
from stratd.errors import CalendarError
from stratd.model.interval import SECOND_NS

log = logging.getLogger("stratd.calendars")

FIRST_DAY: Final = date(1993, 1, 1)
HORIZON_DAYS: Final = 365
# A kept table is built again when it ends nearer than this: at most once in about two months, never at every start.
REFRESH_DAYS: Final = 300
_FORMAT: Final = 1
# What numpy, zipfile and json make of a file with wrong bytes in it.
_DAMAGE: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
_NO_BREAK: Final = np.iinfo(np.int64).min  # how pandas writes "not a time" as an integer


@dataclass(frozen=True, slots=True)
class _ExtendedHours:
    """Hours around the regular ones, in the exchange's local time.

    Attributes:
        pre_open: when the pre-market opens; it lasts to the regular open.
        post_length: how long the post-market lasts after the regular close, early closes included.
        post_close: but never beyond this.
    """

    pre_open: time
    post_length: timedelta
    post_close: time


# Source: NYSE Arca and Nasdaq trading hours: 04:00 to 09:30 and 16:00 to 20:00; on half days, 13:00 to 17:00.
_EXTENDED: Final = {"XNYS": _ExtendedHours(time(4), timedelta(hours=4), time(20))}


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept on disk.

    Attributes:
        sessions: as `table_from_sessions` takes them.
        is_limit: whether exchange_calendars knew nothing beyond the last session when the table was built.
        zone: the exchange's time zone.
        zone_digest: which edition of the zone's rules the times were computed with.
    """

    sessions: Int64s
    is_limit: bool
    zone: str
    zone_digest: str


def load_calendar(name: str, extended_hours: bool = False, clock: Clock | None = None) -> CalendarTable:
    """The table of a calendar, from 1993 (or as early as it is known) to about a year ahead.

    Args:
        name: `24/7`, or a name or alias that exchange_calendars knows, such as `XNYS`.
        extended_hours: sessions with pre-market and post-market. `24/7` has none to add.
        clock: says what today is; the machine's clock by default.

    Raises:
        CalendarError: the name is unknown, its extended hours are, or exchange_calendars cannot build it.
    """
    if name == UTC_CALENDAR:
        return utc_table()
    today = datetime.fromtimestamp((clock or SystemClock()).now_ns() // SECOND_NS, UTC).date()
    path = _path(name, extended_hours)
    kept = _read(path)
    if kept is not None and _reaches(kept, today):
        try:
            return table_from_sessions(name, kept.sessions, extended_hours)
        except CalendarError as error:
            log.warning("the kept calendar %s is damaged and is built again: %s", path, error)
    built = _build(name, extended_hours, today)
    table = table_from_sessions(name, built.sessions, extended_hours)
    _write(path, built)
    return table


def _reaches(kept: _Kept, today: date) -> bool:
    """Whether a kept table reaches far enough ahead, or as far as building it again could."""
    if kept.is_limit or not len(kept.sessions):
        return True
    last = datetime.fromtimestamp(int(kept.sessions[-1, -1]) // SECOND_NS, UTC).date()
    return (last - today).days >= REFRESH_DAYS


def _build(name: str, extended_hours: bool, today: date) -> _Kept:
    """Ask exchange_calendars."""
    import exchange_calendars

    names: list[str] = exchange_calendars.get_calendar_names()
    if name not in names:
        meant = nearest(name, names)
        hint = f"did you mean {meant!r}? " if meant else ""
        raise CalendarError(f"calendar {name!r} is unknown; {hint}Known are: {', '.join(names)}")
    hours = None
    if extended_hours:
        hours = _EXTENDED.get(exchange_calendars.resolve_alias(name))
        if hours is None:
            having = [other for other in names if exchange_calendars.resolve_alias(other) in _EXTENDED]
            raise CalendarError(
                f"calendar {name}: its extended hours are not known, set extended_hours to false; "
                f"calendars with extended hours: {', '.join(having)}"
            )
    try:
        with warnings.catch_warnings():
            # What the package still has to change for a later pandas is nothing to the user of this one.
            warnings.simplefilter("ignore", DeprecationWarning)
            kind = type(exchange_calendars.get_calendar(name))
            earliest, latest = kind.bound_min(), kind.bound_max()
            start = FIRST_DAY if earliest is None else max(FIRST_DAY, earliest.date())
            wanted = today + timedelta(days=HORIZON_DAYS)
            end = wanted if latest is None else min(wanted, latest.date())
            calendar = kind(start=start.isoformat(), end=end.isoformat())
    except (ValueError, NotImplementedError, ArithmeticError) as error:
        # Some calendars of the package do not go together with some versions of pandas.
        raise CalendarError(
            f"calendar {name}: exchange_calendars {_library_version()} cannot build it: {str(error)[:200]}; "
            "use another calendar with the same hours, or another version of exchange_calendars or pandas"
        ) from error
    zone = str(calendar.tz)
    sessions = _corners(calendar)
    if hours is not None:
        _extend(sessions, hours, zoneinfo.ZoneInfo(zone))
    return _Kept(sessions, end < wanted, zone, _zone_digest(zone))


def _corners(calendar: Any) -> Int64s:
    """Regular sessions as `table_from_sessions` takes them."""
    opens, closes = calendar.opens_nanos, calendar.closes_nanos
    has_break = calendar.break_starts_nanos != _NO_BREAK
    break_starts = np.where(has_break, calendar.break_starts_nanos, closes)
    break_ends = np.where(has_break, calendar.break_ends_nanos, closes)
    return np.stack([opens, opens, break_starts, break_ends, closes, closes], axis=1).astype(np.int64)


def _extend(sessions: Int64s, hours: _ExtendedHours, zone: zoneinfo.ZoneInfo) -> None:
    """Add pre-market and post-market to regular sessions, in place."""
    post_length_ns = int(hours.post_length.total_seconds()) * SECOND_NS
    for corners in sessions:
        day = datetime.fromtimestamp(int(corners[1]) // SECOND_NS, zone).date()
        pre_open = int(datetime.combine(day, hours.pre_open, zone).timestamp()) * SECOND_NS
        post_close = int(datetime.combine(day, hours.post_close, zone).timestamp()) * SECOND_NS
        corners[0] = min(pre_open, corners[1])
        corners[5] = max(corners[4], min(corners[4] + post_length_ns, post_close))


def _path(name: str, extended_hours: bool) -> Path:
    """File of a kept table. A new edition of exchange_calendars is a new file; the bounds are inside."""
    hours = "extended" if extended_hours else "regular"
    return cache_root() / "calendars" / f"{quote(name, safe='')}-{hours}-{_library_version()}-{_FORMAT}.npz"


def _library_version() -> str:
    """Version of exchange_calendars, read without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("exchange_calendars")
    except PackageNotFoundError:
        return "unknown"


def _zone_digest(zone: str) -> str:
    """Names the edition of a time zone's rules; empty where they are not in files of the system."""
    for root in zoneinfo.TZPATH:
        try:
            return blake2b(Path(root, zone).read_bytes(), digest_size=8).hexdigest()
        except OSError:
            continue
    return ""


def _read(path: Path) -> _Kept | None:
    """The kept table; None where there is none that can be used."""
    try:
        # Opened here, because numpy leaves a file open that turns out to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            sessions: Int64s = arrays["sessions"]
        kept = _Kept(sessions, bool(header["is_limit"]), str(header["zone"]), str(header["zone_digest"]))
        if sessions.dtype != np.int64 or sessions.ndim != 2:
            raise ValueError(f"sessions are {sessions.dtype} {sessions.shape}")
    except FileNotFoundError:
        return None
    except _DAMAGE as error:
        log.warning("the kept calendar %s cannot be read and is built again: %s", path, error)
        return None
    return kept if kept.zone_digest == _zone_digest(kept.zone) else None


def _write(path: Path, kept: _Kept) -> None:
    """Keep a table: all of it or nothing. Where that cannot be done it is built at the next start too."""
    header = json.dumps({"is_limit": kept.is_limit, "zone": kept.zone, "zone_digest": kept.zone_digest})
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                np.savez(file, sessions=kept.sessions, header=np.array(header))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        log.warning(
            "calendar tables are built anew at every start: %s cannot be written (%s); "
            "set STRATD_CACHE_DIR to a writable directory",
            path,
            error.strerror or error,
        )
