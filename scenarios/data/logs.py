"""A user's own logs as data: Zeek's conn.log or Suricata's eve.json, one or more for each site.

A folder holds files such as `hospital.eve.json.xz` or `hospital/conn.log`; what stands before
`conn` or `eve` in a file's name is the site, or where nothing does, the folder it lies in. What the
flows really were is told by the first of these that is there:

1. `truth.csv` in the folder, as the bundled recordings' `attacks.csv`: columns `start` and `end`
   (seconds since 1970), `site`, `attacker` (an address) and `family` (see `gossip.flows.FAMILIES`);
   others may follow. A flow is part of an attack if the attacker's address is one of its endpoints
   and it starts within the span. An attacker's other flows are left out; all else is benign.
2. the columns `label` and `detailed-label` of a labelled conn.log, as the Stratosphere Laboratory
   publishes them: benign, or malicious with a family read from the words of the detail. Other
   labels ("Background") are left out.
3. alerts in eve.json: weak labels, incomplete, as a node reads them.
4. nothing: all flows count as benign, and only what is unusual can be found.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from gossip.errors import ConfigError
from gossip.flows import FAMILIES, Flow
from gossip.learning.learner import BENIGN
from node.sensors.lines import ReadStats
from node.sensors.reading import Kind, read
from node.sensors.zeek import ZeekParser
from scenarios.data.flowed import FlowLog, flows_table
from scenarios.data.sources.folders import found
from scenarios.data.table import Table

TRUTH = "truth.csv"
COLUMNS = ("start", "end", "site", "attacker", "family")
WINDOWS_MAX = 100_000
FLOWS_MAX = 3_000_000
"""In all logs together: 0.3 GB of features, read in a minute or two."""

_PATTERNS = {
    Kind.ZEEK: r"(?:([^/]+)/)?(.*?)[._-]?conn[^/]*\.log(?:\.labeled)?",
    Kind.SURICATA: r"(?:([^/]+)/)?(.*?)[._-]?eve[^/]*\.json",
}

WORDS = (
    ("exfil", "exfiltration"),
    ("scan", "scan"),
    ("ddos", "dos"),
    ("dos", "dos"),
    ("flood", "dos"),
    ("brute", "brute-force"),
    ("password", "brute-force"),
    ("c&c", "malware"),
    ("cc", "malware"),
    ("download", "malware"),
    ("malware", "malware"),
    ("botnet", "malware"),
    ("exploit", "exploit"),
)
"""Words of a detailed label, lower case; the first that is in it decides, else it is "other"."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log and the site that it was written at."""

    site: str
    path: Path


@dataclass(frozen=True, slots=True)
class Window:
    """A row of `truth.csv`: when an attacker was at work, and the index of the family."""

    start: float
    end: float
    family: int


Windows = Mapping[tuple[str, str], tuple[Window, ...]]
"""By site and address."""


def log_files(folder: Path, kind: Kind) -> tuple[LogFile, ...]:
    """The logs in a folder, by name.

    A site's name becomes a word of letters, digits and "-", so that selectors can name it.

    Raises:
        ConfigError: the folder cannot be read or holds no log.
    """
    files = []
    for path, match in found(folder, _PATTERNS[kind]):
        word = re.sub(r"[^A-Za-z0-9]+", "-", match[2] or match[1] or folder.name).strip("-")[:34]
        files.append(LogFile(word if word[:1].isalpha() else f"site-{word}", path))
    if not files:
        name = {Kind.ZEEK: "NAME.conn.log", Kind.SURICATA: "NAME.eve.json"}[kind]
        raise ConfigError(
            f"{folder} holds no log of {kind.value}; expected files such as {name} or "
            f"NAME/{name.removeprefix('NAME.')}, plain, .gz or .xz"
        )
    return tuple(files)


def sites(files: tuple[LogFile, ...]) -> tuple[str, ...]:
    """Names of the sites, in the order of their first log."""
    return tuple(dict.fromkeys(file.site for file in files))


def logs_table(folder: Path, kind: Kind) -> Table:
    """All logs of a folder as one table; the sites are its owners.

    Raises:
        ConfigError: the folder or `truth.csv` is not as described above, or there are too many
            flows.
        SensorError: a log is damaged or holds no flow.
    """
    files = log_files(folder, kind)
    windows = read_truth(folder / TRUTH, sites(files)) if (folder / TRUTH).exists() else None
    logs = (FlowLog(each.site, _told(each, kind, windows)) for each in files)
    table = flows_table(_bounded(logs, folder))
    if not (table.y == BENIGN).any():
        raise ConfigError(f"{folder} holds no benign flow; a peer needs some to calibrate with")
    return table


