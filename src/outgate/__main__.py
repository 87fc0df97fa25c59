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
        raise


def _fail(text: str, status: int) -> int:
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)  # noqa: T201 - the one place for errors
    return status


if __name__ == "__main__":
    main()
