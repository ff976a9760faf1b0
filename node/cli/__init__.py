"""`hedgerow`: the command line. Each command imports what it needs when it runs.

Exit codes: 0 done, 1 a fault that the message explains, 2 wrong usage, 130 interrupted.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

import click

from gossip.errors import HedgerowError, LocalError
from node.cli import (
    antigens,
    compare,
    data,
    demo,
    detect,
    incidents,
    keeping,
    operate,
    report,
    scenarios,
    service,
    simulate,
    sweep,
    topology,
)
from node.cli.output import hush


def main() -> None:
    """Entry point: every expected fault becomes one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal's encoding knows our "…"
    try:
        with _said_in_one_line():
            cli.main(standalone_mode=False, prog_name="hedgerow")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("hedgerow: interrupted", err=True)
        sys.exit(130)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)


@contextmanager
def _said_in_one_line() -> Iterator[None]:
    try:
        yield
    except HedgerowError as error:
        _fail(error)
    except BaseExceptionGroup as group:  # from trio's nurseries
        expected, rest = group.split(HedgerowError)
        if rest is not None and rest.split(KeyboardInterrupt)[1] is None:
            raise KeyboardInterrupt from None
        if rest is not None or expected is None:
            raise
        _fail(_first(expected))
    except MemoryError:
        _fail(LocalError("this needs more memory than there is; use fewer peers or rows at once"))
    except BrokenPipeError:  # `hedgerow … | head`
        hush()
        sys.exit(1)
    except OSError as error:  # such as a name too long for the file system
        name = "standard output" if error.filename is None else str(error.filename)[:200]
        _fail(LocalError(f"{name}: {error.strerror}; check the path and the space left there"))


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _fail(error: BaseException) -> None:
    from node.logs import printable

    # Files that others made are quoted in messages, and a terminal must not obey them.
    click.echo(f"hedgerow: {printable(str(error))}", err=True)
    sys.exit(1)


def _version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from node.status.condition import software

    click.echo(software())
    context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    callback=_version,
    expose_value=False,
    is_eager=True,
    help="Show the version and exit.",
)
def cli() -> None:
    """A serverless neighbourhood watch for IoT gateways."""


for _command in (
    service.init,
    service.check,
    operate.up,
    operate.join,
    operate.status,
    detect.detect,
    operate.psk,
    incidents.incidents,
    incidents.verdict,
    incidents.suppress,
    antigens.show_what_leaves,
    antigens.antigens,
    operate.config,
    operate.replay,
    keeping.generations,
    keeping.rollback,
    keeping.ledger,
    keeping.exclude,
    topology.topology,
    scenarios.scenarios,
    data.data,
    simulate.simulate,
    sweep.sweep,
    compare.compare,
    report.report,
    demo.demo,
):
    cli.add_command(_command)
