"""Names of images, archives, and the machine's package sources."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.images import apt, oci
from tests.cluster.images.loading import archive_source, pip_settings
from tests.cluster.images.names import parse
from tests.cluster.images.oci import File, Settings


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("ubuntu", "docker.io/library/ubuntu:latest"),
        ("ubuntu:25.10", "docker.io/library/ubuntu:25.10"),
        ("ailhan/web-debug:latest", "docker.io/ailhan/web-debug:latest"),
        ("docker.io/library/busybox:stable", "docker.io/library/busybox:stable"),
        ("10.200.0.1:5000/a/b:1", "10.200.0.1:5000/a/b:1"),
        ("localhost/x", "localhost/x:latest"),
        ("registry.example/x:2", "registry.example/x:2"),
    ],
)
def test_names_are_completed_as_docker_does(text: str, full: str) -> None:
    assert str(parse(text)) == full


def write_image(folder: Path) -> tuple[Path, str]:
    files = [File("/bin"), File("/bin/hello", b"#!/bin/sh\n"), File("/bin/hi", target="hello")]
    layer = oci.files_layer(files, folder / "layer.tar.gz")
    path = folder / "image.tar"
    return path, oci.write_archive(path, "amd64", Settings(("/bin/hello",), user="1:1"), [layer])


def test_an_archive_holds_what_its_digests_say(tmp_path: Path) -> None:
    path, digest = write_image(tmp_path)
    with tarfile.open(path) as archive:
        blobs = {name: archive.extractfile(name) for name in archive.getnames() if name.startswith("blobs/")}
        contents = {name.rpartition("/")[2]: stream.read() for name, stream in blobs.items() if stream}
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in contents.items())
    manifest = json.loads(contents[digest.removeprefix("sha256:")])
    config = json.loads(contents[manifest["config"]["digest"].removeprefix("sha256:")])
    layer = gzip.decompress(contents[manifest["layers"][0]["digest"].removeprefix("sha256:")])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/bin/hello"]
    assert config["config"]["User"] == "1:1"
    assert len(config["history"]) == 1  # buildah counts them
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert files.getnames() == ["bin", "bin/hello", "bin/hi"]
        assert files.getmember("bin/hi").linkname == "hello"


def test_the_same_files_make_the_same_image(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert write_image(tmp_path / "a")[1] == write_image(tmp_path / "b")[1]


def archive_with(path: Path, name: str, content: object) -> Path:
    text = json.dumps(content).encode()
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return path


def test_the_name_in_an_archive_is_found(tmp_path: Path) -> None:
    saved = archive_with(tmp_path / "saved.tar", "manifest.json", [{"RepoTags": ["cijob/x:1"]}])
    assert archive_source(saved) == (f"docker-archive:{saved}", "docker.io/cijob/x:1")
    index = {"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "a/b:2"}}]}
    layout = archive_with(tmp_path / "layout.tar", "index.json", index)
    assert archive_source(layout) == (f"oci-archive:{layout}", "docker.io/a/b:2")


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("other", {}),
        ("manifest.json", []),
        ("manifest.json", [{"RepoTags": None}]),
        ("index.json", {"manifests": [{}]}),
        ("index.json", {"manifests": [{"annotations": {}}]}),
    ],
)
def test_an_archive_without_a_name_is_refused_in_words(tmp_path: Path, member: str, content: object) -> None:
    with pytest.raises(ClusterError, match="What to do: Archives of"):
        archive_source(archive_with(tmp_path / "x.tar", member, content))


def test_a_file_that_is_no_archive_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("text")
    with pytest.raises(ClusterError, match="no image archive"):
        archive_source(tmp_path / "x")


TARGETS = """\
http://a.example/extra/|stable|main
http://a.example/debian/|bookworm|contrib
http://a.example/debian/|bookworm|main
http://a.example/debian-security/|bookworm-security|main
"""


def test_the_mirror_is_that_of_the_systems_own_release() -> None:
    assert apt.choose_mirror(TARGETS, "bookworm") == "http://a.example/debian"
    assert apt.choose_mirror(TARGETS, "trixie") is None
    assert apt.choose_mirror("", "bookworm") is None


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ('Acquire::http::Proxy "http://proxy.example:3128";', True),
        ('Acquire::https::Proxy::a.example "DIRECT";', True),
        ('Acquire::Check-Valid-Until "false";', True),
        ('Acquire::Languages "none";', False),
        ('APT::Install-Recommends "0";', False),
    ],
)
def test_only_settings_about_reaching_packages_are_taken_over(line: str, *, taken: bool) -> None:
    assert bool(apt.TAKEN_OVER.match(line)) is taken


def test_pips_settings_come_from_the_environment() -> None:
    text = pip_settings(
        {"PIP_INDEX_URL": "http://i.example/simple", "PIP_CERT": "/c.pem", "HOME": "/root", "PIP_PROXY": ""}
    )
    assert text.splitlines() == [
        "[global]", "break-system-packages = true", "index-url = http://i.example/simple", "cert = /c.pem",
    ]  # fmt: skip
