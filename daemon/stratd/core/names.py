"""Did you mean."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was most likely meant to be, or None where nothing is near."""
    pool = list(choices)
    for choice in pool:
        if choice.lower() == word.lower():
            return choice
    found = difflib.get_close_matches(word, pool, n=1, cutoff=0.6)
    return found[0] if found else None
