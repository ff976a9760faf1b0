"""Folders and addresses of a run are its own, and end with it."""

import tempfile

import pytest

from scenarios.lab.addresses import addresses
from scenarios.lab.scratch import scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_ends_with_its_run_even_when_that_fails(temporary):
    def run():
        with scratch() as folder:
            (folder / "peer-0").mkdir()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_what_lives_is_not(temporary):
    left = temporary / "hedgerow-lab-killed"
    left.mkdir()
    (left / "lock").touch()
    strange = temporary / "hedgerow-lab-without-a-lock"
    strange.mkdir()
    with scratch() as first, scratch() as second:
        assert first.exists()
        assert second.exists()
        assert not left.exists()
    assert list(temporary.iterdir()) == [strange]


def test_two_runs_on_loopback_do_not_share_an_address():
    with addresses(3, network=False) as first, addresses(3, network=False) as second:
        assert len({*first, *second}) == 6
        assert all(address.startswith("127.") for address in [*first, *second])


def test_in_namespaces_peers_have_the_addresses_that_the_worlds_claim():
    with addresses(2, network=True) as found:
        assert found == ["10.0.0.0:4001", "10.0.0.1:4001"]
