"""A training process: `python -m node.training NICE` reads one task, writes one outcome, ends.

It loads numpy and the model alone: no libp2p, no trio, no settings.
"""

import os
import signal
import sys

from node.training.passing import BYTES_MAX, carried_out


def main() -> None:
    """Give way to whatever else the gateway does, then train, also when the gateway stops."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is over in milliseconds
    os.nice(int(sys.argv[1]))
    sys.stdout.buffer.write(carried_out(sys.stdin.buffer.read(BYTES_MAX + 1)))


if __name__ == "__main__":
    main()
