"""Edge-IIoTset: packets of an industrial IoT test bed, as tshark's fields.

Not tried on the real files; the columns' names and which of them hold numbers are from public code
and notebooks that list all 63.
"""

from pathlib import Path

from scenarios.data.sources.about import About, DataSet, Reading
from scenarios.data.sources.columns import Amount, Bits, Column, Plain, Words, listed
from scenarios.data.sources.csvs import read_files
from scenarios.data.sources.folders import first_found
from scenarios.data.sources.layout import File, Layout

COLUMNS: tuple[Column, ...] = (
    *map(Amount, ("arp.opcode", "arp.hw.size")),
    Amount("http.content_length"),
    Words(
        "http.request.method",
        listed("GET POST HEAD PUT DELETE OPTIONS TRACE PROPFIND"),
    ),
    Plain("http.response"),
    *map(
        Plain,
        (
            "tcp.connection.fin",
            "tcp.connection.rst",
            "tcp.connection.syn",
            "tcp.connection.synack",
        ),
    ),
    Bits("tcp.flags", ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")),
    Amount("tcp.len"),
    Amount("udp.time_delta"),
    *map(Amount, ("dns.qry.qu", "dns.qry.type")),
    *map(Amount, ("dns.retransmission", "dns.retransmit_request")),
    Plain("mqtt.conflag.cleansess"),
    Bits("mqtt.conflags", ("reserved", "clean", "will", "qos1", "qos2", "retain", "pass", "user")),
    Bits("mqtt.hdrflags", ("retain", "qos1", "qos2", "dup")),
    *map(Amount, ("mqtt.len", "mqtt.msgtype", "mqtt.proto_len", "mqtt.topic_len", "mqtt.ver")),
    *map(Amount, ("mbtcp.len",)),
)

TYPES = {
    "normal": "benign",
    **{
        name.lower(): name.lower().replace("_", "-")
        for name in [
            "Backdoor",
            "DDoS_HTTP",
            "DDoS_ICMP",
            "DDoS_TCP",
            "DDoS_UDP",
            "Fingerprinting",
            "MITM",
            "Password",
            "Port_Scanning",
            "Ransomware",
            "SQL_injection",
            "Uploading",
            "Vulnerability_scanner",
            "XSS",
        ]
    },
}
FAMILIES = tuple(TYPES.values())


def _family(label: str) -> str | None:
    return TYPES.get(label.lower())


LAYOUT = Layout("edge-iiotset", COLUMNS, FAMILIES, label="Attack_type", family=_family)

_ADDRESS = "an address"
_PORT = "a port as identity"
_PAYLOAD = "text from the payload: names the attack's tool or the victim's page"
_NUMBER = "a running number: tells where in the capture the packet was"
_SUM = "a checksum: covers addresses and ports, so identifies the connection"
_UNUSED = "a field that is set by the capturing software alone, or never"

ABOUT = About(
    name="edge-iiotset",
    title="Edge-IIoTset",
    licence="free for academic research with a citation",
    citation="Ferrag et al., Edge-IIoTset: A New Comprehensive Realistic Cyber Security Dataset of "
    "IoT and IIoT Applications, IEEE Access 10, 2022",
    size="2,219,201 rows (DNN; 1,615,643 of them benign), 157,800 (ML); 1.1 GB and 80 MB",
    home="https://ieee-dataport.org/documents/edge-iiotset-new-comprehensive-realistic-cyber-"
    "security-dataset-iot-and-iiot-applications",
    layout="DNN-EdgeIIoT-dataset.csv or ML-EdgeIIoT-dataset.csv, as under 'Selected dataset for ML "
    "and DL'",
    excluded={
        "frame.time": "an absolute time",
        "ip.src_host": _ADDRESS,
        "ip.dst_host": _ADDRESS,
        "arp.dst.proto_ipv4": _ADDRESS,
        "arp.src.proto_ipv4": _ADDRESS,
        "icmp.checksum": _SUM,
        "icmp.seq_le": _NUMBER,
        "icmp.transmit_timestamp": "an absolute time",
        "icmp.unused": _UNUSED,
        "http.file_data": _PAYLOAD,
        "http.request.uri.query": _PAYLOAD,
        "http.referer": _PAYLOAD,
        "http.request.full_uri": _PAYLOAD,
        "http.request.version": "holds parts of malformed requests: text from the payload",
        "http.tls_port": _PORT,
        "tcp.ack": _NUMBER,
        "tcp.ack_raw": "TCP's own numbers: random, an identity",
        "tcp.checksum": _SUM,
        "tcp.dstport": _PORT,
        "tcp.flags.ack": "a bit of tcp.flags",
        "tcp.options": "holds TCP's time stamps",
        "tcp.payload": _PAYLOAD,
        "tcp.seq": _NUMBER,
        "tcp.srcport": _PORT,
        "udp.port": _PORT,
        "udp.stream": _NUMBER,
        "dns.qry.name": "a name that identifies the host asked for",
        "dns.qry.name.len": "holds names of hosts in some rows, lengths in others",
        "dns.retransmit_request_in": "the number of another packet",
        "mqtt.conack.flags": "text in some rows, numbers in others, by the file a row came from",
        "mqtt.msg_decoded_as": _UNUSED,
        "mqtt.msg": _PAYLOAD,
        "mqtt.protoname": "'0', '0.0' or a name, by the file a row came from",
        "mqtt.topic": "a name that identifies the device",
        "mbtcp.trans_id": _NUMBER,
        "mbtcp.unit_id": "identifies the device",
        "Attack_label": "the answer",
        "Attack_type": "the answer",
    },
    after="",
)


def read(folder: Path, rows_max: int, seed: bytes) -> Reading:
    """Read the set; the larger file is preferred, of which the smaller is a selection.

    The files say neither device nor usable time (`frame.time` lacks the date): one owner. Words
    that mean "unset" differ between the captures that were joined ("0" in one, "0.0" in another),
    so that the cells' text alone would tell attack from benign; here all are the number 0.

    Raises:
        ConfigError: see `DataSet`.
    """
    names = (r"(?:.*/)?DNN-EdgeIIoT-dataset\.csv", r"(?:.*/)?ML-EdgeIIoT-dataset\.csv")
    path = first_found(folder, ABOUT, *names)[0][0]
    file = File(path, path.relative_to(folder).as_posix())
    return read_files([file], LAYOUT, rows_max, seed)


DATA_SET = DataSet(ABOUT, read)
