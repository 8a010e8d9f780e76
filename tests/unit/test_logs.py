"""Log lines as JSON and for a console; libraries' own lines too."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from cijob import logs
from cijob.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Logging is the process's: put it back as it was."""
    root = logging.getLogger()
    others = [logging.getLogger(name) for name in ("kopf", "asyncio", "aiohttp.access")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in (root, *others)]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def a_logger(log_format: str, level: str = "info") -> structlog.stdlib.BoundLogger:
    """A logger after the process's logging was set up."""
    logs.configure(Settings(log_format=log_format, log_level=level))
    logger: structlog.stdlib.BoundLogger = structlog.get_logger("cijob.test")
    return logger


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was logged; nothing of it on stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged as JSON."""
    return [json.loads(line) for line in lines(capsys)]


def test_json_has_one_object_a_line_with_job_and_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    log = a_logger("json")

    with structlog.contextvars.bound_contextvars(job="team-a/build-42", attempt=1):
        log.info("created the Pod", pod="p\n1")
    log.warning("later")

    first, second = objects(capsys)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "created the Pod",
        "level": "info",
        "pod": "p\n1",
        "job": "team-a/build-42",
        "attempt": 1,
    }
    assert (second["event"], "job" in second) == ("later", False)


def test_json_keeps_tracebacks_on_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    log = a_logger("json")

    manifest = {"env": [{"name": "TOKEN", "value": "hunter2"}]}
    try:
        _ = len(manifest) / 0
    except ZeroDivisionError:
        log.exception("internal error")

    (line,) = objects(capsys)
    assert line["level"] == "error"
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert "hunter2" not in json.dumps(line), "a Pod's environment may be among the frames' variables"


def test_the_console_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log = a_logger("console")

    with structlog.contextvars.bound_contextvars(job="team-a/build-42", attempt=1):
        log.info("created the Pod", pod="p1")

    (line,) = lines(capsys)
    assert "created the Pod" in line
    assert "job=team-a/build-42" in line
    assert "attempt=1" in line
    assert "\x1b" not in line, "colours are for terminals"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_libraries_log_in_the_same_format(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    a_logger(log_format)

    logging.getLogger("kopf.objects").warning("a %s of its own", "line")

    (line,) = lines(capsys)
    assert "a line of its own" in line
    assert line.startswith("{") == (log_format == "json")


def test_kopfs_steps_are_not_ours_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    a_logger("json", "debug")

    for name in ("kopf._core.reactor", "asyncio", "aiohttp.access"):
        logging.getLogger(name).info("noise")

    assert lines(capsys) == []


@pytest.mark.parametrize(("level", "told"), [("info", ["warning", "error"]), ("error", ["error"])])
def test_what_kopf_tries_again_is_no_error(capsys: pytest.CaptureFixture[str], level: str, told: list[str]) -> None:
    a_logger("json", level)

    for end in ("will retry", "escalating"):
        logging.getLogger("kopf._cogs.clients.watching").error("Request attempt #1 failed; %s", end)

    assert [line["level"] for line in objects(capsys)] == told


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_is_a_setting(level: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    log = a_logger("json", level)

    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("said")

    assert [line["level"] for line in objects(capsys)] == expected


def test_kopf_follows_a_higher_level(capsys: pytest.CaptureFixture[str]) -> None:
    a_logger("json", "error")

    logging.getLogger("kopf").warning("noise")

    assert lines(capsys) == []
