"""`stratd check`: what would go wrong if the session were run."""

from __future__ import annotations

from stratd.core.clock import SystemClock
from stratd.errors import Problem, StratdError
from stratd.strategy.plugin import unload
from stratd.system.builder import build_market
from stratd.system.config import SessionConfig
from stratd.system.loading import load_all


def check_session(config: SessionConfig) -> list[Problem]:
    """Load every strategy of a session, check its parameters, and run its setup on an empty context.

    Returns:
        Everything that is wrong, whatever the session's `on_load_error` says.
    """
    try:
        market = build_market(config, SystemClock())
    except StratdError as error:
        return [Problem(str(config.file), "calendar", str(error))]
    loaded, failures = load_all(config, market)
    for entry in loaded:
        unload(type(entry.strategy))
    return [problem for failure in failures for problem in failure.problems]
