"""IoT-23: Zeek's conn.log of captures from infected and benign IoT devices, labelled.

Tried on eight real conn.log.labeled files of the same laboratory in the newer layout (tab-separated
labels, Zeek's 21 usual columns); IoT-23's own files, whose last three columns are
separated by three spaces, could not be tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gossip.errors import ConfigError
from gossip.flows import Flow
from node.sensors.zeek import ZeekParser
from scenarios.data.flowed import FlowLog, flows_table
from scenarios.data.sources.about import About, DataSet, Download, Reading
from scenarios.data.sources.csvs import BAD_SHARE_MAX
from scenarios.data.sources.folders import first_found
from scenarios.data.sources.sampling import (
    Lines,
    count_lines,
    first_lines,
    kept_lines,
    quotas,
    stretches,
)

HEAD_LINES_MAX = 64
BENIGN = "benign"
UNNAMED = "other"
NAMED = {
    "attack": "attack",
    "c&c": "c2",
    "cc": "c2",
    "c&c-filedownload": "c2-file-download",
    "c&c-heartbeat": "c2-heartbeat",
    "c&c-heartbeat-attack": "c2-heartbeat-attack",
    "c&c-heartbeat-filedownload": "c2-heartbeat-file-download",
    "c&c-mirai": "c2-mirai",
    "c&c-partofahorizontalportscan": "c2-scan",
    "c&c-torii": "c2-torii",
    "ddos": "ddos",
    "filedownload": "file-download",
    "okiru": "okiru",
    "okiru-attack": "okiru-attack",
    "partofahorizontalportscan": "scan",
    "partofahorizontalportscan-attack": "scan-attack",
}
FAMILIES = (BENIGN, *dict.fromkeys(NAMED.values()), UNNAMED)
"""The published detailed labels; "other" is malicious without a detail, or with an unknown one."""

ABOUT = About(
    name="iot-23",
    title="IoT-23",
    licence="free with a citation (Stratosphere Laboratory)",
    citation="Garcia, Parmisano and Erquiaga, IoT-23: A labeled dataset with malicious and benign "
    "IoT network traffic, 2020; doi 10.5281/zenodo.4743746",
    size="325,307,990 flows in 23 captures; labelled logs only: 8.8 GB packed",
    home="https://www.stratosphereips.org/datasets-iot23",
    layout="a folder for each capture with bro/conn.log.labeled in it, such as "
    "CTU-IoT-Malware-Capture-34-1/bro/conn.log.labeled, or files such as NAME.conn.log.labeled",
    excluded={
        "ts": "an absolute time; orders the rows, and counts flows in 30 s",
        "uid": "a flow's name",
        "id.orig_h": "an address; counts flows by host in 30 s",
        "id.resp_h": "an address; counts flows by host in 30 s",
        "id.orig_p": "a port as identity",
        "id.resp_p": "a port as identity; becomes three classes of ports (RFC 6335)",
        "service": "Zeek's guess at the application; absent from other sensors",
        "history": "Zeek's own; absent from other sensors",
        "label": "the answer",
        "detailed-label": "the answer",
    },
    tried="eight conn.log.labeled files of the same laboratory, 57,000 flows; not IoT-23's own",
    downloads=(
        Download(
            "iot23.tar.gz",
            "https://mcfp.felk.cvut.cz/publicDatasets/IoT-23-Dataset/iot_23_datasets_small.tar.gz",
            unpack=True,
            bytes_max=27_000_000_000,
            unpacked_max=150_000_000_000,
        ),
    ),
)


@dataclass
class _Count:
    """What became of the lines of all files."""

    flows: int = 0
    bad: int = 0
    first_bad: str = ""

    def refuse(self, where: str, why: str) -> None:
        """Count a bad line."""
        self.bad += 1
        self.first_bad = self.first_bad or f"{where}: {why}"


def read(folder: Path, rows_max: int, seed: bytes) -> Reading:
    """Read the set; each capture is an owner, and the features are those of a gateway.

    A feature counts what a host did within 30 s, so rows are not picked one by one: where there are
    more than `rows_max`, each capture gives 16 stretches of neighbouring flows. Flows labelled
    neither benign nor malicious ("Background", "Unknown") are left out.

    Raises:
        ConfigError: see `DataSet`.
    """
    pattern = r"(?:(.*/)?([^/]+)/)?(?:bro/)?([^/]*)conn\.log\.labeled"
    hits = first_found(folder, ABOUT, pattern)
    paths = [path for path, _ in hits]
    names = [path.relative_to(folder).as_posix() for path in paths]
    lines = [count_lines(path) for path in paths]
    given = quotas(lines, rows_max)
    count = _Count()
    logs = [
        FlowLog(_owner(name), _flows(path, name, stretches(total, quota, seed, name), count))
        for path, name, total, quota in zip(paths, names, lines, given, strict=True)
    ]
    table = flows_table(logs, FAMILIES)
    if not count.flows:
        raise ConfigError(
            f"{names[0]} holds no labelled flow; {count.first_bad or 'its lines are all comments'}"
        )
    if count.bad > BAD_SHARE_MAX * (count.flows + count.bad):
        raise ConfigError(
            f"{count.bad} of {count.flows + count.bad} lines cannot be used, the first in "
            f"{count.first_bad}. Are these the files that iot-23 publishes?"
        )
    return Reading(table, sum(lines), count.bad, count.first_bad, tuple(names))


def _owner(name: str) -> str:
    """The capture: the folder above `bro/`, or what stands before "conn.log" in the file's name."""
    *folders, file = name.split("/")
    stem = file.lower().partition("conn.log")[0].strip(".-_")
    if stem:
        return stem
    above = [part for part in folders if part.lower() != "bro"]
    return above[-1].lower() if above else "capture"


