"""The spelling of a filter that is text, after SQL's WHERE.

Called by ``data.filters.language``. Grammar, keywords in any case:

    filter    = all {OR all};  all = one {AND one};  one = NOT one | "(" filter ")" | term
    term      = field ("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") value
              | field [NOT] IN "(" [value {"," value}] ")"
              | field [NOT] LIKE text | field [NOT] BETWEEN value AND value
              | field IS [NOT] (NULL | MISSING)
    field     = name {"." name}, a name being a word, or anything between double quotes ("" for one)
    value     = number | 'text' ('' for one quote) | TRUE | FALSE | NULL

Invariant: every fault is told with the offset of the character where it shows; time is linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from data.filters.limits import (
    MAX_SIZE,
    Budget,
    check_depth,
    check_list,
    check_number,
    check_ordered,
    check_path,
    check_pattern,
    fault,
)
from data.filters.tree import (
    Compare,
    Exists,
    Filter,
    IsNull,
    Like,
    Not,
    OneOf,
    Operator,
    Scalar,
    both,
    canonical,
    either,
    equal,
)

_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL", "MISSING", "TRUE", "FALSE"})
#: Words that cannot begin a field name: they begin something else.
_RESERVED = _KEYWORDS - {"MISSING"}
_CONSTANTS: dict[str, bool | None] = {"TRUE": True, "FALSE": False, "NULL": None}
_ORDERS: dict[str, Operator] = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
#: Digits of the longest number that is read.
_MAX_NUMBER = 64

_Kind = Literal["number", "text", "name", "word", "sign", "end"]
_TOKEN = re.compile(
    r"""(?P<number>[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)
    |'(?P<text>(?:[^']|'')*+)'
    |"(?P<name>(?:[^"]|"")*+)"
    |(?P<word>[^\W\d]\w*+)
    |(?P<sign><=|>=|<>|!=|==|[=<>(),.])""",
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*+")


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of the text: words as they stand, quoted ones without their quotes."""

    kind: _Kind
    value: str
    at: int

    @property
    def keyword(self) -> str:
        """The keyword that this word is, or nothing."""
        upper = self.value.upper() if self.kind == "word" else ""
        return upper if upper in _KEYWORDS else ""


def read_text(text: str) -> Filter:
    """Return the filter that a text spells.

    Raises:
        FilterError: it cannot be read.
    """
    if len(text) > MAX_SIZE:
        raise fault(f"it is longer than {MAX_SIZE:,} characters", MAX_SIZE)
    reader = _Reader(_tokens(text))
    wanted = reader.any_of(1)
    reader.end()
    return wanted


