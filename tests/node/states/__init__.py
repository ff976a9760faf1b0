"""States that earlier releases saved: real nodes' files, their numbers cut to 8 bits of mantissa.

`format-N.safetensors.xz` is what a node wrote when N was the format; see `node.state.formats`.
"""

import lzma
from pathlib import Path

from node.state import generations
from node.state.generations import Generation


def lay_down(folder: Path, number: int) -> Generation:
    """A state folder as a release with this format left it, without its database."""
    data = lzma.decompress((Path(__file__).parent / f"format-{number}.safetensors.xz").read_bytes())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "lock").touch()
    found = Generation(31, generations.digest_of(data))
    (folder / found.name).write_bytes(data)
    return found
