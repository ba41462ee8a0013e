"""Template tags of the design system; loaded as builtins, so no template needs `{% load %}`."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django import template
from django.template.base import NodeList, Parser, Token
from django.template.context import Context
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString

from orchestrator.access import Role
from orchestrator.web.frame import initials_of

register = template.Library()


@dataclass(frozen=True, slots=True)
class Look:
    """How a status is shown: tone, shape and word, always the three together."""

    tone: str
    shape: str
    word: str


LOOKS: Final[Mapping[str, Look]] = {
    "pending": Look("idle", "pending", "Pending"),
    "ready": Look("idle", "pending", "Ready"),
    "leased": Look("busy", "running", "Running"),
    "running": Look("busy", "running", "Running"),
    "waiting": Look("person", "waiting", "Waiting"),
    "waiting_person": Look("person", "waiting", "Waiting for a person"),
    "waiting_timer": Look("caution", "late", "Waiting to retry"),
    "paused": Look("idle", "paused", "Paused"),
    "succeeded": Look("good", "succeeded", "Succeeded"),
    "failed": Look("bad", "failed", "Failed"),
    "timed_out": Look("bad", "failed", "Timed out"),
    "abandoned": Look("caution", "caution", "Abandoned"),
    "skipped": Look("idle", "skipped", "Skipped"),
    "cancelled": Look("idle", "cancelled", "Cancelled"),
    "rolling_back": Look("busy", "running", "Rolling back"),
    "rolled_back": Look("caution", "removed", "Rolled back"),
    "compensated": Look("caution", "removed", "Compensated"),
    "draft": Look("idle", "draft", "Draft"),
    "in_review": Look("person", "in-review", "In review"),
    "approved": Look("good", "fits", "Approved"),
    "active": Look("good", "active", "Active"),
    "suspended": Look("bad", "misfit", "Suspended"),
    "deprecated": Look("caution", "late", "Deprecated"),
    "retired": Look("idle", "retired", "Retired"),
    "open": Look("person", "waiting", "Open"),
    "claimed": Look("person", "in-review", "Claimed"),
    "decided": Look("good", "succeeded", "Decided"),
    "expired": Look("caution", "late", "Expired"),
    "withdrawn": Look("idle", "cancelled", "Withdrawn"),
    "rejected": Look("bad", "failed", "Rejected"),
    "returned": Look("caution", "late", "Returned"),
    "edited": Look("good", "changed", "Approved with edits"),
    "chosen": Look("good", "fits", "Chosen"),
    "filled": Look("good", "fits", "Filled in"),
    "adjudicated": Look("good", "fits", "Adjudicated"),
    "fits": Look("good", "fits", "Fits"),
    "repaired": Look("caution", "changed", "Repaired"),
    "refused": Look("bad", "misfit", "Refused"),
    "does_not_fit": Look("bad", "misfit", "Does not fit"),
    "may_not_fit": Look("caution", "caution", "May not fit"),
    "cannot_tell": Look("caution", "unknown", "Cannot tell"),
    "none": Look("idle", "retired", "Without a contract"),
    "leads_only": Look("idle", "pending", "Leads only"),
    "uncertain": Look("caution", "unknown", "Uncertain"),
    "not_found": Look("caution", "unknown", "Not found"),
    "signed": Look("good", "succeeded", "Signed"),
    "void": Look("caution", "caution", "Void"),
    "added": Look("good", "added", "Added"),
    "changed": Look("caution", "changed", "Changed"),
    "removed": Look("bad", "removed", "Removed"),
    "layout": Look("idle", "pending", "Layout only"),
    "field": Look("idle", "retired", "Field"),
    "valid": Look("good", "fits", "Valid"),
    "ended": Look("idle", "retired", "Ended"),
    "revoked": Look("idle", "cancelled", "Revoked"),
    "disabled": Look("idle", "retired", "Disabled"),
    "verified": Look("good", "fits", "Verified"),
    "warning": Look("caution", "caution", "Warning"),
    "error": Look("bad", "misfit", "Error"),
    "info": Look("idle", "retired", "Note"),
}

NOTHING: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SYMBOLS: Final = {"EUR": "€", "USD": "$", "GBP": "£", "CHF": "CHF ", "JPY": "¥"}
_WHOLE_UNITS: Final = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"})
_THOUSANDTHS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "OMR", "TND"})
_SHOWN_CONTROLS: Final = frozenset("\n\t")


@register.simple_tag
def icon(name: str, size: str = "", label: str = "") -> SafeString:
    """Draw an icon of the sprite; `size` is `s` or `l`; without a label it is decoration."""
    classes = "icon" + (f" icon--{size}" if size else "")
    return _use(f"i-{name}", classes, "16", label)


@register.simple_tag
def state_icon(shape: str, label: str = "") -> SafeString:
    """Draw a state's shape; only the running one turns."""
    classes = "state-icon spin" if shape == "running" else "state-icon"
    return _use(f"s-{shape}", classes, "16", label)


