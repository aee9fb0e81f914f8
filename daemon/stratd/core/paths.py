"""Where stratd keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """The cache directory: `STRATD_CACHE_DIR`, else systemd's `CACHE_DIRECTORY`, else the user's cache."""
    for variable in ("STRATD_CACHE_DIR", "CACHE_DIRECTORY"):
        value = os.environ.get(variable)
        if value:
            return Path(value.split(":")[0])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(os.path.expanduser("~")) / ".cache") / "stratd"
