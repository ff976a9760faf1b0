"""N-BaIoT: nine IoT devices, benign and infected by Mirai and BASHLITE (Gafgyt).

Tried on a subset of 31,828 real rows prepared by others (an .npz file, see `_prepared`); the
folders of the UCI archive could not be tried on the real files.
"""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from gossip.errors import ConfigError
from scenarios.data.sources.about import BYTES_MAX, About, DataSet, Download, Reading
from scenarios.data.sources.columns import AMOUNT_MAX, Amount, Plain, schema
from scenarios.data.sources.csvs import read_files
from scenarios.data.sources.folders import found, nothing
from scenarios.data.sources.layout import File, Layout
from scenarios.data.sources.sampling import chosen
from scenarios.data.table import Table

WINDOWS = ("L5", "L3", "L1", "L0.1", "L0.01")
THREE = ("weight", "mean", "variance")
SEVEN = ("weight", "mean", "std", "magnitude", "radius", "covariance", "pcc")
STREAMS = {"MI_dir": THREE, "H": THREE, "HH": SEVEN, "HH_jit": THREE, "HpHp": SEVEN}
PUBLISHED = tuple(
    f"{stream}_{window}_{statistic}"
    for stream, statistics in STREAMS.items()
    for window in WINDOWS
    for statistic in statistics
)
"""The 115 columns in their published order."""

PAUSE_S_MAX = 3_600.0
"""Longest pause between two packets that is told from longer ones. The first packet of a stream
has no pause before it, and the set's extractor then took the time since 1970: `HH_jit` means of up
to 1.54e9 s, and variances of up to 5.9e17 s², in the real rows. Such a value says when the row was
recorded; bounded, it says no more than that the stream was new."""

GAFGYT = ("combo", "junk", "scan", "tcp", "udp")
MIRAI = ("ack", "scan", "syn", "udp", "udpplain")
FAMILIES = (
    "benign",
    *(f"gafgyt-{attack}" for attack in GAFGYT),
    *(f"mirai-{attack}" for attack in MIRAI),
)


def _column(name: str) -> Amount | Plain:
    if name.endswith("_pcc"):
        return Plain(name)
    if name.startswith("HH_jit") and name.endswith("mean"):
        return Amount(name, PAUSE_S_MAX)
    if name.startswith("HH_jit") and name.endswith("variance"):
        return Amount(name, PAUSE_S_MAX**2)
    return Amount(name, AMOUNT_MAX)


COLUMNS = tuple(map(_column, PUBLISHED))
LAYOUT = Layout("nbaiot", COLUMNS, FAMILIES)
FOLDERS = r"(?:.*/)?([^/]+)/(?:(benign)_traffic|(mirai|gafgyt)_attacks/(\w+))\.csv"
FLAT = r"(?:.*/)?(\d)\.(?:(benign)|(mirai|gafgyt)\.(\w+))\.csv"

ABOUT = About(
    name="nbaiot",
    title="N-BaIoT",
    licence="CC BY 4.0",
    citation="Meidan et al., N-BaIoT: Network-based Detection of IoT Botnet Attacks Using Deep "
    "Autoencoders, IEEE Pervasive Computing 17(3), 2018; doi 10.24432/C5RC8J",
    size="7,062,606 rows, 1.7 GB packed",
    home="https://archive.ics.uci.edu/dataset/442",
    layout="a folder for each device with benign_traffic.csv, mirai_attacks/*.csv and "
    "gafgyt_attacks/*.csv (as UCI publishes it), or files such as 1.benign.csv and "
    "1.mirai.ack.csv, or one .npz file with the arrays X, y and client",
    excluded={},
    tried="a prepared subset of 31,828 rows; not the UCI folders",
    downloads=(
        Download(
            "nbaiot.zip",
            "https://archive.ics.uci.edu/static/public/442/"
            "detection+of+iot+botnet+attacks+n+baiot.zip",
            unpack=True,
            bytes_max=5_100_000_000,
        ),
    ),
    after="unpack each device's mirai_attacks.rar and gafgyt_attacks.rar (with unrar or 7z) into "
    "folders named mirai_attacks and gafgyt_attacks beside its benign_traffic.csv",
)


def read(folder: Path, rows_max: int, seed: bytes) -> Reading:
    """Read the set; each device is an owner.

    All 115 columns are statistics over decaying windows and none names a host or a time; see
    `PAUSE_S_MAX` for the one place where a time came in nevertheless.

    Raises:
        ConfigError: see `DataSet`.
    """
    hits = found(folder, FOLDERS) or found(folder, FLAT)
    files = []
    for path, match in hits:
        family = _family(match)
        if family in FAMILIES:
            owner = match[1].lower() if not match[1].isdigit() else f"device-{match[1]}"
            name = path.relative_to(folder).as_posix()
            files.append(File(path, name, owner=owner, family=family))
    if files:
        return read_files(files, LAYOUT, rows_max, seed)
    prepared = found(folder, r"[^/]+\.npz")
    if len(prepared) == 1:
        return _prepared(prepared[0][0], rows_max, seed)
    raise nothing(folder, ABOUT)


def _family(match: re.Match[str]) -> str:
    return "benign" if match[2] else f"{match[3]}-{match[4]}".lower()


def _prepared(path: Path, rows_max: int, seed: bytes) -> Reading:
    """A subset with `X` float `(rows, 115)`, `y` 0 or 1, and `client`: families benign, attack.

    A flag `test_normal`, which marks benign rows only, is not taken for a split: it would leave
    all attacks for training.
    """
    arrays = _arrays(path, ("X", "y", "client"))
    x, y, client = arrays["X"], arrays["y"], arrays["client"]
    if not (
        x.ndim == 2
        and x.shape[1] == len(PUBLISHED)
        and x.dtype.kind == "f"
        and y.shape == client.shape == (len(x),)
        and y.dtype.kind in "iub"
        and client.dtype.kind in "iu"
        and len(x)
        and np.isin(y, (0, 1)).all()
        and np.isfinite(x).all()
    ):
        raise ConfigError(
            f"{path}: needs arrays X (rows, {len(PUBLISHED)}) of finite numbers, y (rows) of 0 and "
            f"1, and client (rows) of whole numbers; has X {x.shape}, y {y.shape} and client "
            f"{client.shape}"
        )
    kept = chosen(len(x), min(len(x), rows_max), seed, path.name)
    owners, owner = np.unique(client[kept].astype(np.int64), return_inverse=True)
    scaled = x[kept].astype(np.float64)
    for place, column in enumerate(COLUMNS):
        scaled[:, place] = column.scaled(scaled[:, place])
    table = Table(
        schema=schema("nbaiot", COLUMNS),
        columns=PUBLISHED,
        families=("benign", "attack"),
        x=scaled.astype(np.float32),
        y=y[kept].astype(np.int64),
        owner=owner.astype(np.int64),
        owners=tuple(f"client-{number}" for number in owners.tolist()),
    )
    return Reading(table, len(x), files=(path.name,))


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Arrays of an .npz file that says how large it is before it is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > BYTES_MAX:
            raise ConfigError(f"{path}: unpacks to {size >> 20} MiB; too large for this set")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path}: cannot be read as arrays {', '.join(names)} ({error}); fetch it again"
        ) from None


DATA_SET = DataSet(ABOUT, read)
