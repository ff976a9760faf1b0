"""NetFlow and IPFIX over UDP: from a socket, and from softflowd itself."""

import json
import lzma
import re
import shutil
import socket
import subprocess
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import dpkt
import pytest
import trio

from gossip.errors import ConfigError, SensorError, StateError
from gossip.flows import ConnState
from node.config.sensing import SensorSettings
from node.intake import source
from node.intake.collector import Collector
from node.intake.making import make_source
from tests.sensors.exporter import BACK, MILLI, THERE, data, ipfix, template

NOWHERE = SensorSettings(kind="netflow", listen="127.0.0.1:0")
SENT = ipfix(template(MILLI, version=10), data(MILLI, [THERE, BACK]))
SOFTFLOWD = shutil.which("softflowd", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@asynccontextmanager
async def collecting(settings=NOWHERE, got=None, saved=None):
    collector = make_source(settings, saved)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collector.run, [].extend if got is None else got.extend)
        with trio.fail_after(10):
            while collector.bound is None:
                await trio.lowlevel.checkpoint()
        yield collector
        nursery.cancel_scope.cancel()


async def send(collector, *datagrams, host="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.bind((host, 0))
        for each in datagrams:
            sending.sendto(each, collector.bound)
    with trio.fail_after(10):
        while collector.stats.received < len(datagrams):
            await trio.lowlevel.checkpoint()


def test_flows_come_from_the_socket_and_what_was_learnt_outlives_a_restart():
    got = []

    async def main():
        async with collecting(got=got) as first:
            await send(first, SENT, b"\x00\x05 NetFlow v5", b"?", SENT + bytes(20_000))
        assert (first.stats.received, first.stats.refused, first.stats.flows) == (4, 3, 1)
        assert "longer than 16384 bytes" in first.stats.samples[1].reason
        assert "neither NetFlow v9 nor IPFIX" in first.stats.samples[0].reason
        state = json.loads(json.dumps(first.saved()))
        assert state["taken"] == 1
        async with collecting(got=got, saved=state) as second:
            assert second.saved() == state
            await send(second, ipfix(data(MILLI, [THERE, BACK]), sequence=2))  # no template
        for damage in ("!", "AAAA"):
            with pytest.raises(StateError, match="damaged"):
                Collector(NOWHERE, state | {"reader": damage})

    trio.run(main)
    assert [(flow.orig_p, flow.state) for flow in got] == [(40_000, ConnState.CLOSED)] * 2


def test_only_named_exporters_are_listened_to():
    got = []
    settings = SensorSettings(kind="netflow", listen="127.0.0.1:0", exporters=("127.0.0.8/31",))

    async def main():
        async with collecting(settings, got) as collector:
            await send(collector, SENT, SENT, host="127.0.0.7")
            assert (collector.stats.refused, collector.stats.lines) == (2, 0)
            assert "exporters" in collector.stats.samples[0].reason
            collector.stats.received = 0
            await send(collector, SENT, host="127.0.0.9")

    trio.run(main)
    assert len(got) == 1


@pytest.mark.parametrize("named", [True, False])
def test_a_socket_of_both_versions_knows_an_exporter_by_its_plain_address(named):
    exporters = ("127.0.0.1",) if named else ("::1",)
    settings = SensorSettings(kind="netflow", listen="[::]:0", exporters=exporters)

    async def main():
        async with collecting(settings) as collector:
            collector.bound = ("127.0.0.1", collector.bound[1])
            await send(collector, SENT)
            assert collector.stats.flows == named
            assert named or "a datagram of 127.0.0.1," in collector.stats.samples[0].reason

    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    trio.run(main)


def test_a_record_without_another_half_comes_after_a_while():
    got = []

    async def main():
        async with collecting(got=got) as collector:
            await send(collector, ipfix(template(MILLI, version=10), data(MILLI, [THERE])))
            assert not got
            flows = collector._reader.expire(trio.current_time() + 60)
            collector._hand_over(flows, got.extend)

    trio.run(main)
    assert [flow.state for flow in got] == [ConnState.NO_REPLY]


def test_what_the_kernel_let_fall_is_counted():
    async def main():
        async with collecting() as collector:
            junk = [b"\x00\x05" + bytes(60_000)] * 400  # more than any receive buffer holds
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                for each in junk:
                    sending.sendto(each, collector.bound)
            with trio.fail_after(10):
                while collector.stats.received + collector.stats.dropped < len(junk):
                    await trio.lowlevel.checkpoint()
                    if not collector.stats.dropped:  # it is told with the next datagram only
                        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                            sending.sendto(b"?", collector.bound)
            assert collector.stats.dropped > 0

    trio.run(main)


def test_where_nobody_can_listen_is_refused_before_anything_runs():
    with pytest.raises(SensorError, match=r"192\.0\.2\.1 port 2055.*give an address of"):
        Collector(SensorSettings(kind="netflow", listen="192.0.2.1:2055", exporters=("192.0.2.9",)))


def test_a_port_that_is_taken_is_refused_when_it_runs():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        taken = Collector(SensorSettings(kind="netflow", listen=f"127.0.0.1:{port}"))
        with pytest.raises(SensorError, match="a port that no other program uses"):
            trio.run(taken.run, [].extend)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"kind": "netflow"}, "listen: .* needs it"),
        ({"kind": "netflow", "listen": "0.0.0.0:2055"}, "exporters: .*can be reached"),
        ({"kind": "netflow", "listen": "[::1]:1", "path": "x"}, "path: .*does not read it"),
        ({"kind": "zeek"}, "path: .*needs it"),
        ({"kind": "zeek", "path": "x", "exporters": ("::1",)}, "exporters: .*has none"),
        ({"kind": "interface"}, "interface: .*needs it"),
    ],
)
def test_settings_that_cannot_be_meant(keys, problem):
    with pytest.raises(ConfigError, match=problem):
        SensorSettings(**keys)


