"""The server in the node's loop: bounded, and gone when the node goes."""

import socket
from contextlib import AsyncExitStack, suppress

import pytest
import trio
from click.testing import CliRunner

from gossip.errors import ConfigError, NetworkError
from node.cli import cli
from node.config.settings import Settings
from node.config.web import check_host, is_loopback, parse_web_address
from node.web import served, serving
from node.web.app import Fresh, metrics_app
from node.web.served import Served
from tests.web.asking import TOKEN, FakeDesk, incident, status

PATIENCE_S = 60.0  # when a wait is given up for good
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


def settings(tmp_path, **values) -> Settings:
    given = {"node.state_dir": str(tmp_path)}
    given |= {key.replace("__", "."): value for key, value in values.items()}
    return Settings.defaults().with_overrides(given)


# Settings


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8440", ("127.0.0.1", 8440)),
        ("localhost:0", ("127.0.0.1", 0)),
        ("[::1]:8440", ("::1", 8440)),
        ("::1:8440", None),
        ("8440", None),
        (":8440", None),
        ("127.0.0.1", None),
        ("127.0.0.1:99999", None),
        ("127.0.0.1:8440/x", None),
        ("a@127.0.0.1:8440", None),
        ("gateway.example:8440", None),
        ("[127.0.0.1:8440", None),
    ],
)
def test_an_address_is_an_ip_and_a_port(text, found):
    if found is None:
        with pytest.raises(ValueError, match="no address"):
            parse_web_address(text)
    else:
        assert parse_web_address(text) == found


@pytest.mark.parametrize("text", ["", "Gateway.example", "gateway.example:1", "a b", "ä.example"])
def test_a_host_is_a_name(text):
    with pytest.raises(ValueError, match="no host name"):
        check_host(text)


@pytest.mark.parametrize("table", ["dashboard", "metrics"])
@pytest.mark.parametrize("address", ["0.0.0.0:8440", "[::]:8440", "192.0.2.1:8440"])
def test_nothing_is_served_beyond_this_machine_by_accident(tmp_path, table, address):
    with pytest.raises(ConfigError, match=f"{table}.allow_remote = true"):
        settings(tmp_path, **{f"{table}.listen": address})
    allowed = settings(tmp_path, **{f"{table}.allow_remote": True, f"{table}.listen": address})
    assert not is_loopback(parse_web_address(getattr(allowed, table).listen)[0])


@pytest.mark.parametrize(
    "values",
    [{"dashboard.listen": "8440"}, {"metrics.listen": "a:b"}, {"dashboard.hosts": ["A.example"]}],
)
def test_a_setting_that_is_none_is_refused_with_its_key(tmp_path, values):
    with pytest.raises(ConfigError, match=f"{next(iter(values))}.*such as"):
        settings(tmp_path, **values)


def test_the_flag_is_refused_where_the_setting_would_be(tmp_path):
    flags = ["up", "--state-dir", str(tmp_path), "--dashboard", "0.0.0.0:8440"]
    found = CliRunner().invoke(cli, flags)
    assert isinstance(found.exception, ConfigError)
    assert "ssh -L" in str(found.exception)


def test_the_token_is_said_to_the_one_who_started_the_node_and_to_nobody_else():
    one = Served("http://127.0.0.1:8440", "state/dashboard-token", TOKEN, "http://127.0.0.1:9440")
    assert any(f"/?token={TOKEN}" in line for line in one.said(privately=True))
    quietly = "\n".join(one.said(privately=False))
    assert TOKEN not in quietly
    assert "state/dashboard-token" in quietly
    assert TOKEN not in repr(one)
    assert not Served().said(privately=True)


# The server


@pytest.mark.parametrize("table", ["dashboard", "metrics"])
def test_a_port_that_is_taken_is_said_with_what_to_do(tmp_path, table):
    async def main():
        desk = FakeDesk(status(), incident())
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            given = settings(tmp_path, **{f"{table}.listen": address})
            async with trio.open_nursery() as nursery:
                with pytest.raises(NetworkError, match=rf"{table}.listen = {address}: .*another"):
                    served.begin(given, desk, nursery)

    trio.run(main)


