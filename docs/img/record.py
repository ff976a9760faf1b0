"""Records docs/img/session.svg: real commands and what they printed, in a minute and a half.

    .venv/bin/python docs/img/record.py

Two gateways run on the bundled recordings, as in the README. What is printed is taken as it is, but
for the temporary folder's name. Run it again when a command prints something else than before.
"""

import json
import lzma
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
RECORDINGS = HERE.parent.parent / "scenarios" / "recordings"
COLUMNS = 150
PATIENCE_S = 120.0
ATTACK_S = 20.0
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Session:
    """A terminal in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w"))  # noqa: SIM115
        self._running: list[subprocess.Popen[bytes]] = []

    def command(self, words: str) -> list[str]:
        """For this Python's Hedgerow."""
        return [sys.executable, "-m", "node", *shlex.split(words)[1:]]

    def environment(self) -> dict[str, str]:
        """Colours, and the width of the picture."""
        path = str(HERE.parent.parent)
        return os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "PYTHONPATH": path}

    def show(self, words: str, output: str = "") -> None:
        """Type a command and what it printed."""
        self.console.print(Text.assemble(("$ ", "bold green"), (words, "bold")), soft_wrap=False)
        text = output.replace(str(self.folder), "/srv/gateway").rstrip("\n")
        if text:
            self.console.print(Text.from_ansi(text))
        self.console.print()

    def run(self, words: str, *, show: bool = True) -> str:
        """A command to its end; what it printed."""
        done = subprocess.run(  # noqa: S603 - our own commands
            self.command(words),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if show:
            self.show(words, done.stdout)
        if done.returncode:
            raise SystemExit(f"{words}: ended with {done.returncode}\n{done.stdout}")
        return done.stdout

    def start(self, words: str, name: str) -> str:
        """A node in the background; what it said until it told how to join it."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as stream:
            self._running.append(
                subprocess.Popen(  # noqa: S603 - as above
                    self.command(words),
                    cwd=self.folder,
                    env=self.environment(),
                    stdout=stream,
                    stderr=subprocess.DEVNULL,
                )
            )
        return self.wait(lambda: text if "/p2p/" in (text := log.read_text()) else "")

    def wait(self, found, patience_s: float = PATIENCE_S):  # noqa: ANN001, ANN201 - any answer
        """Until something is found."""
        deadline = time.monotonic() + patience_s
        while not (answer := found()):
            if time.monotonic() > deadline:
                raise SystemExit("it took too long")
            time.sleep(0.2)
        return answer

    def watching(self, state: str) -> bool:
        """Whether a node has its threshold."""
        told = json.loads(self.run(f"hedgerow status --json --state-dir {state}", show=False))
        return bool(told["detector"]["state"] == "watching")

    def append(self, recording: str, log: str) -> None:
        """As if the sensor wrote it now."""
        packed = RECORDINGS / f"{recording}.eve.json.xz"
        with (self.folder / log).open("ab") as stream:
            stream.write(lzma.decompress(packed.read_bytes()))

    def end(self) -> None:
        """Stop the nodes."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(PATIENCE_S)


def record(session: Session) -> None:
    """Set a gateway up, let it join, let both be attacked, look, and say what it was."""
    session.append("hospital-benign", "hospital.json")
    session.append("factory-benign", "factory.json")
    said = session.start(
        "hedgerow up --name hospital --state-dir hospital --listen /ip4/127.0.0.1/tcp/0 --cycle 2s "
        "--budget 1% --sensor suricata:hospital.json --share-antigens",
        "hospital",
    )
    address = re.findall(r"/ip4/\S+/p2p/\w+", said)[0]
    session.run(
        "hedgerow init --yes --name factory --listen /ip4/127.0.0.1/tcp/0 --budget 1% "
        f"--sensor suricata:factory.json --state-dir factory --bootstrap {address}"
    )
    session.run("hedgerow check")
    up = "hedgerow up --config gateway.toml --cycle 2s --no-labels"
    session.show(f"{up} &", session.start(up, "factory"))
    session.wait(lambda: session.watching("hospital") and session.watching("factory"))
    session.append("hospital", "hospital.json")
    time.sleep(ATTACK_S)
    session.append("factory", "factory.json")
    time.sleep(ATTACK_S)
    session.run("hedgerow incidents --config gateway.toml")
    found = session.run("hedgerow incidents --json --config gateway.toml", show=False)
    worst = max(json.loads(found), key=lambda incident: incident["flows"])
    key = worst["key"][:6]
    session.run(f"hedgerow incidents {key} --config gateway.toml")
    session.run(f"hedgerow verdict {key} scan --note 'the red team' --config gateway.toml")
    session.run("hedgerow ledger --verify --config gateway.toml")


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-session-") as folder:
        session = Session(Path(folder).resolve())
        try:
            record(session)
        finally:
            session.end()
    picture = FONTS.sub("", session.console.export_svg(title="hedgerow", clear=False))
    (HERE / "session.svg").write_text(picture, encoding="utf-8")
    print(session.console.export_text(clear=False))


if __name__ == "__main__":
    main()
