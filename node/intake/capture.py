"""Packets, metered here: of a recording, or of a network interface."""

from time import time_ns
from typing import Any

import trio

from gossip.errors import SensorError, StateError
from node.config.sensing import SensorSettings
from node.intake.source import Handing, Pace, Take
from node.sensors.lines import BadLine, ReadStats
from node.sensors.meter import Live, Meter, MeterConfig, read_pcap

BATCH_PACKETS = 512  # some 5 ms of work between two looks at the network
POLL_S = 0.05
"""At 100,000 packets a second the socket's buffer of some 5,000 lasts as long; waking for each
packet costs more than metering it. Our choices, as are the others."""

RETRY_S = 5.0


class _Metered(Handing):
    """What both have: a meter, and its counts as those of a sensor."""

    def __init__(
        self, settings: SensorSettings, saved: dict[str, Any] | None, bounds: MeterConfig | None
    ) -> None:
        super().__init__(settings)
        self._meter = Meter(bounds)
        self._stats = ReadStats()
        self._dropped = 0
        if saved is not None:
            self._restore(saved)

    def _restore(self, saved: dict[str, Any]) -> None:
        try:
            if saved["kind"] == self.settings.kind:
                self._taken = int(saved["taken"])
        except (KeyError, ValueError, TypeError) as error:
            raise StateError(
                f"the saved position in {self.settings.place} is damaged ({error!r}); move the "
                "state folder away to begin anew"
            ) from None

    @property
    def stats(self) -> ReadStats:
        """What became of the packets; `ignored` are those that are not IP."""
        counts, stats = self._meter.counts, self._stats
        stats.received, stats.flows, stats.ignored = counts.packets, counts.flows, counts.other
        stats.refused = counts.malformed + counts.orphans + counts.unknown_link
        stats.dropped = self._dropped
        if stats.refused:
            reason = (
                f"{counts.malformed} malformed, {counts.orphans} fragments without their first, "
                f"{counts.unknown_link} of an unknown link"
            )
            stats.samples[:] = [BadLine(counts.packets, reason)]
        return stats

    def saved(self) -> dict[str, Any]:
        """Where to go on from. Flows that had not ended are not part of it."""
        return {"kind": self.settings.kind, "taken": self._taken}


class Recording(_Metered):
    """A file of packets, read to its end; see `Source`.

    Args:
        settings: which file; `follow` is of no account, for a recording does not grow.
        saved: what `saved()` gave in an earlier life; None to begin anew.
        bounds: of the meter; None for its own.

    Raises:
        StateError: what was saved is damaged.
        SensorError: the file cannot be opened.
    """

    def __init__(
        self,
        settings: SensorSettings,
        saved: dict[str, Any] | None = None,
        bounds: MeterConfig | None = None,
    ) -> None:
        super().__init__(settings, saved, bounds)
        self._skip = self._taken
        path = settings.log
        try:
            if path.is_dir() or path.is_file() or not path.exists():  # opening a pipe would wait
                path.open("rb").close()
        except OSError as error:
            raise SensorError(
                f"cannot read {path}: {error.strerror}; check the path and its permissions"
            ) from None

    async def run(self, take: Take, pace: Pace = trio.lowlevel.checkpoint) -> None:
        """Hand over its flows in the order of their end; see `Source`.

        Raises:
            SensorError: it is damaged (flows up to there were handed over), or holds no flow.
        """
        flows = read_pcap(self.settings.log, self._meter)
        seen = await self._read_through(flows, self._skip, take, pace)
        stats = self.stats
        self._info("the recording is read to its end", flows=seen, packets=stats.received)


class Capture(_Metered):
    """A network interface; see `Source`.

    Args:
        settings: which interface.
        saved: what `saved()` gave in an earlier life; None to begin anew.
        bounds: of the meter; None for its own.

    Raises:
        StateError: what was saved is damaged.
        SensorError: there is no such interface, or this user may not read its packets.
    """

    live = True
    patient = False

    def __init__(
        self,
        settings: SensorSettings,
        saved: dict[str, Any] | None = None,
        bounds: MeterConfig | None = None,
    ) -> None:
        super().__init__(settings, saved, bounds)
        self._interface = settings.interface or ""
        self._warned_dropped = 0
        Live(self._interface).close()  # whether it will do, before the node says how to join it

    async def run(self, take: Take, pace: Pace = trio.lowlevel.checkpoint) -> None:
        """Meter packets and hand over flows as they end, until cancelled; see `Source`.

        An interface that goes away is waited for.
        """
        trouble = ""
        while True:
            try:
                with Live(self._interface) as live:
                    self._info("reading packets")
                    trouble = ""
                    await self._read(live, take, pace)
            except SensorError as error:
                if str(error) != trouble:  # once, and not at each attempt
                    trouble = str(error)
                    self._error(trouble, retry_s=RETRY_S)
            await trio.sleep(RETRY_S)

    async def _read(self, live: Live, take: Take, pace: Pace) -> None:
        meter, before = self._meter, self._dropped
        while True:
            await pace()
            packets = live.read(BATCH_PACKETS)
            flows = [flow for packet in packets for flow in meter.packet(*packet)]
            if not packets:
                flows = meter.advance(time_ns() // 1_000)  # the kernel's clock of packets
            self._dropped = before + live.dropped
            self._hand_over(flows, take)
            self._warn_of_drops()
            await trio.sleep(0 if len(packets) == BATCH_PACKETS else POLL_S)

    def _warn_of_drops(self) -> None:
        """At the first packet that the kernel dropped, and each time their number has doubled."""
        if self._dropped >= max(1, 2 * self._warned_dropped):
            self._warned_dropped = self._dropped
            self._warn(
                "packets came faster than they were read, and some were dropped",
                dropped=self._dropped,
                read=self._meter.counts.packets,
            )
