"""`hedgerow compare`."""

import click


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="BOUND",
    help='Time, cycles and bytes to it, such as "detection.mean >= 0.8". May be repeated.',
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def compare(folders: tuple[str, ...], targets: tuple[str, ...], as_json: bool) -> None:
    """Set results side by side: at the end, at equal steps, and at equal bytes.

    FOLDER is what `hedgerow simulate --out` or `hedgerow sweep --out` wrote. A sweep gives a column
    for each combination; FOLDER:KEY=VALUE picks some.
    """
    from scenarios.sweep.compare import compare_folders

    compare_folders(folders, targets, as_json=as_json)
