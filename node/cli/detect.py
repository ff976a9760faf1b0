"""`hedgerow detect`: judge logs by a saved model."""

import json
from pathlib import Path

import click

from node.config.flags import FILE, FOLDER


@click.command()
@click.argument("logs", nargs=-1, required=True, type=FILE, metavar="LOG...")
@click.option("--state-dir", type=FOLDER, help="State folder of the node whose model judges.")
@click.option("--config", type=FILE, help="That node's settings; see docs/configuration.md.")
@click.option(
    "--kind",
    type=click.Choice(["auto", "suricata", "zeek", "ipfix", "json"]),
    default="auto",
    help="Whose logs these are. Files named .pcap or .pcapng hold packets.",
)
@click.option("--json", "as_json", is_flag=True, help="An alert a line, as Suricata writes them.")
def detect(
    logs: tuple[Path, ...], state_dir: Path | None, config: Path | None, kind: str, as_json: bool
) -> None:
    """Judge whole logs by the model that a node saved, as yesterday's by today's model.

    Prints the incidents in them. Reads the node's state folder and changes nothing there, whether
    the node runs or not.
    """
    from node.alerts.records import alert_line
    from node.config.flags import overridden
    from node.config.settings import Settings
    from node.detecting.judging import Judging
    from node.detecting.telling import heading, line, summary
    from node.sensors.reading import Kind

    settings = Settings.defaults() if config is None else Settings.load(config)
    settings = overridden(settings, state_dir=state_dir)
    judging = Judging(settings.node.state_dir, settings.detector, settings.mesh)
    name = settings.node.name or "hedgerow"
    if not as_json:
        click.echo(heading(judging.verdict))
    count = 0
    for incident in judging.incidents(logs, Kind(kind)):
        count += 1
        if as_json:
            click.echo(json.dumps(alert_line(incident, judging.verdict, name), allow_nan=False))
        else:
            click.echo(line(incident))
    click.echo(summary(count, judging.counts), err=as_json)
