"""What Hedgerow brings along is under licences that its README names."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import PurePosixPath

import pytest

from tests.meta.sources import ROOT
from tests.meta.test_repository import lock

LGPL = re.compile(r"\bLGPL|(?:GNU )?(?:Lesser|Library) General Public", re.IGNORECASE)
GPL = re.compile(r"\b[AL]?GPL|GNU|General Public", re.IGNORECASE)
LGPL_TAKEN = {"zeroconf"}
"""libp2p requires it; the README says so."""

COPYLEFT_LIBRARY = re.compile(r"lib(gmp|mpfr|mpc|readline|gfortran|quadmath|gomp)\b.*\.so")
LIBRARIES_TAKEN = {
    ("fastecdsa", "gmp"),
    ("numpy", "gfortran"),
    ("numpy", "quadmath"),
    ("torch", "gomp"),
}
"""Package and what its wheel bundles. Its metadata does not tell; the README does."""


def installed(*, tools: bool = True) -> Iterator[metadata.Distribution]:
    """Those of the lock file's packages that are here; the developers' tools may be missing."""
    for name in lock(tools=tools):
        try:
            yield metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue


def licence(about: "metadata.PackageMetadata") -> str:
    """The SPDX expression; else the classifiers and the first line of the older field."""
    if "License-Expression" in about:
        return str(about["License-Expression"])
    classifiers = [c for c in about.get_all("Classifier", []) if c.startswith("License ::")]
    lines = about.get_all("License", [""])[0].strip().splitlines()
    return " AND ".join([*classifiers, *lines[:1]])


def trouble(name: str, text: str) -> str:
    """Why a package with this licence cannot be taken; empty if it can."""
    if not text.strip():
        return "says nothing"
    # Of a choice, the licence that suits us. Brackets are not understood: no choice is seen then.
    choices = re.split(r"\s+OR\s+", text, flags=re.IGNORECASE) if " AND " not in text else [text]
    if any(not GPL.search(choice) for choice in choices):
        return ""
    if name in LGPL_TAKEN and not GPL.search(LGPL.sub("", text)):
        return ""
    return text


@pytest.mark.parametrize(
    ("name", "text", "taken"),
    [
        ("some", "MIT", True),
        ("some", "MIT OR GPL-2.0-only", True),
        ("some", "MIT AND (Apache-2.0 OR GPL-2.0-only)", False),
        ("some", "GPL-3.0-or-later", False),
        ("some", "AGPL-3.0-only", False),
        ("some", "License :: OSI Approved :: GNU Affero General Public License v3", False),
        ("some", "License :: OSI Approved :: GNU General Public License v2 (GPLv2)", False),
        ("some", "LGPL-2.1-or-later", False),
        ("zeroconf", "LGPL-2.1-or-later", True),
        ("zeroconf", "GPL-2.0-or-later", False),
        ("zeroconf", "LGPL-2.1-or-later AND GPL-2.0-only", False),
        ("some", " ", False),
    ],
)
def test_a_licence_is_told_from_another(name: str, text: str, taken: bool) -> None:
    assert (not trouble(name, text)) is taken


def test_no_package_is_under_a_licence_that_the_readme_does_not_name() -> None:
    found = {each.name.lower(): licence(each.metadata) for each in installed()}
    assert {"libp2p", "numpy", "torch", "zeroconf"} <= found.keys()
    wrong = {name: why for name, text in found.items() if (why := trouble(name, text))}
    assert not wrong


def test_no_wheel_for_users_bundles_a_library_that_the_readme_does_not_name() -> None:
    found = set()
    for each in installed(tools=False):
        for file in each.files or []:
            if library := COPYLEFT_LIBRARY.match(PurePosixPath(file).name):
                found.add((each.name.lower(), library[1]))
    assert found <= LIBRARIES_TAKEN


def test_the_readme_names_what_is_taken() -> None:
    text = (ROOT / "README.md").read_text().partition("## Licence")[2]
    for name in LGPL_TAKEN | {package for package, _ in LIBRARIES_TAKEN} | {"GMP", "libquadmath"}:
        assert name in text
