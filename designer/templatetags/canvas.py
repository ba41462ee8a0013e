"""The built canvas on a page: its style sheet and script, by the names in the bundle's manifest."""

from __future__ import annotations

import json
from functools import cache

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def canvas_style() -> SafeString:
    """Link the canvas's style sheet; for the head of the page."""
    return format_html(
        '<link rel="stylesheet" href="{}">', static(f"canvas/{_manifest()['style']}")
    )


@register.simple_tag
def canvas_script() -> SafeString:
    """Load the canvas; it mounts on `#canvas`."""
    return format_html(
        '<script type="module" src="{}"></script>', static(f"canvas/{_manifest()['script']}")
    )


@cache
def _manifest() -> dict[str, str]:
    path = settings.BASE_DIR / "static" / "canvas" / "manifest.json"
    manifest: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return manifest