@register.simple_tag
def state_shape(status: object) -> SafeString:
    """Draw the shape of a status, at rest, where its word stands beside it anyway."""
    return _use(f"s-{look_of(status).shape}", "state-icon", "16", "")


@register.simple_tag
def pattern(name: str) -> SafeString:
    """Draw the small picture of a workflow pattern."""
    return format_html(
        '<svg class="pattern" viewBox="0 0 176 56" aria-hidden="true"><use href="{}#p-{}"/></svg>',
        static("web/icons.svg"),
        name,
    )


@register.simple_tag
def state(status: object, word: str = "", kind: str = "state") -> SafeString:
    """Show a status by shape, word and colour; `kind` is `state`, or `badge` (filled)."""
    look = look_of(status)
    return format_html(
        '<span class="{} tone-{}">{}{}</span>',
        kind,
        look.tone,
        state_icon(look.shape),
        word or look.word,
    )


def look_of(status: object) -> Look:
    """Return how a status is shown; an unknown one says its own name."""
    text = str(getattr(status, "value", status))
    return LOOKS.get(text) or Look("idle", "unknown", text.replace("_", " ").capitalize())


@register.filter
def role_label(role: object) -> str:
    """Return a role's name for people."""
    text = str(role)
    return Role(text).label if text in set(Role) else text


@register.filter
def tone(status: object) -> str:
    """Return the tone of a status."""
    return look_of(status).tone


@register.simple_tag
def avatar(name: str, size: str = "") -> SafeString:
    """Draw a person's initials."""
    extra = f" avatar--{size}" if size else ""
    return format_html(
        '<span class="avatar{}" aria-hidden="true">{}</span>', extra, initials_of(str(name))
    )


def _use(symbol: str, classes: str, box: str, label: str) -> SafeString:
    named = (
        format_html('role="img" aria-label="{}"', label)
        if label
        else SafeString('aria-hidden="true"')
    )
    return format_html(
        '<svg class="{}" viewBox="0 0 {} {}" {}><use href="{}#{}"/></svg>',
        classes,
        box,
        box,
        named,
        static("web/icons.svg"),
        symbol,
    )


@register.simple_tag
def time(value: datetime | None, style: str = "relative") -> SafeString:
    """Show an instant: relative with the exact one on hover, or `exact`, or `clock`."""
    if value is None:
        return format_html('<span class="subtle">{}</span>', NOTHING)
    local = timezone.localtime(value)
    exact = f"{local.day} {local:%b %Y, %H:%M:%S} {local:%Z}"
    if style == "exact":
        text = f"{local.day} {local:%b %Y, %H:%M:%S}"
    elif style == "clock":
        text = f"{local:%H:%M:%S}"
    else:
        text = relative(value, timezone.now())
    live = SafeString(" data-relative") if style == "relative" else ""
    return format_html(
        '<time class="num" datetime="{}" title="{}"{}>{}</time>',
        value.isoformat(),
        exact,
        live,
        text,
    )


def relative(value: datetime, now: datetime) -> str:
    """Return an instant in words as seen from now: `3 min ago`, `in 2 h`, `yesterday`, `2 Nov`."""
    seconds = (now - value).total_seconds()
    past, size = seconds >= 0, abs(seconds)
    if size < 10:
        return "now" if past else "in a moment"
    for limit, unit, name in ((_MINUTE, 1, "s"), (_HOUR, _MINUTE, "min"), (_DAY, _HOUR, "h")):
        if size < limit:
            amount = f"{int(size // unit)} {name}"
            return f"{amount} ago" if past else f"in {amount}"
    local, today = timezone.localtime(value), timezone.localtime(now)
    days = (today.date() - local.date()).days
    if days in {1, -1}:
        return "yesterday" if past else f"tomorrow {local:%H:%M}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {local:%b}{year}"


@register.filter
def duration(seconds: float | None) -> str:
    """Return a length of time for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`, `3 d 1 h`."""
    if seconds is None:
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    units = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))
    for index, (size, name) in enumerate(units):
        if whole >= size:
            first, rest = divmod(whole, size)
            if index + 1 < len(units):
                second = rest // units[index + 1][0]
                tail = f" {second} {units[index + 1][1]}" if second else ""
                return f"{first} {name}{tail}"
            return f"{first} {name}"
    return "0 s"


@register.filter
def milliseconds(span_ms: float | None) -> str:
    """Return a short length of time for people: `7.3 ms`, `264 ms`; from a second as `duration`."""
    if span_ms is None:
        return NOTHING
    if span_ms >= 1_000:
        return duration(span_ms / 1_000)
    return f"{span_ms:.1f} ms" if span_ms < 100 else f"{span_ms:.0f} ms"


