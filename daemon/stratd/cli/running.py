"""Whether somebody writes a journal now."""

from __future__ import annotations

import os
from pathlib import Path


def writer_of(journal: Path) -> int | None:
    """The process that writes a journal; None where none does, or none can be seen.

    The lock itself is not tried: to hold it for an instant could keep a run from beginning. The side file has the number of the
    process that locked it last, and the process, if it lives, has that file open. (What another user's processes have open cannot be
    seen; a number alone proves nothing, since numbers are given out again.)
    """
    side = journal.with_name(journal.name + ".lock")
    try:
        text = side.read_bytes()[:64].partition(b"\n")[0].decode(errors="replace").strip()
    except OSError:
        return None
    if not text.isdecimal():
        return None
    try:
        descriptors = list(Path(f"/proc/{text}/fd").iterdir())
    except OSError:
        return None
    for descriptor in descriptors:
        try:
            if os.path.samestat(os.stat(descriptor), os.stat(side)):
                return int(text)
        except OSError:
            continue
    return None