def read_truth(path: Path, names: tuple[str, ...]) -> Windows:
    """What `truth.csv` says.

    Args:
        path: the file.
        names: of the sites.

    Raises:
        ConfigError: it cannot be read, lacks a column, or a value is wrong; with the line.
    """
    windows: dict[tuple[str, str], list[Window]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:  # a spreadsheet writes a mark
            rows = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise ConfigError(f"{path}: lacks the columns {', '.join(missing)}")
            for row in rows:
                if rows.line_num > WINDOWS_MAX:
                    raise ConfigError(f"{path}: holds more than {WINDOWS_MAX} lines")
                try:
                    key, window = _window(row, names)
                except ValueError as error:
                    raise ConfigError(f"{path}, line {rows.line_num}: {error}") from None
                windows.setdefault(key, []).append(window)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); write it as CSV in UTF-8") from None
    return {key: tuple(own) for key, own in windows.items()}


def _window(
    row: Mapping[str, str | None], names: tuple[str, ...]
) -> tuple[tuple[str, str], Window]:
    start, end, site, attacker, family = ((row[name] or "").strip() for name in COLUMNS)
    for what, given, known in (("site", site, names), ("family", family, FAMILIES[1:])):
        if given not in known:
            near = get_close_matches(given, known, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{what} {given[:40]!r} is none of {', '.join(known)}{guess}")
    try:
        window = Window(float(start), float(end), FAMILIES.index(family))
    except ValueError:
        raise ValueError(f"start {start[:20]!r} and end {end[:20]!r} must be numbers") from None
    if not window.start <= window.end:
        raise ValueError("end lies before start")
    return (site, attacker), window


def _bounded(logs: Iterator[FlowLog], folder: Path) -> Iterator[FlowLog]:
    """The logs, which end in an error where all together hold too many flows."""
    left = [FLOWS_MAX]

    def flows(log: FlowLog) -> Iterator[tuple[Flow, int | None]]:
        for each in log.flows:
            left[0] -= 1
            if left[0] < 0:
                raise ConfigError(
                    f"{folder} holds more than {FLOWS_MAX:,} flows; take shorter logs"
                )
            yield each

    for log in logs:
        yield FlowLog(log.owner, flows(log))


def _told(file: LogFile, kind: Kind, windows: Windows | None) -> Iterator[tuple[Flow, int | None]]:
    """A log's flows with what they were."""
    labels = LabelledZeek() if kind is Kind.ZEEK else None
    for flow in read(file.path, kind, labels):
        if windows is not None:
            yield flow, _judged(flow, file.site, windows)
        elif labels is not None:
            yield flow, labels.family
        else:
            yield flow, BENIGN if flow.family is None else FAMILIES.index(flow.family)


def _judged(flow: Flow, site: str, windows: Windows) -> int | None:
    known = [*windows.get((site, flow.orig_h), ()), *windows.get((site, flow.resp_h), ())]
    for window in known:
        if window.start <= flow.ts <= window.end:
            return window.family
    return None if known else BENIGN


class LabelledZeek:
    """Lines of a conn.log with the columns `label` and `detailed-label`, where it has these.

    IoT-23's logs separate them by three spaces instead of a tab.
    """

    def __init__(self) -> None:
        self._parser = ZeekParser()
        self._place: Callable[[list[str]], tuple[str, str]] | None = None
        self.family: int | None = BENIGN
        """Of the flow given out last; None where nobody says what it was."""

    @property
    def stats(self) -> ReadStats:
        """See `LineParser`."""
        return self._parser.stats

    def parse(self, line: bytes) -> Flow | None:
        """See `LineParser`."""
        tabbed = line if line.startswith(b"{") else line.replace(b"   ", b"\t")
        if line.startswith(b"#fields"):
            self._header(tabbed.decode(errors="replace").rstrip().split("\t")[1:])
        flow = self._parser.parse(tabbed)
        if flow is not None and self._place is not None and not line.startswith(b"{"):
            label, detail = self._place(tabbed.decode(errors="replace").rstrip().split("\t"))
            self.family = _family(label.strip().lower(), detail.strip().lower())
        return flow

    def snapshot(self) -> bytes:
        """See `LineParser`."""
        return self._parser.snapshot()

    def restore(self, snapshot: bytes) -> None:
        """See `LineParser`."""
        self._parser.restore(snapshot)

    def _header(self, fields: list[str]) -> None:
        names = [name.strip().replace("-", "") for name in fields]
        self._place = None
        self.family = BENIGN
        if "label" in names:
            label = names.index("label")
            detail = names.index("detailedlabel") if "detailedlabel" in names else label
            self._place = lambda cells: (cells[label], cells[detail])


def _family(label: str, detail: str) -> int | None:
    if label in {"benign", "normal"}:
        return BENIGN
    if label != "malicious":
        return None
    name = next((family for word, family in WORDS if word in detail), "other")
    return FAMILIES.index(name)
