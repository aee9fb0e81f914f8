"""Bars to compute indicators on."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.paths import shared_data

FIELDS = ("open", "high", "low", "close", "volume")
Bars = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="session")
def spy() -> Bars:
    """One-minute bars of SPY, October 2013: gaps, extended hours, whole cents."""
    with gzip.open(shared_data() / "bars" / "us_equity" / "SPY_2013-10.csv.gz", "rt") as lines:
        rows = list(csv.DictReader(lines))
    return {name: np.array([float(row[name]) for row in rows]) for name in FIELDS}


@pytest.fixture(scope="session")
def walk() -> Bars:
    """1,000 made-up bars in cents, with some rows that repeat."""
    random = np.random.default_rng(7)
    close = np.round(20 * np.exp(np.cumsum(random.normal(0, 2e-3, 1000))), 2)
    open_ = np.concatenate([[20.0], close[:-1]])
    high = np.round(np.maximum(open_, close) + 0.01 * random.integers(0, 4, 1000), 2)
    low = np.round(np.minimum(open_, close) - 0.01 * random.integers(0, 4, 1000), 2)
    return {"open": open_, "high": high, "low": low, "close": close, "volume": random.integers(0, 900, 1000).astype(float)}
