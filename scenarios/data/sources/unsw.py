"""UNSW-NB15: flows of a test bed with an attack generator (IXIA), by Argus and Bro.

Not tried on the real files; the columns' names are from the authors' NUSW-NB15_features.csv as
public code quotes it.
"""

from pathlib import Path

from scenarios.data.sources.about import About, DataSet, Reading
from scenarios.data.sources.columns import Amount, Column, Plain, Words, listed
from scenarios.data.sources.csvs import read_files
from scenarios.data.sources.folders import found, nothing
from scenarios.data.sources.layout import ELSEWHERE, File, Layout

HEADER = listed(
    "srcip sport dstip dsport proto state dur sbytes dbytes sttl dttl sloss dloss service "
    "sload dload spkts dpkts swin dwin stcpb dtcpb smean dmean trans_depth "
    "response_body_len sjit djit stime ltime sinpkt dinpkt tcprtt synack ackdat "
    "is_sm_ips_ports ct_state_ttl ct_flw_http_mthd is_ftp_login ct_ftp_cmd ct_srv_src "
    "ct_srv_dst ct_dst_ltm ct_src_ltm ct_src_dport_ltm ct_dst_sport_ltm ct_dst_src_ltm "
    "attack_cat label"
)
"""Of the four large files, which have none, in the spelling of the two small ones."""

RENAMED = {
    "smeansz": "smean",
    "dmeansz": "dmean",
    "res_bdy_len": "response_body_len",
    "Sintpkt": "sinpkt",
    "Dintpkt": "dinpkt",
    **{name.capitalize(): name for name in HEADER},
}

COLUMNS: tuple[Column, ...] = (
    Amount("dur"),
    Words("proto", ("tcp", "udp", "icmp", "arp", "ospf", "sctp", "unas")),
    Words(
        "service",
        listed("dns ftp ftp-data http irc pop3 radius smtp snmp ssh ssl dhcp"),
    ),
    Words(
        "state",
        listed("ACC CLO CON ECO ECR FIN INT MAS PAR REQ RST TST TXD URH URN"),
    ),
    *map(
        Amount,
        (
            *("spkts", "dpkts", "sbytes", "dbytes", "sload", "dload", "sloss", "dloss"),
            *("sinpkt", "dinpkt", "sjit", "djit", "swin", "dwin", "tcprtt", "synack", "ackdat"),
            *("smean", "dmean", "trans_depth", "response_body_len", "ct_srv_src", "ct_dst_ltm"),
            *("ct_src_dport_ltm", "ct_dst_sport_ltm", "ct_dst_src_ltm", "ct_ftp_cmd"),
            *("ct_flw_http_mthd", "ct_src_ltm", "ct_srv_dst"),
        ),
    ),
    Plain("is_ftp_login"),
    Plain("is_sm_ips_ports"),
)

CATEGORIES = {
    "": "benign",
    "-": "benign",
    "normal": "benign",
    "fuzzers": "fuzzers",
    "analysis": "analysis",
    "backdoor": "backdoor",
    "backdoors": "backdoor",
    "dos": "dos",
    "exploits": "exploits",
    "generic": "generic",
    "reconnaissance": "reconnaissance",
    "shellcode": "shellcode",
    "worms": "worms",
}
FAMILIES = tuple(dict.fromkeys(CATEGORIES.values()))
SERVERS = "149.171.126."


def _family(label: str) -> str | None:
    return CATEGORIES.get(label.lower())


def _owner(source: str, destination: str) -> str:
    """The test bed's server that a flow concerns."""
    for address in (destination, source):
        if address.startswith(SERVERS):
            return address
    return ELSEWHERE


SMALL = Layout("unsw-nb15", COLUMNS, FAMILIES, label="attack_cat", family=_family)
LARGE = Layout(
    "unsw-nb15",
    COLUMNS,
    FAMILIES,
    label="attack_cat",
    family=_family,
    owner_from=("srcip", "dstip"),
    owner=_owner,
    time="stime",
)

_TTL = "the attack generator's packets have a time-to-live of their own: it names the machine"

ABOUT = About(
    name="unsw-nb15",
    title="UNSW-NB15",
    licence="free for academic research (UNSW)",
    citation="Moustafa and Slay, UNSW-NB15: a comprehensive data set for network intrusion "
    "detection systems, MilCIS 2015",
    size="2,540,047 rows in four files, 257,673 in the train and test files; 560 and 47 MB",
    home="https://research.unsw.edu.au/projects/unsw-nb15-dataset",
    layout="UNSW_NB15_training-set.csv and UNSW_NB15_testing-set.csv, or UNSW-NB15_1.csv to "
    "UNSW-NB15_4.csv",
    excluded={
        "id": "the row's number: the rows are in the order of their classes",
        "srcip": "an address",
        "dstip": "an address",
        "sport": "a port as identity",
        "dsport": "a port as identity; `service` says what matters of it",
        "stime": "an absolute time",
        "ltime": "an absolute time",
        "stcpb": "TCP's first sequence number: random, an identity",
        "dtcpb": "TCP's first sequence number: random, an identity",
        "sttl": _TTL,
        "dttl": _TTL,
        "ct_state_ttl": _TTL,
        "rate": "only in two of the six files, and made of columns that are kept",
        "attack_cat": "the answer",
        "label": "the answer",
    },
    after="",
)


def read(folder: Path, rows_max: int, seed: bytes) -> Reading:
    """Read the set; the four large files are preferred, as they say where and when a flow was.

    In the small ones the test file's rows are held out. In the large ones the owner is the server
    (149.171.126.0/24) that a flow concerns, so that an attack belongs to its victim.

    Raises:
        ConfigError: see `DataSet`.
    """
    large = found(folder, r"(?:.*/)?UNSW[-_]NB15_[1-4]\.csv")
    if large:
        files = [
            File(path, path.relative_to(folder).as_posix(), header=HEADER) for path, _ in large
        ]
        return read_files(files, LARGE, rows_max, seed)
    files = [
        File(
            path,
            path.relative_to(folder).as_posix(),
            held_out=match[1].lower() == "testing",
            renamed=RENAMED,
        )
        for path, match in found(folder, r"(?:.*/)?UNSW[-_]NB15_(training|testing)-set\.csv")
    ]
    if files:
        return read_files(files, SMALL, rows_max, seed)
    raise nothing(folder, ABOUT)


DATA_SET = DataSet(ABOUT, read)
