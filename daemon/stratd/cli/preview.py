"""What `stratd run` would go on with, found without changing anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stratd.system.config import SessionConfig


def preview(config: SessionConfig, results_dir: str | None) -> list[str]:
    """What would become of the session if it were run now, in lines. The same words as those of the run itself.

    The journal is only read: neither claimed, nor replaced, nor put aside, also where the run would do so. Where the session goes on without
    strategies that cannot be loaded, they are loaded to see which; not found out is whose indicators cannot be computed.

    Raises:
        JournalError: the run could not go on with it, and why.
        ConfigError: no strategy can be loaded.
        CalendarError: a calendar is unknown.
    """
    from stratd.core.clock import SystemClock
    from stratd.execution.terms import TradingTerms
    from stratd.system.builder import build_market
    from stratd.system.journal_way import Way, find_way, refusal
    from stratd.system.restart_plan import restart_plan
    from stratd.system.session_journal import journal_path
    from stratd.system.session_terms import changes, check_same, describe

    path = journal_path(config, config.results_path if results_dir is None else Path(results_dir))
    if not config.journal.enabled:
        return ["the session keeps no journal (journal.enabled is false): it would begin anew"]
    way, past = find_way(path, durable=config.journal.durable is not False)
    if way is Way.REFUSE:
        raise refusal(path)
    if way is Way.REPLACE:
        return [f"the session's journal is not durable (journal.durable is false): it would begin anew, and replace {path}"]
    if way is Way.KEEP:
        of = "a session that has come to its end" if past.durable else "a backtest"
        return [f"{path} is of {of}: it would be kept under another name, and the session begin anew"]
    if way is Way.ANEW:
        why = "nothing was recorded in" if path.exists() else "there is no"
        return [f"{why} {path}: it would begin anew"]
    assert past.about is not None  # else it would begin anew
    market = build_market(config, SystemClock())
    terms = TradingTerms(market.symbols, market.instruments, market.calendars, market.calendar_of, 0)
    about = describe(config, terms, durable=True)
    check_same(past.about, about, path)
    names = _loadable(config)
    lines = restart_plan(past, terms, config, changes(past.about, about), names)
    fresh = sorted(names - {name for name, one in past.pasts.items() if one.time >= 0})
    lines += [f"{name} begins anew: nothing of it was recorded" for name in fresh]
    return [f"it would go on with {path}:", *(f"  {line}" for line in lines)]


def _loadable(config: SessionConfig) -> set[str]:
    """Names of the strategies that a run would have. Where one that cannot be loaded ends it, that is all of them."""
    from stratd.system.requests import loaded_strategies

    names = {entry.name for _, entry in config.enabled_strategies}
    if config.on_load_error == "abort":
        return names
    with loaded_strategies(config) as (_, _, failures):
        return names - {failure.name for failure in failures}
