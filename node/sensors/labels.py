"""From a Suricata alert to a family of attack: a weak label, mostly right and never complete.

A word in the signature's text decides, then the signature's category. Where several alerts hit one
flow, the most specific family wins (`SPECIFICITY`): a flood also looks like a scan to a rule that
counts connections, never the other way about.
"""

from collections.abc import Mapping

SPECIFICITY = ("other", "scan", "dos", "brute-force", "exploit", "exfiltration", "malware")
"""Families from the vaguest to the most specific."""

WORDS: tuple[tuple[str, str], ...] = (
    ("mirai", "malware"),
    ("trojan", "malware"),
    ("botnet", "malware"),
    ("exfil", "exfiltration"),
    ("brute", "brute-force"),
    ("bad login", "brute-force"),
    ("login attempt", "brute-force"),
    ("401", "brute-force"),  # "unauthorized", over and over
    ("telnet connection", "brute-force"),
    ("flood", "dos"),
)
"""Words in a signature's text (lower case) that say more than its category does. Suricata has no
category for guessing passwords: such rules are filed under "Attempted Information Leak"."""

CATEGORIES: Mapping[str, str] = {
    "Detection of a Network Scan": "scan",
    "Attempted Information Leak": "scan",
    "Information Leak": "exploit",
    "Large Scale Information Leak": "exfiltration",
    "Attempted Denial of Service": "dos",
    "Denial of Service": "dos",
    "Detection of a Denial of Service Attack": "dos",
    "Attempt to login by a default username and password": "brute-force",
    "An attempted login using a suspicious username was detected": "brute-force",
    "Unsuccessful User Privilege Gain": "brute-force",
    "Attempted User Privilege Gain": "exploit",
    "Successful User Privilege Gain": "exploit",
    "Attempted Administrator Privilege Gain": "exploit",
    "Successful Administrator Privilege Gain": "exploit",
    "Executable code was detected": "exploit",
    "Web Application Attack": "exploit",
    "Exploit Kit Activity Detected": "exploit",
    "A Network Trojan was detected": "malware",
    "Malware Command and Control Activity Detected": "malware",
    "Domain Observed Used for C2 Detected": "malware",
    "Successful Credential Theft Detected": "exfiltration",
}
"""The descriptions in Suricata 7's classification.config that name an attack."""

SEVERITY_OTHER_MAX = 2
"""An alert of an unlisted category counts as "other" up to this severity (1 is the gravest).
Suricata files its notices, such as protocol decoding events, under 3."""


def family_of(signature: str, category: str, severity: int) -> str | None:
    """The family that an alert speaks of; None where it does not speak of an attack."""
    text = signature.lower()
    for word, family in WORDS:
        if word in text:
            return family
    if category in CATEGORIES:
        return CATEGORIES[category]
    return "other" if 1 <= severity <= SEVERITY_OTHER_MAX else None


def more_specific(one: str, two: str) -> str:
    """The more specific of two families; the first if they are the same."""
    return one if SPECIFICITY.index(one) >= SPECIFICITY.index(two) else two
