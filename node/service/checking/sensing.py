"""What a node would find at its sensors."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

from gossip.errors import LocalError
from node.config.sensing import SensorSettings
from node.config.settings import Settings
from node.intake.making import make_source
from node.sensors.lines import LineSplitter
from node.sensors.reading import EXPECTED, Kind, open_log, parser_for
from node.service.checking.finding import Finding, error, ok, warning
from node.service.checking.machine import user

LOOK_BYTES = 2**18  # about 600 lines; our choice
QUIET_S = 86_400.0
NETS = Path("/sys/class/net")
CAP_NET_RAW = 13  # linux/capability.h
PACKET_MAGICS = (
    b"\xa1\xb2\xc3\xd4",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x4d\x3c\xb2\xa1",
    b"\x0a\x0d\x0d\x0a",
)
"""Of pcap in both byte orders, with microseconds and nanoseconds, and of pcapng
(draft-ietf-opsawg-pcap, section 4; draft-ietf-opsawg-pcapng, section 4.1)."""


def check_sensors(settings: Settings, *, running: bool) -> Iterator[Finding]:
    """A finding for each sensor.

    Args:
        settings: complete.
        running: whether a node runs with them already, and holds the ports.
    """
    if not settings.sensors:
        yield warning(
            "sensor",
            "none: this node passes models on but sees no traffic",
            "add a [[sensor]], see docs/sensors.md",
        )
    for sensor in settings.sensors:
        what = f"sensor {sensor.place}"
        try:
            yield _sensor(what, sensor, running=running)
        except LocalError as fault:
            yield Finding(what, "error", str(fault))
        except OSError as fault:
            yield error(what, fault.strerror or str(fault), "check the path and its permissions")


def _sensor(what: str, sensor: SensorSettings, *, running: bool) -> Finding:
    if sensor.kind == "netflow":
        return _port(what, sensor, running=running)
    if sensor.interface is not None:
        return _interface(what, sensor.interface)
    if sensor.standard_input:
        return ok(what, "lines are read from standard input")
    return _file(what, sensor, sensor.log)


def _port(what: str, sensor: SensorSettings, *, running: bool) -> Finding:
    if running:
        return ok(what, "held by the node that runs")
    host, port = sensor.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as fault:
            return error(
                what,
                f"cannot be listened on: {fault.strerror}",
                "stop what listens there (ss -lunp), or choose another address or port",
            )
    return ok(what, "free to listen on")


def _interface(what: str, name: str) -> Finding:
    if not (NETS / name).exists():
        known = ", ".join(sorted(each.name for each in NETS.iterdir())) if NETS.is_dir() else ""
        return error(what, "there is no such interface", f"use one of {known}")
    state = (NETS / name / "operstate").read_text().strip()
    if not _may_capture():
        return error(
            what,
            f"{user()} may not capture packets (CAP_NET_RAW is missing)",
            "add AmbientCapabilities=CAP_NET_RAW to the unit, see docs/operate.md",
        )
    if state == "down":
        return warning(what, "the interface is down", f"run ip link set {name} up")
    return ok(what, "packets can be captured")


def _may_capture() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> CAP_NET_RAW & 1)
    return False


def _file(what: str, sensor: SensorSettings, path: Path) -> Finding:
    if not path.exists():
        if sensor.follow and sensor.kind != "pcap":
            return warning(
                what, "not there yet", "a node waits for it; is the sensor running, and logs it so?"
            )
        return error(what, "not there", "check the path")
    if path.is_file() and not os.access(path, os.R_OK):
        group = path.stat().st_gid
        return error(
            what,
            f"cannot be read by {user()}",
            f"add that user to the file's group ({group}), or let the sensor write it with mode "
            "0644",
        )
    if sensor.kind != "pcap":
        make_source(sensor)  # says what it will never read
    if not S_ISREG(path.stat().st_mode):
        return ok(what, "not a regular file; its content was not looked at")
    if sensor.kind == "pcap":
        return _packets(what, path)
    return _lines(what, sensor, path)


def _packets(what: str, path: Path) -> Finding:
    with open_log(path) as stream:
        start = stream.read(4)
    if start not in PACKET_MAGICS:
        return error(what, "holds no packets", "name a file of pcap or pcapng, such as tcpdump's")
    return ok(what, "packets")


def _lines(what: str, sensor: SensorSettings, path: Path) -> Finding:
    kind = Kind(sensor.kind)
    parser, splitter = parser_for(kind), LineSplitter()
    try:
        with open_log(path) as stream:
            lines = splitter.feed(stream.read(LOOK_BYTES))
    except (EOFError, ValueError) as fault:
        return error(what, f"cannot be unpacked ({fault})", "name a sound file")
    for line in lines:
        if line is not None:
            parser.parse(line)
    stats = parser.stats
    if not stats.lines:
        return warning(what, "empty so far", "a node waits for its lines; is the sensor running?")
    counts = f"{stats.flows} flows in the first {stats.lines} lines"
    if stats.bad:
        sample = stats.samples[0]
        counts += f", {stats.bad} bad (line {sample.number}: {sample.reason})"
    if not stats.flows:
        cure = f"expected {EXPECTED[kind]}"
        cure += "" if "docs/sensors.md" in cure else "; docs/sensors.md has the sensors' settings"
        others = stats.ignored + stats.alerts  # sound lines, and flows may yet come
        level = error if stats.bad and stats.bad >= stats.lines - others else warning
        return level(what, counts, cure)
    quiet_s = time.time() - path.stat().st_mtime
    if sensor.follow and quiet_s > QUIET_S:
        days = f"{quiet_s / 86_400:.0f} days"
        return warning(what, f"{counts}; last written {days} ago", "is the sensor running?")
    if stats.bad > stats.flows:
        return warning(what, counts, "is `kind` right, and is this the sensor's flow log?")
    return ok(what, counts)
