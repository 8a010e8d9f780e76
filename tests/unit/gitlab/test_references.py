"""`!reference`: what it takes from where, and what is refused."""

from __future__ import annotations

from cijob.importers.gitlab.references import MAX_CHAIN
from tests.unit.gitlab.reading import CI, document, failure, found


def test_scripts_rules_and_variables_are_taken_from_elsewhere() -> None:
    (job,) = document("""\
        .setup:
          script: [one, two]
          rules: [{if: $CI}]
          variables: {A: 1, B: 2}
        test:
          script:
            - !reference [.setup, script]
            - three
          rules:
            - !reference [.setup, rules]
            - when: never
          variables:
            A: !reference [.setup, variables, B]
          before_script: !reference [.setup, script]
        """).jobs
    assert job.config["script"] == ["one", "two", "three"]
    assert [place.line for place in job.config["script"].places] == [2, 2, 8]
    assert job.config["rules"] == [{"if": "$CI"}, {"when": "never"}]
    assert job.config["variables"] == {"A": 2}
    assert job.config["before_script"] == ["one", "two"]


def test_what_is_referred_to_has_been_extended() -> None:
    (job,) = document("""\
        .base: {script: [base]}
        .more: {extends: .base}
        test: {script: [!reference [.more, script]]}
        """).jobs
    assert job.config["script"] == ["base"]


def chain(length: int) -> str:
    links = [f".r{n}: {{script: [!reference [.r{n + 1}, script]]}}" for n in range(1, length)]
    return "\n".join(["test: {script: [!reference [.r1, script]]}", *links, f".r{length}: {{script: [end]}}", ""])


def test_ten_references_may_follow_one_another() -> None:
    assert document(chain(MAX_CHAIN)).jobs[0].config["script"] == ["end"]
    assert (
        f"{CI}:11: error: !reference: [.r11, script] is more than 10 references deep"
        in failure(chain(MAX_CHAIN + 1))[0]
    )


def test_a_circle_is_refused() -> None:
    text = "test:\n  script:\n    - !reference [test, script]\n"
    assert failure(text) == [f"{CI}:3: error: !reference: [test, script] refers to itself (test)"]


def test_what_is_not_there_is_an_error_with_the_nearest_name() -> None:
    text = ".setup: {script: [x]}\ntest:\n  script:\n    - !reference [.setpu, script]\n    - !reference [.setup, scirpt]\n"
    assert failure(text) == [
        f"{CI}:4: error: !reference: [.setpu, script] refers to nothing: there is no .setpu; did you mean .setup? (test)",
        f"{CI}:5: error: !reference: [.setup, scirpt] refers to nothing: there is no scirpt; did you mean script? (test)",
    ]


def test_a_reference_does_not_go_into_lists_or_texts() -> None:
    text = ".setup: {script: [x], image: y}\ntest:\n  script: [!reference [.setup, script, '0'], !reference [.setup, image, name]]\n"
    assert [line.split(" refers")[0] for line in failure(text)] == [
        f"{CI}:3: error: !reference: [.setup, script, 0]",
        f"{CI}:3: error: !reference: [.setup, image, name]",
    ]


def test_what_may_be_in_what_was_not_fetched_is_named_and_left_out() -> None:
    text = "include: {template: A.yml}\ntest:\n  script:\n    - !reference [.elsewhere, script]\n    - x\n"
    assert found(text)[1].startswith(
        f"{CI}:4: not converted: !reference: [.elsewhere, script] is not here; it may be in"
    )
    assert document(text).jobs[0].config["script"] == ["x"]


def test_a_key_of_a_job_may_be_in_what_was_not_fetched_too() -> None:
    text = (
        "include: {template: A.yml}\n.setup: {image: x}\ntest:\n  script:\n    - !reference [.setup, script]\n    - x\n"
    )
    assert found(text)[1].startswith(f"{CI}:5: not converted: !reference: [.setup, script] is not here; it may be in")


def test_what_is_not_at_hand_is_said_of_the_jobs_that_need_it() -> None:
    text = """\
        include: {template: A.yml}
        .unused: {script: [!reference [.elsewhere, script]]}
        .used: {before_script: [!reference [.elsewhere, script]]}
        test: {extends: .used, script: [x]}
        default: {image: !reference [.elsewhere, image]}
        """
    lines = [line for line in found(text) if "!reference" in line]
    assert [line.split(": ")[0] for line in lines] == [f"{CI}:3", f"{CI}:5"]
    assert lines[0].endswith("(test)")
    assert lines[1].endswith("was not fetched")
