"""What a node says of itself as a service: its disk, its clock, and its settings."""

from dataclasses import dataclass

from node.status.document import ServiceStatus


@dataclass(slots=True)
class Health:
    """Kept by who notices, read by the status. Fields: see `ServiceStatus`."""

    reloads: int = 0
    reload_refused: str = ""
    restart_for: tuple[str, ...] = ()
    not_saved: str = ""
    not_saved_cycles: int = 0
    clock: str = ""

    def status(self) -> ServiceStatus:
        """For the status document."""
        return ServiceStatus(
            self.reloads,
            self.reload_refused,
            self.restart_for,
            self.not_saved,
            self.not_saved_cycles,
            self.clock,
        )
