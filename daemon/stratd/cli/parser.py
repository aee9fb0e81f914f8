"""An argparse parser that teaches: a misspelt verb, option or choice is answered with the nearest one."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from stratd.core.names import nearest
from stratd.errors import UsageError

Handler = Any
"""`Callable[[argparse.Namespace], int]`: runs a verb, returns its exit code."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '?([^'\s]*)'? \(choose from (.*)\)", message)
        if choice:
            near = nearest(choice[1], re.findall(r"[\w-]+", choice[2]))
            message = message.replace(" (choose", f"; did you mean {near!r}? (choose") if near else message
        raise UsageError(f"{self.prog}: {message}\n`{self.prog} --help` says what there is")

    def parse_strictly(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse, and refuse what is left over.

        Raises:
            UsageError: the command line is wrong.
        """
        found, extra = self.parse_known_args(argv)
        if extra:
            verb: Parser = getattr(found, "parser", self)
            word = extra[0].partition("=")[0]
            options = [option for action in verb._actions for option in action.option_strings]
            near = nearest(word, options) if word.startswith("-") else None
            verb.error(f"unknown argument {extra[0]}" + (f"; did you mean {near}?" if near else ""))
        return found


def whole_number(least: int, most: int | None = None) -> Any:
    """An argparse type: a whole number within bounds."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < least or (most is not None and number > most):
            bounds = f"from {least} to {most}" if most is not None else f"at least {least}"
            raise argparse.ArgumentTypeError(f"{number} must be {bounds}")
        return number

    return parse
