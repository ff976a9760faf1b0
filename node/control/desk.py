"""What a person may ask of a running node and tell it: the socket's side and the dashboard's.

Called on the node's loop; nothing here waits.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossip.antigens import is_family
from gossip.errors import ConfigError
from node.control.documents import IncidentDocument, VerdictDone
from node.status.document import Status

if TYPE_CHECKING:  # what it asks, not what it is made of
    from node.alerts.alerter import Alerter

NONE = "none"
"""The word that takes a verdict back."""

BENIGN = "benign"
TEXT_CHARS_MAX = 500
"""Of a note, and of who gave it; our choice."""

INCIDENTS_MAX = 200


class Desk:
    """See above.

    Args:
        status: gives the status document.
        alerter: has the incidents.
    """

    def __init__(self, status: Callable[[], Status], alerter: "Alerter") -> None:
        self._status = status
        self._alerter = alerter

    def status(self) -> Status:
        """How the node is."""
        return self._status()

    def incidents(self, limit: int = INCIDENTS_MAX) -> list[IncidentDocument]:
        """Open incidents and those that closed lately, the newest activity first."""
        return self._alerter.documents(limit)

    def verdict(self, incident: str, word: str, by: str = "", note: str = "") -> VerdictDone:
        """Say what an incident was; it is learnt from, from the next training on.

        Args:
            incident: its key, or the beginning of it.
            word: "benign", a family, or "none" to take back what was said.
            by: who says so; kept with it, never sent.
            note: why; likewise.

        Raises:
            LocalError: no or several incidents are called so, the word is no family, or nothing
                was said that could be taken back.
        """
        if word not in (NONE, BENIGN) and not is_family(word):
            raise ConfigError(
                f"{word[:80]!r} is no verdict; say benign, none to take one back, or a family of "
                "attack: lower-case letters, digits and hyphens, such as scan, dos or brute-force"
            )
        if len(by) > TEXT_CHARS_MAX or len(note) > TEXT_CHARS_MAX:
            raise ConfigError(f"a note has at most {TEXT_CHARS_MAX} characters; shorten it")
        return self._alerter.verdict(incident, word, by, note)
