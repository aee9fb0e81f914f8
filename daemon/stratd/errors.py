"""Every error that stratd raises, in one tree.

    StratdError                    base; .exit_code says how a command ends
    ├── UsageError                 the command line is wrong (exit 2)
    ├── ConfigError                a configuration file is wrong; .problems lists all of them (exit 78)
    ├── MissingExtra               an optional dependency is needed and absent
    ├── FeedError                  a feed cannot be read (what, where, what to do)
    ├── CalendarError              a calendar is unknown, or time lies outside its table
    ├── KernelError                a kernel's signature is wrong, or it does not compile
    ├── DataError                  what a strategy asked of market data cannot be given
    │   ├── HistoryExceeded        the row has been evicted
    │   ├── IndicatorError         an indicator is put together wrongly
    │   └── NotSubscribed          the stream was neither subscribed to nor watched
    ├── StrategyError              a strategy cannot be used
    │   ├── StrategyLoadError      its module or class cannot be loaded; .file and .line say where
    │   ├── StrategySetupError     its setup raised or asked for something impossible
    │   └── StrategyStateError     what its save_state gave cannot be kept
    ├── JournalError               the durable record cannot be opened, read or written; .lost says how many entries
    ├── WorkforceError             a workforce is put together wrongly
    │   ├── WorkforceConfigError   unmet need, cycle or double producer
    │   └── MissingDTO             a worker read a DTO that nobody has set
    ├── ContainerError             a container is put together or used wrongly, or components of it failed to close
    │   └── ReadOnlyService        a shared service was written to, or asked for what it does not show
    └── SessionError               a running session cannot go on
        └── BarrierTimeout         a strategy made no progress within the barrier's deadline

Who must act is in the class: the first three are for whoever typed the command or wrote the file,
`StrategyError` and `WorkforceError` for the author of a strategy, the rest for the operator.
"""

from __future__ import annotations

from dataclasses import dataclass


class StratdError(Exception):
    """Base of all errors of stratd."""

    exit_code = 1


class UsageError(StratdError):
    """The command line is wrong."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration file.

    Attributes:
        file: the file as the user named it.
        key: dotted path of the key, `strategies[0].config.fast_period`; empty for the file as a whole.
        value: the offending value as text; None where there is none.
        message: what is wrong and what to do.
        allowed: the values that would do, where they can be listed.
        suggestion: the nearest valid choice ("did you mean").
    """

    file: str
    key: str
    message: str
    value: str | None = None
    allowed: tuple[str, ...] = ()
    suggestion: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        text = f"{where}: {self.message}"
        if self.value is not None:
            text += f" (got {self.value})"
        if self.suggestion is not None:
            text += f"; did you mean {self.suggestion!r}?"
        if self.allowed:
            text += f"; allowed: {', '.join(self.allowed)}"
        return text


class ConfigError(StratdError):
    """A configuration is wrong. All problems at once, in the order of the file."""

    exit_code = 78

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class MissingExtra(StratdError):
    """An optional dependency is needed: `pip install 'stratd[extra]'`."""

    exit_code = 78

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra = extra
        super().__init__(f"{needed_for} needs the optional extra {extra!r}: pip install 'stratd[{extra}]'")


class FeedError(StratdError):
    """A feed cannot be read."""

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"{where}: {reason}")


class CalendarError(StratdError):
    """A calendar is unknown, or a time lies outside its table."""

    exit_code = 78


class KernelError(StratdError):
    """A kernel's signature is wrong, or it does not compile. (Calling one with other types than its signature is a TypeError.)"""


class DataError(StratdError):
    """What a strategy asked of market data cannot be given."""


class HistoryExceeded(DataError):
    """The row asked for has been evicted (or never lay within `history_bars`)."""

    def __init__(self, stream: str, index: int, first_held: int, history_bars: int) -> None:
        self.stream = stream
        self.index = index
        self.first_held = first_held
        super().__init__(
            f"{stream}: row {index} is no longer held, the first one held is {first_held}; "
            f"raise history_bars (now {history_bars}) in the session to look further back"
        )


class IndicatorError(DataError):
    """An indicator is put together wrongly: no such output, a cycle, another number of sources."""


class NotSubscribed(DataError):
    """The stream was neither subscribed to nor watched, so its rows have no place in this strategy's order."""

    def __init__(self, symbol: str, interval: str, has: str) -> None:
        self.symbol = symbol
        self.interval = interval
        super().__init__(
            f"{symbol} {interval} is not visible to this strategy; in setup call "
            f"ctx.subscribe({symbol!r}, {interval!r}) or ctx.watch({symbol!r}, {interval!r}). It has: {has}"
        )


class StrategyError(StratdError):
    """A strategy cannot be used."""


class StrategyLoadError(StrategyError):
    """A strategy's module or class cannot be loaded."""

    exit_code = 78

    def __init__(self, module: str, reason: str, file: str | None = None, line: int | None = None) -> None:
        self.module = module
        self.reason = reason
        self.file = file
        self.line = line
        where = module if file is None else f"{module} ({file}{'' if line is None else f', line {line}'})"
        super().__init__(f"{where}: {reason}")


class StrategySetupError(StrategyError):
    """A strategy's `setup` raised, or asked for something that the session cannot give."""

    exit_code = 78

    def __init__(self, strategy: str, reason: str) -> None:
        self.strategy = strategy
        self.reason = reason
        super().__init__(f"strategy {strategy}: {reason}")


class StrategyStateError(StrategyError):
    """What a strategy's `save_state` gave cannot be kept."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"save_state {reason}")


class JournalError(StratdError):
    """The durable record cannot be opened, read or written.

    Attributes:
        path: the journal's file; empty where it is about one record.
        lost: entries that were posted and are not in the file, and never will be.
    """

    def __init__(self, reason: str, *, path: str = "", lost: int = 0) -> None:
        self.reason = reason
        self.path = path
        self.lost = lost
        super().__init__(f"{path}: {reason}" if path else reason)


class WorkforceError(StratdError):
    """A workforce is put together wrongly."""


class WorkforceConfigError(WorkforceError):
    """An unmet need, a cycle, or two producers of one DTO."""

    exit_code = 78


class MissingDTO(WorkforceError):
    """A worker read a DTO that nobody has set in this tick."""

    def __init__(self, worker: str, dto: str, asset: str, producer: str | None) -> None:
        self.worker = worker
        self.dto = dto
        self.asset = asset
        self.producer = producer
        made_by = f"{producer} should have made it" if producer else "no worker of this workforce makes it"
        super().__init__(f"worker {worker} needs {dto} for {asset}, which is not there: {made_by}")


class ContainerError(StratdError):
    """A container is put together or used wrongly, or components of it failed to close (then `errors` has what they raised)."""

    def __init__(self, where: str, reason: str, errors: tuple[Exception, ...] = ()) -> None:
        self.where = where
        self.reason = reason
        self.errors = errors
        super().__init__(f"{where}: {reason}")


class ReadOnlyService(ContainerError, AttributeError):
    """A shared service was written to, or asked for what it does not show. (An AttributeError, so that `hasattr` works.)"""


class SessionError(StratdError):
    """A running session cannot go on."""


class BarrierTimeout(SessionError):
    """A strategy made no progress within the barrier's deadline."""
