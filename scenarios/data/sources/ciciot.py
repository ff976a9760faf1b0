"""CICIoT2023: packets of 105 IoT devices in windows, 33 attacks.

Not tried on the real files; the headers of both layouts are from public code that quotes them.
"""

from pathlib import Path

from scenarios.data.sources.about import About, DataSet, Reading
from scenarios.data.sources.columns import Amount, Column, Plain
from scenarios.data.sources.csvs import read_files
from scenarios.data.sources.folders import first_found
from scenarios.data.sources.layout import File, Layout

COLUMNS: tuple[Column, ...] = (
    Amount("Header_Length"),
    Amount("Rate"),
    *map(
        Plain,
        (
            *("fin_flag_number", "syn_flag_number", "rst_flag_number", "psh_flag_number"),
            *("ack_flag_number", "ece_flag_number", "cwr_flag_number"),
        ),
    ),
    *map(Amount, ("ack_count", "syn_count", "fin_count", "rst_count")),
    *map(
        Plain,
        (
            *("HTTP", "HTTPS", "DNS", "Telnet", "SMTP", "SSH", "IRC", "TCP", "UDP", "DHCP", "ARP"),
            *("ICMP", "IPv", "LLC"),
        ),
    ),
    *map(Amount, ("Min", "Max", "AVG", "Std", "Tot size", "Variance")),
)
"""The columns that both layouts have and that do not leak."""

ATTACKS = (
    *("DDoS-ACK_Fragmentation", "DDoS-HTTP_Flood", "DDoS-ICMP_Flood", "DDoS-ICMP_Fragmentation"),
    *("DDoS-PSHACK_Flood", "DDoS-RSTFINFlood", "DDoS-SlowLoris", "DDoS-SYN_Flood"),
    *("DDoS-SynonymousIP_Flood", "DDoS-TCP_Flood", "DDoS-UDP_Flood", "DDoS-UDP_Fragmentation"),
    *("DoS-HTTP_Flood", "DoS-SYN_Flood", "DoS-TCP_Flood", "DoS-UDP_Flood"),
    *("Mirai-greeth_flood", "Mirai-greip_flood", "Mirai-udpplain"),
    *("Recon-HostDiscovery", "Recon-OSScan", "Recon-PingSweep", "Recon-PortScan"),
    *("VulnerabilityScan", "DNS_Spoofing", "MITM-ArpSpoofing", "DictionaryBruteForce"),
    *("BrowserHijacking", "CommandInjection", "SqlInjection", "XSS", "Backdoor_Malware"),
    "Uploading_Attack",
)
LABELS = {
    "benigntraffic": "benign",
    "benign": "benign",
    **{name.lower(): name.lower().replace("_", "-") for name in ATTACKS},
}
FAMILIES = tuple(dict.fromkeys(LABELS.values()))


def _family(label: str) -> str | None:
    return LABELS.get(label.lower())


LAYOUT = Layout("ciciot2023", COLUMNS, FAMILIES, label="label", family=_family)

_TTL = "the mean time-to-live: names the machine that sent, and how far away it stood"
_WINDOW = "depends on how many packets the authors put into one row, which they chose by class"
_ONE = "only in one of the two layouts"

ABOUT = About(
    name="ciciot2023",
    title="CICIoT2023",
    licence="free for research with a citation (UNB)",
    citation="Neto et al., CICIoT2023: A Real-Time Dataset and Benchmark for Large-Scale Attacks "
    "in IoT Environment, Sensors 23(13), 2023",
    size="46,686,579 rows in 169 files (part-*.csv), 45,019,243 in 63 (Merged*.csv); 13 and 10 GB",
    home="https://www.unb.ca/cic/datasets/iotdataset-2023.html",
    layout="part-00000-….csv and so on (169 files), or MERGED_CSV/Merged01.csv to Merged63.csv",
    excluded={
        "IAT": "in part-*.csv not the gap between packets but some 8e7 and more, by capture: tells "
        "which capture a row came from",
        "Time_To_Live": _TTL,
        "Duration": _TTL,
        "flow_duration": _ONE,
        "Srate": "Rate again",
        "Drate": "always 0",
        "urg_count": _ONE,
        "IGMP": _ONE,
        "Magnitue": _ONE,
        "Radius": _ONE,
        "Covariance": _ONE,
        "Number": _WINDOW,
        "Weight": _WINDOW,
        "Tot sum": _WINDOW,
        "Protocol Type": "the mean of protocol numbers; HTTP to LLC say what matters of it",
        "label": "the answer",
        "Label": "the answer",
    },
    after="",
)


def read(folder: Path, rows_max: int, seed: bytes) -> Reading:
    """Read the set. Its files are slices of a shuffled whole: one owner, no time.

    Raises:
        ConfigError: see `DataSet`.
    """
    hits = first_found(folder, ABOUT, r"(?:.*/)?part-\d+.*\.csv", r"(?:.*/)?Merged\d+\.csv")
    files = [
        File(path, path.relative_to(folder).as_posix(), renamed={"Label": "label"})
        for path, _ in hits
    ]
    return read_files(files, LAYOUT, rows_max, seed)


DATA_SET = DataSet(ABOUT, read)
