# SPDX-License-Identifier: MIT
"""Filters of Qdrant's REST interface, as JSON, to those of the engine."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import qdrant_edge as edge

from service import Refused


def point_id(value: Any) -> Any:
    return UUID(value) if isinstance(value, str) else value


def filter_of(asked: Any) -> edge.Filter | None:
    """None for no filter. A condition the stand-in does not know is refused, never ignored."""
    if not asked:
        return None
    if unknown := set(asked) - {"must", "should", "must_not"}:
        raise Refused(400, f"the stand-in has no filter with {', '.join(sorted(unknown))}")
    must, should, must_not = (conditions(asked.get(key) or []) for key in ("must", "should", "must_not"))
    return edge.Filter(must=must, should=should, must_not=must_not)


def conditions(asked: Any) -> list[Any]:
    return [condition(one) for one in (asked if isinstance(asked, list) else [asked])]


def condition(asked: dict[str, Any]) -> Any:
    given = {key: value for key, value in asked.items() if value is not None}
    match given:
        case {"key": key, "match": wanted}:
            return edge.FieldCondition(key, match=match_of(wanted))
        case {"key": key, "range": bounds}:
            kind = edge.RangeDateTime if any(isinstance(v, str) for v in bounds.values()) else edge.RangeFloat
            return edge.FieldCondition(key, range=kind(**bounds))
        case {"has_id": ids}:
            return edge.HasIdCondition({point_id(i) for i in ids})
        case {"is_empty": {"key": key}}:
            return edge.IsEmptyCondition(key)
        case {"is_null": {"key": key}}:
            return edge.IsNullCondition(key)
        case {"must": _} | {"should": _} | {"must_not": _}:
            return filter_of(given)
    raise Refused(400, f"the stand-in has no condition with {', '.join(sorted(given))}")


def match_of(wanted: dict[str, Any]) -> Any:
    match wanted:
        case {"value": value}:
            return edge.MatchValue(value)
        case {"any": values}:
            return edge.MatchAny(values)
        case {"except": values}:
            return edge.MatchExcept(values)
        case {"text": text}:
            return edge.MatchText(text)
    raise Refused(400, f"the stand-in has no match with {', '.join(sorted(wanted))}")
