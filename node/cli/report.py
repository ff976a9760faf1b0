"""`hedgerow report`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gossip.errors import ExpectationError, LocalError
from node.config.flags import FOLDER


@click.command()
@click.argument("folder", type=FOLDER)
@click.option(
    "--figures",
    type=click.Choice(["svg", "png"]),
    help="Write each figure to FOLDER/figures, too, for a column of a paper.",
)
def report(folder: Path, figures: str | None) -> None:
    """Write report.html: one page that shows what is in a folder of results.

    FOLDER is what `hedgerow simulate --out`, with or without --seeds, or `hedgerow sweep --out`
    wrote.
    """
    from scenarios.report.write import write_report

    click.echo(f"wrote {write_report(folder, figures)}")


@contextmanager
def reported(folder: Path | None) -> Iterator[None]:
    """Write the report of what the block writes to a folder, and say so on standard error.

    Also where the block ends with a failed expectation, a failed seed or an interrupt: what there
    is by then is worth a report. A block that did nothing gets none.

    Args:
        folder: None is for no report.

    Raises:
        StateError: the report cannot be written.
    """
    try:
        yield
    except (LocalError, KeyboardInterrupt) as error:
        # The plain LocalError is of runs that failed beside others that are written.
        if isinstance(error, ExpectationError | KeyboardInterrupt) or type(error) is LocalError:
            _report(folder)
        raise
    _report(folder)


def _report(folder: Path | None) -> None:
    from scenarios.report.write import has_results, write_report

    if folder is not None and has_results(folder):
        click.echo(f"wrote {write_report(folder)}", err=True)
