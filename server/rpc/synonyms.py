"""SynonymService: changes and lists the rules of synonyms."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from chaja.v1 import (
    ChangeSynonymsRequest,
    ChangeSynonymsResponse,
    ListSynonymsRequest,
    ListSynonymsResponse,
    SynonymRule,
    SynonymServiceServicer,
)
from server.call_context import CallContext
from server.catalogue.rules import DeleteRule, PutRule, RuleKind
from server.engine import EngineSlot
from server.errors import InvalidRequest, UnfitRule, Violation
from server.rpc.background import Background
from server.rpc.limits import Limits, raise_any
from server.rpc.pages import fitting, id_before, page_token
from server.rpc.synonym_messages import rule_message, to_rule
from server.synonyms.entries import place_of
from server.synonyms.rule import Rule
from server.synonyms.table import MAX_RULES, SynonymTable
from server.writing.rules import RuleChanges
from server.writing.writer import Writer


class SynonymServicer(SynonymServiceServicer):
    """Implements `chaja.v1.SynonymService`; the proto file states its contract."""

    def __init__(self, writer: Callable[[], Writer], slot: EngineSlot, limits: Limits, background: Background) -> None:
        """Takes a function that returns the current writer, or raises NotReady or ReadOnly."""
        self._writer = writer
        self._slot = slot
        self._limits = limits
        self._background = background

    async def ChangeSynonyms(self, request: ChangeSynonymsRequest, context: Any) -> ChangeSynonymsResponse:
        """Adds and removes rules."""
        writer = self._writer()
        changes = await self._background.run_if_large(partial(_read_changes, request))
        try:
            outcomes = await writer.change_rules(changes)
        except UnfitRule as error:
            raise InvalidRequest([Violation("add", str(error))]) from None
        added = sum(outcome.changed for outcome in outcomes[: len(request.add)])
        removed = sum(outcome.changed for outcome in outcomes[len(request.add) :])
        if (call := CallContext.current()) is not None:
            call.count(changed=added + removed, unchanged=len(outcomes) - added - removed)
        state = self._slot.engine.index.state
        return ChangeSynonymsResponse(
            added_count=added,
            removed_count=removed,
            rule_count=len(state.rules.synonyms),
            sequence=state.sequence,
        )

    async def ListSynonyms(self, request: ListSynonymsRequest, context: Any) -> ListSynonymsResponse:
        """Returns a page of rules."""
        table = self._slot.engine.index.state.rules.synonyms
        size = self._limits.page_size(request.page_size)
        return await self._background.run(partial(self._page, table, request.page_token, size))

    def _page(self, table: SynonymTable, token: str, size: int) -> ListSynonymsResponse:
        begin = _begin_of(table.rules, token)
        messages = map(rule_message, table.rules[begin : begin + size])
        rules = fitting(messages, max_response_bytes=self._limits.max_response_bytes)
        end = begin + len(rules)
        token = page_token(table.rules[end - 1].text, ListSynonymsRequest()) if end < len(table.rules) else ""
        return ListSynonymsResponse(rules=rules, next_page_token=token, rule_count=len(table))


def _read_changes(request: ChangeSynonymsRequest) -> RuleChanges:
    """Returns the changes that a request asks for: first the added rules, then the removed ones.

    Raises InvalidRequest, which names each wrong field.
    """
    violations = [
        Violation(field, f"has {len(messages)} elements; at most {MAX_RULES} are allowed: split the call")
        for field, messages in (("add", request.add), ("remove", request.remove))
        if len(messages) > MAX_RULES
    ]
    if not (request.add or request.remove or request.replace_all):
        violations.append(Violation("add", "is empty, as `remove` is: send at least one rule"))
    if request.remove and request.replace_all:
        violations.append(Violation("remove", "is set together with replace_all, which removes all other rules"))
    raise_any(violations)
    added = _read_rules("add", request.add, violations)
    removed = _read_rules("remove", request.remove, violations)
    raise_any(violations)
    both = set(added).intersection(removed)
    raise_any(
        [
            Violation(f"remove[{position}]", "is also in `add`: send it in one of them")
            for position, rule in enumerate(removed)
            if rule in both
        ]
    )
    return RuleChanges(
        [
            *(PutRule(RuleKind.SYNONYM, rule.id, rule.text.encode()) for rule in added),
            *(DeleteRule(RuleKind.SYNONYM, rule.id) for rule in removed),
        ],
        replaced=RuleKind.SYNONYM if request.replace_all else None,
    )


def _read_rules(field: str, messages: Sequence[SynonymRule], violations: list[Violation]) -> list[Rule]:
    """Returns the valid rules, and appends the violations of the others."""
    rules = []
    for position, message in enumerate(messages):
        try:
            rules.append(to_rule(message, field=f"{field}[{position}]"))
        except InvalidRequest as error:
            violations += error.violations
    return rules


def _begin_of(rules: Sequence[Rule], token: str) -> int:
    """Returns the position of the first rule of a page; raises InvalidRequest if the token is wrong."""
    text = id_before(token, ListSynonymsRequest())
    if not text:
        return 0
    try:
        last = Rule.parse(text)
    except UnfitRule:
        last = None
    if last is None:
        raise InvalidRequest([Violation("page_token", "is not a token of this service: start with the first page")])
    return bisect_right(rules, place_of(last), key=place_of)
