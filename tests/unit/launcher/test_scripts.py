"""Scripts come out of their file byte for byte, in each shell."""

from __future__ import annotations

import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cijob import scripts
from tests.unit.launcher.userland import SECONDS, Container, needed

if TYPE_CHECKING:
    from pathlib import Path

_COMMANDS = {"dash": ("dash",), "bash": ("bash",), "busybox": ("busybox", "sh")}
_ANY = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
_NASTY = st.text("'\"\\$`!#*~ \n\t\r;&|(){}[]<>=x\x01\x81\x88\u00e9\u2028\U0001f600")
_LIMIT = 100 * 1024


def _words(shell: str, words: list[str]) -> bytes:
    text = "printf '%s\\0' " + " ".join(map(scripts.quote, words))
    command = _COMMANDS[shell]
    done = subprocess.run(
        [needed(command[0]), *command[1:]], input=text.encode(), stdout=subprocess.PIPE, check=True, timeout=SECONDS
    )
    return done.stdout


@pytest.mark.parametrize("shell", sorted(_COMMANDS))
@settings(deadline=None, max_examples=60)
@given(words=st.lists(_ANY | _NASTY, min_size=1, max_size=20))
@example(words=["", "'", '"', "\\", "\\\n", "$(X) $$ ${x}", "`x`", "\x81\x88", "'\"", "\r\n"])
def test_a_quoted_word_is_the_text_in_each_shell(shell: str, words: list[str]) -> None:
    assert _words(shell, words) == b"".join(word.encode() + b"\0" for word in words)


@given(text=_ANY | _NASTY)
def test_a_quoted_word_is_never_much_longer(text: str) -> None:
    assert len(scripts.quote(text)) <= len(text) * 7 / 4 + 2


@pytest.mark.parametrize("text", ["'" * _LIMIT, "$" * _LIMIT, "'$$$" * (_LIMIT // 4), "\\\"`'" * (_LIMIT // 4)])
def test_the_longest_scripts_fit_into_the_annotations_of_a_pod(text: str) -> None:
    assert len(scripts.script_file([], [text])) < 180 * 1024


@pytest.mark.parametrize("shell", sorted(_COMMANDS))
def test_a_script_of_100_kib_runs(shell: str, tmp_path: Path) -> None:
    body = "".join(f"line {number} 'quoted' \"twice\" $(X) $$ \\ `no` \u00e4\U0001f600\n" for number in range(1700))
    assert 80 * 1024 < len(body.encode()) < _LIMIT
    job = Container(tmp_path / "cijob", shell)
    ended = job.run(f"cat > $CIJOB_ROOT/out <<'END'\n{body}END\n")
    assert ended.code == 0
    assert (job.root / "out").read_text(encoding="utf-8") == body


def test_an_entry_cannot_spill_into_the_next(job: Container) -> None:
    ended = job.run("cat <<END", "echo second")
    assert "second" in ended.lines


@pytest.mark.parametrize(
    ("entry", "title"),
    [
        ("echo a", "$ echo a"),
        ("echo a\n", "$ echo a"),
        ("\necho a", "$  # 2 lines"),
        ("if true\nthen :\nfi", "$ if true # 3 lines"),
        ("# 100% $HOME `x` \\n *", "$ # 100% $HOME `x` \\n *"),
        ("", "$ "),
        ("\t : \u00e9", "$ \t : \u00e9"),
    ],
)
def test_the_title_is_the_first_line_as_it_is(job: Container, entry: str, title: str) -> None:
    assert job.run(entry).lines[0] == title


def test_builders_are_told_of_mirrors_and_of_registries_without_tls() -> None:
    text = scripts.buildkit_file(["http://10.0.0.1:5000", "https://mirror.example/hub/"], ["10.0.0.1:5000", "plain:80"])
    assert tomllib.loads(text) == {
        "registry": {
            "docker.io": {"mirrors": ["10.0.0.1:5000", "mirror.example/hub"]},
            "10.0.0.1:5000": {"http": True, "insecure": True},
            "plain:80": {"http": True, "insecure": True},
        }
    }
    assert scripts.buildkit_file([], []) == ""
