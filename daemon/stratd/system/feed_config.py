"""The `feed` of a session: which recorded bars it plays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from stratd.core.names import nearest
from stratd.system.config_errors import Findings, KeyPath
from stratd.system.config_file import nearest_file

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WILDCARDS: Final = frozenset("*?")


class ConfigModel(BaseModel):
    """Base of all parts of a session: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def utc_ns(text: str) -> int:
    """`2013-10-07T13:30:00Z`, or a date for its UTC midnight, as int64 nanoseconds since 1970.

    Raises:
        ValueError: not ISO 8601, or a time of day without a zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time such as 2013-10-07T13:30:00Z, or a date such as 2013-10-07") from None
    if moment.tzinfo is None:
        if re.fullmatch(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", text) is None:
            raise ValueError(f"must say its zone; for UTC write {text}Z")
        moment = moment.replace(tzinfo=UTC)
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000_000 + span.microseconds * 1_000


def _time_as_text(value: Any) -> Any:
    """TOML has times of its own; they go on as text."""
    return value.isoformat() if isinstance(value, (datetime, date)) else value


def _check_time(text: str) -> str:
    utc_ns(text)
    return text


def _check_pattern(text: str) -> str:
    others = [name for name in re.findall(r"{([^}]*)}", text) if name != "symbol"]
    if others:
        raise ValueError(f"{{symbol}} is all that can stand in braces, not {{{others[0]}}}")
    return text


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, Field(strict=True, min_length=1)]
UtcTime = Annotated[
    str,
    BeforeValidator(_time_as_text),
    Field(strict=True),
    AfterValidator(_check_time),
    WithJsonSchema({"type": "string", "examples": ["2013-10-07", "2013-10-07T13:30:00Z"]}),
]
FileList = Annotated[
    tuple[Text, ...],
    BeforeValidator(_as_list),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


@dataclass(frozen=True, slots=True)
class ResolvedReplay:
    """What the replay feed is built from.

    Attributes:
        files: (path, symbol), in the session's order of symbols, each symbol's files in the order in which they are read;
            then files of many symbols, with None.
        stamp: whether the files' time stamps are the bars' open or close times.
        start_ns: bars that open before are left out; None for the beginning.
        end_ns: bars that open then or later are left out; None for the end.
    """

    files: tuple[tuple[Path, str | None], ...]
    stamp: Literal["open", "close"]
    start_ns: int | None
    end_ns: int | None


class ReplayConfig(ConfigModel):
    """Recorded 1-minute bars from files.

    A symbol's bars come from its entry in `files`; symbols without one, from `path` and `pattern`.
    """

    type: Literal["replay"] = Field("replay", description="the kind of feed; replay reads recorded bars from files")
    path: Text | None = Field(
        None, description="directory of the files that pattern names, relative to the session file", examples=["sample_data"]
    )
    pattern: Annotated[Text, AfterValidator(_check_pattern)] = Field(
        "{symbol}.csv.gz",
        description="a symbol's file in path; {symbol} stands for its name, * and ? match several files, read in order of name; "
        "without {symbol}: files of many symbols, with a column symbol",
    )
    files: dict[str, FileList] = Field(
        {}, description="by symbol: its files in the order in which they are read, relative to the session file"
    )
    stamp: Literal["open", "close"] = Field("open", description="whether the files stamp a bar with its open or its close time")
    start: UtcTime | None = Field(None, description="leave out bars that open before this time (ISO 8601, UTC)")
    end: UtcTime | None = Field(None, description="leave out bars that open at this time or later (ISO 8601, UTC)")

    def resolve(self, base_dir: Path, symbols: Sequence[str], file: str = "session") -> ResolvedReplay:
        """The files of `symbols`, found on disk.

        Args:
            base_dir: the session file's directory.
            symbols: the session's symbols, in order.
            file: the session file's name, for problems.

        Raises:
            ConfigError: files that are missing, symbols without a file, a start that is not before the end.
        """
        findings = Findings(file)
        files = find_files(self, base_dir, symbols, findings, ("feed",))
        findings.raise_if_any()
        return ResolvedReplay(
            files=tuple(files),
            stamp=self.stamp,
            start_ns=None if self.start is None else utc_ns(self.start),
            end_ns=None if self.end is None else utc_ns(self.end),
        )


def find_files(
    feed: ReplayConfig, base_dir: Path, symbols: Sequence[str], findings: Findings, at: KeyPath
) -> list[tuple[Path, str | None]]:
    """(path, symbol) of every file of a feed, None for files of many symbols.

    What is missing is added to `findings`, with keys below `at`.
    """
    if feed.start is not None and feed.end is not None and utc_ns(feed.start) >= utc_ns(feed.end):
        findings.add((*at, "end"), f"must be after start, which is {feed.start}", feed.end)
    for symbol in feed.files:
        if symbol not in symbols:
            message = "is not a symbol of this session; add it to session_data_config.symbols or leave it out"
            findings.add((*at, "files", symbol), message, suggestion=nearest(symbol, symbols))
    if feed.path is None and not feed.files:
        findings.add(at, "says nowhere where the bars are; give path (with pattern), or files")
        return []
    directory = None if feed.path is None else _directory(feed.path, base_dir, findings, (*at, "path"))
    found: list[tuple[Path, str | None]] = []
    for symbol in symbols:
        if symbol in feed.files:
            found += [(path, symbol) for path in _own_files(feed.files[symbol], base_dir, findings, (*at, "files", symbol))]
        elif feed.path is None:
            message = f"{symbol} has no files: give it an entry here, or give path and pattern"
            findings.add((*at, "files"), message, suggestion=nearest(symbol, [key for key in feed.files if key not in symbols]))
        elif directory is not None and "{symbol}" in feed.pattern:
            found += [(path, symbol) for path in _matching(feed, directory, base_dir, symbol, findings, (*at, "pattern"))]
    if directory is not None and "{symbol}" not in feed.pattern and not set(symbols) <= set(feed.files):
        found += [(path, None) for path in _matching(feed, directory, base_dir, None, findings, (*at, "pattern"))]
    return found


def _own_files(names: Sequence[str], base_dir: Path, findings: Findings, at: KeyPath) -> list[Path]:
    paths = [base_dir / Path(name).expanduser() for name in names]
    for index, (name, path) in enumerate(zip(names, paths, strict=True)):
        if not path.is_file():
            _add_missing(findings, (*at, index), "no such file", path, name, base_dir)
    return [path for path in paths if path.is_file()]


def _matching(
    feed: ReplayConfig, directory: Path, base_dir: Path, symbol: str | None, findings: Findings, at: KeyPath
) -> list[Path]:
    """Files of a symbol, or of many (None), by the feed's pattern."""
    from glob import escape

    if _WILDCARDS & set(feed.pattern):
        pattern = feed.pattern.replace("{symbol}", escape(symbol or ""))
        found = sorted(path for path in directory.glob(pattern) if path.is_file())
    else:
        path = directory / feed.pattern.replace("{symbol}", symbol or "")
        found = [path] if path.is_file() else []
    if not found:
        name = feed.pattern.replace("{symbol}", symbol or "")
        message = "no such file" if symbol is None else f"no file for {symbol}"
        _add_missing(findings, at, message, directory / name, str(Path(feed.path or "") / name), base_dir)
    return found


def _directory(name: str, base_dir: Path, findings: Findings, at: KeyPath) -> Path | None:
    path = base_dir / Path(name).expanduser()
    if path.is_dir():
        return path
    _add_missing(findings, at, "is not a directory" if path.exists() else "no such directory", path, name, base_dir)
    return None


def _add_missing(findings: Findings, at: KeyPath, message: str, path: Path, name: str, base_dir: Path) -> None:
    """A path that is not there, with the nearest one that is, written as the user wrote it."""
    near = None if path.exists() else nearest_file(path)
    if near is not None:
        whole = Path(near)
        written_relative = not Path(name).expanduser().is_absolute()
        near = str(whole.relative_to(base_dir)) if written_relative and whole.is_relative_to(base_dir) else near
    findings.add(at, message, name, suggestion=near)
