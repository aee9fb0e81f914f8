"""The hash of what strategies were given, as a kernel: fast enough to take in every notification."""

from __future__ import annotations

from typing import Final

import numpy as np

from stratd.core.kernel import kernel

SEED: Final = 0x243F6A8885A308D3
_P1: Final = 0x9E3779B97F4A7C15
_P2: Final = 0xC2B2AE3D27D4EB4F
# One odd constant for each word of a bar: digits of pi.
_C0: Final = 0x13198A2E03707345
_C1: Final = 0xA4093822299F31D1
_C2: Final = 0x082EFA98EC4E6C89
_C3: Final = 0x452821E638D01377
_C4: Final = 0xBE5466CF34E90C6D
_C5: Final = 0xC0AC29B7C97C50DD
_C6: Final = 0x3F84D5B5B5470917
_C7: Final = 0x9216D5D98979FB1B


@kernel("u8(u8, u8)")
def mix(state, word):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """One step of the hash: order matters, and every bit of `word` reaches every bit of the state."""
    state = (state ^ word) * np.uint64(_P1)
    state ^= state >> np.uint64(29)
    state *= np.uint64(_P2)
    return state ^ (state >> np.uint64(32))


@kernel("u8(u8)")
def _fold(word):  # type: ignore[no-untyped-def]  # as above
    """Let the high bits of a word (signs, exponents) reach the low ones, which a product spreads."""
    return word ^ (word >> np.uint64(29))


@kernel("u8(i8, f8, f8, f8, f8, f8, i8, i8, i8, i8)")
def fingerprint(open_time, o, h, l, c, v, n, lost, quiet, flags):  # type: ignore[no-untyped-def]  # as above
    """Hash of one bar: its open time, the bits of its prices and volume, its counts of minutes and its flags.

    Words are folded and multiplied by constants of their own and added up, which the processor does side by side, and the
    sum is mixed: a third of the time of mixing word by word, and this is done for every bar there is.
    """
    total = _fold(np.uint64(open_time)) * np.uint64(_C0)
    total += _fold(np.uint64(np.float64(o).view(np.int64))) * np.uint64(_C1)
    total += _fold(np.uint64(np.float64(h).view(np.int64))) * np.uint64(_C2)
    total += _fold(np.uint64(np.float64(l).view(np.int64))) * np.uint64(_C3)
    total += _fold(np.uint64(np.float64(c).view(np.int64))) * np.uint64(_C4)
    total += _fold(np.uint64(np.float64(v).view(np.int64))) * np.uint64(_C5)
    total += _fold(np.uint64(n) | (np.uint64(lost) << np.uint64(32))) * np.uint64(_C6)
    total += _fold(np.uint64(quiet) | (np.uint64(flags) << np.uint64(32))) * np.uint64(_C7)
    return mix(np.uint64(SEED), total)
