"""TON_IoT, its network part: Zeek flows of a test bed of IoT, edge and cloud machines.

Not tried on the real files; the columns' names and the words in them are from public code and
notebooks that quote the files' headers and what was counted in them.
"""

from pathlib import Path

from scenarios.data.sources.about import About, DataSet, Reading
from scenarios.data.sources.columns import Amount, Column, Words, listed
from scenarios.data.sources.csvs import header_of, read_files
from scenarios.data.sources.folders import first_found
from scenarios.data.sources.layout import ELSEWHERE, File, Layout

FLAG = ("T", "F")
COLUMNS: tuple[Column, ...] = (
    Words("proto", ("tcp", "udp", "icmp")),
    Words(
        "service",
        listed(
            "dns http ssl ftp ftp-data smtp imap pop3 smb gssapi ntlm dce_rpc krb_tcp dhcp radius "
            "ssh irc"
        ),
        between=";",  # "smb;gssapi;ntlm", in any order
    ),
    *map(Amount, ("duration", "src_bytes", "dst_bytes", "missed_bytes")),
    Words(
        "conn_state",
        listed("S0 S1 S2 S3 SF REJ RSTO RSTR RSTOS0 RSTRH SH SHR OTH"),
    ),
    *map(Amount, ("src_pkts", "src_ip_bytes", "dst_pkts", "dst_ip_bytes")),
    *map(Amount, ("dns_qclass", "dns_qtype", "dns_rcode")),
    *(Words(name, FLAG) for name in ("dns_AA", "dns_RD", "dns_RA", "dns_rejected")),
    *(Words(name, FLAG) for name in ("ssl_resumed", "ssl_established")),
    Amount("http_trans_depth"),
    Words("http_method", listed("GET POST HEAD PUT DELETE OPTIONS")),
    *map(Amount, ("http_request_body_len", "http_response_body_len", "http_status_code")),
)

TYPES = {
    "normal": "benign",
    **{
        name: name
        for name in [
            "backdoor",
            "ddos",
            "dos",
            "injection",
            "mitm",
            "password",
            "ransomware",
            "scanning",
            "xss",
        ]
    },
}
FAMILIES = tuple(TYPES.values())
INSIDE = "192.168.1."


def _family(label: str) -> str | None:
    return TYPES.get(label.lower())


def _owner(source: str, destination: str) -> str:
    """The machine of the test bed that a flow concerns; the victim, where both are inside."""
    for address in (destination, source):
        if address.startswith(INSIDE) and not address.endswith(".255"):
            return address
    return ELSEWHERE


_PAYLOAD = "text from the payload: names the attack's tool or the victim's page"

ABOUT = About(
    name="ton-iot",
    title="TON_IoT (network)",
    licence="free for academic research (UNSW)",
    citation="Moustafa, A new distributed architecture for evaluating AI-based security systems at "
    "the edge: Network TON_IoT datasets, Sustainable Cities and Society 72, 2021",
    size="22,339,021 rows in 23 files (796,380 of them benign); 211,043 in the train-test file, "
    "461,043 in older copies of it",
    home="https://research.unsw.edu.au/projects/toniot-datasets",
    layout="Network_dataset_1.csv to Network_dataset_23.csv, or Train_Test_Network.csv (also "
    "spelt train_test_network.csv)",
    excluded={
        "ts": "an absolute time",
        "uid": "a flow's name; in one file of the 23",
        "src_ip": "an address",
        "dst_ip": "an address",
        "src_port": "a port as identity",
        "dst_port": "a port as identity; `service` says what matters of it",
        "dns_query": "a name that identifies the host asked for",
        "ssl_version": "mostly unset; with the cipher it names the client's software",
        "ssl_cipher": "names the client's software",
        "ssl_subject": "a certificate's name: an identity",
        "ssl_issuer": "a certificate's name: an identity",
        "http_uri": _PAYLOAD,
        "http_referrer": _PAYLOAD,
        "http_version": "mostly unset; the same wherever it is set",
        "http_user_agent": _PAYLOAD,
        "http_orig_mime_types": _PAYLOAD,
        "http_resp_mime_types": _PAYLOAD,
        "weird_name": "the sensor's own verdict on the flow",
        "weird_addl": "the sensor's own verdict on the flow",
        "weird_notice": "the sensor's own verdict on the flow",
        "label": "the answer",
        "type": "the answer",
    },
    after="",
)


def read(folder: Path, rows_max: int, seed: bytes) -> Reading:
    """Read the set; the large files are preferred, as they say when a flow was.

    The owner is the machine (192.168.1.0/24) that a flow concerns, the destination first, so that
    an attack belongs to its victim.

    Raises:
        ConfigError: see `DataSet`.
    """
    names = (
        r"(?:.*/)?Network_dataset_\d+\.csv",
        r"(?:.*/)?Train_Test_Network(?:_dataset)?\.csv",
    )
    hits = first_found(folder, ABOUT, *names)
    files = [File(path, path.relative_to(folder).as_posix()) for path, _ in hits]
    timed = all("ts" in header_of(file) for file in files)
    layout = Layout(
        "ton-iot",
        COLUMNS,
        FAMILIES,
        label="type",
        family=_family,
        owner_from=("src_ip", "dst_ip"),
        owner=_owner,
        time="ts" if timed else "",
    )
    return read_files(files, layout, rows_max, seed)


DATA_SET = DataSet(ABOUT, read)
