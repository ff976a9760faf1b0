"""What of a scenario the Lab can do on this machine; the rest is refused before any work."""

import os
from dataclasses import replace

from gossip.errors import ConfigError
from node import driver
from scenarios.conditions.links import Condition, Partition, Rule, Shared
from scenarios.lab import network
from scenarios.plan.plan import Plan

PEERS_PER_CORE = 15
"""30 processes on two cores kept cycles of 2 s (docs/lab.md); each takes 26 MB of its own."""

PEERS_MAX = 250
"""The addresses of a /24 on loopback, and a quarter of the open files that most systems allow."""

CYCLE_CPU_S = 0.04
"""Processor time of one peer's cycle: training, saving, a model sent and one received, membership
(measured: 35 ms with 30 peers, their first handshakes included)."""

BUSY_MAX = 0.6
"""Share of the processors that cycles may take. Above, timers fire late and answers come after the
deadlines, which the World knows nothing of. Our choice."""

LOST_AFTER_US_MIN = 1_000_000
"""A healthy answer took up to 0.3 s on busy cores; our choice is three times as long."""


def check(plan: Plan) -> bool:
    """Refuse what the Lab cannot do.

    Returns:
        Whether each peer gets a network namespace of its own; otherwise all share loopback.

    Raises:
        ConfigError: with the key and the cure.
    """
    mesh, cores = plan.scenario.mesh, os.cpu_count() or 1
    _fits(plan, cores)
    for key, found, fixed in (
        ("queue_frames", mesh.queue_frames, driver.QUEUED_MAX),
        ("outboxes", mesh.outboxes, driver.OUTBOXES_MAX),
    ):
        if found != fixed:
            raise wrong(plan, f"mesh.{key}", f"is {found}; a real node's is {fixed}")
    if mesh.lost_after_us < LOST_AFTER_US_MIN:
        raise wrong(plan, "mesh.lost_after", "is too short for real answers; give 1 s or more")
    splits = any(isinstance(rule, Partition) for rule in plan.rules)
    limits = any(isinstance(rule, Condition) and rule.bits_per_s for rule in plan.rules)
    for rule in plan.rules:
        if isinstance(rule, Condition) and rule.bits_per_s and rule.shared is Shared.ALL:
            raise wrong(
                plan,
                "links.rule.shared",
                '"all" is a link that the Lab does not have; use "sender"',
            )
        if not isinstance(rule, Condition | Partition):
            raise wrong(plan, "links", f"{type(rule).__name__} is simulated only")
    why_not = network.trouble(limits=limits)
    if why_not and (splits or limits):
        raise wrong(
            plan,
            "links.partition" if splits else "links.rule.kbit_per_s",
            f"needs network namespaces: {why_not}, or use --engine world",
        )
    return not why_not


def _fits(plan: Plan, cores: int) -> None:
    mesh = plan.scenario.mesh
    most = min(PEERS_MAX, PEERS_PER_CORE * cores)
    if mesh.peers > most:
        raise wrong(
            plan,
            "mesh.peers",
            f"{mesh.peers} processes are too many for {cores} cores; use {most} at most, "
            f"or --engine world",
        )
    shortest_s = mesh.peers * CYCLE_CPU_S / (cores * BUSY_MAX)
    if mesh.cycle_us < shortest_s * 1e6:
        raise wrong(
            plan,
            "mesh.cycle",
            f"{mesh.cycle_us / 1e6:g} s is too short for {mesh.peers} processes on {cores} "
            f"cores; use {shortest_s:.1f} s or more, fewer peers, or --engine world",
        )


def wrong(plan: Plan, key: str, text: str) -> ConfigError:
    """The error to raise."""
    return ConfigError(f"{plan.where}: {key}: {text} (--engine lab)")


def frame_rules(plan: Plan) -> tuple[Rule, ...]:
    """The rules that peers apply to their own frames; the network does the others' work."""
    return tuple(
        replace(rule, bits_per_s=0) if isinstance(rule, Condition) else rule
        for rule in plan.rules
        if not isinstance(rule, Partition)
    )
