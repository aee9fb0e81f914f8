"""Component states, as nautilus_trader names them, and QUARANTINED."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a component is in its life."""

    READY = "READY"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    DEGRADED = "DEGRADED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAULTED = "FAULTED"
    QUARANTINED = "QUARANTINED"
