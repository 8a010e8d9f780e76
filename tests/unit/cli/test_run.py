"""What `cijob run` makes of its command line, up to the first request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from cijob.cli import api as api_module
from cijob.cli.app import cli
from cijob.cli.errors import CliError
from cijob.cli.manifest import Manifest
from cijob.cli.options import Target
from cijob.cli.running import run
from cijob.cli.runoptions import MIB, RunOptions
from cijob.cli.sources import read
from cijob.errors import ApiError, ApiNotFound
from tests.unit import virtual_time

if TYPE_CHECKING:
    from cijob.cli.api import Api

Body = dict[str, Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """The options with which `running.run` is called; it does nothing else."""
    found: list[RunOptions] = []

    async def remember(_api: object, _source: object, options: RunOptions) -> int:
        found.append(options)
        return 7

    def with_api(_target: Target, command: Any) -> int:  # noqa: ANN401  a coroutine function
        return int(virtual_time.run(command(None)))

    monkeypatch.setattr("cijob.cli.running.run", remember)
    monkeypatch.setattr("cijob.cli.sources.read", lambda _options: Manifest("", ()))
    monkeypatch.setattr(api_module, "with_api", with_api)
    return found


def options_of(asked: list[RunOptions], *arguments: str) -> RunOptions:
    result = CliRunner().invoke(cli, ["run", *arguments], standalone_mode=False)
    assert result.exception is None, result.output
    assert result.return_value == 7
    return asked[-1]


def test_a_file_may_be_an_argument_or_an_option(asked: list[RunOptions]) -> None:
    for arguments in (["job.yaml"], ["-f", "job.yaml"], ["--filename=job.yaml"]):
        assert options_of(asked, *arguments).file == "job.yaml"
    assert options_of(asked).file is None


def test_words_behind_the_dashes_are_the_commands_own(asked: list[RunOptions]) -> None:
    options = options_of(asked, "--image", "alpine", "-d", "-o", "name", "--", "ls", "-o", "--detach")
    assert (options.image, options.words, options.file) == ("alpine", ("ls", "-o", "--detach"), None)
    assert (options.detach, options.output) == (True, "name")


def test_pairs_and_sizes_are_read(asked: list[RunOptions]) -> None:
    options = options_of(asked, "x", "--var", "A=b=c", "--var", "E=", "--pool", "big=large", "--workspace-limit", "1Gi")
    assert options.variables == {"A": "b=c", "E": ""}
    assert options.pools == {"big": "large"}
    assert (options.workspace_limit, options.artifacts_limit) == (1024 * MIB, 256 * MIB)


def test_folders_are_paths(asked: list[RunOptions]) -> None:
    options = options_of(asked, "x", "-w", ".", "--artifacts", "out")
    assert (options.workspace, options.artifacts, options.bring_files) == (Path(), Path("out"), True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "alpine"], "--image needs a command"),
        (["--image", "alpine", "-f", "x", "--", "true"], "leave one of the two out"),
        (["a.yaml", "b.yaml"], "one file is run at a time"),
        (["a.yaml", "-f", "b.yaml"], "one file is run at a time"),
        (["a.yaml", "-o", "name"], "which is for --detach"),
        (["a.yaml", "--git-ref", "main"], "for the repository of --git-url, which is missing"),
        (["a.yaml", "-w", ".", "--no-workspace"], "leave one of the two out"),
        (["a.yaml", "--no-cache", "--cache-limit", "1Gi"], "leave one of the two out"),
        (["a.yaml", "--var", "A"], "write NAME=VALUE"),
        (["a.yaml", "--workspace-limit", "much"], "write it as 512Mi or 1Gi"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_what_cannot_be_meant_is_a_usage_error(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, ["run", *arguments], standalone_mode=False)
    assert message in str(getattr(result.exception, "message", ""))
    assert getattr(result.exception, "code", getattr(result.exception, "exit_code", 0)) == 2


def test_what_is_wrong_with_a_file_is_told_without_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_api(_target: Target, _command: object) -> int:
        raise AssertionError("a cluster was asked")

    monkeypatch.setattr(api_module, "with_api", with_api)
    for content, message in (
        ("{", "this is no YAML"),
        ("a: {script: 1, extends: b}", "a"),
        ("kind: Pod", "holds a Pod"),
    ):
        (tmp_path / "file.yaml").write_text(content)
        result = CliRunner().invoke(cli, ["run", str(tmp_path / "file.yaml")], standalone_mode=False)
        assert isinstance(result.exception, CliError), result.exception
        assert message in result.exception.message


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"pools": {"a": "b"}}, "--pool is for pipelines, and {file} is a manifest", "Leave out --pool."),
        ({"strict": True}, "--strict is for pipelines", "Leave out --strict."),
        ({"jobs": ("a",), "tag": "v1"}, "--job is for pipelines", "Leave out --job and --tag."),
        ({"artifacts_limit": 1}, "--artifacts-limit is for pipelines", "Leave out --artifacts-limit."),
        ({"caches": False, "cache_limit": 1}, "--no-cache is for pipelines", "Leave out --no-cache and --cache-limit."),
        ({"image": "a", "words": ("b",), "branch": "c"}, "--branch is for pipelines, and --image runs one", "Leave"),
    ],
)
def test_an_option_of_pipelines_is_refused_for_one_job(
    tmp_path: Path, options: dict[str, Any], message: str, hint: str
) -> None:
    file = a_file(tmp_path, "metadata: {name: a}\n")
    with pytest.raises(CliError) as caught:
        read(RunOptions(target=Target(), **{"file": str(file), **options}))
    assert message.format(file=file) in caught.value.message
    assert caught.value.hint.startswith(hint)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [({"sets": ("a=b",)}, "--set is for one CiJob, and {file} is a pipeline"), ({"detach": True}, "cannot be left")],
)
def test_an_option_of_one_job_is_refused_for_a_pipeline(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    file = tmp_path / "ci.yml"
    file.write_text("a: {script: [b], image: c}")
    with pytest.raises(CliError) as caught:
        read(RunOptions(target=Target(), file=str(file), **options))
    assert (message.format(file=file) in caught.value.message, caught.value.code) == (True, 2)


# --- up to the creation -------------------------------------------------------------------------------------------------


class Server:
    """A FAKE API server without pools that remembers what is created."""

    namespace = "mine"

    def __init__(self, *, pools_readable: bool = True) -> None:
        self.created: list[tuple[str, Body]] = []
        self._pools_readable = pools_readable

    async def create_job(self, namespace: str, manifest: Body) -> Body:
        self.created.append((namespace, manifest))
        return {"apiVersion": "cijob.dev/v1alpha1", "kind": "CiJob", **manifest}

    async def get_pool(self, _name: str) -> Body:
        if self._pools_readable:
            raise ApiNotFound(404, "NotFound", "no such pool")
        raise ApiError(403, "Forbidden", "no")

    async def list_pools(self) -> list[Body]:
        return [{"metadata": {"name": "default"}}]


def left(server: Server, file: Path, namespace: str | None = None, **options: Any) -> int:  # noqa: ANN401  RunOptions'
    api: Api = server  # type: ignore[assignment]  # FAKE
    wanted = RunOptions(target=Target(namespace=namespace), file=str(file), **{"detach": True, **options})
    return virtual_time.run(run(api, read(wanted), wanted))


def a_file(folder: Path, *jobs: str) -> Path:
    head = "apiVersion: cijob.dev/v1alpha1\nkind: CiJob\n"
    path = folder / "jobs.yaml"
    path.write_text("---\n".join(head + job + "spec: {image: ubuntu, script: ['true']}\n" for job in jobs))
    return path


def test_several_jobs_are_started_only_to_be_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server, file = Server(), a_file(tmp_path, "metadata: {name: a}\n", "metadata: {name: b}\n")
    with pytest.raises(CliError, match="holds 2 CiJobs, and one can be followed"):
        left(server, file, detach=False)
    assert not server.created
    assert left(server, file) == 0
    assert [manifest["metadata"]["name"] for _, manifest in server.created] == ["a", "b"]
    assert capsys.readouterr().out == "cijob.cijob.dev/a created\ncijob.cijob.dev/b created\n"


def test_none_of_several_is_created_if_one_cannot_run(tmp_path: Path) -> None:
    server, file = Server(), a_file(tmp_path, "metadata: {name: a}\n", "metadata: {name: b}\n")
    file.write_text(file.read_text().rstrip("}\n") + ", scirpt: []}\n")
    with pytest.raises(CliError, match="did you mean script"):
        left(server, file)
    assert not server.created


def test_the_manifests_namespace_goes_before_the_kubeconfigs_and_not_against_the_option(tmp_path: Path) -> None:
    server, file = Server(), a_file(tmp_path, "metadata: {name: a, namespace: theirs}\n")
    left(server, file)
    left(server, file, namespace="theirs")
    left(server, a_file(tmp_path, ""))
    assert [namespace for namespace, _ in server.created] == ["theirs", "theirs", "mine"]
    with pytest.raises(CliError, match="says namespace theirs, and --namespace says other"):
        left(server, a_file(tmp_path, "metadata: {name: a, namespace: theirs}\n"), namespace="other")


def test_a_pool_that_is_not_there_is_told_before_the_job_waits_for_it(tmp_path: Path) -> None:
    server, file = Server(), a_file(tmp_path, "")
    with pytest.raises(CliError, match="there is no BuildPool defualt") as caught:
        left(server, file, sets=("poolName=defualt",))
    assert caught.value.hint == "Did you mean default?"
    assert not server.created


def test_who_may_not_read_pools_may_still_use_them(tmp_path: Path) -> None:
    server = Server(pools_readable=False)
    assert left(server, a_file(tmp_path, ""), sets=("poolName=large",)) == 0
    assert len(server.created) == 1


def test_files_cannot_be_brought_into_a_job_that_is_left(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("x")
    with pytest.raises(CliError, match="given files cannot be left"):
        left(Server(), a_file(tmp_path, ""), workspace=tmp_path / "files")


def test_without_a_file_or_a_pipeline_here_the_ways_to_run_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CliError, match=r"there is no \.gitlab-ci\.yml here") as caught:
        read(RunOptions(target=Target()))
    assert (caught.value.code, "--image" in caught.value.hint) == (2, True)