@register.simple_tag
def money(value: Any) -> SafeString:
    """Show a Money object, `{"minor": 124000, "currency": "EUR"}`, with its currency."""
    return format_html('<span class="num money">{}</span>', money_text(value))


def money_text(value: Any) -> str:
    """Return a Money object as `€1,240.00`; anything else stays as it is."""
    if value is None:
        return NOTHING
    minor = value.get("minor") if isinstance(value, Mapping) else None
    if not isinstance(minor, int) or isinstance(minor, bool):
        return visible(value)
    currency = str(value.get("currency", ""))
    places = places_of(currency)
    sign = MINUS if minor < 0 else ""
    symbol = _SYMBOLS.get(currency, f"{visible(currency)} ")
    return f"{sign}{symbol}{Decimal(abs(minor)).scaleb(-places):,.{places}f}"


def places_of(currency: str) -> int:
    """Return how many decimal places a currency has (ISO 4217)."""
    if currency in _WHOLE_UNITS:
        return 0
    return 3 if currency in _THOUSANDTHS else 2


@register.filter
def number(value: Any) -> str:
    """Return a whole number with separators: `1,284`."""
    return f"{value:,}" if isinstance(value, int | float) else NOTHING


@register.filter
def file_size(size_bytes: int | None) -> str:
    """Return a size: `412 kB`, `1.2 MB`."""
    if size_bytes is None:
        return NOTHING
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.0f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


@register.simple_tag
def short_id(value: object, words: str = "id") -> SafeString:
    """Show the last eight characters of an id, the whole one on hover, and a copy button."""
    text = str(value)
    brief = text.replace("-", "")[-8:] if _is_uuid(text) else text[:12]
    return format_html(
        '<span class="id" title="{0}">{1}<copy-button><button class="icon-button icon-button--s" '
        'type="button" data-copy="{0}" aria-label="Copy {2} {1}">{3}</button></copy-button></span>',
        text,
        brief,
        words,
        icon("copy", "s"),
    )


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@register.filter(is_safe=False)
def outside(value: object) -> SafeString:
    """Show text from outside as text: controls and direction marks become visible marks."""
    text = conditional_escape(str(value))
    if all(char.isprintable() or char in _SHOWN_CONTROLS for char in str(value)):
        return SafeString(f"<bdi>{text}</bdi>")
    marked = "".join(
        char if not _is_hidden(char) else f'<span class="hidden-char">{_name_of(char)}</span>'
        for char in text
    )
    return SafeString(f"<bdi>{marked}</bdi>")


@register.filter
def visible(value: object) -> str:
    """Return text in which hidden characters are written as `[U+202E]`; for attributes."""
    return "".join(_name_of(char) if _is_hidden(char) else char for char in str(value))


def _is_hidden(char: str) -> bool:
    return char not in _SHOWN_CONTROLS and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co"}


def _name_of(char: str) -> str:
    return f"[U+{ord(char):04X}]"


class _TitleNode(template.Node):
    """Renders the title once, for <title>, and keeps it for the heading."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        text = SafeString(self.nodelist.render(context).strip())  # strip forgets that it is safe
        context.dicts[0]["page_title"] = text
        return text


@register.tag
def page_title(parser: Parser, token: Token) -> _TitleNode:
    """Keep what is inside as `page_title`, so that a page writes its title once."""
    assert token.contents == "page_title", "page_title takes no argument"
    nodelist = parser.parse(("endpage_title",))
    parser.delete_first_token()
    return _TitleNode(nodelist)


@register.simple_tag(takes_context=True)
def with_query(context: Context, **changes: object) -> str:
    """Return this page's query with some values changed; an empty one is left out."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        if value in ("", None):
            query.pop(name, None)
        else:
            query[name] = str(value)
    encoded = query.urlencode()
    return f"?{encoded}" if encoded else "?"


@register.simple_tag
def list_link(shown: Any, query: str) -> SafeString:
    """Return the attributes of a link that swaps a list in place and works without script."""
    return format_html(
        'href="{0}" hx-get="{0}" hx-target="#{1}" hx-swap="outerMorph" hx-push-url="true" '
        'hx-indicator="#{1} .list__loading"',
        f"{shown.path}{query}",
        shown.element,
    )


@register.filter
def get(mapping: Mapping[Any, Any], key: Any) -> Any:
    """Return `mapping[key]`, None without it."""
    return mapping.get(key) if isinstance(mapping, Mapping) else None


@register.filter
def plain_date(value: date | str | None) -> str:
    """Return a date as `20 Nov 2026`."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return visible(value)
    return f"{value.day} {value:%b %Y}" if value else NOTHING
