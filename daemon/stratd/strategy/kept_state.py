"""KeptState: what a strategy keeps for a restart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from stratd.errors import StrategyStateError

MOST_CHARACTERS: Final = 8 * 1024 * 1024
"""Of a state as JSON: half of what one entry of the journal can hold. The rest is for the account's tables."""


class KeptState:
    """The last good answer of a strategy's `save_state`.

    Kept as text, because a strategy may go on changing what it has given.

    Thread safety: belongs to the strategy's thread.
    """

    __slots__ = ("_text",)

    def __init__(self) -> None:
        self._text = "{}"

    def take(self, state: object) -> None:
        """Take what `save_state` has given.

        Raises:
            StrategyStateError: it cannot be kept. The one before stays.
        """
        if not isinstance(state, Mapping):
            raise StrategyStateError(f"gave {type(state).__name__} and not a dict; return {{}} where there is nothing to keep")
        try:
            text = json.dumps(dict(state))
        except (TypeError, ValueError, RecursionError) as error:
            raise StrategyStateError(
                f"gave what JSON has no place for ({error}); use numbers, text, lists and dicts, and float() or tolist() for what numpy made"
            ) from error
        if len(text) > MOST_CHARACTERS:
            raise StrategyStateError(
                f"gave {len(text):,} characters of JSON, and {MOST_CHARACTERS:,} are the most that can be kept; keep counts and not "
                "history: after a restart bars and indicators are there again"
            )
        self._text = text

    @property
    def value(self) -> dict[str, Any]:
        """What was kept last; {} before there was anything."""
        found: dict[str, Any] = json.loads(self._text)
        return found
