"""Writes `requirements.lock`: the exact version of everything, from what pyproject.toml allows.

pip solves (`--dry-run --report`), nothing is installed. Runtime packages are solved for first and
alone, so that a developer's tool never decides what users get; the extras that are tested are among
the tools. There are no hashes: torch's wheel differs from index to index (CPU or CUDA builds of one
version), so no one hash fits it.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"

# libp2p 0.8.1 pins fastecdsa 2.3.2, which has no wheels for Linux: building it takes a C compiler
# and GMP's headers. 3.0.1 has wheels. libp2p uses it for P-256 keys only, and with those it can
# neither sign nor verify, so no such peer completes a handshake under either version; Hedgerow's
# keys are Ed25519, from another library.
OVERRIDES = {"fastecdsa": "3.0.1"}

# What CUDA builds of torch bring; `.ci/set_up.py` adds them where torch asks for them.
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton")

HEADER = """\
# Exact versions of everything Hedgerow needs; `# dev` marks developer's tools, torch among them.
# Written by `make lock`; do not edit. Installed by .ci/set_up.py with --no-deps, because
# fastecdsa differs from what libp2p's metadata asks for (.ci/lock.py says why).
# No hashes: torch 2.13.0 is another file on every index (CPU, CUDA).
"""


def main() -> int:
    """Solve, then replace the lock file in one step."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = solve(project["project"]["dependencies"], {})
    tools = [*project["dependency-groups"]["dev"], *project["build-system"]["requires"]]
    everything = solve([*project["project"]["dependencies"], *tools], runtime)
    lines = [
        f"{name}=={OVERRIDES.get(name, version)}" + ("" if name in runtime else "  # dev")
        for name, version in sorted(everything.items())
    ]
    scratch = LOCK.with_suffix(".new")
    scratch.write_text(HEADER + "\n".join(lines) + "\n")
    scratch.replace(LOCK)
    print(f"{LOCK.name}: {len(lines)} packages, {len(runtime)} of them for users")
    return 0


def solve(requirements: list[str], constraints: dict[str, str]) -> dict[str, str]:
    """Name to version, without local parts such as `+cpu`, of what pip would install."""
    with tempfile.TemporaryDirectory() as folder:
        limits = Path(folder) / "constraints.txt"
        limits.write_text("".join(f"{name}=={version}\n" for name, version in constraints.items()))
        report = Path(folder) / "report.json"
        options = ["--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        command = [sys.executable, "-m", "pip", "install", *options, "--constraint", str(limits)]
        subprocess.run([*command, *requirements], check=True)
        installs = json.loads(report.read_text())["install"]
    versions = {
        install["metadata"]["name"].lower().replace("_", "-").replace(".", "-"): install[
            "metadata"
        ]["version"].partition("+")[0]
        for install in installs
    }
    return {
        name: version for name, version in versions.items() if not name.startswith(CUDA_PREFIXES)
    }


if __name__ == "__main__":
    sys.exit(main())