def test_bad_datagrams_are_said_and_not_again_and_again(monkeypatch):
    said = []

    class Logger:
        def info(self, *_, **__):
            pass

        def warning(self, event, **more):
            said.append((event, more["first"]))

    monkeypatch.setattr(source, "_log", Logger())

    async def main():
        async with collecting() as collector:
            await send(collector, *[b"nothing"] * 100)

    trio.run(main)
    assert len(said) == 7
    assert "set the exporter" in said[0][1]


# softflowd

START_S = 1_795_400_000
TCP_SESSIONS, UNANSWERED = 30, 10


def ethernet(source_ip, target_ip, payload, proto):
    packet = dpkt.ip.IP(
        src=socket.inet_aton(source_ip), dst=socket.inet_aton(target_ip), p=proto, data=payload
    )
    return bytes(dpkt.ethernet.Ethernet(type=dpkt.ethernet.ETH_TYPE_IP, data=packet))


def capture(path):
    """Sessions with known counts; in half of them the server has the lower address."""
    with path.open("wb") as stream:
        writer = dpkt.pcap.Writer(stream)
        for number in range(TCP_SESSIONS):
            client, server = f"198.18.2.{100 + number}", "198.18.2.5"
            if number % 2:
                server = "198.18.3.250"
            ts = START_S + number
            talk = [(0, 0x02), (1, 0x12), (0, 0x10), (0, 0x18), (1, 0x18), (0, 0x11), (1, 0x11)]
            for step, (side, flags) in enumerate([*talk, (0, 0x10)]):
                ports = (50_000 + number, 8883)[:: -1 if side else 1]
                segment = dpkt.tcp.TCP(
                    sport=ports[0], dport=ports[1], flags=flags, data=b"x" * (flags & 8)
                )
                pair = (server, client) if side else (client, server)
                writer.writepkt(ethernet(*pair, segment, 6), ts + step * 0.01)
        for number in range(UNANSWERED):
            syn = dpkt.tcp.TCP(sport=60_000 + number, dport=23, flags=2)
            writer.writepkt(ethernet("198.18.2.66", "198.18.2.9", syn, 6), START_S + 40)


RECORDED = Path(__file__).parents[1] / "sensors/factory.pcap.xz"
BIFLOWS = ["10", "-b", "-A", "milli"]
needs_softflowd = pytest.mark.skipif(
    SOFTFLOWD is None, reason="softflowd is not installed (apt: softflowd)"
)


async def exported(recording, version, got):
    """Have softflowd export a recording to a collector; returns this when it has all."""
    async with collecting(got=got) as collector:
        host, port = collector.bound
        command = [SOFTFLOWD, "-d", "-r", recording.name, "-n", f"{host}:{port}", "-m", "100000"]
        command += ["-p", "pid", "-c", "ctl", "-v", *version]  # it hangs where these are long
        run = partial(subprocess.run, cwd=recording.parent, capture_output=True, timeout=30)
        done = await trio.to_thread.run_sync(partial(run, check=True), command)
        datagrams = int(re.search(rb"records\) in (\d+) packets", done.stdout)[1])
        with trio.fail_after(10):
            while collector.stats.received < datagrams:
                await trio.lowlevel.checkpoint()
        got.extend(collector._reader.expire(trio.current_time() + 60))
        stats = collector.stats
        assert (stats.bad, stats.refused, stats.lost, stats.dropped) == (0, 0, 0, 0)
        return collector


@needs_softflowd
@pytest.mark.parametrize("version", [["9"], BIFLOWS, ["10"]], ids=["v9", "biflows", "ipfix"])
def test_softflowds_flows_are_those_of_the_packets(tmp_path, version):
    got = []
    capture(tmp_path / "some.pcap")
    trio.run(exported, tmp_path / "some.pcap", version, got)
    assert len(got) == TCP_SESSIONS + UNANSWERED
    sessions = [flow for flow in got if flow.state is ConnState.CLOSED]
    assert len(sessions) == TCP_SESSIONS
    for flow in sessions:
        number = flow.orig_p - 50_000
        assert (flow.orig_h, flow.resp_p) == (f"198.18.2.{100 + number}", 8883)
        assert (flow.orig_pkts, flow.resp_pkts) == (5, 3)
        assert (flow.orig_ip_bytes, flow.resp_ip_bytes) == (5 * 40 + 8, 3 * 40 + 8)
        assert flow.duration == pytest.approx(0.07, abs=0.002)
        assert flow.ts == pytest.approx(START_S + number, abs=1.1)
    alone = [flow for flow in got if flow.state is ConnState.NO_REPLY]
    assert sorted(flow.orig_p for flow in alone) == list(range(60_000, 60_000 + UNANSWERED))


@needs_softflowd
def test_recorded_packets_make_the_same_flows_in_one_record_or_in_two(tmp_path):
    plain = tmp_path / "factory.pcap"
    plain.write_bytes(lzma.decompress(RECORDED.read_bytes()))
    found = {}
    for name, version in {"biflows": BIFLOWS, "v9": ["9"]}.items():
        got = []
        trio.run(exported, plain, version, got)
        found[name] = Counter(
            (
                (flow.community_id, flow.orig_h, flow.orig_p, flow.state),
                (flow.orig_pkts, flow.orig_ip_bytes),
                (flow.resp_pkts, flow.resp_ip_bytes),
            )
            for flow in got
            if flow.proto != "icmp"  # of which softflowd tells other things in NetFlow v9
        )
    assert found["v9"] == found["biflows"]
    answered = sum(count for (*_, (packets, _)), count in found["v9"].items() if packets)
    assert answered > 2_000
