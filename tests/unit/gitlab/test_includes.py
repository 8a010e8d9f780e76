"""`include`: what is read, in which order it is merged, and what is said of the rest."""

from __future__ import annotations

import pytest

from cijob.importers.gitlab.document import read
from cijob.importers.gitlab.files import MemoryFiles
from cijob.importers.gitlab.findings import told
from cijob.importers.gitlab.includes import MAX_INCLUDES
from cijob.importers.gitlab.model import ImportFailed, Request
from tests.unit.gitlab.reading import CI, document, failure, found

JOB = "test: {script: [x]}\n"


def names(text: str, others: dict[str, str], variables: dict[str, str] | None = None) -> list[str]:
    return [job.name for job in document(text, others, variables).jobs]


@pytest.mark.parametrize(
    "include",
    [
        "ci/a.yml",
        "/ci/a.yml",
        "[ci/a.yml]",
        "{local: ci/a.yml}",
        "[{local: /ci/a.yml}]",
        "ci/*.yml",
        "{local: 'ci/**.yml'}",
        "$DIR/a.yml",
        "[{local: ci/a.yml, rules: [{if: '$CI_COMMIT_BRANCH == \"main\"'}]}]",
        "[{local: ci/a.yml, rules: [{exists: [ci/a.yml]}]}]",
    ],
)
def test_a_local_file_comes_before_the_jobs_of_the_file(include: str) -> None:
    others = {"ci/a.yml": "a: {script: [x]}\n", "b.txt": "not read"}
    assert names(f"include: {include}\n{JOB}", others, {"DIR": "ci"}) == ["a", "test"]


@pytest.mark.parametrize("rule", ["{if: $CI_COMMIT_TAG}", "{exists: [nowhere]}", "{if: $CI, when: never}"])
def test_rules_keep_a_file_out(rule: str) -> None:
    text = f"include:\n  - local: missing.yml\n    rules: [{rule}]\n{JOB}"
    assert names(text, {}) == ["test"]


def test_the_file_wins_over_what_it_includes_and_a_later_include_over_an_earlier_one() -> None:
    text = "include: [one.yml, two.yml]\ntest:\n  variables: {A: main}\n"
    others = {
        "one.yml": "test: {script: [one], image: one, variables: {A: one, B: one, C: one}, tags: [p, q]}\n",
        "two.yml": "test: {image: two, variables: {A: two, B: two}, tags: [r]}\n",
    }
    (job,) = document(text, others).jobs
    assert job.config["script"] == ["one"]
    assert job.config["image"] == "two"
    assert job.config["tags"] == ["r"]
    assert job.config["variables"] == {"A": "main", "B": "two", "C": "one"}
    assert str(job.place) == f"{CI}:2"
    assert str(job.config.places["image"]) == "two.yml:1"


def test_files_include_files_by_paths_from_the_root() -> None:
    others = {"ci/a.yml": "include: ci/deep/b.yml\na: {script: [x]}\n", "ci/deep/b.yml": "b: {script: [x]}\n"}
    assert names(f"include: ci/a.yml\n{JOB}", others) == ["b", "a", "test"]


def test_a_file_may_be_included_twice() -> None:
    others = {
        "a.yml": "include: c.yml\na: {script: [x]}\n",
        "b.yml": "include: c.yml\n",
        "c.yml": ".c: {script: [x]}\n",
    }
    assert names(f"include: [a.yml, b.yml]\n{JOB}", others) == ["a", "test"]


@pytest.mark.parametrize(
    ("include", "key", "what"),
    [
        ("{project: group/ci, file: [/a.yml]}", "project", "/a.yml of the project group/ci"),
        ("{remote: 'https://example.com/a.yml'}", "remote", "the file at https://example.com/a.yml"),
        ("https://example.com/a.yml", "remote", "the file at https://example.com/a.yml"),
        ("{template: Auto-DevOps.gitlab-ci.yml}", "template", "GitLab's template Auto-DevOps.gitlab-ci.yml"),
        ("{component: $CI_SERVER_FQDN/a/b@1}", "component", "the component $CI_SERVER_FQDN/a/b@1"),
    ],
)
def test_what_is_on_a_server_is_named_and_the_rest_goes_on(include: str, key: str, what: str) -> None:
    text = f"include:\n  - {include}\n{JOB}"
    assert found(text) == [
        f"{CI}:2: not converted: include:{key}: {what} is not fetched, and so what it says is missing: copy it and include it as local"
    ]
    assert names(text, {}) == ["test"]


