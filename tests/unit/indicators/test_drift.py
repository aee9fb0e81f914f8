"""Nothing that rolls drifts: after millions of rows a value is what its window alone gives."""

from __future__ import annotations

import numpy as np
import pytest

from stratd.indicators.catalogue.listing import CATALOGUE, Entry

ROLLING = [pytest.param(entry, id=entry.spec.label) for entry in CATALOGUE if entry.kind == "rolling"]


def bars(rows: int) -> dict[str, np.ndarray]:
    """Whole cents that rise and fall by orders of magnitude, with spikes of volume and of price in the middle."""
    random = np.random.default_rng(12)
    close = np.round(np.exp(np.sin(np.arange(rows) / (rows / 40)) * 3 + 4 + random.normal(0, 2e-3, rows)), 2)
    open_ = np.round(close * (1 + random.normal(0, 1e-3, rows)), 2)
    high = np.maximum(open_, close) + 0.01 * random.integers(1, 5, rows)
    low = np.minimum(open_, close) - 0.01 * random.integers(1, 5, rows)
    volume = random.lognormal(5, 2, rows).round(3)
    volume[rows // 2] = 1e13
    close[rows // 3] = high[rows // 3] = 1e9
    return {"open": open_, "high": high.round(2), "low": low.round(2), "close": close, "volume": volume}


def check_tail(entry: Entry, rows: int, tick: float | None) -> None:
    whole = bars(rows)
    recent = 40 * entry.spec.warmup
    tail = {name: column[-recent:] for name, column in whole.items()}
    long = entry.spec.compute(whole, tick=tick, blocks=range(0, rows, 16_384))
    short = entry.spec.compute(tail, tick=tick)
    for name, values in short.items():
        mine, alone = long[name][-recent // 2 :], values[-recent // 2 :]
        size = np.nanmax(np.abs(alone))
        # Recursive parts (of StochasticRSI) have forgotten their beginning by then.
        np.testing.assert_allclose(mine, alone, rtol=1e-9, atol=1e-9 * size, err_msg=name)


@pytest.mark.parametrize("entry", ROLLING)
@pytest.mark.parametrize("tick", [0.01, None], ids=["tick", "floats"])
def test_rolling_indicator_after_100_000_rows_is_what_its_last_rows_give(entry: Entry, tick: float | None) -> None:
    check_tail(entry, 100_000, tick)


@pytest.mark.prove
@pytest.mark.parametrize("entry", ROLLING)
@pytest.mark.parametrize("tick", [0.01, None], ids=["tick", "floats"])
def test_rolling_indicator_after_ten_million_rows_is_what_its_last_rows_give(entry: Entry, tick: float | None) -> None:
    check_tail(entry, 10_000_000, tick)
