"""What an operator writes: the identity file, the pre-shared key."""

import os
import stat
from pathlib import Path

import pytest
from libp2p.peer.id import ID

from gossip.errors import StateError
from node.addresses import parse_peer
from node.p2p.identity import Identity, load_identity, load_or_create_identity, new_identity
from node.p2p.psk import create_psk, load_psk, parse_psk


def test_a_peer_id_follows_from_its_key() -> None:
    identity = Identity(bytes(range(32)))
    assert identity == Identity(bytes(range(32)))
    assert parse_peer(identity.peer) == identity.peer
    assert ID.from_base58(identity.peer).to_base58() == identity.peer
    assert new_identity().peer != new_identity().peer
    assert identity.seed.hex() not in repr(identity)
    with pytest.raises(ValueError, match="32 bytes"):
        Identity(b"short")


def test_the_identity_is_created_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "state" / "identity"
    first = load_or_create_identity(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["identity"]
    assert load_or_create_identity(path) == load_identity(path) == first
    with pytest.raises(FileNotFoundError):
        load_identity(tmp_path / "none")


def test_an_identity_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    load_or_create_identity(path)
    for mode in (0o640, 0o604, 0o620, 0o601):
        path.chmod(mode)
        with pytest.raises(StateError, match=f"chmod 600 {path}"):
            load_or_create_identity(path)


def test_every_damage_to_the_identity_is_noticed_and_the_file_kept(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    load_or_create_identity(path)
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole) - 1)]
    damaged += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    damaged += [b"", whole + whole, whole + b"x", os.urandom(200), b"\xff" * 2_000]
    for data in damaged:
        path.write_bytes(data)
        if data.decode("latin-1").splitlines() == whole.decode().splitlines():
            continue  # another line ending is no damage
        with pytest.raises(StateError, match="kept"):
            load_or_create_identity(path)
        assert path.read_bytes() == data


def test_an_identity_that_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    real = tmp_path / "real"
    load_or_create_identity(real)
    link = tmp_path / "link"
    link.symlink_to(real)
    with pytest.raises(StateError, match="cannot read the identity file"):
        load_or_create_identity(link)
    with pytest.raises(StateError, match="Is a directory"):
        load_or_create_identity(tmp_path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(StateError, match="not a regular file"):
        load_or_create_identity(tmp_path / "fifo")
    blocked = tmp_path / "real" / "below"
    with pytest.raises(StateError, match="cannot read the identity file"):
        load_or_create_identity(blocked)


def test_a_pre_shared_key_is_drawn_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "swarm.key"
    key = create_psk(path)
    assert len(key) == 32
    assert load_psk(path) == key
    assert path.read_text() == f"/key/swarm/psk/1.0.0/\n/base16/\n{key.hex()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(StateError, match="exists already; it was kept"):
        create_psk(path)
    assert load_psk(path) == key
    path.chmod(0o644)
    with pytest.raises(StateError, match="chmod 600"):
        load_psk(path)
    with pytest.raises(StateError, match="copy it from another node"):
        load_psk(tmp_path / "none")


def test_a_wrong_pre_shared_key_file_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "swarm.key"
    path.touch(0o600)
    path.write_text("not a key")
    with pytest.raises(StateError, match=f"{path} is wrong: expected 64 hex digits.*kept"):
        load_psk(path)
    assert path.read_text() == "not a key"


HEX = "00112233445566778899aabbccddeeff" * 2


@pytest.mark.parametrize(
    "text",
    [
        HEX,
        HEX.upper() + "\n",
        f"/key/swarm/psk/1.0.0/\n/base16/\n{HEX}",
        f"/key/swarm/psk/1.0.0/\r\n/base16/\r\n{HEX}\r\n",
        "/key/swarm/psk/1.0.0/\n/base64/\nABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=\n",
    ],
)
def test_the_forms_of_a_pre_shared_key(text: str) -> None:
    assert parse_psk(text) == bytes.fromhex(HEX)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected 64 hex digits"),
        (HEX[:-1], "found 63 characters"),
        (HEX[:-1] + "g", "expected 64 hex digits"),
        (f"/key/swarm/psk/2.0.0/\n/base16/\n{HEX}", "expected 64 hex digits, or the line"),
        (f"/key/swarm/psk/1.0.0/\n/bin/\n{HEX}", "only /base16/ and /base64/"),
        ("/key/swarm/psk/1.0.0/\n/base64/\n????", "not base64"),
        ("/key/swarm/psk/1.0.0/\n/base64/\nAAAA", "holds 3 bytes"),
    ],
)
def test_what_is_no_pre_shared_key(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_psk(text)