def _tokens(text: str) -> list[_Token]:
    tokens = []
    place = _skip(text, 0)
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise fault(_unreadable(text[place]), place)
        kind = found.lastgroup
        value = found[kind]  # type: ignore[index] # every branch of the pattern is a named group
        if kind == "text":
            value = value.replace("''", "'")
        elif kind == "name":
            value = value.replace('""', '"')
        tokens.append(_Token(kind, value, place))  # type: ignore[arg-type]
        place = _skip(text, found.end())
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _unreadable(character: str) -> str:
    if character == "'":
        return "a text in single quotes is not closed"
    if character == '"':
        return "a name in double quotes is not closed"
    return f"the character {character!r} means nothing here"


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._budget = Budget()

    def any_of(self, depth: int) -> Filter:
        """Read alternatives."""
        parts = [self._all_of(depth)]
        while self._took("OR"):
            parts.append(self._all_of(depth))
        return either(parts)

    def end(self) -> None:
        """Raise ``FilterError`` unless everything has been read."""
        token = self._tokens[self._next]
        if token.kind != "end":
            raise fault(f"AND, OR or the end is expected here, not {_named(token)}", token.at)

    def _all_of(self, depth: int) -> Filter:
        parts = [self._one(depth)]
        while self._took("AND"):
            parts.append(self._one(depth))
        return both(parts)

    def _one(self, depth: int) -> Filter:
        check_depth(depth, self._peek().at)
        if self._took("NOT"):
            return Not(self._one(depth + 1))
        if self._took("("):
            inner = self.any_of(depth + 1)
            self._expect(")", "a closing parenthesis")
            return inner
        return self._term()

    def _term(self) -> Filter:
        at = self._peek().at
        self._budget.term(at)
        path = canonical(self._path())
        token = self._take()
        if token.kind == "sign" and token.value in ("=", "==", "!=", "<>"):
            same = equal(path, self._value())
            return same if token.value in ("=", "==") else Not(same)
        if token.kind == "sign" and token.value in _ORDERS:
            return Compare(path, _ORDERS[token.value], self._ordered())
        if token.keyword == "IS":
            return self._is(path)
        denied = token.keyword == "NOT"
        held = self._worded(path, self._take() if denied else token)
        return Not(held) if denied else held

    def _worded(self, path: str, token: _Token) -> Filter:
        if token.keyword == "IN":
            return OneOf(path, self._list())
        if token.keyword == "LIKE":
            text = self._peek()
            return Like(path, check_pattern(self._value(), text.at))
        if token.keyword == "BETWEEN":
            low = self._ordered()
            self._expect("AND", "AND between the two bounds")
            return both([Compare(path, "gte", low), Compare(path, "lte", self._ordered())])
        wanted = "=, !=, <, <=, >, >=, IN, LIKE, BETWEEN or IS"
        raise fault(f"{wanted} is expected after a field, not {_named(token)}", token.at)

    def _is(self, path: str) -> Filter:
        denied = self._took("NOT")
        token = self._take()
        if token.keyword not in ("NULL", "MISSING"):
            raise fault(f"NULL or MISSING is expected after IS, not {_named(token)}", token.at)
        if token.keyword == "NULL":
            return Not(IsNull(path)) if denied else IsNull(path)
        return Exists(path) if denied else Not(Exists(path))

    def _path(self) -> str:
        first = self._peek()
        names = [self._name(first_word=True)]
        while self._took("."):
            names.append(self._name(first_word=False))
        return check_path(".".join(names), first.at)

    def _name(self, *, first_word: bool) -> str:
        token = self._take()
        is_word = token.kind == "word" and not (first_word and token.value.upper() in _RESERVED)
        if not (is_word or token.kind == "name"):
            raise fault(f"a field name is expected here, not {_named(token)}", token.at)
        return check_path(token.value, token.at)

    def _list(self) -> tuple[Scalar, ...]:
        start = self._expect("(", "a list in parentheses")
        values: list[Scalar] = []
        if self._took(")"):
            return ()
        while True:
            values.append(self._value())
            check_list(values, start.at)
            if not self._took(","):
                break
        self._expect(")", "a comma or a closing parenthesis")
        return tuple(values)

    def _ordered(self) -> str | float:
        token = self._peek()
        return check_ordered(self._value(), token.at)

    def _value(self) -> Scalar:
        token = self._take()
        if token.kind == "text":
            return token.value
        if token.kind == "number":
            return _number(token)
        if token.keyword in _CONSTANTS:
            return _CONSTANTS[token.keyword]
        hint = "; a text stands in single quotes" if token.kind in ("name", "word") else ""
        raise fault(f"a value is expected here, not {_named(token)}{hint}", token.at)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        if token.kind != "end":
            self._next += 1
        return token

    def _took(self, wanted: str) -> bool:
        token = self._tokens[self._next]
        if token.keyword == wanted or (token.kind == "sign" and token.value == wanted):
            self._next += 1
            return True
        return False

    def _expect(self, wanted: str, named: str) -> _Token:
        token = self._peek()
        if not self._took(wanted):
            raise fault(f"{named} is expected here, not {_named(token)}", token.at)
        return token


def _number(token: _Token) -> int | float:
    if len(token.value) > _MAX_NUMBER:
        raise fault(f"a number has more than {_MAX_NUMBER} digits", token.at)
    if token.value.lstrip("+-").isdigit():
        return int(token.value)
    return check_number(float(token.value), token.at)


def _named(token: _Token) -> str:
    if token.kind == "end":
        return "the end of the filter"
    shown = token.value if len(token.value) <= 40 else token.value[:40] + "…"
    return {"text": f"the text '{shown}'", "number": f"the number {shown}"}.get(token.kind, repr(shown))
