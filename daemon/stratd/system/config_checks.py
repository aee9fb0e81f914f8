"""What holds between the keys of a session.

These checks read the plain values of the file, not the validated models: a mistake in one place must not hide those in
others. Each looks only at values of the right shape; the rest has been reported already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stratd.model import Interval
from stratd.system.config_errors import Findings, KeyPath, format_path
from stratd.system.feed_config import ReplayConfig, find_files


def check_session_data(data: Mapping[str, Any], base_dir: Path, findings: Findings) -> None:
    """Check everything that one key alone cannot tell, and that files named in the session are there."""
    _check_symbols(data, findings)
    _check_intervals(data, findings)
    _check_feed(data, base_dir, findings)
    _check_strategies(data, findings)


def _at(data: Any, *keys: str) -> Any:
    """The value below nested objects; None where there is none."""
    for key in keys:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data


def _items(data: Any, *keys: str) -> Iterator[tuple[KeyPath, Any]]:
    """The entries of a list, each with its path."""
    found = _at(data, *keys)
    if isinstance(found, list):
        for index, item in enumerate(found):
            yield (*keys, index), item


def _symbols(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for path, entry in _items(data, "session_data_config", "symbols"):
        symbol = _at(entry, "symbol") if isinstance(entry, Mapping) else entry
        if isinstance(symbol, str) and symbol:
            yield path, symbol


def _check_symbols(data: Mapping[str, Any], findings: Findings) -> None:
    first: dict[str, KeyPath] = {}
    for path, symbol in _symbols(data):
        if symbol in first:
            findings.add(path, f"stands twice, first as {format_path(first[symbol])}", symbol)
        first.setdefault(symbol, path)


def _check_intervals(data: Mapping[str, Any], findings: Findings) -> None:
    first: dict[Interval, KeyPath] = {}
    for path, item in _items(data, "session_data_config", "streaming", "data_upkeep", "derived_intervals"):
        try:
            interval = Interval.from_minutes(item) if isinstance(item, int) else Interval(item)
        except ValueError:
            continue  # Reported by the model.
        if interval == "1m":
            findings.add(path, "1m is what the feed gives; derive longer intervals only", item)
        elif interval in first:
            findings.add(path, f"{interval} stands twice, first as {format_path(first[interval])}", item)
        first.setdefault(interval, path)
    streams = [item for _, item in _items(data, "session_data_config", "streams")]
    if streams.count("1m") > 1:
        findings.add(("session_data_config", "streams", 1 + streams[1:].index("1m")), "stands twice", "1m")


def _check_feed(data: Mapping[str, Any], base_dir: Path, findings: Findings) -> None:
    feed = _at(data, "feed")
    if not isinstance(feed, Mapping):
        return
    try:
        replay = ReplayConfig.model_validate(feed)
    except ValidationError as error:
        # Reported by the model. What is right is checked all the same, unless it is the files themselves that are wrong.
        wrong = {str(details["loc"][0]) for details in error.errors()}
        if wrong & {"path", "pattern", "files"}:
            return
        replay = ReplayConfig.model_validate({key: value for key, value in feed.items() if key not in wrong})
    symbols = list(dict.fromkeys(symbol for path, symbol in _symbols(data) if not findings.has_at(path)))
    find_files(replay, base_dir, symbols, findings, ("feed",))


def _check_strategies(data: Mapping[str, Any], findings: Findings) -> None:
    entries = [(path, entry) for path, entry in _items(data, "strategies") if isinstance(entry, Mapping)]
    listed = _at(data, "strategies")
    if listed == []:
        findings.add(("strategies",), "nothing to run: list at least one strategy")
    elif isinstance(listed, list) and all(_at(entry, "enabled") is False for _, entry in _items(data, "strategies")):
        findings.add(("strategies",), "nothing to run: every strategy has enabled: false")
    first: dict[str, KeyPath] = {}
    for path, entry in entries:
        module = entry.get("module")
        name = entry.get("name", default_name(module) if isinstance(module, str) else None)
        if not isinstance(name, str) or not name:
            continue
        if name in first:
            where = (*path, "name") if "name" in entry else path
            earlier = format_path(first[name])
            findings.add(where, f"two strategies would be called {name}, this one and {earlier}; give each its own name", name)
        first.setdefault(name, path)


def default_name(module: str) -> str:
    """What a strategy is called that has no name: the last part of its module or path."""
    last = re.split(r"[./\\]", module.removesuffix(".py").rstrip("/"))[-1]
    return re.sub(r"[^A-Za-z0-9_:-]+", "_", last).strip("_") or "strategy"


def apply_overrides(data: dict[str, Any], overrides: Mapping[str, Any], findings: Findings) -> None:
    """Set values by key path, `strategies[0].config.fast_period`; objects on the way that are absent are made."""
    for key, value in overrides.items():
        path: list[str | int] = [
            int(part[1:-1]) if part.startswith("[") else part for part in re.findall(r"\[\d+\]|[^.\[\]]+", key)
        ]
        target: Any = data
        for part, following in zip(path, [*path[1:], None], strict=True):
            in_mapping = isinstance(target, dict) and isinstance(part, str)
            in_list = isinstance(target, list) and isinstance(part, int) and part < len(target)
            if not (in_mapping or in_list):
                findings.add(tuple(path), "cannot be overridden: the session has no such place", value)
                break
            if following is None:
                target[part] = value
            else:
                target = target.setdefault(part, {}) if in_mapping else target[part]


def rename_keys(data: Any, renames: Sequence[tuple[KeyPath, str]], path: KeyPath = ()) -> Any:
    """A copy of plain values in which the key at each path has another name, in the same place."""
    if isinstance(data, Mapping):
        names = {key: next((name for wrong, name in renames if wrong == (*path, key)), key) for key in data}
        return {names[key]: rename_keys(value, renames, (*path, key)) for key, value in data.items()}
    if isinstance(data, list):
        return [rename_keys(value, renames, (*path, index)) for index, value in enumerate(data)]
    return data
