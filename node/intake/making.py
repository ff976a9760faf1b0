"""The source that a sensor's settings ask for."""

from typing import Any

from node.config.sensing import SensorSettings
from node.intake.capture import Capture, Recording
from node.intake.collector import Collector
from node.intake.logs import LogSource
from node.intake.source import Source
from node.intake.stdin import StandardInput


def make_source(settings: SensorSettings, saved: dict[str, Any] | None = None) -> Source:
    """A source, not running yet.

    Args:
        settings: which sensor.
        saved: what its `saved()` gave in an earlier life; None to begin anew.

    Raises:
        StateError: what was saved is damaged.
        SensorError: it can never be read, or not by this user.
    """
    if settings.kind == "netflow":
        return Collector(settings, saved)
    if settings.kind == "interface":
        return Capture(settings, saved)
    if settings.kind == "pcap":
        return Recording(settings, saved)
    if settings.standard_input:
        return StandardInput(settings, saved)
    return LogSource(settings, saved)
