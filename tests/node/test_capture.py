"""Packets as a source: of a recording, and of an interface in a network that the test makes."""

import gzip
import shutil
import subprocess
import sys
import textwrap

import pytest
import trio

from gossip.errors import SensorError
from node.config.sensing import SensorSettings
from node.intake.making import make_source
from node.sensors.meter import packets
from tests.conftest import ROOT
from tests.sensors.test_pcap import pcap

PACKETS = ROOT / "tests/sensors/factory.pcap.xz"


def taken(source):
    """All flows that a source hands over before it ends."""
    found = []
    trio.run(source.run, found.extend)
    return found


def recording(path, saved=None):
    return make_source(SensorSettings(path=path, kind="pcap"), saved)


def test_a_recording_is_read_to_its_end_and_not_twice():
    source = recording(PACKETS)
    flows = taken(source)
    stats = source.stats
    assert (source.finished, source.live, stats.flows) == (True, False, len(flows))
    assert (stats.received, stats.refused) == (len(list(packets(PACKETS))), 0)
    assert source.last_ts == flows[-1].ts
    again = recording(PACKETS, source.saved())
    assert (taken(again), again.finished) == ([], True)
    half = {**source.saved(), "taken": 300}
    assert taken(recording(PACKETS, half)) == flows[300:]


def test_a_damaged_recording_gives_what_was_before_the_damage(tmp_path):
    path = tmp_path / "cut.pcap.gz"
    path.write_bytes(gzip.compress(pcap() + b"cut"))
    found = []
    with pytest.raises(SensorError, match="in the middle of a packet"):
        trio.run(recording(path).run, found.extend)
    assert len(found) == 2
    with pytest.raises(SensorError, match=r"cannot read .*No such file"):
        recording(tmp_path / "none.pcap")


def test_an_interface_that_is_not_there_or_not_for_us_is_refused_before_the_node_starts():
    told = r"no such interface; there are: .*lo|AmbientCapabilities=CAP_NET_RAW"
    with pytest.raises(SensorError, match=told):
        make_source(SensorSettings(interface="hedgerow-none", kind="interface"))


INSIDE = """
    import socket, trio, trio.testing
    from node.config.sensing import SensorSettings
    from node.intake.capture import Capture
    from node.sensors.meter import Live, MeterConfig

    SERVER = ("127.0.0.1", 9_999)

    async def main():
        found = []
        source = Capture(
            SensorSettings(interface="lo", kind="interface"), None, MeterConfig(closed_s=1)
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(source.run, found.extend)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(40):
                with socket.create_connection(SERVER) as client:
                    client.sendall(bytes(1_000))
                    while client.recv(1_000):
                        pass
            while len(found) < 40:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        assert {(flow.proto, flow.resp_p, flow.state.value) for flow in found} == {
            ("tcp", 9_999, "closed")
        }, found
        assert min(flow.orig_ip_bytes for flow in found) > 1_000, found
        assert (source.stats.flows, source.stats.dropped, source.stats.refused) == (40, 0, 0)

    def serve(server):
        while True:
            with server.accept()[0] as peer:
                peer.recv(1_000, socket.MSG_WAITALL)

    def drop():
        with Live("lo") as live, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.1", 0))
            for _ in range(30_000):
                sender.sendto(b"x", sender.getsockname())
            read = len(live.read(100_000))
            assert live.dropped > 0
            assert read < 30_000 <= read + live.dropped, (read, live.dropped)

    import threading
    with socket.create_server(SERVER) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        trio.run(main)
        drop()
        print("seen")
"""


def test_an_interface_is_metered_and_what_the_kernel_drops_is_counted():
    unshare = shutil.which("unshare")
    network = [unshare or "unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if not unshare or subprocess.run([*network, "true"], check=False).returncode:
        pytest.skip("makes a network of its own, which takes root, unshare and ip")
    done = subprocess.run(
        [*network, sys.executable, "-c", textwrap.dedent(INSIDE)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["seen"]), done.stderr
