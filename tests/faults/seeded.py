"""Seeded bugs: each is put into a copy of the tree, and a test has to find it. `python -m tests.faults.seeded [--sweep]`.

A bug that no test finds, a test that fails without the bug, and a change that no longer fits the source are errors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_PARTS: Final = ("operator", "tests", "crds", "charts", "pyproject.toml")
_SOURCE: Final = "operator/cijob"
#: Exit code of pytest when tests failed; the others mean that it could not even ask them.
_FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class Bug:
    """A change of the operator's source: `old` stands in `file` exactly once."""

    says: str
    file: str
    old: str
    new: str
    #: The quickest test that has to find it.
    test: str
    #: A part of the sweep to try on it too (an expression of pytest's -k); minutes each. docs/reliability.md has what came of it.
    sweep: str = ""

    def applied(self, source: str) -> str:
        """The source with the bug in it."""
        if source.count(self.old) != 1:
            raise ValueError(f"{self.says!r} does not fit {self.file} any more: {self.old!r}")
        return source.replace(self.old, self.new)


BUGS: Final = (
    Bug(
        "a Pod of the right name is adopted, whoever owns it",
        "policies/attempts.py",
        "return pod.owner_uid == job.uid and pod.attempt == attempt",
        "return pod.attempt == attempt",
        "test_post_answers.py::test_a_pod_that_is_there_already_and_another_s_is_a_conflict_of_names",
    ),
    Bug(
        "AlreadyExists is a PodNameConflict without a look at the Pod",
        "policies/creation.py",
        'return CreationFailure(refusal=Refusal.EXISTS if error.reason == "AlreadyExists" else Refusal.AGAIN)',
        "return _rejected(Reason.POD_NAME_CONFLICT, error.message)",
        "test_post_answers.py::test_a_lost_answer_is_asked_again_and_finds_the_pod",
        "success and answers",
    ),
    Bug(
        "podUID is forgotten",
        "status.py",
        '            "pod_uid": pod.uid,\n            "node_name"',
        '            "node_name"',
        "test_retries_in_life.py::test_an_operator_whose_cache_lacks_a_recorded_pod_asks_before_it_calls_it_deleted",
    ),
    Bug(
        "a status is patched without a test of the UID",
        "status.py",
        'tests = [{"op": "test", "path": "/metadata/uid", "value": job.uid}]',
        "tests = []",
        "test_retries_in_life.py::test_the_patch_of_a_retry_is_for_this_very_job_at_this_very_version",
    ),
    Bug(
        "a verdict is written over a version that was not seen",
        "recorder.py",
        "guarded=True",
        "guarded=False",
        "test_reconciler_refusals.py::test_a_verdict_waits_for_a_cancel_that_came_first",
        "cancel-at-verdict and stale",
    ),
    Bug(
        "a Pod is stopped without a test of its UID",
        "reconciler.py",
        '            {"op": "test", "path": "/metadata/uid", "value": pod.uid},\n',
        "",
        "test_own_writes.py::test_another_pod_of_the_name_is_not_stopped",
    ),
    Bug(
        "the answer to a stop is not looked at",
        "reconciler.py",
        "        if stopped:  #",
        "        if False:  #",
        "test_own_writes.py::test_a_pod_that_had_ended_unseen_when_it_was_stopped_gets_its_verdict",
        "cancel-at-verdict and stale",
    ),
    Bug(
        "a Pod is deleted without its UID",
        "transport.py",
        '            "preconditions": {"uid": uid},\n',
        "",
        "test_cluster.py::test_requests_go_where_they_should",
    ),
    Bug(
        "a list that lacks a CiJob is believed",
        "relisting.py",
        "if namespace in {None, key[0]} and await _confirm_gone(self._jobs, body, self._cluster.get_job(*key)):",
        "if namespace in {None, key[0]} and self._jobs.remove(body):",
        "test_relist.py::test_a_list_that_lacks_what_is_there_removes_nothing",
    ),
    Bug(
        "the cache goes backwards",
        "cache.py",
        "if version <= self._version(key, uid):",
        "if version == self._version(key, uid):",
        "test_cache.py::test_a_newer_version_replaces_an_older_one_and_never_the_reverse",
    ),
    Bug(
        "what was deleted comes back with a late event",
        "cache.py",
        "_NEVER_AGAIN = 1 << 63",
        "_NEVER_AGAIN = 0",
        "test_cache.py::test_what_was_removed_is_remembered_as_it_was_last_and_never_comes_back",
    ),
    Bug(
        "the answer of an own write does not enter the cache",
        "recorder.py",
        "        self._jobs.observe(answer)\n",
        "",
        "test_own_writes.py::test_the_answer_of_a_status_write_enters_the_cache_before_the_watch_tells",
    ),
    Bug(
        "the verdict is given on the exit code alone",
        "policies/outcome.py",
        "if ended is not None and _plain(spec, pod, ended, timeout):",
        "if ended is not None:",
        "test_outcome.py::test_the_verdict_on",
    ),
    Bug(
        "exit code 0 on SIGTERM during a drain is a success",
        "policies/outcome.py",
        "return not report.signal\n    return asked",
        "return True\n    return asked",
        "test_outcome.py::test_the_verdict_on",
    ),
    Bug(
        "the deadline by which the operator stops a Pod is the job's",
        "policies/outcome.py",
        'if pod.reason == "DeadlineExceeded" and not pod.stop and',
        'if pod.reason == "DeadlineExceeded" and',
        "test_outcome.py::test_the_verdict_on",
    ),
    Bug(
        "the sidecar's regular end is the daemon's death",
        "policies/outcome.py",
        "_moment(death.finished_at) < _moment(ended.finished_at)",
        "_moment(death.finished_at) <= _moment(ended.finished_at) + 10",
        "test_outcome.py::test_the_verdict_on",
    ),
    Bug(
        "a verdict is not final",
        "decisions.py",
        "if job.status.phase.finished:\n        decision",
        "if job.status.phase is Phase.SUCCEEDED:\n        decision",
        "test_decisions.py::test_a_finished_job_stays_as_it_is_until_it_expires",
        "script-failure and kills",
    ),
    Bug(
        "infrastructure retries use up the user's",
        "policies/retry.py",
        'return done.model_copy(update={"infra": done.infra + 1}) if done.infra < retry.infra_limit else None',
        'return done.model_copy(update={"user": done.user + 1}) if done.user < retry.infra_limit else None',
        "test_attempts.py::test_infrastructure_trouble_never_uses_up_the_limit",
    ),
    Bug(
        "a Pod is created although the CiJob is being deleted",
        "decisions.py",
        '"""The next step for a CiJob."""\n    if job.deletion_timestamp is not None:\n        return NOTHING\n',
        '"""The next step for a CiJob."""\n',
        "test_decisions.py::test_nothing_is_done_for_a_job_that_is_being_deleted",
    ),
    Bug(
        "an attempt does not wait for the Pod before it",
        "decisions.py",
        "living = alive(observed.others, settings, now)",
        "living = [pod for pod in alive(observed.others, settings, now) if pod.deletion_timestamp is not None]",
        "test_retries_in_life.py::test_the_second_pod_waits_for_the_end_of_the_first",
    ),
    Bug(
        "a recorded Pod that the cache lacks is gone without a GET",
        "decisions.py",
        "if gone is not None or recorded in observed.absent:",
        "if gone is not None or recorded is not None:",
        "test_attempts.py::test_a_pod_that_the_cache_lacks_is_asked_for_before_it_counts_as_gone",
        "success and stale",
    ),
    Bug(
        "a Pod in the place of the recorded one is taken for it",
        "policies/attempts.py",
        "    return pod.uid != recorded\n",
        "    return False\n",
        "test_attempts.py::test_a_pod_in_the_place_of_the_recorded_one_is_deleted",
    ),
    Bug(
        "a full quota is the end",
        "policies/creation.py",
        'if "exceeded quota" in text:',
        'if "the quota is exceeded" in text:',
        "test_post_answers.py::test_the_answer",
    ),
    Bug(
        "Retry-After is ignored",
        "reconciler.py",
        "self._queue.retry(key, error.retry_after or 0.0)",
        "self._queue.retry(key)",
        "test_post_answers.py::test_the_answer",
    ),
    Bug(
        "a follower decides",
        "operation.py",
        "if self.decides or (key[0] != POOL_NAMESPACE and self.reconciler.jobs.get(key) is None):",
        "if self.listed.is_set():",
        "test_operation.py::test_a_follower_has_warm_caches_is_ready_and_writes_nothing",
    ),
    Bug(
        "a new leader decides on what it saw as a follower",
        "operation.py",
        "        await self.listed.wait()\n        await self._list(reap=True)\n",
        "        await self.listed.wait()\n",
        "test_operation.py::test_a_leader_lists_everything_once_more_and_then_decides",
    ),
    Bug(
        "the Lease is not looked at before a write",
        "cluster.py",
        "            self.before_write()\n",
        "            pass\n",
        "test_cluster.py::test_before_each_write_but_those_of_the_lease_it_is_asked_whether_it_may_be",
    ),
    Bug(
        "a renewal counts from its answer",
        "leader.py",
        "election.wrote(self._me, election.read(answer), sent)",
        "election.wrote(self._me, election.read(answer), self._clock())",
        "test_leader.py::test_the_deadline_counts_from_when_a_renewal_was_sent_and_not_from_its_answer",
    ),
    Bug(
        "a dead watch is not noticed",
        "transport.py",
        "_WATCH: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=75)",
        "_WATCH: Final = aiohttp.ClientTimeout(total=None, sock_connect=10)",
        "test_frozen_watches.py::test_a_watch_that_is_dead_is_opened_anew_within_90_seconds",
    ),
    Bug(
        "a Pod without an owner is deleted on the cache's word",
        "reaper.py",
        "if orphaned(pod, await self._stored_uid(pod)):",
        "if orphaned(pod, self._cached_uid(pod)):",
        "test_reaper.py::test_a_cijob_that_the_cache_lacks_saves_its_pod",
    ),
    Bug(
        "a turn reserves no place",
        "admitter.py",
        '        self.admission(name).occupy(slot)\n        self.decided(name, "admitted", waited)',
        '        self.decided(name, "admitted", waited)',
        "test_admitter.py::test_a_job_waits_gets_its_turn_and_its_pod_takes_the_place",
        "queue and kills",
    ),
    Bug(
        "a Pod that has ended keeps its place",
        "admitter.py",
        "            self.admission(name).release(key)\n            self._comes_back",
        "            self._comes_back",
        "test_pools_in_life.py::test_the_end_of_a_job_admits_the_next_at_once",
    ),
)


