"""The order state machine: which state may follow which. One table, for simulated and real venues."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from stratd.model import OrderState as S

TRANSITIONS: Final = MappingProxyType(
    {
        S.NEW: frozenset({S.REFUSED, S.HELD, S.SUBMITTED, S.WORKING, S.CANCELLED}),
        S.HELD: frozenset({S.WORKING, S.SUBMITTED, S.CANCELLED}),
        S.SUBMITTED: frozenset({S.WORKING, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED, S.UNKNOWN}),
        S.UNKNOWN: frozenset({S.WORKING, S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED}),
        S.WORKING: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED, S.UNKNOWN}),
        S.PARTIALLY_FILLED: frozenset({S.PARTIALLY_FILLED, S.FILLED, S.CANCELLED, S.EXPIRED, S.UNKNOWN}),
        S.FILLED: frozenset(),
        S.CANCELLED: frozenset(),
        S.EXPIRED: frozenset(),
        S.REJECTED: frozenset(),
        S.REFUSED: frozenset(),
    }
)
"""By state, the states that may follow. An order whose answer is lost (UNKNOWN) is never SUBMITTED again."""

TERMINAL: Final = frozenset(state for state, following in TRANSITIONS.items() if not following)
"""States that are never left."""


def is_legal(before: S, after: S) -> bool:
    """Whether an order may go from one state to another."""
    return after in TRANSITIONS[before]
