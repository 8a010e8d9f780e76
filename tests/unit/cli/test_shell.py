"""Which containers `cijob shell` enters, and what it says of the others."""

from __future__ import annotations

import pytest

from cijob.cli.errors import CliError
from cijob.cli.files.shell import check_container

RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED = {"terminated": {"exitCode": 0}}
PULLING = {"waiting": {"reason": "ImagePullBackOff\x1b[2J"}}


def pod(**states: object) -> dict[str, object]:
    """A Pod with a job, its daemon, a service and the checkout; what is not named runs."""
    inits = [{"name": "dind", "restartPolicy": "Always"}, {"name": "db", "restartPolicy": "Always"}, {"name": "git"}]
    all_states = {"job": RUNNING, "dind": RUNNING, "db": RUNNING, "git": ENDED} | states
    statuses = [{"name": name, "state": state} for name, state in all_states.items() if state is not None]
    return {
        "spec": {"containers": [{"name": "job"}], "initContainers": inits},
        "status": {"containerStatuses": statuses[:1], "initContainerStatuses": statuses[1:]},
    }


@pytest.mark.parametrize("name", ["job", "dind", "db"])
def test_the_job_its_daemon_and_its_services_are_entered(name: str) -> None:
    check_container(pod(), "build", name)


@pytest.mark.parametrize(
    ("name", "states", "said"),
    [
        ("git", {}, "build has no container git"),
        ("bd", {}, "build has no container bd"),
        ("job", {"job": ENDED}, "the container job of build has ended"),
        ("db", {"db": PULLING}, "the container db of build does not run yet: ImagePullBackOff$"),
        ("db", {"db": {}}, "the container db of build does not run yet: it was not started yet"),
    ],
)
def test_others_are_not_and_why_is_said(name: str, states: dict[str, object], said: str) -> None:
    with pytest.raises(CliError, match=said):
        check_container(pod(**states), "build", name)


def test_a_typo_is_answered_with_the_nearest() -> None:
    with pytest.raises(CliError) as refused:
        check_container(pod(), "build", "dinde")
    assert refused.value.hint == "Did you mean dind? It has job, dind, db."