def _flows(
    path: Path, name: str, wanted: Lines, count: _Count
) -> Iterator[tuple[Flow, int | None]]:
    parser = ZeekParser()
    labels = _Labels()
    for _, line in first_lines(path, HEAD_LINES_MAX):
        if line.startswith(b"#"):
            parser.parse(_tabbed(line))
            labels.header(_tabbed(line))
    if not labels.place:
        raise ConfigError(f"{name}: its #fields line names no column label; see {ABOUT.home}")
    for number, raw in kept_lines(path, wanted):
        line = _tabbed(raw)
        if line.startswith(b"#") or not line.strip():
            continue
        where = f"{name}, line {number + 1}"
        flow = parser.parse(line)
        if flow is None:
            samples = parser.stats.samples
            count.refuse(where, samples[-1].reason if samples else "no flow")
            continue
        family, why = labels.family(line)
        if why:
            count.refuse(where, why)
            continue
        count.flows += 1
        yield flow, family


def _tabbed(line: bytes) -> bytes:
    """IoT-23 separates its last three columns by three spaces."""
    return line.replace(b"   ", b"\t")


class _Labels:
    """Where a line's label stands, and the family it names."""

    def __init__(self) -> None:
        self.place = 0
        self.detail = 0

    def header(self, line: bytes) -> None:
        """Take in a line that begins with "#"."""
        cells = line.decode(errors="replace").rstrip().split("\t")
        if cells[0] == "#fields":
            names = [cell.strip().replace("-", "") for cell in cells[1:]]
            self.place = names.index("label") - len(names) if "label" in names else 0
            detailed = "detailedlabel"
            self.detail = names.index(detailed) - len(names) if detailed in names else 0

    def family(self, line: bytes) -> tuple[int | None, str]:
        """Index of the family, None to leave the flow out; and what is wrong, if anything."""
        cells = line.decode(errors="replace").split("\t")
        label = cells[self.place].strip().lower()
        if label == BENIGN:
            return 0, ""
        if label in {"background", "unknown"}:
            return None, ""
        if label != "malicious":
            return None, f"column label: {label[:40]!r} is unknown"
        detail = cells[self.detail].strip().lower() if self.detail else ""
        return FAMILIES.index(NAMED.get(detail, UNNAMED)), ""


DATA_SET = DataSet(ABOUT, read)
