"""What a journal says of its session: what its numbers mean, and under which rules they came about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from stratd.errors import JournalError
from stratd.execution.terms import TradingTerms
from stratd.system.account_config import risk_limits
from stratd.system.config import SessionConfig

VERSION: Final = 2
"""Of the description. Version 1 (without the key) had no rules."""

_MEANING: Final = ("symbols", "ticks", "lots", "quotes")


def describe(config: SessionConfig, terms: TradingTerms, durable: bool) -> dict[str, Any]:
    """The description of a session as it is configured, in plain JSON values."""
    strategies = [entry for _, entry in config.enabled_strategies]
    rules = {
        entry.name: {"account": asdict(config.account_rules(entry)), "risk": asdict(config.risk_limits(entry))}
        for entry in strategies
    }
    book = None
    if config.book is not None:
        book = {**config.book.model_dump(exclude={"risk"}), "risk": asdict(risk_limits(config.book.risk))}
    about = {
        "version": VERSION,
        "symbols": list(terms.symbols),
        "ticks": [entry.tick for entry in terms.instruments],
        "lots": [entry.lot for entry in terms.instruments],
        "quotes": [entry.quote for entry in terms.instruments],
        "instruments": {
            entry.symbol: {"calendar": entry.calendar, "extended_hours": entry.extended_hours, "min_notional": entry.min_notional}
            for entry in terms.instruments
        },
        "session": config.session_name,
        "durable": durable,
        "capital": {name: one["account"]["allocated_capital"] for name, one in rules.items()},
        "rules": rules,
        "book": book,
    }
    plain: dict[str, Any] = json.loads(json.dumps(about))
    return plain


def together(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a session that goes on: as it is now, with what is known of strategies that are not in it any more."""
    kept = {key: {**before.get(key, {}), **now[key]} for key in ("capital", "rules")}
    return {**now, **kept}


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with a journal whose numbers mean something else in the session as it is now.

    Raises:
        JournalError: they do.
    """
    other = [key for key in _MEANING if key in before and before[key] != now[key]]
    if "symbols" in other and "quotes" in other:
        other.remove("quotes")  # of other symbols
    for name, capital in now["capital"].items():
        held = before.get("capital", {}).get(name, capital)
        if held != capital:
            other.append(f"allocated_capital of {name} ({held:,.2f}, and {capital:,.2f} now)")
        rule = now["rules"][name]["account"]["lots"]
        held = before.get("rules", {}).get(name, {}).get("account", {}).get("lots", rule)
        if held != rule:
            other.append(f"account.lots of {name} ({held}, and {rule} now)")
    if other:
        raise JournalError(
            f"was kept with other {' and '.join(other)} than the session has now, so what it says cannot be gone on with; "
            "put them back, or move the journal away to begin a new one",
            path=str(path),
        )


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is otherwise than it was when the journal was last gone on with, in words; what nobody knows of is left out."""
    found: list[str] = []
    for name, rules in now["rules"].items():
        found += _differing(f"{name}: ", before.get("rules", {}).get(name), rules)
    for symbol, terms in now["instruments"].items():
        found += _differing(f"{symbol}: ", before.get("instruments", {}).get(symbol), terms)
    if "book" in before:
        if (before["book"] is None) != (now["book"] is None):
            found.append("the session has no book any more" if now["book"] is None else "the session has a book now")
        else:
            found += _differing("book: ", before["book"], now["book"])
    return found


def _differing(where: str, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> Iterator[str]:
    if before is None or now is None:
        return
    held, given = dict(_flat("", before)), dict(_flat("", now))
    for key, value in given.items():
        if key in held and held[key] != value:
            yield f"{where}{key} is {_text(value)}, and was {_text(held[key])}"


def _flat(path: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(f"{path}{key}.", value)
        else:
            yield f"{path}{key}", value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
