import gzip
import os
import shutil
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gossip.errors import SensorError, StateError
from node.sensors.follow import Follower
from node.sensors.lines import LINE_BYTES_MAX
from node.sensors.rotation import Position, siblings


def everything(follower):
    lines = []
    while more := follower.poll(1 << 30):
        lines += more
    return lines


@pytest.fixture
def follow():
    """Followers that are closed when the test ends."""
    with ExitStack() as stack:
        yield lambda *args: stack.enter_context(Follower(*args))


def shift(path):
    """logrotate's numbering: .2 becomes .3, .1 becomes .2."""
    for number in range(60, 0, -1):
        for end in ("", ".gz"):
            old = path.with_name(f"{path.name}.{number}{end}")
            if old.exists():
                old.rename(path.with_name(f"{path.name}.{number + 1}{end}"))


def pack(path):
    with path.open("rb") as plain, gzip.open(f"{path}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    path.unlink()


def append(path, data):
    with path.open("ab") as log:
        log.write(data)


class Rotations(RuleBasedStateMachine):
    """A sensor, logrotate, and a node that is killed at any time: no line lost, none twice.

    The node is killed between reading and saving, and goes on from what was saved; logrotate
    numbers or dates its files and takes its time to pack them; the sensor dies within a line.
    """

    @initialize(dated=st.booleans())
    def begin(self, dated):
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "eve.json"
        self.dated = dated
        self.rotations = 0
        self.packing = None  # what logrotate is at
        self.written = []  # whole lines, in order
        self.saved = []  # what the node's store holds, saved together with:
        self.position = None
        self.partial = b""
        self.fresh = []  # read, not yet saved
        self.follower = Follower(self.path)
        self.append(1, 1)
        self.poll(1 << 20)
        self.save()

    def teardown(self):
        if not hasattr(self, "folder"):
            return
        self.append(1, 1)
        with self.folder, self.follower:
            self.fresh += everything(self.follower)
            assert self.saved + self.fresh == self.written
            assert self.follower.gaps == 0

    def line(self, width):
        # Lines that differ early, as a log's do; see what follow.py cannot guarantee. So do the
        # rests of lines that were cut.
        number = blake2b(b"%d" % len(self.written), digest_size=4).hexdigest().encode()
        line = number + b"x" * width + number
        self.written.append(line)
        return line

    def shift(self):
        """Make room for another rotated file; its path."""
        self.rotations += 1
        self.finish_packing()
        if self.dated:
            return self.path.with_name(f"eve.json-{20261100 + self.rotations}")
        shift(self.path)
        return self.path.with_name("eve.json.1")

    def rotated(self, number):
        """The rotated file so many before the last."""
        if self.dated:
            return self.path.with_name(f"eve.json-{20261101 + self.rotations - number}")
        return self.path.with_name(f"eve.json.{number}")

    @rule(count=st.integers(1, 5), width=st.sampled_from([0, 1, 300]))
    def append(self, count, width):
        if self.partial:
            self.finish_line()
        append(self.path, b"".join(self.line(width) + b"\n" for _ in range(count)))

    @rule()
    def append_part_of_a_line(self):
        if not self.partial:
            self.partial = self.line(10)
            append(self.path, self.partial[:9])

    @rule()
    def finish_line(self):
        if self.partial:
            append(self.path, self.partial[9:] + b"\n")
            self.partial = b""

    @rule()
    def kill_the_sensor_within_a_line(self):
        """It begins the next line after what is there, and both are one line to any reader."""
        self.append_part_of_a_line()
        begun, self.partial = self.partial[:9], b""
        self.written.pop()
        line = self.line(3)
        append(self.path, line + b"\n")
        self.written[-1] = begun + line

    @rule(create=st.booleans(), cut=st.booleans())
    def rename(self, create, cut):
        if not self.path.exists():
            return
        if self.partial and cut:  # the sensor was killed, and begins anew in the next file
            self.written[-1], self.partial = self.partial[:9], b""
        self.finish_line()
        self.path.rename(self.shift())
        if create:
            self.path.touch()

    @rule()
    def rename_while_the_sensor_writes(self):
        """The sensor has the renamed file open a little longer, beside a new and empty one."""
        if not self.path.exists():
            return
        self.finish_line()
        renamed = self.shift()
        self.path.rename(renamed)
        self.path.touch()
        self.poll(1 << 20)
        append(renamed, self.line(3) + b"\n")

    @rule()
    def copy_truncate(self):
        """Within a line, its two parts are a line each."""
        if not self.path.exists():
            return
        shutil.copyfile(self.path, self.shift())
        os.truncate(self.path, 0)
        if self.partial:
            begun, rest, self.partial = self.partial[:9], self.partial[9:], b""
            append(self.path, rest + b"\n")
            self.written[-1:] = [begun, rest]

    @rule(number=st.integers(1, 3))
    def pack_rotated(self, number):
        self.begin_packing(number)
        self.finish_packing()

    @rule(number=st.integers(1, 3))
    def begin_packing(self, number):
        """For a while the packed file is there and holds a part only."""
        self.finish_packing()
        plain = self.rotated(number)
        if plain.exists():
            packed = gzip.compress(plain.read_bytes())
            plain.with_name(f"{plain.name}.gz").write_bytes(packed[: len(packed) // 2])
            self.packing = plain

    @rule()
    def finish_packing(self):
        if self.packing is not None:
            pack(self.packing)
            self.packing = None

    @rule(bytes_max=st.sampled_from([1, 7, 100, 1 << 20]))
    def poll(self, bytes_max):
        self.fresh += self.follower.poll(bytes_max)

    @rule()
    def save(self):
        self.saved += self.fresh
        self.fresh = []
        self.position = self.follower.position.dump()

    @rule()
    def kill_and_restart(self):
        self.follower.close()
        self.fresh = []
        self.follower = Follower(self.path, Position.load(self.position))

    @invariant()
    def what_was_read_is_a_prefix(self):
        if hasattr(self, "written"):
            read = self.saved + self.fresh
            assert read == self.written[: len(read)]


Rotations.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, derandomize=True
)
TestRotations = Rotations.TestCase


@pytest.fixture
def log(tmp_path):
    return tmp_path / "conn.log"


def test_a_log_that_is_not_there_yet(log, follow):
    follower = follow(log)
    assert follower.poll() == []
    append(log, b"one\ntw")
    assert follower.poll() == [b"one"]
    append(log, b"o\r\n")
    assert follower.poll() == [b"two"]
    assert follower.poll() == []


def test_bytes_per_poll_are_bounded(log, follow):
    append(log, b"123456789\n" * 100)
    follower = follow(log)
    assert len(follower.poll(50)) == 5
    assert len(everything(follower)) == 95


def test_another_file_with_the_same_inode_is_not_mistaken(log, follow):
    append(log, b"old-1\nold-2\n")
    follower = follow(log)
    assert len(follower.poll()) == 2
    position = follower.position
    log.write_bytes(b"new-1\nnew-2\nnew-3\n")  # the inode stays, the file is another
    assert log.stat().st_ino == position.inode
    again = follow(log, position)
    assert again.poll() == [b"new-1", b"new-2", b"new-3"]
    assert again.gaps == 1


def test_truncation_and_regrowth_while_it_is_open(log, follow):
    append(log, b"old-1\nold-2\n")
    follower = follow(log)
    follower.poll()
    log.write_bytes(b"new-1\nnew-2\nnew-3\n")
    assert follower.poll() == [b"new-1", b"new-2", b"new-3"]
    assert follower.gaps == 1


def test_three_rotations_during_a_long_stop_in_each_naming(tmp_path, follow):
    for base, names in (
        ("eve.json", ["eve.json.3.gz", "eve.json.2.gz", "eve.json.1"]),
        ("eve.log", ["eve.log-20261121.gz", "eve.log-20261122.gz", "eve.log-20261123"]),
        ("conn.log", [f"conn.2026-11-23-{h}-00-00.log" for h in ("08", "09", "10")]),
    ):
        log = tmp_path / base
        append(log, b"0\n1\n")
        follower = follow(log)
        assert follower.poll() == [b"0", b"1"]
        append(log, b"2\n3\n")
        for number, name in enumerate(names):
            rotated = tmp_path / name.removesuffix(".gz")
            log.rename(rotated)
            if name.endswith(".gz"):
                pack(rotated)
            append(log, b"a%d\n" % number)
        restarted = follow(log, follower.position)
        assert everything(restarted) == [b"2", b"3", b"a0", b"a1", b"a2"]
        assert restarted.gaps == 0


def test_files_that_are_not_rotations_are_left_alone(tmp_path):
    for name in ("eve.json", "eve.json.1", "eve.json.10", "eve.json.2.gz", "eve.json.bak"):
        (tmp_path / name).write_bytes(b"x\n")
    for name in ("eve.log", "eve.json~", "eve2.json.1", "eve.json.2"):
        (tmp_path / name).write_bytes(b"x\n")
    names = [path.name for path in siblings(tmp_path / "eve.json")]
    assert names == ["eve.json.10", "eve.json.2", "eve.json.1"]  # .2 counts, not .2.gz


def test_a_damaged_packed_file_is_a_gap_and_no_dead_end(tmp_path, follow):
    log = tmp_path / "eve.json"
    append(log, b"first\n")
    follower = follow(log)
    follower.poll()
    append(log, b"second\n")
    log.rename(tmp_path / "eve.json.2")
    (tmp_path / "eve.json.1.gz").write_bytes(gzip.compress(b"lost\n" * 1_000)[:30])
    append(log, b"third\n")
    restarted = follow(log, follower.position)
    lines = everything(restarted)
    assert (lines[0], lines[-1]) == (b"second", b"third")
    assert restarted.gaps == 1


def test_an_overlong_line_is_passed_over_and_counted(log, follow):
    append(log, b"a\n" + b"x" * (LINE_BYTES_MAX + 70_000) + b"\nb\n")
    follower = follow(log)
    assert everything(follower) == [b"a", b"b"]
    assert follower.overlong == 1
    assert follower.position.offset == log.stat().st_size


def test_an_unfinished_overlong_line_is_passed_over_again_after_a_restart(log, follow):
    append(log, b"a\n" + b"x" * (LINE_BYTES_MAX + 10))
    follower = follow(log)
    assert everything(follower) == [b"a"]
    restarted = follow(log, follower.position)
    append(log, b"yyy\nb\n")
    assert everything(restarted) == [b"b"]
    assert everything(follower) == [b"b"]


def test_what_cannot_be_followed_says_so(tmp_path):
    with pytest.raises(SensorError, match=r"eve\.json\.gz: a packed file does not grow"):
        Follower(tmp_path / "eve.json.gz")
    with pytest.raises(SensorError, match=r"cannot follow .*: Is a directory; name the log"):
        Follower(tmp_path).poll()


def test_an_error_costs_no_line_that_was_read_before_it(log, follow):
    append(log, b"one\n")
    follower = follow(log)
    follower.poll()
    append(log, b"two\n")
    log.rename(f"{log}.1")
    log.mkdir()
    (log / "not a log").touch()
    assert follower.poll() == [b"two"]
    with pytest.raises(SensorError, match=r"cannot follow .*: Is a directory; name the log"):
        follower.poll()


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x80", Position(1, 2, 3, "").dump(), Position(1, -2, 0, "").dump()]
)
def test_a_damaged_position_is_refused(data):
    with pytest.raises(StateError, match="saved position in a log is damaged"):
        Position.load(data)


def test_a_position_survives_saving():
    position = Position(7, 900, 256, "ab" * 16)
    assert Position.load(position.dump()) == position
