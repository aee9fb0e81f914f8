"""What holds between the keys of a session.

These checks read the plain values of the file, not the validated models: a mistake in one place must not hide those in
others. Each looks only at values of the right shape; the rest has been reported already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeGuard

from pydantic import ValidationError

from stratd.core.names import nearest
from stratd.model import MONEY, Instrument, Interval
from stratd.system.account_config import LARGEST_CAPITAL, AccountConfig
from stratd.system.config_errors import Findings, KeyPath, format_path
from stratd.system.feed_config import ReplayConfig, find_files

HISTORY_BARS: Final = 1000
"""Bars of each stream that strategies can look back on, where a session does not say."""


def check_session_data(data: Mapping[str, Any], base_dir: Path, findings: Findings) -> None:
    """Check everything that one key alone cannot tell, and that files named in the session are there."""
    _check_symbols(data, findings)
    _check_intervals(data, findings)
    _check_feed(data, base_dir, findings)
    _check_strategies(data, findings)
    _check_accounts(data, findings)


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


def _check_accounts(data: Mapping[str, Any], findings: Findings) -> None:
    entries = [(path, entry) for path, entry in _items(data, "strategies") if isinstance(entry, Mapping)]
    running = [(path, entry) for path, entry in entries if entry.get("enabled") is not False]
    for path, entry in entries:
        for key in ("allocated_capital", "sizing", "risk"):
            if key in entry and isinstance(entry.get("account"), Mapping) and key in entry["account"]:
                findings.add((*path, "account", key), f"stands twice, first as {format_path((*path, key))}")
    _check_quotes(data, [entry for _, entry in running], findings)
    _check_capital(data, [entry for _, entry in running], findings)
    places: list[tuple[KeyPath, Any]] = [(("account",), data.get("account")), (("book",), data.get("book"))]
    for path, entry in entries:
        places += [(path, entry), ((*path, "account"), entry.get("account"))]
    for path, place in places:
        _check_allowed_symbols(data, place, path, findings)
        _check_lookback(data, place, path, findings)


def _sizes(data: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Whether a strategy's signals become orders, which they do unless its `sizing`, or else the session's, is null."""
    for place in (entry, entry.get("account"), data.get("account")):
        if isinstance(place, Mapping) and "sizing" in place:
            return place["sizing"] is not None
    return True


def _check_quotes(data: Mapping[str, Any], running: Sequence[Mapping[str, Any]], findings: Findings) -> None:
    """An account has one currency: sums over symbols of several would be wrong without a word."""
    if data.get("book") is None and not any(_sizes(data, entry) for entry in running):
        return
    first: tuple[str, str] | None = None
    for path, symbol in _symbols(data):
        entry = _at(data, "session_data_config", "symbols")[path[-1]]
        written = isinstance(entry, Mapping) and "quote" in entry
        quote = entry["quote"] if written else Instrument(symbol).quote
        if not isinstance(quote, str) or not quote:
            continue  # Reported by the model.
        first = first or (symbol, quote)
        if quote != first[1]:
            message = f"accounts have one currency, and {first[0]} is quoted in {first[1]}; give {symbol} a session of its own"
            advice = ", or have signals only recorded (account.sizing: null, and no book)"
            findings.add((*path, "quote") if written else path, message + advice, quote)


def _check_capital(data: Mapping[str, Any], running: Sequence[Mapping[str, Any]], findings: Findings) -> None:
    """What strategies share must be there: else the last ones in a step find nothing left, every time."""
    book = data.get("book")
    if not isinstance(book, Mapping):
        return
    units = 0
    for entry in running:
        said = [_at(place, "allocated_capital") for place in (entry, entry.get("account"), data.get("account"))]
        given = next((one for one in said if one is not None), AccountConfig().allocated_capital)
        if not _is_capital(given):
            return  # Reported by the model.
        units += round(given * MONEY)
    together = f"{units / MONEY:.15g}"
    capital = book.get("capital")
    if capital is None and units > LARGEST_CAPITAL * MONEY:
        message = f"the strategies' capital is {together} together, and a book has at most {LARGEST_CAPITAL:.15g}"
        findings.add(("book", "capital"), f"{message}; lower their allocated_capital")
    elif book.get("shared_buying_power") is True and _is_capital(capital) and round(capital * MONEY) < units:
        message = f"is less than what the strategies that share it are given, {together} together"
        findings.add(("book", "capital"), f"{message}; raise it, or lower their allocated_capital", capital)


def _is_capital(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= LARGEST_CAPITAL


def _check_allowed_symbols(data: Mapping[str, Any], place: Any, path: KeyPath, findings: Findings) -> None:
    symbols = [symbol for _, symbol in _symbols(data)]
    for below, symbol in _items(place, "risk", "allowed_symbols"):
        if symbols and isinstance(symbol, str) and symbol and symbol not in symbols:
            findings.add((*path, *below), "is not a symbol of this session", symbol, suggestion=nearest(symbol, symbols))


def _check_lookback(data: Mapping[str, Any], place: Any, path: KeyPath, findings: Findings) -> None:
    lookback = _at(place, "sizing", "lookback")
    held = _at(data, "session_data_config", "history_bars")
    held = HISTORY_BARS if held is None else held
    if type(lookback) is int and type(held) is int and lookback > held:
        message = f"is more than session_data_config.history_bars, which is {held}: there would never be enough closes"
        findings.add((*path, "sizing", "lookback"), message, lookback)


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
