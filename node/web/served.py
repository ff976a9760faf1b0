"""What a node serves over HTTP, if anything. What it takes is imported only where it is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trio

    from node.config.settings import Settings
    from node.control.desk import Desk


@dataclass(frozen=True, slots=True)
class Served:
    """What is served.

    Args:
        dashboard: its URL, without the token; empty where there is none.
        token_file: where the token stands.
        token: the secret itself, never to be logged.
        metrics: the URL that needs no token; empty where there is none.
    """

    dashboard: str = ""
    token_file: str = ""
    token: str = field(default="", repr=False)
    metrics: str = ""

    def said(self, *, privately: bool) -> Sequence[str]:
        """Lines for who started the node; with the token only where nobody else reads them."""
        lines = []
        if self.dashboard and privately:
            lines.append(f"dashboard: {self.dashboard}/?token={self.token}")
        elif self.dashboard:
            lines.append(f"dashboard: {self.dashboard}/ (its token is in {self.token_file})")
        if self.metrics:
            lines.append(f"metrics: {self.metrics}/metrics")
        return lines


def begin(settings: "Settings", desk: "Desk", nursery: "trio.Nursery") -> Served:
    """Serve what the settings name until the nursery is cancelled.

    Raises:
        LocalError: an address or the token's file cannot be used.
    """
    if settings.dashboard.listen is None and settings.metrics.listen is None:
        return Served()
    from node.web import service  # noqa: PLC0415 - 4 MB that a node without a dashboard spares

    return service.begin(settings, desk, nursery)
