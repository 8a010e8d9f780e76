"""The language of `rules:if`, `only:variables` and `workflow:rules:if`. Pure.

As docs.gitlab.com/ci/jobs/job_rules/#cicd-variable-expressions describes it, and as lib/gitlab/ci/pipeline/expression of
gitlabhq/gitlabhq does it: `==` `!=` `=~` `!~` bind tightest, then `&&`, then `||`; an expression holds when its value is
neither unset nor blank. `&&` and `||` themselves are Ruby's, for which an empty text is true: `$EMPTY || $SET` is the empty
text, and so does not hold. Whoever writes rules has tried them in GitLab.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from cijob.importers.gitlab.regexps import compile_regexp, found_in, is_regexp

Value = str | bool | re.Pattern[str] | None
"""What a part of an expression is; None is `null` and what a variable has that is not set."""

Expression = Callable[[Mapping[str, str]], Value]
"""A parsed expression: from variables to its value."""

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<variable>\$\w+)
    | (?P<string>"[^"]*"|'[^']*')
    | (?P<regexp>/(?:\\.|[^/\\])+/[ismU]*)
    | (?P<word>\b(?:null|true|false)\b)
    | (?P<operator>==|=~|!=|!~|&&|\|\||!|\(|\))
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_WORDS: dict[str, Value] = {"null": None, "true": True, "false": False}
_COMPARISONS = frozenset({"==", "!=", "=~", "!~"})
_MAX_TOKENS = 1000
_HINTS = {
    "${": "write $NAME, without braces",
    "=": "write == to compare",
    "&": "write && for and",
    "|": "write || for or",
}


def evaluate(text: str, variables: Mapping[str, str]) -> bool:
    """Whether an expression holds.

    Raises:
        ValueError: it is not one; the message is a sentence.
    """
    return _present(parse(text)(variables))


def parse(text: str) -> Expression:
    """An expression, to be evaluated later.

    Raises:
        ValueError: it is not one; the message is a sentence.
    """
    return _Parser(text).whole()


def _tokens(text: str) -> list[str]:
    tokens, at = list[str](), 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            rest = text[at : at + 20]
            hint = next((f"; {say}" for start, say in _HINTS.items() if rest.startswith(start)), "")
            raise ValueError(f"{text!r} is not understood at {rest!r}{hint}")
        if token.lastgroup != "space":
            tokens.append(token[0])
        at = token.end()
    if len(tokens) > _MAX_TOKENS:
        raise ValueError(f"{text[:40]!r}... has more than {_MAX_TOKENS} parts")
    return tokens


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Expression:
        tree = self._either()
        if self._at < len(self._tokens):
            raise self._wrong(f"{self._tokens[self._at]} is one too many")
        return tree

    def _either(self) -> Expression:
        left = self._both()
        while self._take("||"):
            left = _either(left, self._both())
        return left

    def _both(self) -> Expression:
        left = self._comparison()
        while self._take("&&"):
            left = _both(left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        left = self._value()
        while (operator := self._peek()) in _COMPARISONS:
            self._at += 1
            left = _compared(operator, left, self._value())
        return left

    def _value(self) -> Expression:
        if self._take("!"):
            return _negated(self._nested(self._value))
        if self._take("("):
            tree = self._nested(self._either)
            if not self._take(")"):
                raise self._wrong("a ) is missing")
            return tree
        text = self._peek()
        self._at += 1
        if text.startswith("$"):
            return lambda variables: variables.get(text[1:])
        return _constant(self._constant(text))

    def _nested(self, inner: Callable[[], Expression]) -> Expression:
        """What is in parentheses or after `!`; Python's stack is not for the file's author to use up."""
        self._depth += 1
        if self._depth > 100:  # noqa: PLR2004
            raise self._wrong("it is nested more than 100 deep")
        tree = inner()
        self._depth -= 1
        return tree

    def _constant(self, token: str) -> Value:
        if token in _WORDS:
            return _WORDS[token]
        if token[:1] in {"'", '"'}:
            return token[1:-1]
        if token.startswith("/"):
            return compile_regexp(token)
        raise self._wrong(f"a value is missing {f'before {token}' if token else 'at the end'}")

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._at += 1
        return True

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"{self._text!r} is not an expression: {what}")


def _constant(value: Value) -> Expression:
    return lambda _variables: value


def _negated(operand: Expression) -> Expression:
    return lambda variables: not _present(operand(variables))


def _either(left: Expression, right: Expression) -> Expression:
    def value(variables: Mapping[str, str]) -> Value:
        first = left(variables)
        return right(variables) if first is None or first is False else first

    return value


def _both(left: Expression, right: Expression) -> Expression:
    def value(variables: Mapping[str, str]) -> Value:
        first = left(variables)
        return first if first is None or first is False else right(variables)

    return value


def _compared(operator: str, left: Expression, right: Expression) -> Expression:
    def value(variables: Mapping[str, str]) -> Value:
        one, other = left(variables), right(variables)
        if operator in {"==", "!="}:
            return (one == other) is (operator == "==")
        return _matches(one, other) is (operator == "=~")

    return value


def _matches(one: Value, pattern: Value) -> bool:
    """Whether `one =~ pattern`. A text that is no /pattern/ matches whatever is a part of it, as Ruby's `scan` has it."""
    if pattern is None or pattern is False:
        return False
    text = "" if one is None else str(one)
    if isinstance(pattern, str) and is_regexp(pattern):
        try:
            pattern = compile_regexp(pattern)
        except ValueError:
            return text in str(pattern)
    if isinstance(pattern, re.Pattern):
        return found_in(pattern, text)
    return text in str(pattern)


def _present(value: Value) -> bool:
    return bool(value.strip()) if isinstance(value, str) else bool(value)