def test_dashboard_and_metrics_are_two_addresses(tmp_path):
    given = {"dashboard.listen": "127.0.0.1:0", "metrics.listen": "[::1]:0"}

    async def main():
        async with trio.open_nursery() as nursery:
            desk = FakeDesk(status(), incident())
            found = served.begin(settings(tmp_path, **given), desk, nursery)
            assert found.token == (tmp_path / "dashboard-token").read_text().strip()
            for url, expected in ((found.metrics, b" 200 "), (found.dashboard, b" 401 ")):
                answer = await asked(parse_web_address(url.removeprefix("http://")), REQUEST)
                assert expected in answer.partition(b"\r\n")[0] + b" "
                assert b"server:" not in answer
            nursery.cancel_scope.cancel()

    trio.run(main)


async def asked(address, data: bytes) -> bytes:
    async with await trio.open_tcp_stream(*address) as stream:
        await stream.send_all(data)
        return bytes(await stream.receive_some(65_536))


def test_clients_are_bounded_and_cut_at_the_end(monkeypatch):
    """Hypercorn shields what it sends from being cancelled, which must not keep up a node's end."""
    monkeypatch.setattr(serving, "CLIENTS_MAX", 2)
    monkeypatch.setattr(serving, "SEND_S_MAX", 10 * PATIENCE_S)

    async def huge(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(2**26)})

    async def main():
        listener = serving.listen("127.0.0.1:0", "metrics")
        address = listener.getsockname()
        with trio.fail_after(PATIENCE_S):
            async with AsyncExitStack() as streams, trio.open_nursery() as nursery:
                nursery.start_soon(serving.serve, huge, listener)
                for _ in range(2):
                    opened = await trio.open_tcp_stream(*address)
                    stream = await streams.enter_async_context(opened)
                    await stream.send_all(REQUEST)
                    assert await stream.receive_some(4_096)  # and we read no more
                async with await trio.open_tcp_stream(*address) as third:
                    assert not await third.receive_some(1)
                nursery.cancel_scope.cancel()

    trio.run(main)


UPGRADE = (
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9, b"400"),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", b"4"),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000, b"4"),
        (UPGRADE, b"403"),
        (REQUEST, b"200"),
    ],
)
def test_what_is_no_request_of_ours_ends_nothing_but_itself(sent, expected):
    async def main():
        listener = serving.listen("127.0.0.1:0", "metrics")
        address = listener.getsockname()
        async with trio.open_nursery() as nursery:
            app = metrics_app(status, [])
            nursery.start_soon(serving.serve, app, listener)
            for wanted, data in ((expected, sent), (b"200", REQUEST)):
                answer = await asked(address, data)
                assert answer.startswith(b"HTTP/1.1 " + wanted)
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_however_often_metrics_are_asked_for_the_status_is_made_once_a_second():
    now_s, made = [10.0], []
    fresh = Fresh(lambda: made.append(1) or status(), lambda: now_s[0])
    for at_s, count in ((10.0, 1), (11.0, 1), (11.5, 2), (11.6, 2)):
        now_s[0] = at_s
        assert fresh() == status()
        assert len(made) == count
    fresh.forget()
    fresh()
    assert len(made) == 3


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
H2C = (
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
)


@pytest.mark.parametrize("sent", [PREFACE, H2C, REQUEST * 3])
def test_nobody_holds_a_connection_by_not_taking_answers(sent, monkeypatch):
    """By HTTP/2 with a window that stays shut, or by requests whose answers nobody reads."""
    monkeypatch.setattr(serving, "CLIENTS_MAX", 1)
    monkeypatch.setattr(serving, "SEND_S_MAX", 0.01)
    monkeypatch.setattr(serving, "IDLE_S", 10 * PATIENCE_S)

    async def huge(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(2**24)})

    async def main():
        listener = serving.listen("127.0.0.1:0", "metrics")
        address = listener.getsockname()
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serving.serve, huge, listener)
                async with await trio.open_tcp_stream(*address) as first:
                    await first.send_all(sent)
                    answer = b""
                    while not answer.startswith(b"HTTP/1.1 200"):
                        async with await trio.open_tcp_stream(*address) as second:
                            with suppress(trio.BrokenResourceError):
                                await second.send_all(REQUEST)
                                answer = bytes(await second.receive_some(4_096))
                nursery.cancel_scope.cancel()

    trio.run(main)
