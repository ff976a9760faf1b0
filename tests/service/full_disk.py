"""A node on a real disk that fills up; run in a mount namespace of its own.

unshare --map-root-user --mount python -m tests.service.full_disk FOLDER
"""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

import trio

from node.alerts import keeping
from node.state import saving
from tests.node.live import patient, running, sensor, settings_for
from tests.node.traffic import benign, scan, write

SIZE_BYTES = 8 * 2**20
CANNOT = 77  # what tests that cannot run exit with, by custom of automake
QUICK_S = 0.05

_libc = ctypes.CDLL(None, use_errno=True)


def mount(folder: Path) -> None:
    options = f"size={SIZE_BYTES},mode=0700".encode()
    if _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options):
        raise OSError(ctypes.get_errno(), "mount")


def fill(file: Path) -> None:
    """Leave no byte free."""
    with suppress(OSError), file.open("wb", buffering=0) as stream:
        for size in (2**16, 1):
            with suppress(OSError):
                while True:
                    stream.write(b"x" * size)


async def main(folder: Path) -> None:
    disk, log = folder / "disk", folder / "eve.json"
    write(log, benign(400))
    settings = settings_for(disk / "state", sensor=sensor(log), alerts__per_minute_max=100)
    async with running(settings) as node:
        await node.until(lambda s: s.detector.state == "watching")
        fill(disk / "ballast")
        before = await node.look()
        write(log, scan(40, 500))
        found = await node.until(lambda s: s.alerts.waiting and s.service.not_saved)
        assert "kept for alerts" in found.service.not_saved, found.service.not_saved
        assert found.alerts.failed == 0
        await node.until(lambda s: s.mesh.cycle > before.mesh.cycle + 3)  # it goes on learning
        (disk / "ballast").unlink()
        found = await node.until(lambda s: not s.alerts.waiting and not s.service.not_saved)
        lines = await trio.Path(settings.alerts_path).read_text()
        assert sum(line.endswith("}") for line in lines.splitlines()) == found.alerts.written > 0


if __name__ == "__main__":
    where = Path(sys.argv[1])
    (where / "disk").mkdir()
    try:
        mount(where / "disk")
    except OSError as error:
        sys.stdout.write(f"cannot mount here: {error.strerror}")
        sys.exit(CANNOT)
    keeping.RETRY_S_MIN = keeping.RETRY_S_MAX = QUICK_S
    saving.RETRY_S_MIN = saving.RETRY_S_MAX = QUICK_S
    patient(main, where)
