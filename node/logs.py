"""Logging: structlog over the standard library, readable on a terminal and JSON otherwise.

`get_logger` configures nothing, so importing any part of Hedgerow leaves logging as it was; only
`configure`, which the command line calls once, puts a handler in place. Libraries are heard
through the same handler, less what is normal in a mesh where peers come and go.

structlog, and with it rich and asyncio, is loaded by the first message or by `configure`: 7 MB that
a process which only detects, and says nothing, does without.
"""

import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    import structlog
    from structlog.typing import EventDict, Processor, WrappedLogger

ROOT = "hedgerow"
ERRORS_SHOWN = 3
CHARS_MAX = 300

# A peer that goes away makes these write errors with tracebacks; our transport says the same in a
# line, so below debug they are silent. Measured on libp2p 0.8.1: a refused dial alone logs three.
CHATTY = ("libp2p", "multiaddr", "zeroconf", "trio-websocket", "asyncio", "httpx", "urllib3")


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that a second `configure` finds and replaces it."""


def get_logger(name: str) -> "structlog.stdlib.BoundLogger":
    """A logger for one part (`get_logger("sensor")`); use `log.info("event", key=value)`."""
    return cast("structlog.stdlib.BoundLogger", _Logger(name))


class _Logger:
    """Becomes a logger of structlog's when it is first used."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._made: structlog.stdlib.BoundLogger | None = None

    def __getattr__(self, method: str) -> Any:
        if self._made is None:
            self._made = _made(self._name)
        return getattr(self._made, method)


def _made(name: str) -> "structlog.stdlib.BoundLogger":
    import structlog  # noqa: PLC0415 - see above

    made: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(f"{ROOT}.{name}"),
        processors=[
            structlog.stdlib.filter_by_level,
            *_additions(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return made


def _additions() -> "tuple[Processor, ...]":
    """What every message gets."""
    import structlog  # noqa: PLC0415 - as above

    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return (structlog.stdlib.add_log_level, stamp)


def configure(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Show log messages from now on.

    Args:
        level: "debug", "info", "warning" or "error". Tracebacks and libraries' own messages are
            shown at debug only.
        form: "text", "json", or "auto": text on a terminal, JSON lines otherwise.
        stream: where to; standard error if None.
    """
    out = sys.stderr if stream is None else stream
    terminal = out.isatty()
    as_text = form == "text" or (form == "auto" and terminal)
    handler = _Handler(out)
    handler.setFormatter(_formatter(as_text=as_text, colours=terminal, debug=level == "debug"))
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    logging.getLogger(ROOT).setLevel(level.upper())
    tame(debug=level == "debug")


def tame(*, debug: bool) -> None:
    """Route the libraries' loggers to ours and silence their chatter, unless debugging.

    libp2p resets its logger while it is imported, so call this again after importing it.
    """
    for name in CHATTY:
        library = logging.getLogger(name)
        library.propagate = True
        library.setLevel(logging.INFO if debug else logging.CRITICAL)
    for name, child in list(logging.root.manager.loggerDict.items()):
        # libp2p.network.auto_connector, for one, sets a level of its own.
        if isinstance(child, logging.Logger) and name.startswith("libp2p."):
            child.setLevel(logging.NOTSET)


def one_line(error: BaseException) -> str:
    """An exception for people: `TimeoutError: dial`, groups flattened, one line, bounded."""
    texts: list[str] = []
    for leaf in _leaves(error):
        words = printable(" ".join(str(leaf).split()))
        text = f"{type(leaf).__name__}: {words}" if words else type(leaf).__name__
        if text not in texts:
            texts.append(text)
    more = len(texts) - ERRORS_SHOWN
    shown = "; ".join(texts[:ERRORS_SHOWN])
    shown = shown if len(shown) <= CHARS_MAX else f"{shown[: CHARS_MAX - 1]}…"
    return f"{shown}; and {more} more" if more > 0 else shown


def printable(text: str) -> str:
    """Text in which nothing can move the cursor, change colours or start a new line.

    Peers choose some of what is logged; a terminal must not obey it.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _formatter(
    *, as_text: bool, colours: bool, debug: bool
) -> "structlog.stdlib.ProcessorFormatter":
    import structlog  # noqa: PLC0415 - as above

    processors: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        _Errors(tracebacks=debug),
    ]
    if as_text:
        processors += [_clean, structlog.dev.ConsoleRenderer(colors=colours, sort_keys=False)]
    else:
        if debug:
            processors.append(structlog.processors.format_exc_info)
        processors.append(structlog.processors.JSONRenderer(ensure_ascii=False, default=str))
    return structlog.stdlib.ProcessorFormatter(
        processors=processors,
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *_additions()],
    )


class _Errors:
    """Turns `exc_info` into one line, and keeps the traceback only when asked to."""

    def __init__(self, *, tracebacks: bool) -> None:
        self._tracebacks = tracebacks

    def __call__(self, _logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
        found = event.pop("exc_info", None)
        if found is True:
            found = sys.exc_info()
        error = found[1] if isinstance(found, tuple) else found
        if isinstance(error, BaseException):
            event.setdefault("error", one_line(error))
            if self._tracebacks:
                event["exc_info"] = error
        return event


def _clean(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    def cleaned(key: str, value: Any) -> Any:
        if key == "exc_info" or isinstance(value, bool | int | float):
            return value
        return printable(str(value))

    return {key: cleaned(key, value) for key, value in event.items()}
