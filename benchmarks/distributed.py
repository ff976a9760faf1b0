"""What messages between processes cost with torch.distributed (gloo, two processes, loopback).

`docs/scaling.md` rests on these figures: how a World would be spread over several machines. Nothing
of Hedgerow is run here but the frames' sizes.

- a message: half of a ping-pong; its cost is fitted as so much a message and so much a byte
- a window: what two shards of a World would do once in every stretch of simulated time in which
  neither can reach the other: agree on the next event's time (all-reduce), tell how many bytes
  follow (all-to-all), exchange all frames packed into one buffer (all-to-all), and unpack them
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from time import perf_counter, process_time
from typing import Any

from _common import Figure, Row, parser, publish

MESSAGE_BYTES = (8, 512, 8_192, 65_536, 1_048_576, 16_777_216)
FRAME_BYTES = {"lr": 541, "mlp": 39_413}
"""A model frame of 116 and of 9,834 numbers in float32, in one fragment."""

WINDOW_FRAMES = (0, 1, 10, 100, 1_000)
RANKS = 2
CALLS_MIN = 5
HEAD = Struct("<qIII")
"""Time due, sender, receiver, length."""


class Rank:
    """One of the two processes.

    Args:
        rank: 0 or 1.
        seconds: of one measurement, about.
    """

    def __init__(self, rank: int, seconds: float) -> None:
        # Not needed by the process that starts the two.
        import torch  # noqa: PLC0415
        from torch import distributed  # noqa: PLC0415

        self.torch, self.distributed = torch, distributed
        self.rank, self.other, self.seconds = rank, 1 - rank, seconds

    def timed(self, work: Callable[[], None]) -> tuple[float, float]:
        """Wall and processor seconds of one call; both processes make the same number of calls."""
        work()
        begun = perf_counter()
        work()
        calls = max(CALLS_MIN, int(self.seconds / max(perf_counter() - begun, 1e-6)))
        agreed = self.torch.tensor([calls])
        self.distributed.broadcast(agreed, 0)
        calls = int(agreed)
        self.distributed.barrier()
        begun, cpu = perf_counter(), process_time()
        for _ in range(calls):
            work()
        return (perf_counter() - begun) / calls, (process_time() - cpu) / calls

    def message(self, size: int) -> tuple[float, float]:
        """One way of a message."""
        buffer = self.torch.zeros(size, dtype=self.torch.uint8)
        send, receive = self.distributed.send, self.distributed.recv

        def ping_pong() -> None:
            for act in (send, receive) if self.rank == 0 else (receive, send):
                act(buffer, self.other)

        wall_s, cpu_s = self.timed(ping_pong)
        return wall_s / 2, cpu_s / 2

    def window(self, size: int, count: int) -> tuple[float, float]:
        """A window in which each sends the other so many frames."""
        frames = [bytes(size)] * count
        return self.timed(lambda: self.exchange(frames))

    def exchange(self, frames: list[bytes]) -> list[bytes]:
        """All that happens at the end of a window; gives the other's frames."""
        torch, distributed = self.torch, self.distributed
        soonest = torch.tensor([self.rank], dtype=torch.int64)
        distributed.all_reduce(soonest, distributed.ReduceOp.MIN)
        packed = bytearray()
        for number, frame in enumerate(frames):
            packed += HEAD.pack(number, number, number, len(frame))
            packed += frame
        sent = torch.frombuffer(packed or bytearray(1), dtype=torch.uint8)[: len(packed)]
        lengths = [0] * RANKS
        lengths[self.other] = len(packed)
        theirs = torch.empty(RANKS, dtype=torch.int64)
        distributed.all_to_all_single(theirs, torch.tensor(lengths))
        received = torch.empty(int(theirs.sum()), dtype=torch.uint8)
        distributed.all_to_all_single(received, sent, theirs.tolist(), lengths)
        content, start, taken = memoryview(received.numpy()), 0, []
        while start < len(content):
            *_, length = HEAD.unpack_from(content, start)
            start += HEAD.size
            taken.append(bytes(content[start : start + length]))
            start += length
        return taken


def rank_main(given: argparse.Namespace) -> None:
    """One of the two processes; the first prints what it measured."""
    own = Rank(given.rank, given.seconds)
    own.torch.set_num_threads(1)
    own.distributed.init_process_group(
        "gloo", init_method=f"file://{given.store}", rank=given.rank, world_size=RANKS
    )
    found: dict[str, Any] = {f"message {size}": own.message(size) for size in MESSAGE_BYTES}
    for model, size in FRAME_BYTES.items():
        for count in WINDOW_FRAMES:
            found[f"window {model} {count}"] = own.window(size, count)
    own.distributed.destroy_process_group()
    if given.rank == 0:
        print(json.dumps(found))


def measured(seconds: float) -> dict[str, tuple[float, float]]:
    """One run of both processes: wall and processor seconds of each thing."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--seconds", str(seconds)]
        command += ["--store", str(Path(folder) / "store")]
        # Over loopback, whatever name this machine has.
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
        started = [
            subprocess.Popen(  # noqa: S603 - ourselves
                [*command, "--rank", str(rank)], stdout=subprocess.PIPE, env=environment
            )
            for rank in range(RANKS)
        ]
        printed = [each.communicate()[0] for each in started]
    if any(each.returncode for each in started):
        raise SystemExit("a process of the measurement failed")
    return dict(json.loads(printed[0]))


def figure(
    runs: list[dict[str, tuple[float, float]]], what: str, which: int, unit: float
) -> Figure:
    return Figure.of([unit * run[what][which] for run in runs])


def fitted(runs: list[dict[str, tuple[float, float]]]) -> list[Row]:
    """Cost of a message and of a byte: from the smallest, and between the two largest."""
    small, large, largest = MESSAGE_BYTES[0], *MESSAGE_BYTES[-2:]
    rows: list[Row] = []
    for which, kind in enumerate(("elapsed", "of one process's processor time")):
        per_byte = [
            (run[f"message {largest}"][which] - run[f"message {large}"][which]) / (largest - large)
            for run in runs
        ]
        rows += [
            {
                "what": f"a message, us {kind}",
                "figure": figure(runs, f"message {small}", which, 1e6),
            },
            {
                "what": f"a byte, ns {kind}",
                "figure": Figure.of([max(0.0, 1e9 * each) for each in per_byte]),
            },
        ]
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=0.5, help="of each repeat (0.5)")
    options.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    options.add_argument("--store", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.rank is not None:
        rank_main(given)
        return
    runs = [measured(given.seconds) for _ in range(given.repeats)]
    rows = fitted(runs)
    rows += [
        {
            "message, bytes": size,
            "one way, us": figure(runs, f"message {size}", 0, 1e6),
            "MB/s": Figure.of([size / 1e6 / run[f"message {size}"][0] for run in runs]),
        }
        for size in MESSAGE_BYTES
    ]
    rows += [
        {
            "window of frames": count,
            "of bytes": size,
            "us": figure(runs, f"window {model} {count}", 0, 1e6),
            "us a frame": Figure.of(
                [1e6 * run[f"window {model} {count}"][0] / max(count, 1) for run in runs]
            ),
            "processor us": figure(runs, f"window {model} {count}", 1, 1e6),
        }
        for model, size in FRAME_BYTES.items()
        for count in WINDOW_FRAMES
    ]
    publish("distributed", given, rows)


if __name__ == "__main__":
    main()
