"""Where alerts go beside their own file, what holds them back, and what analysts said."""

import time
from collections.abc import Iterator
from pathlib import Path

from gossip.errors import LocalError
from node.alerts.suppress import load
from node.config.settings import Settings
from node.service.checking.finding import Finding, ok, said, warning
from node.verdicts.book import Book


def check_alerting(settings: Settings, now_s: float | None = None) -> Iterator[Finding]:
    """The suppress rules and the verdicts; changes nothing.

    Args:
        settings: complete.
        now_s: the wall clock, s since 1970; `time.time()` if None.
    """
    now_s = time.time() if now_s is None else now_s
    if settings.alerts.suppress is not None:
        yield _rules(settings.alerts.suppress, now_s)
    try:
        book = Book(settings.node.state_dir)
    except LocalError as fault:
        yield said("verdicts", fault)
    else:
        if len(book):
            yield ok("verdicts", f"{len(book)} are kept")


def _rules(path: Path, now_s: float) -> Finding:
    what = "alerts.suppress"
    try:
        rules = load(path)
    except LocalError as fault:
        return said(what, fault)
    over = [number for number, rule in enumerate(rules, 1) if not rule.holds(now_s)]
    if over:
        numbers = ", ".join(map(str, over))
        return warning(what, f"{path}: expired are rules {numbers}", "take them out, or renew them")
    return ok(what, f"{path}: {len(rules)} rules")
