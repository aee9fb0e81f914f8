"""StrategyManager: all strategy threads of a session."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from stratd.core.clock import perf_ns
from stratd.core.states import State
from stratd.strategy.thread import StrategyThread


class StrategyManager:
    """Starts, watches and stops the strategy threads of a session.

    Thread safety: used by the thread that runs the session, but `abandon_hung`, which the data-processor calls.
    """

    def __init__(self, threads: Sequence[StrategyThread]) -> None:
        self.threads = tuple(threads)
        self._hung: set[StrategyThread] = set()
        self._by_subscription = {id(thread.subscription): thread for thread in threads}

    def start(self) -> None:
        """Start every thread, and wait until each is at its inbox."""
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.started.wait()

    def abandon_hung(self, subscription: object, seconds: float) -> None:
        """A reader made no progress for `seconds`: let it go, so that it holds up nobody else."""
        thread = self._by_subscription[id(subscription)]
        self._hung.add(thread)
        thread.abandon(State.QUARANTINED, f"quarantined: no progress for {seconds:g} s")

    def join(self, deadline_seconds: float) -> list[StrategyThread]:
        """Wait for all threads, together at most `deadline_seconds`. Returns those that have not ended."""
        end = perf_ns() + int(deadline_seconds * 1e9)
        late = []
        for thread in self.threads:
            if thread in self._hung:
                continue
            if not thread.join(max(0.0, (end - perf_ns()) / 1e9)):
                late.append(thread)
        return late

    def abandon_all(self, reason: str) -> None:
        """Let every thread that still works end after the callback that it is in."""
        for thread in self.threads:
            if thread.state is State.RUNNING:
                thread.abandon(State.STOPPED, reason)

    def bottleneck(self) -> StrategyThread | None:
        """The strategy that the data-processor has waited for longest; None if it never waited."""
        slowest = max(self.threads, key=lambda thread: thread.subscription.gate_wait_ns, default=None)
        return slowest if slowest is not None and slowest.subscription.gate_wait_ns else None


def audit_hash(thread: StrategyThread) -> str:
    """Hash of everything a strategy was notified of and everything it signalled, in order, and of its fills."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{thread.name}\0{thread.subscription.audit:016x}\0{thread.signals.digest()}\0{thread.signals.count}".encode())
    if thread.account is not None and thread.account.active:
        digest.update(thread.account.ledger_hash().encode())
    return digest.hexdigest()
