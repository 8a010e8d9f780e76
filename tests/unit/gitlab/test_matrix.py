"""`parallel` and `matrix`: one job as several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cijob.importers.gitlab.matrix import combinations
from cijob.importers.gitlab.model import Place
from cijob.importers.gitlab.nodes import Mapping, Sequence_
from tests.unit.gitlab.loading import errors, loaded

HERE = Place("f", 1)


class TestParallel:
    def test_jobs_are_numbered(self) -> None:
        found = loaded("job: {image: a, script: [x], parallel: 3}")
        assert [one.name for one in found.jobs] == ["job 1/3", "job 2/3", "job 3/3"]
        seen = [(v["CI_NODE_INDEX"], v["CI_NODE_TOTAL"]) for v in (one.spec["variables"] for one in found.jobs)]
        assert seen == [("1", "3"), ("2", "3"), ("3", "3")]

    def test_jobs_of_a_matrix_are_named_by_their_values(self) -> None:
        found = loaded("""
            job:
              image: "python:$V"
              script: [x]
              variables: {V: "0"}
              parallel: {matrix: [{V: ["3.11", "3.12"], DB: [pg]}, {V: "3.13", DB: [pg, my]}]}
            """)
        assert [(one.name, one.spec["image"]) for one in found.jobs] == [
            ("job: [3.11, pg]", "python:3.11"),
            ("job: [3.12, pg]", "python:3.12"),
            ("job: [3.13, pg]", "python:3.13"),
            ("job: [3.13, my]", "python:3.13"),
        ]

    def test_jobs_are_decided_one_by_one(self) -> None:
        found = loaded("""
            job:
              image: a
              script: [x]
              parallel: {matrix: [{V: [a, b]}]}
              rules: [{if: '$V == "b"'}]
            """)
        assert [one.name for one in found.jobs] == ["job: [b]"]

    def test_two_of_one_name_are_one(self) -> None:
        found = loaded("""
            default: {image: a}
            job: {script: [x], parallel: {matrix: [{V: [a, a]}]}}
            work: {script: [x], parallel: 2}
            work 1/2: {script: [own]}
            last: {script: [x], stage: deploy}
            """)
        assert [one.name for one in found.jobs] == ["job: [a]", "work 1/2", "work 2/2", "last"]
        assert found.jobs[1].spec["script"] == ["own"]
        assert [one.message for one in found.findings if "twice" in one.message] == [
            "job: [a] is there twice: this one counts, not that of line 3",
            "work 1/2 is there twice: this one counts, not that of line 4",
        ]

    @pytest.mark.parametrize("values", ["$[[ matrix.V ]]", "['$[[matrix.V]]']"])
    def test_expressions_in_needs_are_the_jobs_own_values(self, values: str) -> None:
        found = loaded(f"""
            default: {{image: a}}
            first: {{stage: build, script: [x], parallel: {{matrix: [{{V: [a, b], W: c}}]}}}}
            then:
              script: [x]
              parallel: {{matrix: [{{V: [a, b]}}]}}
              needs:
                - job: first
                  parallel:
                    matrix:
                      - V: {values}
                        W: c
            """)
        needs = {one.name: [need.job for need in one.needs or ()] for one in found.jobs if one.stage == "test"}
        assert needs == {"then: [a]": ["first: [a, c]"], "then: [b]": ["first: [b, c]"]}

    def test_an_expression_of_no_matrix_is_refused(self) -> None:
        assert errors("needs: ['$[[ matrix.W ]]']\nparallel: {matrix: [{V: a}]}")[0] == (
            "needs: $[[ matrix.W ]]: the job's matrix has no W"
        )

    @pytest.mark.parametrize("value", ["0", "201", "many", "{matrix: []}", "{matrix: [{A: []}]}", "{matrix: {A: b}}"])
    def test_that_is_neither_a_number_nor_a_matrix_is_refused(self, value: str) -> None:
        assert errors(f"parallel: {value}")[0].startswith("parallel")

    @given(
        st.lists(
            st.dictionaries(
                st.text("AB", min_size=1, max_size=2),
                st.lists(st.text("xy", min_size=1), min_size=1, max_size=3),
                min_size=1,
                max_size=2,
            ),
            max_size=3,
        )
    )
    def test_combinations_are_those_of_each_row(self, rows: list[dict[str, list[str]]]) -> None:
        matrix = Sequence_(HERE, [Mapping(HERE, {key: list(values) for key, values in row.items()}) for row in rows])
        found = combinations(matrix) or []
        sizes = []
        for row in rows:
            size = 1
            for values in row.values():
                size *= len(values)
            sizes.append(size)
        assert len(found) == sum(sizes)
        for row in rows:
            assert {key: values[0] for key, values in row.items()} in found
            assert {key: values[-1] for key, values in row.items()} in found
