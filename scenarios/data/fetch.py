"""Downloads of published data sets, each file checked against its SHA-256.

Where nobody published a checksum, the first download is taken on trust: its checksum is written to
`SHA256SUMS` beside it (the format of `sha256sum --check`), and from then on a file with another one
is refused. That guards against later changes, not against a first download that was wrong already.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pooch
from requests import RequestException

from gossip.errors import ConfigError, NetworkError, StateError
from scenarios.data.sources.about import About, Download
from scenarios.data.unpacking import unpack
from scenarios.runs.results import whole_file

SUMS = "SHA256SUMS"
SUMS_BYTES_MAX = 1 << 20
TIMEOUT_S = 60  # without a byte; pooch's own 30 s were too short for archives made on demand
CHUNK_BYTES = 1 << 16
LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\0]+)")

Progress = Callable[[str, int], None]
"""Is told a file's name and how many of its bytes have come."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is in the folder now.

    Args:
        path: see there.
        sha256: 64 hexadecimal digits.
        trusted: nothing to compare it with was known: it was taken on trust.
        unpacked: names that came out of it; empty for a file that is no archive.
    """

    path: Path
    sha256: str
    trusted: bool
    unpacked: tuple[str, ...] = ()


def fetch(about: About, folder: Path, progress: Progress | None = None) -> list[Fetched]:
    """Bring a data set's files into a folder; those that are there already are only checked.

    Args:
        about: a set with downloads.
        folder: made if it is not there.
        progress: see there.

    Raises:
        ConfigError: a file's checksum is not the expected one, an answer is too long, or an archive
            is refused. No such file is kept.
        NetworkError: an address cannot be reached, or the connection broke. No half file is kept.
        StateError: the folder takes no files.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{folder}: cannot be made ({error.strerror})") from None
    found = []
    for download in about.downloads:
        sums = read_sums(folder)
        known = download.sha256 or sums.get(download.name)
        path = folder / download.name
        sha256 = _bring(download, path, known, progress)
        if known is None:
            _write_sums(folder, sums | {download.name: sha256})
        tops = unpack(path, folder, download.unpacked_max) if download.unpack else ()
        found.append(Fetched(path, sha256, known is None, tops))
    return found


def read_sums(folder: Path) -> dict[str, str]:
    """Name to checksum, as earlier downloads into this folder left them.

    Raises:
        ConfigError: the file is damaged.
        StateError: it cannot be read.
    """
    path = folder / SUMS
    try:
        if not path.exists():
            return {}
        with path.open("rb") as stream:
            raw = stream.read(SUMS_BYTES_MAX)
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error.strerror})") from None
    sums = {}
    for number, line in enumerate(raw.decode(errors="replace").splitlines(), 1):
        match = LINE.fullmatch(line)
        if match is None:
            raise ConfigError(
                f"{path}, line {number}: is no checksum and name; delete the file to take what is "
                "there on trust again"
            )
        sums[match[2]] = match[1]
    return sums


def _write_sums(folder: Path, sums: dict[str, str]) -> None:
    with whole_file(folder / SUMS) as stream:
        stream.writelines(f"{sums[name]}  {name}\n" for name in sorted(sums))


def _bring(download: Download, path: Path, known: str | None, progress: Progress | None) -> str:
    """Fetch a file unless it is there; gives its checksum."""
    pooch.get_logger().setLevel(logging.WARNING)
    if path.exists() and known is not None and (own := pooch.file_hash(str(path))) != known:
        raise ConfigError(
            f"{path}: its SHA-256 is {own}, not {known}; delete the file to fetch it again"
        )
    try:
        pooch.retrieve(
            download.url,
            known_hash=known,
            fname=path.name,
            path=path.parent,
            downloader=_Bounded(download, progress),
        )
        return known or str(pooch.file_hash(str(path)))
    except RequestException as error:
        raise NetworkError(
            f"{download.url}: cannot be fetched ({_short(error)}); nothing was kept; try again, or "
            f"bring {download.name} to {path.parent} by another way"
        ) from None
    except ValueError:  # pooch's word for another checksum
        raise ConfigError(
            f"{download.url}: its SHA-256 is not {known}: the file was changed, there or on the "
            "way; nothing was kept"
        ) from None
    except OSError as error:
        raise StateError(f"{path}: cannot be written ({error.strerror or error})") from None


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


@dataclass(frozen=True, slots=True)
class _Bounded:
    """Pooch's downloader, with a bound on what it writes."""

    download: Download
    progress: Progress | None

    def __call__(self, url: str, output_file: str, owner: Any) -> None:
        """See pooch; what is raised here removes the half file."""
        with Path(output_file).open("wb") as stream:
            pooch.HTTPDownloader(chunk_size=CHUNK_BYTES, timeout=TIMEOUT_S)(
                url, _Counted(stream, self.download, self.progress), owner
            )


class _Counted:
    """A stream that counts what is written to it, and refuses too much."""

    def __init__(self, stream: IO[bytes], download: Download, progress: Progress | None) -> None:
        self._stream = stream
        self._download = download
        self._progress = progress
        self._written = 0

    def write(self, block: bytes) -> int:
        """Write on."""
        self._written += len(block)
        if self._written > self._download.bytes_max:
            raise ConfigError(
                f"{self._download.url}: sends more than {self._download.bytes_max >> 20} MiB, "
                "which the set is not; nothing was kept"
            )
        if self._progress is not None:
            self._progress(self._download.name, self._written)
        return self._stream.write(block)

    def flush(self) -> None:
        """Nothing: a flush after every piece would only slow it down."""
