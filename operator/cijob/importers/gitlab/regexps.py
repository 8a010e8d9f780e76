"""Regular expressions of `.gitlab-ci.yml`: `/pattern/flags`, in the language of RE2, as Python matches them.

GitLab has RE2 search them (lib/gitlab/untrusted_regexp.rb and untrusted_regexp/ruby_syntax.rb of gitlabhq/gitlabhq). What RE2
knows and Python does not is translated; what Python knows and RE2 does not is refused, as GitLab would. RE2 needs time in
proportion to the text; Python tries all ways, for which it gets a few seconds.
"""

from __future__ import annotations

import re
import signal
import threading
from typing import TYPE_CHECKING, Final, NoReturn

from cijob.importers.gitlab.model import TooMuch

if TYPE_CHECKING:
    from types import FrameType

_SECONDS: Final = 2.0
"""Of the processor, for one search."""

_WHOLE = re.compile(r"/(.*)/([ismU]*)", re.DOTALL)

# https://github.com/google/re2/wiki/Syntax, "ASCII character classes"; Python has none of them.
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}

_TOKEN = re.compile(
    r"""
      (?P<quoted>\\Q(?P<literal>.*?)(?:\\E|\Z))
    | (?P<escape>\\.)
    | (?P<set>\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\])
    | (?P<foreign>\(\?(?:<?[=!]|>|\(|P=|\#)|[*+?}]\+)
    | (?P<named>\(\?<(?=[A-Za-z_]))
    | (?P<flags>\(\?[imsU-]*[:)])
    | (?P<end>\$)
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_SET = re.compile(r"(?P<escape>\\.)|\[:(?P<name>\^?[a-z]+):\]|(?P<bracket>(?<!^)\[)", re.DOTALL)


def is_regexp(text: str) -> bool:
    """Whether a text has the form `/pattern/flags`."""
    return len(text) > 2 and _WHOLE.fullmatch(text) is not None  # noqa: PLR2004 - `//` has no pattern


def compile_regexp(text: str) -> re.Pattern[str]:
    r"""What a text of the form `/pattern/flags` matches, by `search`; `\/` is a slash.

    The flag U swaps greedy and lazy, which changes what is matched and not whether something is.

    Raises:
        ValueError: it is none, or none of RE2; the message is a sentence.
    """
    whole = _WHOLE.fullmatch(text)
    if whole is None or not whole[1]:
        raise ValueError(f"{text} is not a regular expression; write it as /pattern/")
    flags = re.ASCII
    for flag in whole[2]:
        flags |= {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE}.get(flag, re.NOFLAG)
    end = "$" if flags & re.MULTILINE else r"\Z"  # Python's $ alone matches before a newline at the end, too
    try:
        return re.compile(_TOKEN.sub(lambda token: _translated(token, end), whole[1].replace("\\/", "/")), flags)
    except RecursionError:
        raise ValueError(f"{text[:40]}... is nested too deep") from None
    except (re.error, OverflowError, ValueError) as error:
        raise ValueError(f"{text} is not a regular expression of RE2, which is GitLab's: {error}") from None


def found_in(pattern: re.Pattern[str], text: str, seconds: float = _SECONDS) -> bool:
    """Whether a text has what a pattern matches.

    Python looks for signals while it searches, and so the limit is a timer's signal. They go to the main thread only: in any
    other there is no limit.

    Raises:
        TooMuch: that is not known after so many seconds of the processor's.
    """
    if threading.current_thread() is not threading.main_thread():
        return pattern.search(text) is not None

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        written = pattern.pattern.replace(r"\Z", "$")
        raise TooMuch(
            f"matching the regular expression /{written}/ takes more than {seconds:g} s: write it without repetitions inside"
            " of repetitions"
        )

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        return pattern.search(text) is not None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _translated(token: re.Match[str], end: str) -> str:
    """A part of a pattern in Python's words; `end` is what `$` means."""
    text = token[0]
    match token.lastgroup:
        case "quoted" | "literal":
            return re.escape(token["literal"])
        case "escape":
            return _escape(text)
        case "set":
            return _IN_SET.sub(_in_set, text)
        case "foreign":
            raise ValueError(f"it has no {text}")
        case "named":
            return "(?P<"
        case "flags":
            return _flags(text)
        case _:
            return end


def _escape(text: str) -> str:
    r"""An escape sequence; RE2 has `\z` and no back-references, Python before 3.14 has no `\z`."""
    if text[1] in "123456789Z":
        raise ValueError(f"it has no {text}")
    return r"\Z" if text == r"\z" else text


def _in_set(token: re.Match[str]) -> str:
    """A part of `[...]` that Python would read otherwise."""
    if token["escape"]:
        return token[0]
    if token["bracket"]:
        return r"\["
    if token["name"] not in _POSIX:
        raise ValueError(f"it has no {token[0]}")
    return _POSIX[token["name"]]


def _flags(text: str) -> str:
    """`(?i)` or `(?i:` without U, which Python does not have."""
    flags = text.replace("U", "").replace("-)", ")").replace("-:", ":")
    return "" if flags == "(?)" else flags
