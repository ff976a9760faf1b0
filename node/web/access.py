"""Who may see the dashboard: who has the token, or a session that was begun with it.

A session is its cookie: a random name, an end, and a keyed hash of both. So nothing has to be kept
or bounded, a restart ends none, and a new token ends all.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from gossip.errors import StateError
from node.p2p.secretfile import create_secret, read_secret

TOKEN_CHARS_MIN = 32
SESSION_S = 30 * 86_400
"""Our choice: an analyst gives the token once a month."""

_WHAT = "dashboard's token"


def load_token(path: Path) -> str:
    """The token in a file; a new one of 256 bits, with mode 0600, where there is none.

    Raises:
        StateError: it cannot be read or written, others can read it, or it is too short.
    """
    with suppress(FileNotFoundError):
        token = read_secret(path, _WHAT).strip()
        if len(token) < TOKEN_CHARS_MIN or not token.isprintable() or not token.isascii():
            raise StateError(
                f"the {_WHAT} {path} has to be {TOKEN_CHARS_MIN} or more letters and digits; "
                "remove the file for a new one"
            )
        return token
    token = secrets.token_urlsafe(32)
    create_secret(path, token + "\n", _WHAT)
    return token


class Access:
    """Checks tokens and sessions, in a time that does not tell how much of them was right.

    Args:
        token: the secret.
        now_s: seconds since 1970.
    """

    def __init__(self, token: str, now_s: Callable[[], float] = time.time) -> None:
        self._token = token.encode()
        self._now_s = now_s

    def admits(self, token: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(token.encode(errors="replace"), self._token)

    def begin(self) -> str:
        """A new session, as its cookie's value."""
        body = f"{secrets.token_hex(16)}.{int(self._now_s()) + SESSION_S}"
        return f"{body}.{self._sealed('session', body)}"

    def session(self, cookie: str) -> str | None:
        """The session that a cookie proves; None where it proves none."""
        body, _, seal = cookie.rpartition(".")
        good = hmac.compare_digest(
            seal.encode(errors="replace"), self._sealed("session", body).encode()
        )
        if not good or float(body.partition(".")[2]) < self._now_s():
            return None
        return body

    def form_token(self, session: str) -> str:
        """What a form of this session has to carry along, so that no other page can send one."""
        return self._sealed("form", session)

    def form_is_ours(self, session: str, given: str) -> bool:
        """Whether a form carries it."""
        return hmac.compare_digest(
            given.encode(errors="replace"), self.form_token(session).encode()
        )

    def _sealed(self, purpose: str, body: str) -> str:
        message = f"{purpose}\0{body}".encode(errors="replace")
        return hmac.new(self._token, message, sha256).hexdigest()
