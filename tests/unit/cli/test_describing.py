"""`cijob describe` and `cijob pools`, from the API server's answers to what is printed. The API server is a FAKE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cijob.cli.errors import CliError
from cijob.cli.looking.describing import describe
from cijob.cli.looking.pools import list_pools, show_pool
from cijob.errors import ApiUnavailable
from tests.unit.builders import POD_NAME, CiJobBuilder, a_cijob, a_pod, stamp
from tests.unit.cli.looking_world import Server, fresh_consoles

if TYPE_CHECKING:
    from collections.abc import Iterator

Body = dict[str, Any]
HERE = "/api/v1/namespaces/team-a"
JOBS = "/apis/cijob.dev/v1alpha1/namespaces/team-a/cijobs"
ALL_JOBS = "/apis/cijob.dev/v1alpha1/cijobs"
POOLS = "/apis/cijob.dev/v1alpha1/buildpools"
LOG = f"{HERE}/pods/{POD_NAME}/log"


@pytest.fixture(autouse=True)
def _consoles() -> Iterator[None]:
    with fresh_consoles():
        yield


def a_failure(message: str = "The job failed. Entry 1 of 1 in spec.script exited with 7: `make test`.") -> CiJobBuilder:
    """A CiJob whose script failed."""
    return a_cijob().finished("Failed", "ScriptFailed", 60).with_(status={"exitCode": 7, "message": message})


def serving(job: CiJobBuilder, *pods: Body) -> Server:
    """A server that has a CiJob and its Pods."""
    server = Server()
    server.objects[f"{JOBS}/build-42"] = job.body
    server.lists[JOBS] = [job.body]
    server.lists[f"{HERE}/pods"] = list(pods)
    server.lists[f"{HERE}/events"] = []
    return server


async def described(server: Server, capsys: pytest.CaptureFixture[str], flag: str = "") -> str:
    """What `cijob describe build-42` prints."""
    async with server.api() as api:
        api.flag = flag
        assert await describe(api, "team-a", ["build-42"], None) == 0
    return capsys.readouterr().out


async def test_a_failure_says_what_happened_whose_fault_it_is_and_what_to_try(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = serving(a_failure(), a_pod().terminated(7).body)
    server.texts[LOG] = "$ make test\n\x1b[31m1 failed\x1b[0m\n"
    said = await described(server, capsys, " -n team-a")
    assert said.startswith("build-42: Failed, ScriptFailed, exit code 7\n")
    happened, _, rest = said.partition("\nWhose fault it is\n")
    assert "Entry 1 of 1 in spec.script exited with 7" in happened
    assert rest.startswith("  The job's own: ")
    assert "\nWhat to try\n  - `cijob logs build-42 -n team-a` shows the whole log." in rest
    assert "Last lines of the log: cijob logs build-42 -n team-a\n  $ make test\n  1 failed\n" in rest
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("reason", "container"), [("SourceFailed", "git"), ("DaemonLost", "dind"), ("ScriptFailed", "job")]
)
async def test_the_log_is_that_of_the_container_that_tells_most(
    capsys: pytest.CaptureFixture[str], reason: str, container: str
) -> None:
    pod = a_pod().git_ended(3).dind_running().terminated(7)
    server = serving(a_cijob().finished("Failed", reason), pod.body)
    server.texts[LOG] = "said\n"
    await described(server, capsys)
    assert [query["container"] for path, query in server.asked if path == LOG] == [container]


async def test_who_may_not_read_pods_and_events_is_told_so_and_sees_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = serving(a_failure())
    server.refuse(f"{HERE}/pods")
    server.refuse(f"{HERE}/events")
    said = await described(server, capsys)
    assert "Whose fault it is" in said
    assert "attempt 1: Pod" in said
    assert "Not shown, Pods: you may not read them." in said
    assert "Not shown, Events: you may not read them." in said


async def test_a_log_that_may_not_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    server = serving(a_failure(), a_pod().terminated(7).body)
    server.refuse(LOG)
    assert "Not shown, the log: you may not read it." in await described(server, capsys)


async def test_of_long_lines_the_end_is_shown_which_tells_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    server = serving(a_failure(), a_pod().terminated(7).body)
    progress = "\r".join(f"{percent} %" for percent in range(101))
    server.texts[LOG] = f"first\n{'x' * 30000}\n{progress}\nerror: the disk is full\n"
    said = await described(server, capsys)
    shown = said.partition("Last lines of the log")[2].splitlines()[1:]
    assert shown[-2:] == ["  100 %", "  error: the disk is full"]
    assert len(shown) == 12
    (query,) = (query for path, query in server.asked if path == LOG)
    assert int(query["limitBytes"]) > 30000, "the kubelet counts bytes from the first of the lines, not from the last"


async def test_of_one_line_without_end_the_end_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    server = serving(a_failure(), a_pod().terminated(7).body)
    server.texts[LOG] = "x" * 30000 + "the end"
    shown = (await described(server, capsys)).partition("Last lines of the log")[2].splitlines()[1]
    assert shown.startswith("  ...x")
    assert shown.endswith("xthe end")
    assert len(shown) < 9000


async def test_pods_of_others_under_the_label_are_not_taken_for_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    server = serving(a_failure(), a_pod().of_another_job().terminated(7).body)
    said = await described(server, capsys)
    assert "job container" not in said
    assert LOG not in [path for path, _ in server.asked]


async def test_events_of_the_job_and_its_pod_are_shown_the_oldest_first(capsys: pytest.CaptureFixture[str]) -> None:
    server = serving(a_failure(), a_pod().terminated(7).body)
    server.lists[f"{HERE}/events"] = [
        {
            "metadata": {},
            "involvedObject": {"kind": "Pod", "name": POD_NAME},
            "type": "Warning",
            "reason": f"R{second}",
            "message": "x\x1b[2Jy",
            "lastTimestamp": stamp(second),
        }
        for second in (9, 3)
    ]
    events = (await described(server, capsys)).partition("\nEvents\n")[2]
    assert events.index("R3") < events.index("R9")
    assert "xy" in events


@pytest.mark.parametrize(
    ("job", "there", "not_there"),
    [
        (
            a_cijob().with_status("Queued", reason="PoolAtCapacity", message="The pool runs as many jobs as it may."),
            ["What it waits for\n  The pool runs", "What to try\n  - `cijob pools default`"],
            ["Whose fault it is"],
        ),
        (
            a_cijob().with_status("Starting", reason="PullingImage", message="The image is being pulled."),
            ["What it waits for\n  The image is being pulled.", "`cijob cancel build-42` ends"],
            ["Whose fault it is"],
        ),
        (
            a_cijob().between_attempts("NodeLost", infra=1).with_(status={"message": "The node is gone."}),
            ["Whose fault it is\n  The cluster's", "where it does not run again by itself"],
            ["What it waits for"],
        ),
        (a_cijob(), ["No operator has taken it on", "cijob doctor"], ["Whose fault it is"]),
        (a_cijob().running(), ["Runs for"], ["What it waits for", "Whose fault it is", "What to try"]),
        (a_cijob().finished("Succeeded", "Completed"), ["Took"], ["Whose fault it is", "What to try"]),
        (
            a_cijob().finished("Failed", "BrandNew").with_(status={"message": "New."}),
            ["What happened\n  New."],
            ["Whose fault it is"],
        ),
    ],
)
async def test_what_is_said_fits_the_phase(
    capsys: pytest.CaptureFixture[str], job: CiJobBuilder, there: list[str], not_there: list[str]
) -> None:
    said = await described(serving(job), capsys)
    assert [text for text in there if text not in said] == []
    assert [text for text in not_there if text in said] == []


async def test_facts_name_pipeline_repository_services_and_retries(capsys: pytest.CaptureFixture[str]) -> None:
    job = a_failure().with_git(ref="main").with_service("db").without_docker()
    job = job.with_meta(labels={"cijob.dev/pipeline": "p1"}, annotations={"cijob.dev/pipeline-job": "lint"})
    said = await described(serving(job.with_(status={"attempt": 3, "retries": {"user": 2, "infra": 0}})), capsys)
    for fact in (
        "Repository   https://git.example.com/app.git at main",
        "Services     db (postgres:18)",
        "Docker       none",
        "Pipeline     p1, job lint",
        "Attempts     3 (ran again: 2 after failures of its own)",
    ):
        assert fact in said


async def test_the_job_itself_is_printed_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    server = serving(a_failure())
    async with server.api() as api:
        await describe(api, "team-a", ["cijob/build-42"], "name")
    assert capsys.readouterr().out == "cijob.cijob.dev/build-42\n"


async def test_several_are_told_one_behind_the_other_and_a_name_that_is_not_there_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = serving(a_failure())
    server.objects[f"{JOBS}/build-43"] = a_failure().with_meta(name="build-43").body
    async with server.api() as api:
        assert await describe(api, "team-a", ["build-42", "biuld-42", "build-43"], None) == 1
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line.startswith("build-")] == [
        "build-42: Failed, ScriptFailed, exit code 7",
        "build-43: Failed, ScriptFailed, exit code 7",
    ]
    assert err == "error: there is no CiJob biuld-42 in the namespace team-a\nDid you mean build-42?\n"


# --- pools


def a_pool(name: str = "default", *, running: int = 0, queued: int = 0, **spec: object) -> Body:
    """A BuildPool that an operator has looked at."""
    condition = {"type": "Ready", "status": "True", "reason": "Open", "message": "Jobs are admitted."}
    return {
        "apiVersion": "cijob.dev/v1alpha1",
        "kind": "BuildPool",
        "metadata": {"name": name, "creationTimestamp": stamp(0)},
        "spec": spec,
        "status": {"running": running, "queued": queued, "conditions": [condition]},
    }


async def test_pools_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    held = a_pool("held", stopPolicy="Hold")
    server.lists[POOLS] = [held, a_pool("big", running=3, queued=2, capacity={"running": 3, "perNamespace": 2})]
    async with server.api() as api:
        await list_pools(api, None)
    lines = [line.split()[:-1] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["NAME", "RUNNING", "QUEUED", "CAPACITY", "PER-NAMESPACE", "STATE"]
    assert lines[1] == ["big", "3", "2", "3", "2", "open"]
    assert lines[2] == ["held", "0", "0", "no", "limit", "no", "limit", "held"]


async def test_a_pool_shows_its_rules_its_shares_and_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.objects[f"{POOLS}/default"] = a_pool(
        running=1,
        queued=1,
        capacity={"running": 1},
        images=["docker.io/library/*"],
        limits={"timeout": "2h", "resources": {"cpu": "4"}},
        namespaceSelector={"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]},
    )
    waits = a_cijob().with_meta(name="next").with_status("Queued", reason="PoolAtCapacity").body
    server.lists[ALL_JOBS] = [a_cijob().running().body, waits]
    async with server.api() as api:
        await show_pool(api, "default", None)
    said = capsys.readouterr().out
    for line in (
        "Running      1 of 1, no limit in one namespace",
        "Images       docker.io/library/*",
        "At most      timeout 2h, resources.cpu 4",
        "Namespaces   matchExpressions team In (a,b)",
        "Isolation    Privileged",
        "team-a      1         100%    1",
    ):
        assert line in said
    assert said.splitlines()[-1].split()[:4] == ["1", "team-a", "next", "0"]
    assert "Only CiJobs" not in said


async def test_who_sees_one_namespace_is_told_that_others_are_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server()
    server.objects[f"{POOLS}/default"] = a_pool()
    server.refuse(ALL_JOBS)
    server.lists[JOBS] = [a_cijob().with_status("Queued", reason="PoolAtCapacity").body]
    async with server.api() as api:
        await show_pool(api, "default", None)
    said = capsys.readouterr().out
    assert "Only CiJobs of the namespace team-a are counted" in said
    assert "PLACE" not in said, "a place in line is not known without the others"


async def test_a_pool_that_is_not_there_is_answered_with_the_nearest() -> None:
    server = Server()
    server.lists[POOLS] = [a_pool("default")]
    async with server.api() as api:
        with pytest.raises(CliError, match="there is no BuildPool defualt") as caught:
            await show_pool(api, "defualt", None)
    assert caught.value.hint == "Did you mean default?"


async def test_a_refusal_that_is_no_lack_of_rights_ends_it() -> None:
    server = Server()
    server.objects[f"{POOLS}/default"] = a_pool()
    server.refuse(ALL_JOBS, 503, "overloaded")
    async with server.api() as api:
        with pytest.raises(ApiUnavailable, match="overloaded"):
            await show_pool(api, "default", None)
