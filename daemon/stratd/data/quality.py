"""How much of what was expected is there."""

from __future__ import annotations

from dataclasses import dataclass

from stratd.data.derivation import Derivation


@dataclass(frozen=True, slots=True)
class StreamQuality:
    """Quality of one symbol's minutes; its derived streams share it.

    Attributes:
        present: minutes taken in.
        lost: minutes that should have been there: rows that could not be used, gaps that the feed reported, and, where
            the venue sends a bar for every minute, absent minutes of regular hours. Minutes without trades do not count.
    """

    present: int
    lost: int

    @property
    def quality(self) -> float:
        """present / (present + lost); 0 where nothing came."""
        expected = self.present + self.lost
        return self.present / expected if expected else 0.0


def quality_by_symbol(derivation: Derivation) -> dict[str, StreamQuality]:
    """The quality of every symbol so far. Called by the writer, or after it has ended."""
    data, lost = derivation.data, derivation.lost.tolist()
    return {symbol: StreamQuality(int(data.count[0, s]), lost[s]) for s, symbol in enumerate(data.symbols)}
