from __future__ import annotations

import pytest

from stratd.core.names import nearest

CHOICES = ("AAPL", "GOOGL", "history_bars", "window")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("aapl", "AAPL"), ("AAPLE", "AAPL"), ("histroy_bars", "history_bars"), ("Window", "window"), ("zzz", None), ("", None)],
)
def test_nearest_gives_what_was_meant_or_none(word: str, meant: str | None) -> None:
    assert nearest(word, CHOICES) == meant


def test_nearest_takes_any_iterable_and_none_of_an_empty_one() -> None:
    assert nearest("fast", (name for name in ("slow", "fasst"))) == "fasst"
    assert nearest("fast", ()) is None
