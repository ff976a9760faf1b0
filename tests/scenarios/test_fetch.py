"""Downloads over a loopback server: whole files with the right checksum, or none."""

import hashlib
import io
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gossip.errors import ConfigError, NetworkError
from scenarios.data.fetch import SUMS, fetch
from scenarios.data.sources.about import About, Download
from scenarios.data.sources.load import DATA_SETS
from scenarios.data.unpacking import unpack

ROWS = b"0,tcp,http\n" * 1_000


class Server(BaseHTTPRequestHandler):
    """Gives what `files` holds; of "/torn" it promises more than it sends."""

    files: dict[str, bytes]

    def do_GET(self):
        body = self.files.get(self.path)
        self.send_response(404 if body is None else 200)
        promised = len(body or b"") + (1_000 if self.path == "/torn" else 0)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def served():
    handler = type("Given", (Server,), {"files": {"/rows": ROWS, "/torn": ROWS}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler.files
        finally:
            server.shutdown()
            thread.join()


def a_set(*downloads: Download) -> About:
    return replace(DATA_SETS["nsl-kdd"].about, downloads=downloads)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_unpublished_checksum_is_taken_on_trust_once_and_kept(served, tmp_path):
    url, files = served
    known = a_set(Download("a.csv", f"{url}/rows"))
    seen = []
    (first,) = fetch(known, tmp_path, lambda name, size: seen.append((name, size)))
    assert first.trusted
    assert first.sha256 == hashlib.sha256(ROWS).hexdigest()
    assert (tmp_path / SUMS).read_text() == f"{first.sha256}  a.csv\n"
    assert seen[-1] == ("a.csv", len(ROWS))
    files["/rows"] = b"changed"
    (again,) = fetch(known, tmp_path)  # it is there: nothing is asked for
    assert not again.trusted
    assert (tmp_path / "a.csv").read_bytes() == ROWS
    (tmp_path / "a.csv").write_bytes(b"spoilt")
    with pytest.raises(ConfigError, match=r"a\.csv: its SHA-256 is .* delete the file"):
        fetch(known, tmp_path)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(ConfigError, match="the file was changed"):
        fetch(known, tmp_path)
    assert names(tmp_path) == [SUMS]


def test_a_known_checksum_is_enforced_from_the_first_download(served, tmp_path):
    url, _ = served
    right = hashlib.sha256(ROWS).hexdigest()
    (got,) = fetch(a_set(Download("a.csv", f"{url}/rows", right)), tmp_path / "new" / "folder")
    assert not got.trusted
    with pytest.raises(ConfigError, match=f"SHA-256 is not {'0' * 64}"):
        fetch(a_set(Download("b.csv", f"{url}/rows", "0" * 64)), tmp_path / "other")
    assert names(tmp_path / "other") == []


def test_what_breaks_off_or_never_ends_leaves_no_half_file(served, tmp_path):
    url, _ = served
    for path in ("torn", "nothing"):
        with pytest.raises(NetworkError, match=rf"/{path}: cannot be fetched .* nothing was kept"):
            fetch(a_set(Download("a.csv", f"{url}/{path}")), tmp_path)
        assert names(tmp_path) == []
    with pytest.raises(ConfigError, match="sends more than 0 MiB"):
        fetch(a_set(Download("a.csv", f"{url}/rows", bytes_max=100)), tmp_path)
    assert names(tmp_path) == []


def test_an_interrupt_leaves_no_half_file(served, tmp_path):
    url, _ = served

    def interrupt(_name, _size):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(a_set(Download("a.csv", f"{url}/rows")), tmp_path, interrupt)
    assert names(tmp_path) == []


def test_damaged_checksums_are_named_and_not_overwritten(tmp_path):
    (tmp_path / SUMS).write_text("a.csv\n")
    with pytest.raises(ConfigError, match=f"{SUMS}, line 1"):
        fetch(a_set(Download("a.csv", "http://127.0.0.1:9/")), tmp_path)
    assert (tmp_path / SUMS).read_text() == "a.csv\n"


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return path


def tarred(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            body = b"" if member.isdir() else b"x" * member.size
            archive.addfile(member, io.BytesIO(body))
    return path


def member(name, kind=tarfile.REGTYPE, size=3, target=""):
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size if kind == tarfile.REGTYPE else 0, target
    return made


def test_an_archive_is_fetched_and_unpacked_beside_what_is_there(served, tmp_path):
    url, files = served
    archive = zipped(tmp_path / "made.zip", {"one/benign.csv": "1\n", "one/x/ack.csv": "2\n"})
    files["/archive"] = archive.read_bytes()
    folder = tmp_path / "set"
    known = a_set(Download("set.zip", f"{url}/archive", unpack=True))
    assert fetch(known, folder)[0].unpacked == ("one",)
    assert names(folder) == [SUMS, "one", "set.zip"]
    (folder / "one" / "benign.csv").write_text("mine")
    (folder / "one" / "x" / "ack.csv").unlink()
    fetch(known, folder)
    assert (folder / "one" / "benign.csv").read_text() == "mine"
    assert (folder / "one" / "x" / "ack.csv").read_text() == "2\n"


def test_a_tar_of_files_and_folders_is_unpacked(tmp_path):
    members = [member("one", tarfile.DIRTYPE), member("one/conn.log.labeled")]
    archive = tarred(tmp_path / "a.tar.gz", members)
    assert unpack(archive, tmp_path, 1_000) == ("one",)
    assert (tmp_path / "one" / "conn.log.labeled").read_bytes() == b"xxx"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "c:evil"])
def test_an_archive_that_would_write_elsewhere_is_refused_whole(name, tmp_path):
    for archive in (
        zipped(tmp_path / "a.zip", {"fine": "1", name: "2"}),
        tarred(tmp_path / "a.tar.gz", [member("fine"), member(name)]),
    ):
        folder = tmp_path / "into" / "here"
        folder.mkdir(parents=True, exist_ok=True)
        with pytest.raises(ConfigError, match="refused, it would write outside the folder"):
            unpack(archive, folder, 1_000)
        assert names(folder) == []
        assert names(tmp_path / "into") == ["here"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_are_refused(kind, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    archive = tarred(tmp_path / "a.tar.gz", [member("fine"), member("x", kind, target="/etc")])
    with pytest.raises(ConfigError, match="'x' is neither file nor folder"):
        unpack(archive, folder, 1_000)
    info = zipfile.ZipInfo("x")
    info.external_attr = 0o120777 << 16  # a link, as zip writes it on Unix
    with pytest.raises(ConfigError, match="'x' is neither file nor folder"):
        unpack(zipped(tmp_path / "a.zip", {info: "/etc"}), folder, 1_000)
    assert names(folder) == []


def test_bombs_and_damage_are_refused_whole(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    zeros = zipped(tmp_path / "zeros.zip", {"fine": "1", "zeros": bytes(24 << 20)})
    with pytest.raises(ConfigError, match="unpacks to more than 10 MiB"):  # 1,000 to 1
        unpack(zeros, folder, 1 << 30)
    bare = tarred(tmp_path / "many.tar.gz", [member("a", size=600), member("b", size=600)])
    with pytest.raises(ConfigError, match="unpacks to more than 0 MiB"):
        unpack(bare, folder, 1_000)
    (tmp_path / "cut.tar.gz").write_bytes(bare.read_bytes()[:60])
    (tmp_path / "cut.zip").write_bytes(zeros.read_bytes()[:5_000])
    for name in ("cut.tar.gz", "cut.zip"):
        with pytest.raises(ConfigError, match=f"{name}: the archive is damaged"):
            unpack(tmp_path / name, folder, 1_000)
    assert names(folder) == []


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    long = member("fine")
    long.pax_headers = {"comment": "x" * (17 << 20)}
    with pytest.raises(ConfigError, match="one of its headers is larger than 16 MiB"):
        unpack(tarred(tmp_path / "a.tar.gz", [long]), folder, 1_000)
    (tmp_path / "b.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ConfigError, match=r"b\.tar\.gz: the archive is damaged"):
        unpack(tmp_path / "b.tar.gz", folder, 1_000)
    assert names(folder) == []


def test_every_address_is_safe_and_every_size_bounded():
    for each in DATA_SETS.values():
        for download in each.about.downloads:
            assert download.url.startswith("https://")
            assert download.bytes_max < 1 << 35
            assert download.sha256 is None or len(download.sha256) == 64
        assert each.about.layout
        assert each.about.citation
