"""What a node needs of its network: ports of its own, and somebody to join."""

import socket
from collections.abc import Iterator

import trio

from gossip.errors import LocalError, NetworkError
from node.addresses import parse_address, parse_contact
from node.config.settings import Settings
from node.config.web import parse_web_address
from node.p2p import tcp
from node.p2p.identity import load_identity
from node.p2p.probing import Probe, probe
from node.p2p.psk import load_psk
from node.service.checking.finding import Finding, error, ok, warning

DIAL_S = 5.0  # our choice: somebody waits for it


def check_ports(settings: Settings, *, running: bool) -> Iterator[Finding]:
    """Whether what is to be listened on is free.

    Args:
        settings: complete.
        running: whether a node runs with them already, and holds them.
    """
    node = settings.node
    if not node.listen:
        yield (
            warning("node.listen", "empty: this node dials out only", "others cannot join by it")
            if node.bootstrap
            else warning(
                "node.listen",
                "empty, and there is no bootstrap address: nobody can be met",
                "set node.listen or node.bootstrap",
            )
        )
    for text in node.listen:
        yield _listen(text, running=running)
    for name, listen in (
        ("dashboard.listen", settings.dashboard.listen),
        ("metrics.listen", settings.metrics.listen),
    ):
        if listen is not None:
            yield _serve(name, listen, running=running)


def _listen(text: str, *, running: bool) -> Finding:
    what = f"node.listen {text}"
    if running:
        return ok(what, "held by the node that runs")

    async def bind() -> None:
        for listener in await tcp.bind((parse_address(text, listen=True),)):
            await listener.aclose()

    try:
        trio.run(bind)
    except NetworkError as fault:
        return Finding(what, "error", str(fault))
    return ok(what, "free")


def _serve(what: str, text: str, *, running: bool) -> Finding:
    if running:
        return ok(f"{what} {text}", "held by the node that runs")
    host, port = parse_web_address(text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as fault:
            return error(
                f"{what} {text}",
                f"cannot be listened on: {fault.strerror}",
                "stop what listens there (ss -ltnp), or choose another port",
            )
    return ok(f"{what} {text}", "free")


def check_bootstrap(settings: Settings, dial_s: float = DIAL_S) -> list[Finding]:
    """Dial every bootstrap address, all at once.

    Args:
        settings: complete.
        dial_s: deadline of each attempt to connect.
    """
    contacts = [(text, parse_contact(text)) for text in settings.node.bootstrap]
    try:
        psk = None if settings.node.psk_file is None else load_psk(settings.node.psk_file)
        me = load_identity(settings.node.state_dir / "identity").peer
    except LocalError:
        return []  # said where the files are checked
    except OSError:
        me = None
    found: dict[str, Probe] = {}

    async def one(text: str) -> None:
        contact = parse_contact(text)
        if contact.peer == me:
            found[text] = Probe(ok=True, found="is this node itself, and is passed over")
        else:
            found[text] = await probe(contact, psk, dial_s)

    async def all_of_them() -> None:
        async with trio.open_nursery() as nursery:
            for text, _ in contacts:
                nursery.start_soon(one, text)

    trio.run(all_of_them)
    # One that answers is enough to join.
    one_answers = any(each.ok for each in found.values())
    return [
        Finding(
            f"bootstrap {text}",
            "ok" if found[text].ok else "warning" if one_answers else "error",
            found[text].found,
            found[text].cure,
        )
        for text, _ in contacts
    ]
