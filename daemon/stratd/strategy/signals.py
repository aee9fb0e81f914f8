"""Signals as they were emitted: counted, hashed, and kept where somebody wants them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from stratd.model import Side

_SIDE_CODES = {Side.BUY: 1, Side.SELL: 2, Side.FLAT: 3}
_NOTHING = float("nan")
_pack = struct.Struct("<qqiB5d").pack


class SignalRecord(NamedTuple):
    """One emitted signal.

    Attributes:
        time: close time of the event it was decided on, ns UTC.
        open_time: open time of that event's bar, ns UTC.
        symbol: index in the session's symbols.
        side, strength, reason, target_weight, limit_price, stop_price, take_profit_price: as in `Signal`.
        indicators: values then of the symbol's indicators that have names, if they were kept.
    """

    time: int
    open_time: int
    symbol: int
    side: Side
    strength: float
    reason: str
    target_weight: float | None
    limit_price: float | None
    stop_price: float | None
    take_profit_price: float | None
    indicators: tuple[tuple[str, float], ...] | None


Noted: TypeAlias = tuple[tuple[str, float], ...] | None
SignalFields: TypeAlias = tuple[int, int, int, Side, float, str, float | None, float | None, float | None, float | None, Noted]
"""A SignalRecord as a bare tuple, which costs a fifth as much to make."""


def _packed(record: SignalFields) -> bytes:
    """The bytes of a record that are hashed: all but the words of the reason, and what was noted beside it."""
    time, open_time, symbol, side, strength, _, target, limit, stop, profit, _ = record
    return _pack(
        time,
        open_time,
        symbol,
        _SIDE_CODES[side],
        strength,
        _NOTHING if target is None else target,
        _NOTHING if limit is None else limit,
        _NOTHING if stop is None else stop,
        _NOTHING if profit is None else profit,
    )


class SignalLog:
    """Signals of one strategy, in order.

    Thread safety: written by the strategy's thread, at the end of each window; `count` may be read by others.

    Attributes:
        count: how many there were.
        kept: the records, if they are to be kept.
    """

    def __init__(self, keep: bool) -> None:
        self.count = 0
        self.kept: list[SignalRecord] = []
        self._keep = keep
        self._digest = hashlib.blake2b(digest_size=16)

    def take(self, records: Sequence[SignalFields]) -> None:
        """Count and hash some more signals."""
        self.count += len(records)
        self._digest.update(b"".join(map(_packed, records)))
        if self._keep:
            self.kept.extend(map(SignalRecord._make, records))

    def digest(self) -> str:
        """Hash of all signals so far, in order: times, symbol, side and numbers; not the words of the reason."""
        return self._digest.hexdigest()
