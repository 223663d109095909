"""Checks on answers: CEL expressions, such as `hits[0].document_id == "card-lost"`, that hold for a right answer.

The language is Google's Common Expression Language (https://cel.dev), by Google's own implementation: it reads
protobuf messages, and finds misspelled fields and wrong types before the run.
"""

import re
from collections.abc import Iterable, Sequence

from cel_expr_python import cel
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from loadtest.errors import UsageError
from loadtest.requests.descriptors import descriptor_of

MOST_CHECKS = 32
"""Checks of a call: a record has one bit for each."""

ANSWER = "answer"
"""The name of the whole answer in expressions."""

TOKEN = re.compile(
    r"""(?P<text>[bBrR]{0,2}(?P<quote>"{3}|'{3}|"|')(?:\\.|.)*?(?P=quote))"""
    r"""|(?P<number>\d\w*(?:\.\d\w*)?)"""
    r"""|(?P<before>\.\s*|)(?P<name>[A-Za-z_]\w*)(?P<indexes>(?:\.\d+)*)(?P<after>\s*[({:]|)"""
    r"""|(?P<bracket>[\])])(?P<more>(?:\.\d+)+)"""
    r"""|(?P<brace>[{}])""",
    re.DOTALL,
)
KEYWORDS = {"false", "in", "null", "true"}
"""Words of the language; a field with such a name cannot be written."""

VARIABLE = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
"""The variable of a macro, such as `h` in `hits.all(h, h.score > 0.5)`."""

MOST_SHOWN = 300
"""Characters of an expression, and of the reason, in an error."""

ERROR = re.compile(r"ERROR: <input>:\d+:\d+: (.*?)(?: \(in container ''\))?(?: \[[A-Z_]+\])?$", re.MULTILINE)
COMPARED = re.compile(
    r"found no matching overload for '_(?:[<>]=?|[!=]=)_' applied to '\((?:int|uint|double), (?:int|uint|double)\)'"
)
"""The checker's error for a comparison such as `score > 0`; evaluation compares numbers of different types."""


class AnswerChecks:
    """Checks the answers of one method.

    Raises:
        UsageError: An expression is malformed, names no field of the answer, or is not a condition.
    """

    def __init__(self, response_class: type[Message], expressions: Sequence[str]) -> None:
        if len(expressions) > MOST_CHECKS:
            raise UsageError(f"a call has at most {MOST_CHECKS} checks (--check), not {len(expressions)}")
        self._all = (1 << len(expressions)) - 1
        if not expressions:
            return
        descriptor = descriptor_of(response_class)
        variables = {ANSWER: cel.Type(descriptor.full_name)}
        self._environment = cel.NewEnv(descriptor_pool=descriptor.file.pool, variables=variables)
        empty = self._environment.Activation({ANSWER: response_class()})
        self._expressions = [_compiled(self._environment, each, descriptor, empty) for each in expressions]

    def __bool__(self) -> bool:
        """Returns whether there are checks."""
        return self._all != 0

    def failed(self, messages: Iterable[Message]) -> int:
        """Returns the failed checks of an answer: the bit of a check is 1 unless it holds for every message.

        An expression that cannot be evaluated, such as `hits[0]` without hits, fails; so does each without a message.
        """
        failed, empty = 0, True
        for message in messages:
            empty = False
            activation = self._environment.Activation({ANSWER: message})
            for place, expression in enumerate(self._expressions):
                if expression.eval(activation).value() is not True:
                    failed |= 1 << place
        return self._all if empty else failed


def _compiled(environment: cel.Env, expression: str, descriptor: Descriptor, empty: cel.Activation) -> cel.Expression:
    written = _in_full(expression, descriptor)
    troubles = _troubles(environment, written)
    if all(COMPARED.fullmatch(trouble) for trouble in troubles):
        # The negation of a value that is not true or false has one trouble more.
        troubles = _troubles(environment, f"!({written})") if troubles else []
        if all(COMPARED.fullmatch(trouble) for trouble in troubles):
            compiled = environment.compile(written, disable_check=bool(troubles))
            kind = compiled.return_type() if not troubles else cel.Type.BOOL
            if kind == cel.Type.DYN:
                kind = compiled.eval(empty).type()
            if kind in (cel.Type.BOOL, cel.Type.ERROR):
                return compiled
        reason = "its value is not true or false: compare it with something"
    else:
        reason = next(trouble for trouble in troubles if not COMPARED.fullmatch(trouble))
        if "undeclared reference" in reason:
            reason += f"; the answer has {', '.join(descriptor.fields_by_name)}"
    raise UsageError(f"--check {expression[:MOST_SHOWN]!r}: {' '.join(reason.split())[:MOST_SHOWN]}")


def _troubles(environment: cel.Env, written: str) -> list[str]:
    """Returns the errors of an expression."""
    try:
        environment.compile(written)
    except RuntimeError as error:
        return ERROR.findall(str(error)) or [str(error).partition(" [")[0]]
    except TypeError:
        return ["it has characters that are not Unicode"]
    return []


def _in_full(expression: str, descriptor: Descriptor) -> str:
    """Returns the expression with `answer.` before the answer's fields, and `hits[0]` for `hits.0`."""
    is_message = not descriptor.full_name.startswith("google.protobuf.")
    others = {ANSWER, *KEYWORDS, *VARIABLE.findall(expression)}
    fields = set(descriptor.fields_by_name) - others if is_message else set()
    in_messages: list[bool] = []  # Of each open brace: whether it begins a message, as in `Item{id: "a"}`.

    def token(found: re.Match[str]) -> str:
        if found["bracket"]:
            return found["bracket"] + _indexes(found["more"])
        if found["brace"] == "{":
            in_messages.append(False)
        elif found["brace"] and in_messages:
            in_messages.pop()
        if not found["name"]:
            return found[0]
        after = found["after"].strip()
        names_field = after == ":" and in_messages[-1:] == [True]
        if after == "{":
            in_messages.append(True)
        is_field = found["name"] in fields and not found["before"] and after not in ("(", "{") and not names_field
        name = f"{ANSWER}.{found['name']}" if is_field else found["name"]
        return f"{found['before']}{name}{_indexes(found['indexes'])}{found['after']}"

    return TOKEN.sub(token, expression)


def _indexes(path: str) -> str:
    return re.sub(r"\.(\d+)", r"[\1]", path)
