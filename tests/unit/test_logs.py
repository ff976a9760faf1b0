"""Logging: two forms, libraries tamed, errors in one line, nothing seized on import."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from node import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers)
    names = (logs.ROOT, *logs.CHATTY)
    levels = {
        name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in names
    }
    yield
    root.handlers[:] = before
    for name, (level, propagate) in levels.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).propagate = propagate


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_unless_on_a_terminal() -> None:
    plain, terminal = io.StringIO(), Terminal()
    log = logs.get_logger("runtime")
    logs.configure("info", "auto", plain)
    log.info("peer joined", peer="12D3", view=4)
    log.debug("unseen")
    logs.configure("info", "auto", terminal)
    log.warning("peer lost", peer="12D3")
    (first,) = lines(plain)
    assert first.pop("timestamp")
    assert first == {"event": "peer joined", "level": "info", "peer": "12D3", "view": 4}
    assert "peer lost" in terminal.getvalue()
    assert "\x1b[" in terminal.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(terminal.getvalue())


def test_a_second_configure_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure("info", "json", first)
    logs.configure("info", "json", second)
    logs.get_logger("x").info("once")
    assert first.getvalue() == ""
    assert len(lines(second)) == 1


def test_peers_cannot_write_to_the_terminal() -> None:
    stream = io.StringIO()
    logs.configure("info", "text", stream)
    logs.get_logger("x").info("refused", reason="\x1b[2J\nroot: all is well\r")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()
    logs.get_logger("x").info("\x1b[2J", reason="\x1b[2J")
    assert "\x1b" not in stream.getvalue()
    assert "reason=\\x1b[2J" in stream.getvalue()


def test_errors_are_one_line_and_tracebacks_are_for_debugging() -> None:
    for level, form in [("info", "json"), ("info", "text"), ("debug", "json"), ("debug", "text")]:
        stream = io.StringIO()
        logs.configure(level, form, stream)
        try:
            Path("/nowhere/at/all").read_text()
        except OSError:
            logs.get_logger("x").exception("dial failed")
        text = stream.getvalue()
        assert "FileNotFoundError: [Errno 2] No such file" in text
        assert ("Traceback" in text) == (level == "debug")
        if level == "info":
            assert len(text.splitlines()) == 1


def test_one_line() -> None:
    group = ExceptionGroup(
        "many",
        [
            ValueError("a\n  b"),
            ExceptionGroup("more", [ValueError("a b"), TimeoutError()]),
            *(KeyError(number) for number in range(4)),
        ],
    )
    assert logs.one_line(group) == "ValueError: a b; TimeoutError; KeyError: 0; and 3 more"
    assert logs.one_line(ValueError("\x1b[31m")) == "ValueError: \\x1b[31m"
    assert len(logs.one_line(ValueError("x" * 10_000))) == logs.CHARS_MAX


def test_libraries_are_silent_below_debug_and_heard_at_it() -> None:
    chatter = logging.getLogger("libp2p.network.made_up")
    chatter.setLevel(logging.DEBUG)
    quiet, loud = io.StringIO(), io.StringIO()
    logs.configure("info", "json", quiet)
    chatter.error("Failed to dial", exc_info=ValueError("x"))
    logging.getLogger("trio.abc").error("heard")
    assert [line["event"] for line in lines(quiet)] == ["heard"]
    logs.configure("debug", "json", loud)
    chatter.error("Failed to dial")
    chatter.debug("too much even so")
    assert [line["event"] for line in lines(loud)] == ["Failed to dial"]
    assert lines(loud)[0]["logger"] == "libp2p.network.made_up"


def test_taming_survives_the_import_of_libp2p() -> None:
    script = (
        "import io, logging; from node import logs; out = io.StringIO()\n"
        "logs.configure('debug', 'json', out)\n"
        "import libp2p; logs.tame(debug=True)\n"
        "logging.getLogger('libp2p.x').warning('routed'); assert 'routed' in out.getvalue()\n"
        "logs.tame(debug=False); logging.getLogger('libp2p.network.auto_connector').error('no')\n"
        "assert '\"no\"' not in out.getvalue()\n"
    )
    assert_runs(script)


def assert_runs(script: str) -> None:
    """In a Python of its own, without a word of complaint."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_seizes_nothing() -> None:
    script = (
        "import logging, structlog; before = structlog.get_config()\n"
        "import node.logs; node.logs.get_logger('x')\n"
        "assert logging.getLogger().handlers == [] and logging.getLogger().level == 30\n"
        "assert structlog.get_config() == before and not structlog.is_configured()\n"
    )
    assert_runs(script)
