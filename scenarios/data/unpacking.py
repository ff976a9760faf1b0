"""Archives from the network, unpacked as if they were hostile: all of it appears, or none."""

import gzip
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from gossip.errors import ConfigError, StateError

MEMBERS_MAX = 20_000
RATIO_MAX = 200
"""Text of numbers shrinks to a tenth or so; the most that zip's method can do is 1,032 to 1, which
only a bomb needs. Our choice."""

SMALL_BYTES = 10 << 20  # below this nobody asks for the ratio
COPY_BYTES = 1 << 20
READ_BYTES_MAX = 16 << 20
"""Most that is read of a .tar at once. tarfile takes a member's extended header into memory whole,
however long the archive says that it is."""

NAME_CHARS_MAX = 500

_Member = tuple[str, bool, int, IO[bytes] | None]


def unpack(archive: Path, folder: Path, bytes_max: int) -> tuple[str, ...]:
    """Unpack a .zip or .tar.gz file into a folder, beside what is there.

    Args:
        archive: see there.
        folder: gets the archive's files; one of the same name stays as it is.
        bytes_max: in all, unpacked.

    Returns:
        Names at the top of the archive, sorted.

    Raises:
        ConfigError: it is damaged, or a member would land outside the folder, is a link or a
            device, or it unpacks to too much. Nothing of it is left then.
        StateError: the disk is full, or the folder takes no files.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as inner:
            _extract(archive, Path(inner), min(bytes_max, _by_ratio(archive)))
            tops = sorted(path.name for path in Path(inner).iterdir())
            for name in tops:
                _merge(Path(inner) / name, folder / name)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ConfigError(
            f"{archive}: the archive is damaged ({error}); delete it and fetch it again"
        ) from None
    except NotImplementedError as error:
        raise ConfigError(f"{archive}: {error}; unpack it by hand") from None
    except OSError as error:
        raise StateError(
            f"{folder}: cannot unpack {archive.name} ({error.strerror or error})"
        ) from None
    return tuple(tops)


def _by_ratio(archive: Path) -> int:
    return max(SMALL_BYTES, archive.stat().st_size * RATIO_MAX)


def _extract(archive: Path, folder: Path, bytes_max: int) -> None:
    left = bytes_max
    with _members(archive) as members:
        for count, (name, is_folder, size, stream) in enumerate(members):
            if count >= MEMBERS_MAX:
                raise ConfigError(f"{archive}: holds more than {MEMBERS_MAX} files; unpack by hand")
            target = folder / _safe(archive, name)
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            if size > left or stream is None:
                raise _too_much(archive, bytes_max)
            target.parent.mkdir(parents=True, exist_ok=True)
            with stream, target.open("xb") as out:
                while block := stream.read(COPY_BYTES):
                    left -= len(block)
                    if left < 0:  # the size that it states was a lie
                        raise _too_much(archive, bytes_max)
                    out.write(block)


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    """Name, whether it is a folder, stated size and bytes of each member."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _zipped(archive, opened)
    else:
        with _Guarded(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as packed:
            yield _tarred(archive, packed)


class _Guarded(gzip.GzipFile):
    """An unpacked stream that gives no more at once than an honest archive asks for."""

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes."""
        if size is None or not 0 <= size <= READ_BYTES_MAX:
            raise ConfigError(f"{self.name}: refused, one of its headers is larger than 16 MiB")
        return super().read(size)


def _zipped(archive: Path, opened: zipfile.ZipFile) -> Iterator[_Member]:
    for member in opened.infolist():
        kind = member.external_attr >> 28  # the type in Unix's mode; 0 from elsewhere
        if kind not in {0, 0o4, 0o10}:
            raise _no_file(archive, member.filename)
        if member.flag_bits & 1:
            raise ConfigError(f"{archive}: {member.filename[:80]!r} is locked by a password")
        folder = member.is_dir()
        yield member.filename, folder, member.file_size, None if folder else opened.open(member)


def _tarred(archive: Path, packed: tarfile.TarFile) -> Iterator[_Member]:
    for member in packed:
        if not (member.isreg() or member.isdir()):
            raise _no_file(archive, member.name)
        yield member.name, member.isdir(), member.size, packed.extractfile(member)


def _safe(archive: Path, name: str) -> PurePosixPath:
    """The member's path, which must stay below the folder on every system."""
    path = PurePosixPath(name)
    if (
        len(name) > NAME_CHARS_MAX
        or path.is_absolute()
        or ".." in path.parts
        or any(letter in name for letter in "\\:\0")
    ):
        raise ConfigError(
            f"{archive}: refused, it would write outside the folder: {name[:80]!r}; nothing of it "
            "was unpacked"
        )
    return path


def _no_file(archive: Path, name: str) -> ConfigError:
    return ConfigError(
        f"{archive}: refused, {name[:80]!r} is neither file nor folder; nothing of it was unpacked"
    )


def _too_much(archive: Path, bytes_max: int) -> ConfigError:
    return ConfigError(
        f"{archive}: refused, it unpacks to more than {bytes_max >> 20} MiB; nothing of it was "
        "unpacked"
    )


def _merge(source: Path, target: Path) -> None:
    """Move files that are not there yet."""
    if source.is_dir() and target.is_dir():
        for child in sorted(source.iterdir()):
            _merge(child, target / child.name)
    elif not target.exists():
        shutil.move(source, target)
