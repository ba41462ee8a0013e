"""Puts the canvas island on a page: `{% canvas_style %}` in the head, `{% canvas ... %}` in the body.

The island is told what to show by a JSON block and data attributes (`designer/canvas/src/main.tsx`).
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

BLOCK: Final = "canvas-data"


@lru_cache(maxsize=1)
def _manifest() -> dict[str, str]:
    path = settings.BASE_DIR / "static" / "canvas" / "manifest.json"
    manifest: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


@register.simple_tag
def canvas_style() -> SafeString:
    """Link the island's style sheet."""
    address = static(f"canvas/{_manifest()['style']}")
    return format_html('<link rel="stylesheet" href="{}">', address)


@register.inclusion_tag("web/canvas.html")
def canvas(
    view: str, data: Any, *, selected: str = "", api: str = "", topic: str = "", beside: str = ""
) -> dict[str, Any]:
    """Mount the island.

    `view` is `run` or `design`; `data` its first picture; `api` and `topic` where a run's next
    pictures come from; `beside` the id of an element that lies over the canvas at its left.
    """
    return {
        "view": view,
        "data": data,
        "block": BLOCK,
        "selected": selected,
        "api": api,
        "topic": topic,
        "beside": beside,
        "script": static(f"canvas/{_manifest()['script']}"),
        "sprite": static("web/icons.svg"),
    }