def main(arguments: list[str]) -> int:
    """Try all bugs on their tests, or with `--sweep` some on a part of the sweep; 1 if one survived."""
    sweep = "--sweep" in arguments
    tries = [(bug, _on(bug, sweep=sweep)) for bug in BUGS if bug.sweep or not sweep]
    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        copy = Path(folder)
        for part in _PARTS:
            _copy(part, copy)
        for test in dict.fromkeys(test for _, test in tries):
            code, output = _pytest(copy, test)
            if code != 0:
                raise SystemExit(f"without a bug, pytest {' '.join(test)} ends with {code}:\n{output}")
        found = [_try(copy, bug, test) for bug, test in tries]
    sys.stdout.write(f"{len(found)} bugs tried, {found.count(True)} found\n")
    return 0 if all(found) else 1


def _try(copy: Path, bug: Bug, test: tuple[str, ...]) -> bool:
    """Whether a test finds a bug; writes a line of the table."""
    source = copy / _SOURCE / bug.file
    text = source.read_text()
    source.write_text(bug.applied(text))
    try:
        code, output = _pytest(copy, test)
    finally:
        source.write_text(text)
    if code not in {0, _FAILED}:
        raise SystemExit(f"{bug.says}: pytest ends with {code}:\n{output}")
    by = "SURVIVED" if code == 0 else f"`{' '.join(test)}`"
    sys.stdout.write(f"| {bug.says} | {by} |\n")
    sys.stdout.flush()
    return code != 0


def _on(bug: Bug, *, sweep: bool) -> tuple[str, ...]:
    return ("tests/faults", "-k", bug.sweep) if sweep else (f"tests/unit/{bug.test}",)


def _copy(part: str, folder: Path) -> None:
    if (ROOT / part).is_dir():
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(ROOT / part, folder / part)


def _pytest(copy: Path, test: tuple[str, ...]) -> tuple[int, str]:
    """Exit code and output. The copy's own operator is the one that is imported: pyproject.toml says so."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "CIJOB_FAULTS_REPORT": str(copy / "faults.json")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *test]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
