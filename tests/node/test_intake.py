"""Sensors' logs, brought to the detector: nothing lost, nothing twice, across restarts."""

import gzip
import json
import lzma
import os
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gossip.errors import SensorError, StateError
from node.config.sensing import SensorSettings
from node.intake import logs as module
from node.intake import source
from node.intake.logs import RETRY_S, LogSource
from node.intake.source import BATCH_FLOWS, CLOCK_FLOWS
from node.sensors.reading import Kind, read
from scenarios.recordings import path
from tests.node.traffic import benign, parsed, scan, write

GARBAGE = b"\xff not a record"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "eve.json"


@pytest.fixture
def said(monkeypatch):
    """What the sensor's logger was told, as (level, event, values)."""
    found = []

    class Logger:
        def __getattr__(self, level):
            return lambda event, **more: found.append((level, event, more))

    monkeypatch.setattr(source, "_log", Logger())
    return found


def saved(intake):
    """As it comes back from the store."""
    return json.loads(json.dumps(intake.saved()))


def timeless(main, *args):
    return trio.run(main, *args, clock=MockClock(autojump_threshold=0))


@asynccontextmanager
async def following(intake, got):
    """Run it meanwhile."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.run, got.extend)
        yield
        nursery.cancel_scope.cancel()


async def arrived(got, count):
    """Let the jumping clock run until all is read, and what would be too much as well."""
    await trio.sleep(100 * module.POLL_S)
    assert len(got) == count


def uids(flows):
    return [flow.uid for flow in flows]


def test_a_followed_log_is_taken_up_where_it_was_left(log):
    lines = benign(900)
    settings, got = SensorSettings(log, "suricata"), []

    async def main():
        state, fed = None, 0
        for upto in (1, 300, 301, 900):
            write(log, lines[fed:upto])
            fed = upto
            intake = LogSource(settings, state)
            async with following(intake, got):
                await arrived(got, upto)
            state = saved(intake)
            assert state["taken"] == upto

    timeless(main)
    assert uids(got) == uids(parsed(lines))


def test_what_is_saved_between_two_polls_is_true_of_what_was_handed_over(log):
    """A snapshot may be taken at every await; each must continue without loss or double."""
    lines = benign(400)
    write(log, lines)
    settings = SensorSettings(log)
    states = []

    async def first():
        got = []
        intake = LogSource(settings)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(intake.run, got.extend)
            while len(got) < len(lines):
                states.append((len(got), saved(intake)))
                await trio.lowlevel.checkpoint()
            states.append((len(got), saved(intake)))
            nursery.cancel_scope.cancel()

    async def later(count, state):
        got = []
        async with following(LogSource(settings, state), got):
            await arrived(got, len(lines) - count)
        assert uids(got) == uids(parsed(lines))[count:]

    module_bytes, module.POLL_BYTES = module.POLL_BYTES, 20_000
    try:
        timeless(first)
        assert len({count for count, _ in states}) > 3
        for count, state in states:
            timeless(later, count, state)
    finally:
        module.POLL_BYTES = module_bytes


@pytest.mark.parametrize("kind", ["ipfix", "auto"])
def test_what_is_known_of_servers_outlives_a_restart(log, kind):
    with lzma.open(path("factory-benign.ipfix.jsonl.xz")) as stream:
        lines = stream.read().splitlines()[:400]
    settings, got = SensorSettings(log, kind), []

    async def main():
        state = None
        for upto in (1, 40, 41, 400):
            write(log, lines[len(got) : upto])
            intake = LogSource(settings, state)
            async with following(intake, got):
                await arrived(got, upto)
            state = saved(intake)

    timeless(main)
    assert got == list(read(write(log.with_name("whole"), lines), Kind.IPFIX))


def test_a_label_that_waits_for_its_flow_outlives_a_restart(log):
    lines = scan(1, 0, labelled=True)
    settings, got = SensorSettings(log), []

    async def main():
        write(log, lines[:1])
        intake = LogSource(settings)
        async with following(intake, got):
            await trio.sleep(4 * module.POLL_S)
            assert intake.stats.alerts == 1
        write(log, lines[1:])
        async with following(LogSource(settings, saved(intake)), got):
            await arrived(got, 1)

    timeless(main)
    assert got[0].family == "scan"


@pytest.mark.parametrize("labels", [True, False])
def test_labels_can_be_left_out(log, labels):
    write(log, scan(3, 0, labelled=True))
    got = []
    trio.run(LogSource(SensorSettings(log, follow=False, labels=labels)).run, got.extend)
    assert [flow.family for flow in got] == ["scan" if labels else None] * 3


def test_a_whole_log_is_read_once_in_all_lives(log):
    lines = benign(3 * BATCH_FLOWS + 7)
    write(log, lines)
    settings, got, states = SensorSettings(log, follow=False), [], []

    def take(flows, stop_at):
        got.extend(flows)
        states.append(saved(intake))
        if len(got) >= stop_at:
            raise InterruptedError

    state = None
    for stop_at in (BATCH_FLOWS, 2 * BATCH_FLOWS + 1):
        intake = LogSource(settings, state)
        with pytest.raises(InterruptedError):
            trio.run(intake.run, lambda flows, at=stop_at: take(flows, at))
        assert not intake.finished
        state = states[-1]
        assert state["taken"] == len(got)
    for _ in range(2):
        intake = LogSource(settings, state)
        trio.run(intake.run, got.extend)
        assert intake.finished
        state = saved(intake)
    assert uids(got) == uids(parsed(lines))


def test_being_stopped_while_passing_over_what_is_known_forgets_nothing(log):
    write(log, benign(600))
    settings = SensorSettings(log, follow=False)
    first = LogSource(settings)
    trio.run(first.run, lambda _: None)

    async def main():
        second = LogSource(settings, saved(first))
        with trio.move_on_after(0):
            await second.run(lambda _: None)
        assert second.saved() == first.saved()

    trio.run(main)


def test_a_whole_log_that_became_shorter_is_said(log, said):
    write(log, benign(20))
    settings = SensorSettings(log, follow=False)
    first = LogSource(settings)
    trio.run(first.run, lambda _: None)
    log.write_bytes(b"")
    write(log, benign(5))
    got = []
    trio.run(LogSource(settings, saved(first)).run, got.extend)
    assert not got
    assert any("fewer than were read" in event for _, event, _ in said)


def test_packed_logs_are_read_whole_and_never_followed(tmp_path):
    packed = tmp_path / "eve.json.xz"
    packed.write_bytes(lzma.compress(b"\n".join(benign(10))))
    got = []
    trio.run(LogSource(SensorSettings(packed, follow=False)).run, got.extend)
    assert len(got) == 10
    with pytest.raises(SensorError, match="--read-once"):
        LogSource(SensorSettings(packed))


def test_what_is_no_file_cannot_be_followed(log):
    os.mkfifo(log)  # whose opening would wait for somebody to write
    with pytest.raises(SensorError, match="not a regular file"):
        LogSource(SensorSettings(log))


def test_a_followed_log_that_is_missing_is_waited_for(log, said):
    got = []

    async def main():
        async with following(LogSource(SensorSettings(log)), got):
            await wait_all_tasks_blocked()
            assert [(level, "waiting" in event) for level, event, _ in said] == [("warning", True)]
            await trio.sleep(60)
            assert len(said) == 1
            write(log, benign(2))
            await arrived(got, 2)
        assert said[-1][:2] == ("info", "the log can be read now")

    timeless(main)


def test_a_followed_log_that_cannot_be_read_is_said_once_and_tried_again(log, said):
    log.symlink_to(log)  # not even root can read that
    got = []

    async def main():
        async with following(LogSource(SensorSettings(log)), got):
            await trio.sleep(10 * RETRY_S)
            errors = [(event, more) for level, event, more in said if level == "error"]
            assert len(errors) == 1
            assert str(log) in errors[0][0]
            log.unlink()
            write(log, benign(3))
            await arrived(got, 3)

    timeless(main)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no flow"),
        (GARBAGE + b"\n", "no flow"),
        (lzma.compress(b"\n".join(benign(50)))[:-20], "damaged"),
        (None, "cannot read"),
    ],
)
def test_a_whole_log_without_a_record_ends_in_an_error(log, content, problem):
    if content is not None:
        log.write_bytes(content)
    with pytest.raises(SensorError, match=problem) as caught:
        trio.run(LogSource(SensorSettings(log, "zeek", follow=False)).run, lambda _: None)
    assert str(log) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_stands_before_damage_is_handed_over(log):
    log.write_bytes(gzip.compress(b"\n".join(benign(40)) + b"\n")[:-4])  # the length is cut off
    got = []
    with pytest.raises(SensorError, match="damaged"):
        trio.run(LogSource(SensorSettings(log, "suricata", follow=False)).run, got.extend)
    assert len(got) == 40


def test_what_cannot_be_read_whole_is_refused_before_anything_runs(log):
    with pytest.raises(SensorError, match=r"No such file.*; check the path; .*can be followed"):
        LogSource(SensorSettings(log, follow=False))
    with pytest.raises(SensorError, match="Is a directory; name the log file in it"):
        LogSource(SensorSettings(log.parent, follow=False))
    with pytest.raises(SensorError, match="not a regular file; name the log itself"):
        LogSource(SensorSettings(log.parent))


@pytest.mark.parametrize("follow", [True, False])
def test_bad_lines_are_counted_shown_and_not_shown_again_and_again(log, said, follow):
    good = benign(40)
    write(log, [good[0], GARBAGE, b"{}", *good[1:]])
    got = []

    async def main():
        intake = LogSource(SensorSettings(log, "suricata", follow=follow))
        if not follow:
            await intake.run(got.extend)
            return intake
        async with following(intake, got):
            await arrived(got, 40)
            for _ in range(100):
                write(log, [GARBAGE])
                await trio.sleep(2 * module.POLL_S)
        return intake

    intake = timeless(main)
    assert len(got) == 40
    warnings = [more for level, event, more in said if "skipped" in event]
    assert warnings[0]["first"].startswith("line 2: ")
    assert len(warnings) <= 8, "their number doubles from one warning to the next"
    assert intake.stats.bad == (101 if follow else 1)  # {} is another kind of event


def test_a_line_too_long_to_be_a_record_is_counted(log, said):
    got = []

    async def main():
        write(log, [b"x" * 1_100_000, *benign(2)])
        intake = LogSource(SensorSettings(log, "suricata"))
        async with following(intake, got):
            await arrived(got, 2)
        assert intake.stats.bad == 1

    timeless(main)
    assert [event for level, event, _ in said if level == "warning"] == ["lines were skipped"]


@pytest.mark.parametrize(
    "change", [{"follow": False}, {"kind": "suricata"}], ids=["read once", "kind"]
)
def test_a_changed_sensor_is_read_anew_and_said(log, said, change):
    write(log, benign(5))
    got = []

    async def main():
        intake = LogSource(SensorSettings(log))
        async with following(intake, got):
            await arrived(got, 5)
        other = LogSource(SensorSettings(log, **change), saved(intake))
        got.clear()
        if not other.settings.follow:
            await other.run(got.extend)
            return
        async with following(other, got):
            await arrived(got, 5)

    timeless(main)
    assert len(got) == 5
    assert any("read from the beginning" in event for _, event, _ in said)


@pytest.mark.parametrize(
    "damage",
    [
        {"taken": "many"},
        {"position": "!"},
        {"parser": "AAAA"},
        {"position": "AAAA"},
        {"kind": None},
    ],
)
def test_a_damaged_position_is_an_error_and_not_a_beginning(log, damage):
    write(log, benign(1))
    state = saved(LogSource(SensorSettings(log))) | damage
    if damage == {"kind": None}:
        del state["kind"]
    with pytest.raises(StateError, match="damaged"):
        LogSource(SensorSettings(log), state)


def test_its_clock_is_not_moved_by_one_flow_with_a_wrong_time(log):
    lines = benign(60)
    odd = benign(1, start_s=9e9)
    later = benign(CLOCK_FLOWS, start_s=1_600_000_000.0)
    write(log, [*lines, *odd])
    intake = LogSource(SensorSettings(log, follow=False))
    assert intake.clock_s is None
    trio.run(intake.run, lambda _: None)
    times = [flow.ts for flow in parsed(lines)]
    assert times[-CLOCK_FLOWS] <= intake.clock_s <= times[-1]
    write(log, later)
    again = LogSource(SensorSettings(log, follow=False), saved(intake))
    trio.run(again.run, lambda _: None)
    assert again.clock_s < 1_600_000_100.0, "a clock that was set back is followed"