@pytest.mark.parametrize(
    ("include", "others", "said"),
    [
        ("a.yml", {}, f"{CI}:1: error: include:local: there is no file a.yml"),
        ("a.txt", {"a.txt": JOB}, f"{CI}:1: error: include:local: a.txt has to end in .yml or .yaml"),
        ("a.yml", {"a.yml": "# nothing\n"}, "a.yml:1: error: the file says nothing"),
        ("a.yml", {"a.yml": "- x\n"}, "a.yml:1: error: this has to be a mapping of keys to values"),
        ("a.yml", {"a.yml": "a: [\n"}, "a.yml:2: error: this is not YAML: "),
        (
            "{lokal: a.yml}",
            {},
            f"{CI}:1: error: include: an include has one of local, project, remote, template, component; did you mean local?",
        ),
        ("{local: [a.yml]}", {}, f"{CI}:1: error: include:local: has to be the path of one file"),
        ("[1]", {}, f"{CI}:1: error: include: an include is a path or a mapping"),
        (
            "a.yml",
            {"a.yml": "include: b.yml\n", "b.yml": "include: /a.yml\n"},
            "b.yml:1: error: include:local: goes round in a circle: a.yml includes b.yml includes a.yml",
        ),
        (CI, {}, f"{CI}:1: error: include:local: goes round in a circle: {CI} includes {CI}"),
    ],
)
def test_what_gitlab_refuses_is_an_error_in_its_line(include: str, others: dict[str, str], said: str) -> None:
    (line,) = failure(f"include: {include}\n{JOB}", others)
    assert line.startswith(said)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("$FILE", "error: include:local: $FILE becomes nothing: $FILE is not set here, give it with --var"),
        (
            "$DIR/a.yml",
            "not converted: include:local: $DIR/a.yml becomes a.yml: $DIR is not set here, give it with --var",
        ),
    ],
)
def test_a_path_of_what_is_not_set_is_told(path: str, said: str) -> None:
    text = f"include: {path}\n{JOB}"
    told_of = failure(text) if "error" in said else found(text, {"a.yml": "b: {script: [x]}"})
    assert told_of == [f"{CI}:1: {said}"]
    assert names(f"include: $FILE\n{JOB}", {"a.yml": "b: {script: [x]}"}, {"FILE": "a.yml"}) == ["b", "test"]


def test_rules_of_an_include_say_always_or_never() -> None:
    (error,) = failure(f"include: [{{local: a.yml, rules: [{{when: manual}}]}}]\n{JOB}", {"a.yml": "b: {script: [x]}"})
    assert error == f"{CI}:1: error: include:rules:when: 'manual' is not one of always, never"


def test_a_wildcard_without_files_is_said() -> None:
    assert found(f"include: ci/*.yml\n{JOB}") == [f"{CI}:1: note: include:local: no file matches ci/*.yml"]


class Counting(MemoryFiles):
    """Files that count how often they are read."""

    reads = 0

    def read(self, path: str) -> str:
        self.reads += 1
        return super().read(path)


def test_there_is_a_bound_to_the_files_that_are_included() -> None:
    texts = {CI: f"include: ci/*.yml\n{JOB}"} | {f"ci/{n}.yml": JOB for n in range(MAX_INCLUDES + 5)}
    files = Counting(texts)
    with pytest.raises(ImportFailed) as caught:
        read(files, Request(file=CI))
    assert told(caught.value.findings) == [
        f"{CI}:1: error: include:local: a pipeline has at most {MAX_INCLUDES} includes"
    ]
    assert files.reads == MAX_INCLUDES + 1


def test_the_pipelines_own_file_has_to_be_there() -> None:
    assert failure("", {}) == [f"{CI}:1: error: the file says nothing"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n---\nb: 2\n---\nc: 3\n", f"{CI}:5: error: a file has at most 2 documents"),
        ("- a\n", f"{CI}:1: error: this has to be a mapping"),
        ("text\n", f"{CI}:1: error: this has to be a mapping"),
    ],
)
def test_a_file_is_one_mapping_with_or_without_a_header(text: str, said: str) -> None:
    assert failure(text)[0].startswith(said)


def test_a_second_document_without_a_header_is_not_read_and_that_is_said() -> None:
    (note,) = found(f"{JOB}---\nother: {{script: [x]}}\n")
    assert note.startswith(f"{CI}:3: note: GitLab does not read this document")


def test_several_includes_that_are_not_fetched_are_counted() -> None:
    said = found("include: [{template: A.yml}, {template: B.yml}]\ntest: {extends: .a, script: [x]}\n")
    assert said[-1] == (
        f"{CI}:2: not converted: extends: there is no .a here; it may be in one of the 2 includes that were not fetched, "
        f"of which the first is in {CI}:1 (test)"
    )
