"""What the scripts under peers/ share. Needs neither stratd nor anything but numpy."""

from __future__ import annotations

import json

import numpy as np

import workloads


class Cross:
    """Counts crosses of two averages: the same rule for every peer, in whatever arithmetic its averages have."""

    def __init__(self) -> None:
        self.before = float("nan")
        self.long = False
        self.signals = 0

    def add(self, fast: float, slow: float) -> None:
        """The averages of the next 5m bar."""
        now = fast - slow
        before = self.before
        self.before = now
        if now > 0.0:
            if before <= 0.0 and not self.long:
                self.long = True
                self.signals += 1
        elif now < 0.0 and before >= 0.0 and self.long:
            self.long = False
            self.signals += 1


def cents(bars: workloads.Workload) -> int:
    """Sum of all closes, in cents: tells whether two environments made the same bars."""
    return int(np.rint(bars.columns["close"] * 100).sum())


def tell(name: str, bars: workloads.Workload, wall_seconds: float, cpu_seconds: float, bars_5m: int, signals: int) -> None:
    """Print the line that the comparison reads."""
    found = {
        "peer": name,
        "minutes": bars.minutes,
        "wall_seconds": wall_seconds,
        "cpu_seconds": cpu_seconds,
        "bars_5m": bars_5m,
        "signals": signals,
        "cents": cents(bars),
    }
    print(json.dumps(found))
