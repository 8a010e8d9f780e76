"""Names of Pods and Events: short enough, valid, the same again, and different where they must be."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from cijob import names
from cijob.limits import JOB_NAME

JOB_NAMES = st.from_regex(JOB_NAME, fullmatch=True)
UIDS = st.uuids().map(str)
ATTEMPTS = st.integers(min_value=1, max_value=10_000)
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@given(JOB_NAMES, UIDS, ATTEMPTS)
def test_a_pods_name_is_a_dns_label(name: str, uid: str, attempt: int) -> None:
    """It becomes the Pod's host name too."""
    pod = names.pod_name(name, uid, attempt)

    assert len(pod) <= 63
    assert LABEL.fullmatch(pod)
    assert pod == names.pod_name(name, uid, attempt)


@given(JOB_NAMES, UIDS, UIDS, ATTEMPTS, ATTEMPTS)
def test_a_pods_name_tells_jobs_and_attempts_apart(name: str, uid: str, other: str, one: int, two: int) -> None:
    if uid != other:
        assert names.pod_name(name, uid, one) != names.pod_name(name, other, one)
    if one != two:
        assert names.pod_name(name, uid, one) != names.pod_name(name, uid, two)


def test_a_pods_name_never_changes_with_a_release() -> None:
    """It is the lock against a second Pod: another version of the operator must find the Pod of this one."""
    assert names.pod_name("build-42", "0c5b1b9e-7d3c-4f7e-9c4e-1f1f3d3b0c11", 1) == "build-42-25bb28e6"


def test_a_long_name_is_cut_before_the_hash() -> None:
    name = "a" * 53 + "-" + "b" * 9

    pod = names.pod_name(name, "uid", 1)

    assert pod.startswith("a" * 53 + "-")
    assert "--" not in pod
    assert "b" not in pod.removesuffix(pod[-8:])


@given(JOB_NAMES, UIDS)
def test_an_events_name_is_valid_and_the_same_again(name: str, uid: str) -> None:
    event = names.event_name(name, uid)

    assert len(event) <= 253
    assert SUBDOMAIN.fullmatch(event)
    assert event == names.event_name(name, uid)


@given(JOB_NAMES, UIDS, UIDS)
def test_an_events_name_tells_jobs_of_one_name_apart(name: str, uid: str, other: str) -> None:
    assert (names.event_name(name, uid) == names.event_name(name, other)) == (uid == other)


@given(JOB_NAMES, UIDS, ATTEMPTS)
def test_a_pods_name_is_known_for_its_jobs(name: str, uid: str, attempt: int) -> None:
    pod = names.pod_name(name, uid, attempt)

    assert names.is_pod_name(pod, name)
    assert not names.is_pod_name(pod + "0", name)
    assert not names.is_pod_name(pod, name + "x") or len(name) > 54
    assert not names.is_pod_name(name, name) or len(name) > 54
