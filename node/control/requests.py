"""Requests on the node's socket: one line of JSON, one JSON document in return.

    {"ask": "status"}                         the status document; so does saying nothing
    {"ask": "incidents", "limit": 50}         {"incidents": [...]}
    {"ask": "verdict", "incident": "1f…", "word": "benign", "by": "ana", "note": "backup"}
                                              {"done": {...}}

What cannot be done is answered with {"error": "..."}; a person may have typed it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from gossip.errors import ConfigError, LocalError, StateError
from node.control.desk import INCIDENTS_MAX, TEXT_CHARS_MAX, Desk
from node.control.documents import Answer, IncidentDocument, VerdictDone
from node.status import service

LINE_BYTES_MAX = service.REQUEST_BYTES_MAX

Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]


@dataclass(frozen=True, slots=True)
class Request:
    """See above; fields that a request does not need are ignored."""

    ask: Literal["status", "incidents", "verdict"] = "status"
    limit: Annotated[int, msgspec.Meta(ge=1, le=INCIDENTS_MAX)] = INCIDENTS_MAX
    incident: Text = ""
    word: Text = ""
    by: Text = ""
    note: Text = ""


def answer(desk: Desk, line: bytes) -> bytes:
    """The answer to one request, without a line break; an empty line asks for the status."""
    return msgspec.json.encode(_answer(desk, line))


def _answer(desk: Desk, line: bytes) -> Any:
    try:
        request = msgspec.json.decode(line, type=Request) if line.strip() else Request()
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Answer(
            error=f"not a request ({error}); is hedgerow of the same version as the node?"
        )
    try:
        if request.ask == "incidents":
            return Answer(incidents=tuple(desk.incidents(request.limit)))
        if request.ask == "verdict":
            done = desk.verdict(request.incident, request.word, request.by, request.note)
            return Answer(done=done)
    except LocalError as error:
        return Answer(error=str(error))
    return desk.status()


def incidents(socket: Path, limit: int = INCIDENTS_MAX) -> tuple[IncidentDocument, ...]:
    """Ask the node that serves a socket for its incidents.

    Raises:
        StateError: as `service.fetch`, or the node is of another version.
    """
    return _asked(socket, Request("incidents", limit=limit)).incidents


def verdict(socket: Path, incident: str, word: str, note: str = "") -> VerdictDone:
    """Tell the node that serves a socket what an incident was, in this user's name.

    Raises:
        ConfigError: the node refused it, and says why.
        StateError: as `incidents`.
    """
    request = Request("verdict", incident=incident, word=word, by=_user(), note=note)
    done = _asked(socket, request).done
    if done is None:
        raise StateError(f"{socket}: answers, but not to a verdict; {_VERSIONS}")
    return done


_VERSIONS = "is this hedgerow of the same version as the node's? Restart the node"


def _asked(socket: Path, request: Request) -> Answer:
    found = service.fetch(socket, request=msgspec.json.encode(request))
    if "ask" in found or "software" in found:  # a node that does not read requests
        raise StateError(f"{socket}: the node does not know this question; {_VERSIONS}")
    try:
        answered = msgspec.convert(found, Answer)
    except msgspec.ValidationError as error:
        raise StateError(f"{socket}: {error}; {_VERSIONS}") from error
    if answered.error:
        raise ConfigError(answered.error)
    return answered


def _user() -> str:
    """Who runs this command; a number where the system has no name for it."""
    import pwd  # noqa: PLC0415 - absent where there are no accounts

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
