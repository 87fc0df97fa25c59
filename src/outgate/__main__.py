"""Entry point: maps errors to one line on standard error and an exit status."""

import sys

from outgate.errors import OutgateError


def main() -> None:
    """Run the command line."""
    from outgate.cli.main import cli  # noqa: PLC0415 - so that an interrupt while importing is quiet too

    try:
        cli.main(prog_name="outgate", standalone_mode=False)
    except OutgateError as error:
        sys.exit(_fail(str(error), error.exit_status))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        import click  # noqa: PLC0415 - see above

        if isinstance(error, click.exceptions.Exit):
            sys.exit(error.exit_code)
        if isinstance(error, click.ClickException):
            error.show()
            sys.exit(2)
        if isinstance(error, click.Abort):
            sys.exit(130)
        sys.exit(_fail(_fault(error), 70))


def _fault(error: Exception) -> str:
    """Say what nobody foresaw without a traceback, and where, so that a report of it is of use."""
    import traceback  # noqa: PLC0415 - takes as long as a twentieth of a command

    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.filename.rpartition('/')[2]}:{where.lineno}"
    return (
        f"this is a fault of Outgate, please report it: {type(error).__name__}: {error} at {place}"
    )


def _fail(text: str, status: int) -> int:
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)  # noqa: T201 - the one place for errors
    return status


if __name__ == "__main__":
    main()
