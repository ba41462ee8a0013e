"""The history panel: `{% load audit %}{% audit_history "run" run.id %}` on any object's page.

The page has checked that its reader may read the object; that is all the panel asks for.
"""

from __future__ import annotations

from typing import Any

from django import template

from audit.selectors import history_of
from audit.services import Subject

register = template.Library()


@register.inclusion_tag("audit/history.html")
def audit_history(kind: str, key: object, limit: int = 20) -> dict[str, Any]:
    """Show the latest entries about one object, newest first."""
    return {"history": history_of(Subject(kind, str(key)), limit=limit), "kind": kind, "key": key}


@register.inclusion_tag("audit/parts/actor.html")
def audit_actor(line: Any) -> dict[str, Any]:
    """Show who acted: a person's initials, or the icon of what acted."""
    icons = {"agent": "agent", "service": "key", "system": "settings"}
    return {"line": line, "icon_name": icons.get(line.actor_kind, "")}
