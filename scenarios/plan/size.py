"""How much a run would have to hold: told before it starts, not when the memory is gone."""

import os
from itertools import pairwise

from scenarios.conditions.devices import LABEL_BYTES, VALUE_BYTES
from scenarios.plan.reader import Reader
from scenarios.spec.data import Source
from scenarios.spec.learning import Model

SAMPLES_MAX = 100_000
"""Looks at the mesh: a result's file stays within what is read back."""

JUDGEMENTS_MAX = 2_500_000
"""Judged peers over all looks, at about 1 kB of memory and 300 bytes of file each (measured): a
week with one look a minute at 200 peers."""

STACKED_MIN = 8
"""Peers trained together at least, where there are as many (docs/simulation.md)."""


def check_size(reader: Reader) -> None:
    """Refuse what takes more looks than a result can hold, or more memory than there is.

    Only what is sure to be needed counts: synthetic rows, the peers' models and the batches of one
    stack. Rows of other sources are as many as these have.

    Raises:
        ConfigError: see above. The message names the file and the key.
    """
    scenario = reader.scenario
    mesh, learning, data = scenario.mesh, scenario.learning, scenario.data
    if learning.evaluate_us:
        samples = -(-mesh.duration_us // learning.evaluate_us)
        judged = samples * min(mesh.peers, learning.evaluate_peers or mesh.peers)
        if samples > SAMPLES_MAX or judged > JUDGEMENTS_MAX:
            raise reader.wrong(
                "learning.evaluate",
                f"makes {samples:,} looks at {judged // samples:,} peers each; {SAMPLES_MAX:,} "
                f"looks and {JUDGEMENTS_MAX:,} judged peers at most in all, so write a longer time",
            )
    if data.source is not Source.GAUSSIAN:
        return
    row = VALUE_BYTES * data.features + LABEL_BYTES
    layers = (data.features, *learning.hidden, data.classes)
    weights = sum((low + 1) * high for low, high in pairwise(layers))
    if learning.model is Model.DETECTOR:
        weights = data.features
    together = min(STACKED_MIN, mesh.peers)
    needs = {
        "data.rows": mesh.peers * data.rows * row,
        "data.calibrate_rows": data.calibrate_rows * row,
        "data.test_rows": data.test_rows * row,
        "learning.hidden": mesh.peers * weights * VALUE_BYTES,
        "learning.steps": together * learning.steps * learning.batch * row,
    }
    there = memory_bytes()
    if there and sum(needs.values()) > there:
        key = max(needs, key=lambda each: needs[each])
        raise reader.wrong(
            key,
            f"takes {needs[key] / 1e9:,.1f} GB of memory with {mesh.peers:,} peers and "
            f"{data.features:,} features, and this machine has {there / 1e9:,.1f} GB; write less, "
            f"or fewer peers or features",
        )


def memory_bytes() -> int:
    """Memory of this machine; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
