"""A sensor's log, read whole: plain, gzip or xz, told apart by their first bytes."""

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec

from gossip.errors import SensorError, StateError
from gossip.flows import Flow
from node.sensors.eve import EveParser
from node.sensors.ipfix import IpfixParser
from node.sensors.lines import LineParser, LineSplitter, ReadStats, cure
from node.sensors.records import RecordParser
from node.sensors.zeek import ZeekParser

if TYPE_CHECKING:
    from io import BufferedIOBase

BARREN_LINES_MAX = 10_000_000
"""Lines without a flow after which a log is given up: 60 kB of xz may unpack to 400 million empty
lines, which would take minutes (measured)."""

CHUNK_BYTES = 1 << 18
GZIP_MAGIC = b"\x1f\x8b"
XZ_MAGIC = b"\xfd7zXZ\x00"


class Kind(Enum):
    """Which sensor wrote a log; the values are the words of `sensor.kind`."""

    AUTO = "auto"  # told by the first line that is like one of the others
    SURICATA = "suricata"
    ZEEK = "zeek"
    IPFIX = "ipfix"
    JSON = "json"


EXPECTED = {
    Kind.AUTO: "Suricata's eve.json, Zeek's conn.log (tab-separated with its # header, or JSON), "
    "or IPFIX biflows as JSON lines",
    Kind.SURICATA: 'Suricata\'s eve.json, with lines of "event_type": "flow"',
    Kind.ZEEK: "Zeek's conn.log, tab-separated with its # header, or JSON",
    Kind.IPFIX: "IPFIX biflows as JSON lines, decoded by netflume (see docs/sensors.md)",
    Kind.JSON: "JSON lines with the names of Zeek's conn.log (see docs/sensors.md)",
}

_PARSERS: dict[Kind, Callable[[], LineParser]] = {
    Kind.SURICATA: EveParser,
    Kind.ZEEK: ZeekParser,
    Kind.IPFIX: IpfixParser,
    Kind.JSON: RecordParser,
}


def parser_for(kind: Kind) -> LineParser:
    """A fresh parser for this sensor's lines."""
    return AutoParser() if kind is Kind.AUTO else _PARSERS[kind]()


class _Head(msgspec.Struct):
    event_type: str = ""
    orig_h: str = msgspec.field(default="", name="id.orig_h")
    path: str = msgspec.field(default="", name="_path")
    src_addr: str = ""


class _Saved(msgspec.Struct, array_like=True):
    kind: str
    inner: bytes


_head = msgspec.json.Decoder(_Head)
_saved = msgspec.msgpack.Decoder(_Saved)


def detect(line: bytes) -> Kind | None:
    """Whose line this is; None where it is like nobody's."""
    if line.startswith(b"#"):
        return Kind.ZEEK
    if not line.startswith(b"{"):
        return None
    try:
        head = _head.decode(line)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None
    if head.event_type:
        return Kind.SURICATA
    if head.orig_h or head.path:
        return Kind.ZEEK
    return Kind.IPFIX if head.src_addr else None


class AutoParser:
    """Finds out from the lines whose they are, once, and from then on is that sensor's parser."""

    def __init__(self) -> None:
        self._stats = ReadStats()
        self._kind = Kind.AUTO
        self._parser: LineParser | None = None

    @property
    def stats(self) -> ReadStats:
        """What became of the lines so far."""
        return self._stats if self._parser is None else self._parser.stats

    def parse(self, line: bytes) -> Flow | None:
        """The line's flow; None where it holds none, as the sensor's own parser says."""
        if self._parser is None:
            kind = detect(line)
            if kind is None:
                self._stats.lines += 1
                if line.strip():
                    self._stats.refuse("neither a Suricata event, nor a line of Zeek's, nor IPFIX")
                return None
            self._become(kind)
        return self._parser.parse(line) if self._parser is not None else None

    def snapshot(self) -> bytes:
        """Whose lines these are, and that parser's snapshot."""
        inner = b"" if self._parser is None else self._parser.snapshot()
        return msgspec.msgpack.encode(_Saved(self._kind.value, inner))

    def restore(self, snapshot: bytes) -> None:
        """Take up an earlier life.

        Raises:
            StateError: the snapshot is damaged.
        """
        try:
            saved = _saved.decode(snapshot)
            kind = Kind(saved.kind)
        except (ValueError, msgspec.MsgspecError) as error:
            raise StateError(f"the saved state of a sensor is damaged: {error}") from None
        if kind is Kind.AUTO:
            return
        parser = parser_for(kind)
        parser.restore(saved.inner)
        self._kind, self._parser = kind, parser

    def _become(self, kind: Kind) -> None:
        self._kind = kind
        self._parser = parser_for(kind)
        stats = self._parser.stats
        stats.lines, stats.bad = self._stats.lines, self._stats.bad
        stats.samples.extend(self._stats.samples)


def read(path: Path, kind: Kind = Kind.AUTO, parser: LineParser | None = None) -> Iterator[Flow]:
    """The flows of a whole log, in its order.

    Args:
        path: plain, gzip or xz.
        kind: whose log.
        parser: one of the caller's own instead of `kind`; its `stats` tell what was bad.

    Raises:
        SensorError: while reading: the file cannot be read, is damaged (the flows before the
            damage were given), held no usable record, or goes on for `BARREN_LINES_MAX` lines
            without one.
    """
    parser = parser or parser_for(kind)
    splitter = LineSplitter()
    barren = 0
    try:
        with open_log(path) as stream:
            # One read of the packed data at a time: more would lose what stands before damage.
            while chunk := cast("BufferedIOBase", stream).read1(CHUNK_BYTES):
                for line in splitter.feed(chunk):
                    barren += 1
                    if line is None:
                        parser.stats.refuse_overlong()
                    elif (flow := parser.parse(line)) is not None:
                        barren = 0
                        yield flow
                if barren > BARREN_LINES_MAX:
                    raise SensorError(
                        f"{path}: more than {BARREN_LINES_MAX:,} lines without a flow, up to line "
                        f"{parser.stats.lines}; take a log of flows, or cut it there"
                    )
        if (tail := splitter.finish()) and (flow := parser.parse(tail)) is not None:
            yield flow
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise SensorError(
            f"{path}: the compressed data are damaged after line {parser.stats.lines} ({error});"
            " unpack the file by hand to see what can be saved"
        ) from None
    except OSError as error:
        raise SensorError(f"cannot read {path}: {cure(error)}") from None
    if not parser.stats.flows:
        raise SensorError(_nothing(path, kind, parser.stats))


def open_log(path: Path) -> BinaryIO:
    """The log's own bytes, unpacked.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as raw:
        start = raw.read(len(XZ_MAGIC))
    if start.startswith(GZIP_MAGIC):
        return cast("BinaryIO", gzip.open(path, "rb"))
    if start.startswith(XZ_MAGIC):
        return cast("BinaryIO", lzma.open(path, "rb"))
    return path.open("rb")


def _nothing(path: Path, kind: Kind, stats: ReadStats) -> str:
    """Why a log without a single flow is of no use, in one line."""
    said = f"{path} holds no flow: {stats.lines} lines, {stats.bad} of them bad"
    if stats.alerts or stats.ignored:
        said += f", {stats.alerts} alerts, {stats.ignored} other events or header lines"
    for sample in stats.samples[:1]:
        said += f"; line {sample.number}: {sample.reason}"
    return f"{said}. Expected {EXPECTED[kind]}"
