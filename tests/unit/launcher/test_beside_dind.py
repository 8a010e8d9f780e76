"""job.sh and what it has to do with the sidecar besides waiting for it: questions to it, settings for builders."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.launcher.userland import Container


def answer(job: Container, text: str) -> threading.Thread:
    """Answer the first question as dind.sh does (a fake of it)."""
    os.mkfifo(job.daemon / "ask")
    (job.daemon / "ask").chmod(0o666)
    pipe = os.open(job.daemon / "ask", os.O_RDWR)  # as dind.sh has it: what is written before somebody reads is kept

    def reply() -> None:
        with os.fdopen(pipe) as questions:
            question = questions.readline()
        (job.daemon / "new").write_text(f"{question}{text}\n")
        (job.daemon / "new").rename(job.daemon / "answer")

    thread = threading.Thread(target=reply, daemon=True)
    thread.start()
    return thread


def test_a_failed_script_asks_what_the_daemon_knows(tools_job: Container) -> None:
    (tools_job.daemon / "ready").write_text("instance-1\n")
    thread = answer(tools_job, '"oomKilled":null,"disk":{"size":10,"free":1}')
    ended = tools_job.run("exit 3", after=["echo after"])
    thread.join(timeout=60)
    assert not thread.is_alive(), "nothing was asked"
    assert ended.code == 3
    assert ended.message is not None
    assert (ended.message["oomKilled"], ended.message["disk"]) == (None, {"size": 10, "free": 1})
    assert "after" in ended.lines


def test_nothing_is_asked_after_a_success(tools_job: Container) -> None:
    (tools_job.daemon / "ready").write_text("instance-1\n")
    os.mkfifo(tools_job.daemon / "ask")
    pipe = os.open(tools_job.daemon / "ask", os.O_RDWR | os.O_NONBLOCK)
    assert tools_job.run("true").code == 0
    with pytest.raises(BlockingIOError):
        os.read(pipe, 1)
    os.close(pipe)


def test_a_daemon_that_does_not_answer_holds_nothing_up(tools_job: Container) -> None:
    (tools_job.daemon / "ready").write_text("instance-1\n")
    (tools_job.daemon / "answer").write_text('another-question\n"disk":1\n')
    os.mkfifo(tools_job.daemon / "ask")
    ended = tools_job.run("exit 3")
    assert ended.code == 3
    assert ended.message is not None
    assert "disk" not in ended.message


def test_builders_of_buildx_get_the_mirrors_unless_the_image_has_settings_of_its_own(tools_job: Container) -> None:
    (tools_job.daemon / "ready").write_text("instance-1\n")
    home = tools_job.root / "home"
    tools_job.env["HOME"] = str(home)
    (tools_job.launcher / "buildkitd.toml").write_text("ours\n")
    settings = home / ".docker/buildx/buildkitd.default.toml"
    assert tools_job.run("true").code == 0
    assert settings.read_text() == "ours\n"
    settings.write_text("the image's\n")
    assert tools_job.run("true").code == 0
    assert settings.read_text() == "the image's\n"


def test_a_home_that_cannot_be_written_to_is_no_failure(tools_job: Container) -> None:
    (tools_job.daemon / "ready").write_text("instance-1\n")
    tools_job.env["HOME"] = "/proc/nowhere"
    (tools_job.launcher / "buildkitd.toml").write_text("ours\n")
    ended = tools_job.run("echo fine")
    assert (ended.code, ended.lines) == (0, ["$ echo fine", "fine"])
