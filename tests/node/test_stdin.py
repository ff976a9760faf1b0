"""Lines of standard input."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from gossip.errors import StateError
from node.config.sensing import STANDARD_INPUT, SensorSettings
from node.intake.making import make_source
from node.intake.stdin import StandardInput
from node.sensors.lines import LINE_BYTES_MAX
from tests.node.traffic import benign, parsed, scan

SETTINGS = SensorSettings(STANDARD_INPUT, "suricata")


@contextmanager
def pipe():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb", 0) as sink:
        yield source.fileno(), sink


async def until(condition):
    with trio.fail_after(10):
        while not condition():
            await trio.lowlevel.checkpoint()


def test_lines_come_as_they_are_written_and_a_closed_pipe_is_an_end():
    lines, got = benign(500), []

    async def main():
        with pipe() as (descriptor, sink):
            source = StandardInput(SETTINGS, descriptor=descriptor)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(source.run, got.extend)
                sink.write(lines[0] + b"\n" + lines[1][:20])
                await until(lambda: len(got) == 1)
                assert not source.finished
                assert source.live
                sink.write(lines[1][20:] + b"\n")
                await until(lambda: len(got) == 2)
                await trio.to_thread.run_sync(sink.write, b"\n".join(lines[2:]))
                sink.close()
            assert source.finished
            assert source.saved()["taken"] == len(lines)

    trio.run(main)
    assert got == list(parsed(lines))


def test_who_writes_waits_while_the_node_is_busy():
    lines = benign(2_000)
    whole = b"\n".join(lines)
    got, written = [], []

    def write(sink):
        written.extend(
            sink.write(whole[start : start + 4_096]) for start in range(0, len(whole), 4_096)
        )
        sink.close()

    async def main():
        gate = trio.Event()
        with pipe() as (descriptor, sink):
            source = StandardInput(SETTINGS, descriptor=descriptor)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(source.run, got.extend, gate.wait)
                nursery.start_soon(trio.to_thread.run_sync, write, sink)
                await until(lambda: got)
                for _ in range(100):
                    await trio.lowlevel.checkpoint()
                assert len(got) < len(lines) / 2
                assert sum(written) < len(whole)
                gate.set()

    trio.run(main)
    assert got == list(parsed(lines))


def test_a_file_can_be_given_as_standard_input(tmp_path):
    log, got = tmp_path / "eve.json", []
    log.write_bytes(b"\n".join(benign(300)))
    with log.open("rb", buffering=0) as stream:
        trio.run(StandardInput(SETTINGS, descriptor=stream.fileno()).run, got.extend)
    assert got == list(parsed(benign(300)))


def test_a_line_without_an_end_is_bounded_and_counted():
    got = []

    async def main():
        with pipe() as (descriptor, sink):
            source = StandardInput(SETTINGS, descriptor=descriptor)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(source.run, got.extend)
                await trio.to_thread.run_sync(sink.write, b"x" * (2 * LINE_BYTES_MAX))
                await trio.to_thread.run_sync(sink.write, b"\n" + benign(1)[0])
                sink.close()
            assert (source.stats.bad, source.stats.lines) == (1, 2)

    trio.run(main)
    assert len(got) == 1


def test_nothing_there_is_an_end_and_no_fault():
    async def main(descriptor):
        source = StandardInput(SETTINGS, descriptor=descriptor)
        await source.run([].extend)
        assert source.finished

    trio.run(main, 99_999)
    with Path(os.devnull).open("rb", buffering=0) as nothing:
        trio.run(main, nothing.fileno())


def test_labels_that_wait_for_their_flow_outlive_a_restart():
    lines, got = scan(1, 0, labelled=True), []

    async def life(line, saved):
        with pipe() as (descriptor, sink):
            sink.write(line + b"\n")
            sink.close()
            source = StandardInput(SETTINGS, saved, descriptor)
            await source.run(got.extend)
            return json.loads(json.dumps(source.saved()))

    state = trio.run(life, lines[0], None)
    trio.run(life, lines[1], state)
    assert [flow.family for flow in got] == ["scan"]
    with pytest.raises(StateError, match="damaged"):
        make_source(SETTINGS, state | {"parser": "!"})
