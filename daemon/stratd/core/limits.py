"""Limits of the process."""

from __future__ import annotations

import resource


def raise_file_limit() -> int:
    """Allow as many open files as the system lets this process have. Returns how many.

    Each piece of shared memory takes three descriptors, and the usual soft limit of 1,024 is meant for programs that use `select`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
