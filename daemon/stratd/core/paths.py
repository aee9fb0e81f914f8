"""Where stratd keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """The cache directory: `STRATD_CACHE_DIR`, else systemd's `CACHE_DIRECTORY`, else the user's cache."""
    if own := os.environ.get("STRATD_CACHE_DIR"):
        return Path(own)
    if given := os.environ.get("CACHE_DIRECTORY"):
        return Path(given.split(":")[0])  # systemd lists several where a unit has several
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # the XDG specification says to ignore these
        home = os.path.expanduser("~")
        # A user without a home (a container's, a systemd unit's) must not get a directory named `~` wherever it stands.
        base = Path("/" if home == "~" else home) / ".cache"
    return base / "stratd"
