"""Makes or mends the one environment that every make target uses, from `requirements.lock`.

Standard library only: it runs before anything is installed. It returns at once when the
environment already matches, so that a second `make test` starts in well under a second.

pip is asked to install exactly the locked versions (`--no-deps`) rather than to solve for them,
for two reasons. It is quicker. And libp2p 0.8.1 asks for fastecdsa 2.3.2, which comes without
wheels for Linux and would need a C compiler and GMP's headers; see `.ci/lock.py`.
"""

import argparse
import fcntl
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


class SetUpError(Exception):
    """The environment could not be made; the text says what to do."""


def main() -> int:
    """The exit status: 0 when the environment is ready."""
    parser = argparse.ArgumentParser(description="Make or mend an environment for Hedgerow.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where it is")
    parser.add_argument(
        "--wheel", type=Path, help="install this wheel and what it needs, no developer's tools"
    )
    options = parser.parse_args()
    venv = options.venv.resolve()
    try:
        with LOCK.open() as guard:  # `make demo` and `make test` may be started together
            fcntl.flock(guard, fcntl.LOCK_EX)
            prepare(venv, options.wheel)
    except SetUpError as error:
        print(f"set-up failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up interrupted; the next run takes it up again", file=sys.stderr)
        return 130
    return 0


def prepare(venv: Path, wheel: Path | None) -> None:
    """Bring `venv` to the state that lock file, project file and wheel ask for."""
    stamp = venv / "hedgerow-set-up.txt"
    wanted = f"{venv}\n{fingerprint(wheel)}\n"
    found = stamp.read_text() if stamp.is_file() else ""
    if found == wanted and (venv / "bin" / "python").exists():
        return
    moved = bool(found) and found.splitlines()[0] != str(venv)
    if moved or not usable(venv):
        say(f"1/4 creating {shown(venv)} with Python {sys.version.split()[0]}")
        create(venv)
    else:
        say(f"1/4 bringing {shown(venv)} up to date")
    stamp.unlink(missing_ok=True)
    log = venv / "hedgerow-set-up.log"
    log.write_text("")
    packages = locked(with_tools=wheel is None)
    say(f"2/4 installing {len(packages)} locked packages (first time: a few minutes)")
    pip(venv, log, "install", "--no-deps", *packages, count=len(packages))
    if torch := [package for package in packages if package.startswith("torch==")]:
        say("3/4 completing torch with what this machine's build of it needs")
        pip(venv, log, "install", "--constraint", str(LOCK), *torch)
    else:
        say("3/4 leaving out torch: only developers need it")
    say("4/4 installing hedgerow itself")
    project = ["--no-build-isolation", "--editable", str(ROOT)] if wheel is None else [str(wheel)]
    pip(venv, log, "install", "--no-deps", *project)
    stamp.write_text(wanted)
    say("ready")


def fingerprint(wheel: Path | None) -> str:
    """A hash of everything that decides what is installed."""
    total = hashlib.sha256()
    for path in (LOCK, ROOT / "pyproject.toml", Path(__file__), *([wheel] if wheel else [])):
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def locked(*, with_tools: bool) -> list[str]:
    """The lock file's requirements; those marked `# dev` only when asked for."""
    packages = []
    for line in LOCK.read_text().splitlines():
        requirement, _, comment = (part.strip() for part in line.partition("#"))
        if requirement and (with_tools or comment != "dev"):
            packages.append(requirement)
    return packages


def usable(venv: Path) -> bool:
    """Whether there is an environment here with a working pip and a new enough Python."""
    check = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run(
            [venv / "bin" / "python", "-c", check], capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def create(venv: Path) -> None:
    """A fresh, empty environment in place of whatever is there.

    Raises:
        SetUpError: this Python comes without the venv module or without ensurepip.
    """
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetUpError(
            f"{sys.executable} cannot make virtual environments.\n"
            f"Debian and Ubuntu keep that apart: apt install python{version}-venv\n"
            f"or choose another Python: make PYTHON=/path/to/python3.11 ...\n"
            f"Its own words: {(done.stdout + done.stderr).strip()}"
        )


def pip(venv: Path, log: Path, *arguments: str, count: int = 0) -> None:
    """Run pip with its chatter in a log; show one line a package, or the log's end on failure."""
    command = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    environment = os.environ | {"PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off"}
    environment.pop("PIP_USER", None)  # an environment has no user site
    with (
        log.open("a") as record,
        subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
        ) as process,
    ):
        if process.stdout is None:
            raise SetUpError("pip started without an output to read")
        seen = 0
        for line in process.stdout:
            record.write(line)
            seen += line.startswith(("Collecting ", "Requirement already satisfied: "))
            show(line.strip(), seen, count)
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SetUpError(
            f"pip ended with status {process.returncode}; its last words:\n{tail}\n"
            f"All of them: {log}"
        )


def show(line: str, seen: int, count: int) -> None:
    """Turn one line of pip's into progress for a person."""
    size = re.search(r"\(([\d.]+) MB\)", line)
    if line.startswith("Downloading ") and size and float(size[1]) > 20:
        say(f"    {line}")
        if "torch-" in line and "cpu" not in line:
            say(
                f"    This torch may bring gigabytes of CUDA that Hedgerow does not use. To get\n"
                f"    the small one: PIP_EXTRA_INDEX_URL={CPU_INDEX} make ..."
            )
    elif line.startswith("Building wheel for "):
        say(f"    {line.split('(', maxsplit=1)[0].strip().lower()}")
    elif line.startswith("Installing collected packages") and count:
        say("    unpacking")
    elif line.startswith("Collecting ") and count and (seen % 10 == 0 or sys.stdout.isatty()):
        name = line.split()[1]
        if sys.stdout.isatty():
            print(f"\r    {seen}/{count} {name:<40}", end="\r", flush=True)
        else:
            say(f"    {seen}/{count} {name}")


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def say(text: str) -> None:
    """One line of progress, at once even into a pipe."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
