"""Rules for tests."""

from typing import Any

import msgspec

from server.merchandising.rule import Rule


def rule(id: str = "rule", **fields: Any) -> Rule:
    """Returns a canonical rule, which pins a document unless it has another effect."""
    effects = {"pinned_ids", "buried_ids", "buried_if", "boosts"}
    fields = fields if effects & fields.keys() else {"pinned_ids": ["x"], **fields}
    return Rule.read(msgspec.json.encode({"id": id, **fields}))


def boost(attribute: str = "popular", share: float = 0.5, **kind: Any) -> dict[str, Any]:
    """Returns a boost as a rule has it in JSON."""
    return {"attribute": attribute, "share": share, **(kind or {"half_value": 10})}
