"""What commands share in speaking to a terminal or a pipe."""

import os
import sys


def hush() -> None:
    """Standard output is gone; without this, Python would complain of it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
