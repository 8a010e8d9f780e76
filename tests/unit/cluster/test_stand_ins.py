"""The stand-in images of daemons: what makes a variant one, and that making one leaves the others alone."""

import os
from pathlib import Path

import pytest

from tests.cluster.errors import ClusterError
from tests.cluster.images import daemons, extra
from tests.cluster.images.apt import Apt
from tests.cluster.images.build import Builder
from tests.cluster.images.recipe import Recipe

#: What Docker's launcher or the entry points call, and Alpine's image has from BusyBox.
APPLETS = ("cat", "find", "grep", "ip", "mount", "nsenter", "sed", "sh", "sleep", "umount", "unshare", "xargs")


def paths(recipe: Recipe) -> set[str]:
    return {file.path for file in recipe.files}


def test_every_daemon_goes_by_its_recipes_name_and_shares_the_usual_ones_root_file_system() -> None:
    made = {name: make() for name, make in extra.DAEMONS.items()}
    assert {name: recipe.name for name, recipe in made.items()} == {name: name for name in extra.DAEMONS}
    assert {recipe.rootfs for recipe in made.values()} == {daemons.docker().rootfs}


def test_busybox_stands_before_every_program_that_it_has() -> None:
    links = {file.path: file.target for file in daemons.busybox().files}
    assert {links[f"/usr/{folder}/{name}"] for folder in ("bin", "sbin") for name in APPLETS} == {"/usr/bin/busybox"}
    assert "/usr/bin/dpkg" not in links


def test_a_bare_image_has_nothing_to_start_dockerd_with() -> None:
    assert paths(daemons.bare()) == {"/usr/bin/.wh.docker-init"}
    assert {"/usr/local/bin/dind", "/usr/local/bin/dockerd-entrypoint.sh"} <= paths(daemons.docker())


def test_the_older_iptables_lies_where_the_entry_point_looks_for_it() -> None:
    links = {file.path: file.target for file in daemons.docker().files}
    assert links["/usr/local/sbin/.iptables-legacy/iptables"] == "/usr/sbin/iptables-legacy"
    assert links["/usr/local/sbin/.iptables-legacy/ip6tables-save"] == "/usr/sbin/ip6tables-legacy-save"


def test_a_new_archive_replaces_all_but_the_last_of_that_image_and_none_of_a_longer_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = Builder(tmp_path, Apt("http://a.example/debian", ()))
    builder.folder.mkdir()
    monkeypatch.setattr(builder, "write", lambda *_: "sha256:0")
    stem = "docker_29-dind"
    old, last, other = f"{stem}-0123456789abcdef", f"{stem}-1123456789abcdef", f"{stem}-busybox-0123456789abcdef"
    for age, name in enumerate((other, old, last)):
        (builder.folder / f"{name}.tar").write_text("")
        os.utime(builder.folder / f"{name}.tar", (age, age))
    builder.archive(daemons.docker())
    left = {path.stem for path in builder.folder.glob("*.tar")}
    assert old not in left
    assert {last, other} <= left


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ClusterError, match=r"no stand-in image docker:30(.|\n)*docker:29-dind-busybox"):
        extra.check(["docker:29-dind-bare", "docker:30"])
