"""NSL-KDD: connections of a simulated network of 1998, without the redundant ones of KDD'99.

Tried on the real KDDTrain+_20Percent.txt (25,192 rows, none bad). The other files have the same
layout by their publisher's word; the .arff variants could not be tried on the real files.
"""

from pathlib import Path

from scenarios.data.sources.about import About, DataSet, Download, Reading
from scenarios.data.sources.columns import Amount, Column, Plain, Words, listed
from scenarios.data.sources.csvs import read_files
from scenarios.data.sources.folders import found, nothing
from scenarios.data.sources.layout import File, Layout
from scenarios.data.sources.sampling import first_lines

SERVICES = listed(
    "aol auth bgp courier csnet_ns ctf daytime discard domain domain_u echo eco_i ecr_i "
    "efs exec finger ftp ftp_data gopher harvest hostnames http http_2784 http_443 "
    "http_8001 imap4 IRC iso_tsap klogin kshell ldap link login mtp name netbios_dgm "
    "netbios_ns netbios_ssn netstat nnsp nntp ntp_u other pm_dump pop_2 pop_3 printer "
    "private red_i remote_job rje shell smtp sql_net ssh sunrpc supdup systat telnet "
    "tftp_u tim_i time urh_i urp_i uucp uucp_path vmnet whois X11 Z39_50"
)
FLAGS = listed("OTH REJ RSTO RSTOS0 RSTR S0 S1 S2 S3 SF SH")

COLUMNS: tuple[Column, ...] = (
    Amount("duration"),
    Words("protocol_type", ("tcp", "udp", "icmp")),
    Words("service", SERVICES),
    Words("flag", FLAGS),
    Amount("src_bytes"),
    Amount("dst_bytes"),
    Plain("land"),
    *map(Amount, ("wrong_fragment", "urgent", "hot", "num_failed_logins")),
    Plain("logged_in"),
    Amount("num_compromised"),
    *map(Plain, ("root_shell", "su_attempted")),
    *map(Amount, ("num_root", "num_file_creations", "num_shells", "num_access_files")),
    Amount("num_outbound_cmds"),
    *map(Plain, ("is_host_login", "is_guest_login")),
    *map(Amount, ("count", "srv_count")),
    *map(
        Plain,
        (
            "serror_rate",
            "srv_serror_rate",
            "rerror_rate",
            "srv_rerror_rate",
            "same_srv_rate",
            "diff_srv_rate",
            "srv_diff_host_rate",
        ),
    ),
    *map(Amount, ("dst_host_count", "dst_host_srv_count")),
    *map(
        Plain,
        (
            "dst_host_same_srv_rate",
            "dst_host_diff_srv_rate",
            "dst_host_same_src_port_rate",
            "dst_host_srv_diff_host_rate",
            "dst_host_serror_rate",
            "dst_host_srv_serror_rate",
            "dst_host_rerror_rate",
            "dst_host_srv_rerror_rate",
        ),
    ),
)
HEADER = (*(column.name for column in COLUMNS), "class", "difficulty")

ATTACKS = listed(
    "back land neptune pod smurf teardrop apache2 mailbomb processtable udpstorm worm "  # dos
    "ipsweep nmap portsweep satan mscan saint "  # probe
    "ftp_write guess_passwd imap multihop phf spy warezclient warezmaster httptunnel named "
    "sendmail snmpgetattack snmpguess xlock xsnoop "  # remote to local
    "buffer_overflow loadmodule perl rootkit ps sqlattack xterm"  # user to root
)
FAMILIES = ("benign", *(attack.replace("_", "-") for attack in ATTACKS))


def _family(label: str) -> str | None:
    name = label.strip("'. ").lower()
    return "benign" if name == "normal" else name.replace("_", "-") if name in ATTACKS else None


def _coarse(label: str) -> str | None:
    return {"normal": "benign", "anomaly": "anomaly"}.get(label.strip("'. ").lower())


LAYOUT = Layout("nsl-kdd", COLUMNS, FAMILIES, label="class", family=_family)
COARSE = Layout("nsl-kdd", COLUMNS, ("benign", "anomaly"), label="class", family=_coarse)
"""The .arff variants say no more than "normal" or "anomaly"."""

_MIRROR = "https://raw.githubusercontent.com/defcom17/NSL_KDD/master"

ABOUT = About(
    name="nsl-kdd",
    title="NSL-KDD",
    licence="free for research with a citation (UNB)",
    citation="Tavallaee et al., A Detailed Analysis of the KDD CUP 99 Data Set, CISDA 2009",
    size="148,517 rows, 22 MB",
    home="https://www.unb.ca/cic/datasets/nsl.html",
    layout="KDDTrain+.txt and KDDTest+.txt, or KDDTrain+_20Percent.txt, or the same as .arff",
    excluded={
        "difficulty": "how many of the publishers' classifiers recognised the row: made from the "
        "answer",
        "class": "the answer",
    },
    tried="KDDTrain+_20Percent.txt, all 25,192 rows; not the .arff variants",
    downloads=(
        Download("KDDTrain+.txt", f"{_MIRROR}/KDDTrain%2B.txt", bytes_max=60_000_000),
        Download("KDDTest+.txt", f"{_MIRROR}/KDDTest%2B.txt", bytes_max=12_000_000),
    ),
)


def read(folder: Path, rows_max: int, seed: bytes) -> Reading:
    """Read the set. Rows of KDDTest+ are held out where there are others to train on.

    The service is a published class of the application, not a port number; it stays. The whole
    training set is preferred to its 20 per cent, and .txt, which names each attack, to .arff.

    Raises:
        ConfigError: see `DataSet`.
    """
    for suffix, layout in (("txt", LAYOUT), ("arff", COARSE)):
        train = found(folder, rf"(?:.*/)?KDDTrain\+\.{suffix}") or found(
            folder, rf"(?:.*/)?KDDTrain\+_20Percent\.{suffix}"
        )
        test = found(folder, rf"(?:.*/)?KDDTest\+\.{suffix}")
        files = [
            _file(path, path.relative_to(folder).as_posix(), held_out=held_out)
            for hits, held_out in ((train, False), (test, True))
            for path, _ in hits[:1]
        ]
        if files:
            return read_files(files, layout, rows_max, seed)
    raise nothing(folder, ABOUT)


def _file(path: Path, name: str, *, held_out: bool) -> File:
    """Some copies of the .txt files lack the difficulty; .arff files have a head and lack it."""
    skipped, first = 0, b""
    for number, line in first_lines(path, 200):
        first = line
        if line.strip() and not line.startswith((b"@", b"%")):
            skipped = number
            break
    cells = first.count(b",") + 1
    return File(path, name, held_out=held_out, header=HEADER[: max(42, cells)], skipped=skipped)


DATA_SET = DataSet(ABOUT, read)
