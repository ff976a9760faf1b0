"""The node's side of the web: what listens, and what a person is told of it at the start."""

import socket
import time

import trio

from node.config.settings import Settings
from node.config.web import is_loopback, parse_web_address
from node.logs import get_logger
from node.web import serving
from node.web.access import Access, load_token
from node.web.app import Dashboard, Desk, metrics_app
from node.web.history import STEP_S, History
from node.web.served import Served

_log = get_logger("web")


def begin(settings: Settings, desk: Desk, nursery: trio.Nursery) -> Served:
    """Serve what the settings name, if anything, until the nursery is cancelled.

    Raises:
        LocalError: an address or the token's file cannot be used.
    """
    dashboard = token_file = token = metrics = ""
    if settings.dashboard.listen is not None:
        token = load_token(settings.dashboard_token_file)
        token_file = str(settings.dashboard_token_file)
        listener = _listener(settings.dashboard.listen, "dashboard")
        dashboard = f"http://{serving.address_of(listener)}"
        history = History()
        pages = Dashboard(desk, history, Access(token))
        # Browsers keep cookies by host and not by port: two nodes on one machine need two names.
        app = pages.app(settings.dashboard.hosts, f"hedgerow-{listener.getsockname()[1]}")
        nursery.start_soon(_remember, desk, history)
        nursery.start_soon(serving.serve, app, listener)
    if settings.metrics.listen is not None:
        listener = _listener(settings.metrics.listen, "metrics")
        metrics = f"http://{serving.address_of(listener)}"
        app = metrics_app(desk.status, settings.dashboard.hosts)
        nursery.start_soon(serving.serve, app, listener)
    return Served(dashboard, token_file, token, metrics)


def _listener(address: str, table: str) -> socket.socket:
    if not is_loopback(parse_web_address(address)[0]):
        _log.warning(
            "other machines can reach this, and nothing is encrypted; put a reverse proxy with TLS "
            "before it, or use 127.0.0.1 and ssh -L",
            setting=f"{table}.listen",
            address=address,
        )
    listener = serving.listen(address, table)
    _log.info("serving", what=table, address=serving.address_of(listener))
    return listener


async def _remember(desk: Desk, history: History) -> None:
    while True:
        history.add(time.time(), desk.status())
        await trio.sleep(STEP_S)
