"""What every test shares: one thread per maths library, reproducible hypothesis, outside data."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before numpy or torch is imported anywhere: two cores serve many processes in some tests, and
# the sum of a float32 product may depend on how many threads shared it.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

# Whoever starts the tests in the background has them ignore Ctrl-C, and a run that ignores it, as
# it should, cannot be interrupted by a test.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

# The same examples on every run, so that a red test is red for everybody; no deadline, because
# a test never judges seconds on a shared machine.
settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # it, too, judges seconds
)
# New examples on every run, and more of them: HYPOTHESIS_PROFILE=explore make test
settings.register_profile(
    "explore",
    deadline=None,
    max_examples=2_000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of large public data sets beside the checkout; the test skips where it is absent.

    Only for checks that the bundled recordings are too small for. It holds one folder a data set.
    """
    folder = ROOT.parent / "shared" / "data"
    if not (folder / "README.md").is_file():
        pytest.skip("needs the public data sets in ../shared/data, which this machine lacks")
    return folder
