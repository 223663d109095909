"""MerchandisingService: changes and lists the rules of merchandising."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from chaja.v1 import (
    DeleteRulesRequest,
    DeleteRulesResponse,
    ListRulesRequest,
    ListRulesResponse,
    MerchandisingServiceServicer,
    PutRulesRequest,
    PutRulesResponse,
    RuleResult,
)
from server.call_context import CallContext
from server.catalogue.changes import Outcome
from server.catalogue.rules import DeleteRule, PutRule, RuleKind, StoredRule
from server.engine import EngineSlot
from server.errors import InvalidRequest, UnfitRule, Violation
from server.merchandising.rule import Rule
from server.merchandising.table import MAX_RULES
from server.ranking.rule_warnings import rule_warnings
from server.rpc.background import Background
from server.rpc.limits import RESERVED_BYTES, Limits, check_name, count_violations, name_violations, raise_any
from server.rpc.merchandising_rules import to_message, to_rule
from server.rpc.pages import fitting, id_before, page_token
from server.rpc.wire import ELEMENT_BYTES
from server.writing.reader import Reader
from server.writing.rules import RuleChanges
from server.writing.writer import Writer

KIND = RuleKind.MERCHANDISING


class MerchandisingServicer(MerchandisingServiceServicer):
    """Implements `chaja.v1.MerchandisingService`; the proto file states its contract."""

    def __init__(
        self,
        writer: Callable[[], Writer],
        reader: Callable[[], Reader],
        slot: EngineSlot,
        limits: Limits,
        background: Background,
    ) -> None:
        """Takes functions that return the current writer and reader, or raise NotReady or ReadOnly."""
        self._writer = writer
        self._reader = reader
        self._slot = slot
        self._limits = limits
        self._background = background

    async def PutRules(self, request: PutRulesRequest, context: Any) -> PutRulesResponse:
        """Creates or replaces rules."""
        writer = self._writer()
        rules, changes = await self._background.run_if_large(partial(self._read_rules, request))
        outcomes = await self._change(writer, changes, request.request_id, field="puts")
        named = [(f"puts[{place}].rule", rule) for place, rule in enumerate(rules)]
        state = self._slot.engine.index.state
        warnings = await self._background.run_if_large(partial(rule_warnings, named, state), remote=state.is_remote)
        return PutRulesResponse(results=self._results(outcomes), warnings=warnings)

    async def DeleteRules(self, request: DeleteRulesRequest, context: Any) -> DeleteRulesResponse:
        """Deletes rules."""
        writer = self._writer()
        changes = await self._background.run_if_large(partial(_read_deletes, request))
        outcomes = await self._change(writer, changes, request.request_id, field="deletes")
        return DeleteRulesResponse(results=self._results(outcomes))

    async def ListRules(self, request: ListRulesRequest, context: Any) -> ListRulesResponse:
        """Returns a page of rules."""
        reader = self._reader()
        size = self._limits.page_size(request.page_size)
        after_id = id_before(request.page_token, ListRulesRequest())
        stored = await reader.rules(KIND, after_id=after_id, limit=size + 1)  # One more shows if there is a next page.
        return await self._background.run(partial(self._page, stored, size))

    def _page(self, stored: Sequence[StoredRule], size: int) -> ListRulesResponse:
        messages = (to_message(Rule.read(each.content), each.version) for each in stored[:size])
        rules = fitting(messages, max_response_bytes=self._limits.max_response_bytes)
        token = page_token(rules[-1].id, ListRulesRequest()) if len(rules) < len(stored) else ""
        return ListRulesResponse(rules=rules, next_page_token=token)

    def _read_rules(self, request: PutRulesRequest) -> tuple[list[Rule], list[PutRule]]:
        """Returns the rules of a request, and their writes; raises InvalidRequest, which names each wrong field."""
        raise_any(count_violations("puts", len(request.puts), MAX_RULES))
        violations: list[Violation] = []
        rules: list[Rule] = []
        for position, put in enumerate(request.puts):
            field = f"puts[{position}].rule"
            if (size := put.rule.ByteSize()) > self._limits.max_document_bytes:
                allowed = (
                    f"at most {self._limits.max_document_bytes} are allowed, so that an answer can hold it: split it"
                )
                raise InvalidRequest([Violation(field, f"has {size} bytes as a message; {allowed}")])
            rules.append(to_rule(put.rule, field, violations))
        violations += _version_violations("puts", request)
        violations += _repeated([rule.id for rule in rules], "puts[{}].rule.id")
        raise_any(violations)
        return rules, [
            PutRule(KIND, rule.id, rule.content, put.expected_version if put.HasField("expected_version") else None)
            for rule, put in zip(rules, request.puts, strict=True)
        ]

    def _results(self, outcomes: Sequence[Outcome]) -> list[RuleResult]:
        results = [RuleResult(id=each.id, version=each.version, changed=each.changed) for each in outcomes]
        size_bytes = RESERVED_BYTES + sum(result.ByteSize() + ELEMENT_BYTES for result in results)
        if size_bytes > self._limits.max_response_bytes:  # The changes are made: their results must arrive.
            for result in results:
                result.id = ""
        return results

    @staticmethod
    async def _change(
        writer: Writer, changes: Sequence[PutRule | DeleteRule], request_id: str, *, field: str
    ) -> list[Outcome]:
        if request_id:
            check_name("request_id", request_id)
        try:
            outcomes = await writer.change_rules(RuleChanges(changes), request_id=request_id)
        except UnfitRule as error:
            raise InvalidRequest([Violation(field, str(error))]) from None
        changed = sum(outcome.changed for outcome in outcomes)
        if (call := CallContext.current()) is not None:
            call.count(changed=changed, unchanged=len(outcomes) - changed)
        return outcomes


def _read_deletes(request: DeleteRulesRequest) -> list[DeleteRule]:
    """Returns the deletions of a request; raises InvalidRequest, which names each wrong field."""
    raise_any(count_violations("deletes", len(request.deletes), MAX_RULES))
    violations: list[Violation] = []
    for position, each in enumerate(request.deletes):
        violations += name_violations(f"deletes[{position}].id", each.id)
    violations += _version_violations("deletes", request)
    violations += _repeated([each.id for each in request.deletes], "deletes[{}].id")
    raise_any(violations)
    return [
        DeleteRule(KIND, each.id, each.expected_version if each.HasField("expected_version") else None)
        for each in request.deletes
    ]


def _version_violations(field: str, request: PutRulesRequest | DeleteRulesRequest) -> list[Violation]:
    return [
        Violation(f"{field}[{position}].expected_version", f"is {each.expected_version}; versions are 0 or more")
        for position, each in enumerate(getattr(request, field))
        if each.expected_version < 0
    ]


def _repeated(ids: Sequence[str], field: str) -> list[Violation]:
    """Returns the violations of rules that are there twice."""
    seen: dict[str, int] = {}
    return [
        Violation(field.format(position), f"is that of {field.format(seen[id])}, too: send each rule once")
        for position, id in enumerate(ids)
        if seen.setdefault(id, position) != position
    ]
