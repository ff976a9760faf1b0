"""What a person may ask of a running node and tell it: the socket's side and the dashboard's.

Called on the node's loop; nothing here waits.
"""

from collections.abc import Callable
from dataclasses import replace

from gossip.antigens import is_family
from gossip.errors import ConfigError
from node.alerts.alerter import Alerter
from node.alerts.incidents import Incident
from node.control.documents import IncidentDocument, VerdictDone
from node.status.document import Status
from node.verdicts.book import BENIGN, Book, Said

NONE = "none"
"""The word that takes a verdict back."""

TEXT_CHARS_MAX = 500
"""Of a note, and of who gave it; our choice."""

INCIDENTS_MAX = 200


class Desk:
    """See above.

    Args:
        status: gives the status document.
        alerter: has the incidents.
        book: keeps what is said of them.
        heard: called after anything was said or taken back.
    """

    def __init__(
        self,
        status: Callable[[], Status],
        alerter: Alerter,
        book: Book,
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self._status = status
        self._alerter = alerter
        self._book = book
        self._heard = heard

    def status(self) -> Status:
        """How the node is."""
        return self._status()

    def incidents(self, limit: int = INCIDENTS_MAX) -> list[IncidentDocument]:
        """Open incidents and those that closed lately, the newest activity first."""
        return [self._with_word(each) for each in self._alerter.documents(limit)]

    def verdict(self, incident: str, word: str, by: str = "", note: str = "") -> VerdictDone:
        """Say what an incident was; it is learnt from, from the next training on.

        What was called benign raises no alarm from now on, see `node.verdicts.pardons`.

        Args:
            incident: its key, or the beginning of it.
            word: "benign", a family, or "none" to take back what was said.
            by: who says so; kept with it, never sent.
            note: why; likewise.

        Raises:
            LocalError: no or several incidents are called so, the word is no family, nothing was
                said that could be taken back, or the disk refuses to keep it.
        """
        if word not in (NONE, BENIGN) and not is_family(word):
            raise ConfigError(
                f"{word[:80]!r} is no verdict; say benign, none to take one back, or a family of "
                "attack: lower-case letters, digits and hyphens, such as scan, dos or brute-force"
            )
        if len(by) > TEXT_CHARS_MAX or len(note) > TEXT_CHARS_MAX:
            raise ConfigError(f"a note has at most {TEXT_CHARS_MAX} characters; shorten it")
        found = self._one(incident)
        key = incident if found is None else found.key
        before = self._book.get(key)
        if word == NONE:
            return self._withdrawn(key, before)
        if found is None:
            raise _unknown(incident, 0)
        said = self._book.say(found, word, by, note)
        self._heard()
        flows = f"{len(said.rows)} of its {found.flows:,} flows"
        if not said.rows:
            done = "none of its flows is remembered, so nothing is learnt from it"
        elif word == BENIGN:
            done = f"flows like {flows} raise no alarm from now on, and are learnt as benign"
        else:
            done = f"{flows} are learnt as {word} from the next training on"
        old = "" if before is None else before.word
        return VerdictDone(key, word, old, len(said.rows), f"{key}: {word}; {done}")

    def _one(self, incident: str) -> Incident | None:
        """The incident of that name; None where one that is forgotten has a verdict."""
        found = self._alerter.find(incident) if incident else []
        if len(found) == 1:
            return found[0]
        if not found and self._book.get(incident) is not None:
            return None
        raise _unknown(incident, len(found))

    def _withdrawn(self, key: str, before: Said | None) -> VerdictDone:
        if before is None:
            raise ConfigError(
                f"{key}: nobody said anything of it, so there is nothing to take back"
            )
        self._book.withdraw(key)
        self._heard()
        said = f"{key}: {before.word} is taken back; nothing is learnt from it any more"
        return VerdictDone(key, "", before.word, 0, said)

    def _with_word(self, document: IncidentDocument) -> IncidentDocument:
        said = self._book.get(document.key)
        if said is None:
            return document
        return replace(document, verdict=said.word, verdict_by=said.by, note=said.note)


def _unknown(incident: str, count: int) -> ConfigError:
    if count > 1:
        return ConfigError(f"{incident[:40]!r} begins {count} incidents' keys; give more of it")
    return ConfigError(
        f"{incident[:40]!r} is no incident that this node knows; `hedgerow incidents` lists them"
    )
