"""Where a session leaves what it leaves: found without checking the session, which may be broken by now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stratd.errors import UsageError

JOURNAL_NAME: Final = "journal.sqlite3"


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """A session's name, its directory of results, and its journal; any of the files may not be there."""

    name: str
    directory: Path
    journal: Path


def find_place(path: Path, results_dir: str | None = None) -> SessionPlace:
    """Where a session's results are.

    Only the keys that say so are read. Who wants to halt a session must not be kept from it by a mistake in another key, or by
    data that has moved.

    Args:
        path: a session file, or a session's directory of results.
        results_dir: in place of the file's own.

    Raises:
        ConfigError: the file cannot be read, or these keys are wrong.
        UsageError: a directory and --results-dir were both given.
    """
    if path.is_dir():
        if results_dir is not None:
            raise UsageError(f"{path} is a directory of results already: leave --results-dir out, or give the session file")
        return SessionPlace(path.resolve().name, path, path / JOURNAL_NAME)

    from stratd.system.config_errors import Findings
    from stratd.system.config_file import read_config

    findings = Findings(str(path))
    data = read_config(path, Findings(str(path)))
    journal = data.get("journal")
    name = _text(findings, ("session_name",), data.get("session_name", path.stem))
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        findings.add(("session_name",), "names the session's directory of results, so it cannot hold / or \\", name)
    results = _text(findings, ("results_dir",), data.get("results_dir", "results"))
    kept_at = journal.get("path") if isinstance(journal, dict) else None
    kept = "" if kept_at is None else _text(findings, ("journal", "path"), kept_at)
    findings.raise_if_any(data)
    # As SessionConfig.results_path and RunOptions.results_dir are taken: the one may begin with ~, the shell has seen to the other.
    directory = (Path(results).expanduser() if results_dir is None else Path(results_dir)) / name
    return SessionPlace(name, directory, Path(kept).expanduser() if kept else directory / JOURNAL_NAME)


def _text(findings: Any, key: tuple[str, ...], value: Any) -> str:
    if not isinstance(value, str):
        findings.add(key, "must be text", value)
        return "-"
    return value


def find_journal(path: Path, results_dir: str | None = None) -> Path:
    """The journal that is meant: by a session file, a directory of results, or a journal itself.

    Raises:
        ConfigError: the session file cannot be read.
        UsageError: there is no journal.
    """
    from stratd.system.config_file import SUFFIXES, nearest_file

    if not path.is_dir() and path.suffix.lower() not in SUFFIXES:
        if path.exists():
            return path
        near = nearest_file(path)
        raise UsageError(f"{path}: no such file" + (f"; did you mean {near!r}?" if near else ""))
    place = find_place(path, results_dir)
    if not place.journal.exists():
        raise UsageError(
            f"{place.journal}: no such file: session {place.name} has not kept a journal there; "
            "run it first, or say with --results-dir where it left its results"
        )
    return place.journal
