"""A sensor's log, brought to the detector live or whole; it knows how far it got."""

import base64
from stat import S_ISREG
from typing import Any

import trio

from gossip.errors import SensorError, StateError
from node.config.sensing import SensorSettings
from node.intake.source import Handing, Pace, Take
from node.sensors.follow import Follower
from node.sensors.lines import ReadStats, cure
from node.sensors.reading import GZIP_MAGIC, XZ_MAGIC, Kind, parser_for, read
from node.sensors.rotation import Position

POLL_S = 0.25  # alerts are minutes behind a flow's end anyway (sensors log when they time it out)
POLL_BYTES = 1 << 17  # about 300 lines, 10 ms of work between two looks at the network
RETRY_S = 5.0
"""Our choices."""


class LogSource(Handing):
    """One log; see `Source`.

    Args:
        settings: which log, and how to read it.
        saved: what `saved()` gave in an earlier life; None to begin anew.

    Raises:
        StateError: what was saved is damaged.
        SensorError: the log can never be followed; or it is read whole and cannot be.
    """

    def __init__(self, settings: SensorSettings, saved: dict[str, Any] | None = None) -> None:
        super().__init__(settings)
        self._path = settings.log
        self._kind = Kind(settings.kind)
        self._parser = parser_for(self._kind)
        self._overlong = 0
        self._gaps = 0
        position = None if saved is None else self._restored(saved)
        self._skip = self._taken
        self._follower: Follower | None = None
        if settings.follow:
            self._refuse_what_does_not_grow()
            self._follower = Follower(self._path, position)
        else:
            self._refuse_what_cannot_be_read()

    def _restored(self, saved: dict[str, Any]) -> Position | None:
        """Take up an earlier life; where it followed the log, its position there."""
        settings = self.settings
        try:
            if (saved["kind"], "position" in saved) != (settings.kind, settings.follow):
                self._warn(
                    "the settings of this sensor were changed; its log is read from the beginning"
                )
                return None
            self._taken = int(saved["taken"])
            if not settings.follow:
                return None
            self._parser.restore(base64.b64decode(saved["parser"], validate=True))
            return Position.load(base64.b64decode(saved["position"], validate=True))
        except (KeyError, ValueError, TypeError) as error:
            raise StateError(
                f"the saved position in {self._path} is damaged ({error!r}); move the state "
                "folder away to begin anew"
            ) from None

    def _refuse_what_does_not_grow(self) -> None:
        path = self._path
        try:
            if not S_ISREG(path.stat().st_mode):  # and opening a pipe would wait for ever
                raise SensorError(
                    f"cannot follow {path}: it is not a regular file; name the log itself, such as "
                    "eve.json or conn.log"
                )
            with path.open("rb") as stream:
                start = stream.read(len(XZ_MAGIC))
        except OSError:
            return  # not there yet, or it cannot be read for now; `run` says so
        if start.startswith((GZIP_MAGIC, XZ_MAGIC)):
            raise SensorError(
                f"cannot follow {path}: a packed file does not grow; read it once "
                "(follow = false in the settings, --read-once on the command line)"
            )

    def _refuse_what_cannot_be_read(self) -> None:
        """Before the node opens its port and says how to join it."""
        path = self._path
        try:
            if S_ISREG(path.stat().st_mode) or path.is_dir():  # opening a pipe would wait
                path.open("rb").close()
        except OSError as error:
            raise SensorError(f"cannot read {path}: {cure(error)}") from None

    @property
    def stats(self) -> ReadStats:
        """What became of the lines."""
        return self._parser.stats

    def saved(self) -> dict[str, Any]:
        """Where to go on from, as JSON can hold it; true of all flows handed over so far."""
        state: dict[str, Any] = {"kind": self.settings.kind, "taken": self._taken}
        if self._follower is not None:
            state["position"] = base64.b64encode(self._follower.position.dump()).decode()
            state["parser"] = base64.b64encode(self._parser.snapshot()).decode()
        return state

    async def run(self, take: Take, pace: Pace = trio.lowlevel.checkpoint) -> None:
        """Hand over flows, in order, a few at a time; returns at the end of a log read whole.

        Args:
            take: called with them.
            pace: awaited before more is read.

        Raises:
            SensorError: a log that is read whole is unreadable or holds no flow.
        """
        if self._follower is None:
            await self._read_whole(take, pace)
        else:
            with self._follower:
                await self._follow(self._follower, take, pace)

    async def _follow(self, follower: Follower, take: Take, pace: Pace) -> None:
        trouble = "" if self._is_there() else "the log is not there yet; waiting for it"
        if trouble:
            self._warn(trouble)
        while True:
            await pace()
            try:
                lines = follower.poll(POLL_BYTES)
            except SensorError as error:
                if str(error) != trouble:  # once, and not at each attempt
                    trouble = str(error)
                    self._error(trouble, retry_s=RETRY_S)
                await trio.sleep(RETRY_S)
                continue
            if lines and trouble:
                trouble = ""
                self._info("the log can be read now")
            # No await from here to the end of the hand-over: a snapshot sees all of it or nothing.
            flows = [flow for line in lines if (flow := self._parser.parse(line)) is not None]
            self._count_losses(follower)
            self._hand_over(flows, take)
            self.live |= not lines  # from then on it is as far as its sensor
            await trio.sleep(0 if lines else POLL_S)

    def _is_there(self) -> bool:
        try:
            return self._path.exists()
        except OSError:
            return True  # but out of reach; reading it will say why

    def _count_losses(self, follower: Follower) -> None:
        for _ in range(follower.overlong - self._overlong):
            self.stats.refuse_overlong()
        self._overlong = follower.overlong
        if follower.gaps > self._gaps:
            self._gaps = follower.gaps
            self._warn("the file that was read last is gone; some of its lines may be missing")

    async def _read_whole(self, take: Take, pace: Pace) -> None:
        flows = read(self._path, self._kind, self._parser)
        seen = await self._read_through(flows, self._skip, take, pace)
        if seen < self._skip:
            self._warn(f"the log holds {seen} flows, fewer than were read of it in an earlier life")
        stats = self.stats
        self._info("the log is read to its end", flows=stats.flows, bad_lines=stats.bad)
