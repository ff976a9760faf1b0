"""`hedgerow check`: everything that a node needs, looked at before it is started."""

from collections.abc import Iterator
from pathlib import Path

from gossip.errors import ConfigError
from node.config.settings import Settings
from node.service.checking.alerting import check_alerting
from node.service.checking.finding import Finding, ok, said
from node.service.checking.machine import check_machine, running_pid
from node.service.checking.network import check_bootstrap, check_ports
from node.service.checking.sensing import check_sensors


def check(config: Path, *, offline: bool) -> Iterator[Finding]:
    """Look at a settings file and at all that it names; changes nothing.

    Args:
        config: the file.
        offline: dial nobody.
    """
    try:
        settings = Settings.load(config)
    except ConfigError as fault:
        yield said("settings", fault)
        return
    yield ok("settings", f"{config} is understood")
    yield from check_settings(settings, offline=offline)


def check_settings(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """The same of settings that were read already."""
    running = bool(running_pid(settings.node.state_dir))
    yield from check_machine(settings)
    yield from check_alerting(settings)
    yield from check_sensors(settings, running=running)
    yield from check_ports(settings, running=running)
    if not offline:
        yield from check_bootstrap(settings)
