"""Small secret files: created whole with mode 0600, read only where nobody else can read them."""

import os
import stat
from pathlib import Path

from gossip.errors import StateError
from node.durable import sync_folder

BYTES_MAX = 1_024


def create_secret(path: Path, text: str, what: str) -> None:
    """Write a new file of mode 0600, whole or not at all. An existing one is left as it is.

    Raises:
        StateError: it exists already, or its folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            # A link, not a rename: it fails where the name is taken, so no secret is ever lost.
            os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except FileExistsError as error:
        raise StateError(f"{path} exists already; it was kept. Choose another name") from error
    except OSError as error:
        raise StateError(f"cannot write the {what} {path}: {error.strerror}") from error


def read_secret(path: Path, what: str) -> str:
    """The file's text.

    Raises:
        StateError: unreadable, open to others, or too long; the file is left as it is.
        FileNotFoundError: there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise StateError(f"the {what} {path} is not a regular file; it was kept")
            if stat.S_IMODE(mode) & 0o077:
                raise StateError(
                    f"the {what} {path} has mode {stat.S_IMODE(mode):04o}, so others may have "
                    f"read it; make it private with: chmod 600 {path}"
                )
            data = file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StateError(
            f"cannot read the {what} {path}: {error.strerror}; check the path and its permissions"
        ) from error
    if len(data) > BYTES_MAX:
        raise StateError(f"the {what} {path} is longer than {BYTES_MAX} bytes; it was kept")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        raise StateError(f"the {what} {path} is not text; it was kept") from error
