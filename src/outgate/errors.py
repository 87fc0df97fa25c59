"""The exceptions, in one place, so that the command line can map each to an exit status and one line of text.

    OutgateError            failed: exit status 1
    ├── UsageError          used wrongly: exit status 2
    ├── InvalidError        input with problems; carries them
    ├── NotFoundError       a named resource or pod does not exist
    ├── ConflictError       it exists already, or was changed meanwhile
    ├── EnvoyError          the binary is missing, has the wrong version, or did not start
    ├── FirewallError       nft or iptables refused a rule set
    ├── HostError           the machine refused: namespace, mount, process, privilege
    └── UnavailableError    the local mesh, or what it needs, is not running

A library's exception is wrapped where it enters, chained, and says what the user can do.
"""

from collections.abc import Sequence


class OutgateError(Exception):
    """Base of all; `message` says what and where, `hint` what to do about it (may be empty)."""

    exit_status = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep both parts, so that output can show them apart."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """One line: the message, then the hint in parentheses."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(OutgateError):
    """The command was used wrongly."""

    exit_status = 2


class InvalidError(OutgateError):
    """Input was refused; `problems` are `outgate.resources.problems.Problem` values, rendered by `str`."""

    def __init__(self, problems: Sequence[object]) -> None:
        """Join the problems, a line each, so that `str` shows them all."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class NotFoundError(OutgateError):
    """What was named does not exist."""


class ConflictError(OutgateError):
    """What was to be made exists already, or was changed meanwhile."""


class EnvoyError(OutgateError):
    """Envoy cannot be found, has the wrong version, did not start, or stopped."""


class FirewallError(OutgateError):
    """A rule set was refused by nft or iptables; nothing of it is in place."""


class HostError(OutgateError):
    """The machine refused an operation: a namespace, mount, process or privilege."""


class UnavailableError(OutgateError):
    """The local mesh, or a part of it that is needed, is not running."""
