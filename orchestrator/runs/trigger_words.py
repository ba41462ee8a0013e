"""Triggers in words: when they fire, and what became of what they were told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.conf import settings
from django.urls import reverse

from designer.words import seconds_words
from orchestrator.core.definition import Trigger as TriggerDefinition
from orchestrator.runs.models import Trigger
from orchestrator.web.templatetags.baton import Look

FIRING_LOOKS: Final[Mapping[str, Look]] = {
    "received": Look("busy", "pending", "Received"),
    "gathering": Look("idle", "late", "Gathered"),
    "parked": Look("caution", "late", "Parked"),
    "started": Look("good", "succeeded", "Started a run"),
    "merged": Look("good", "succeeded", "Taken together"),
    "suppressed": Look("idle", "skipped", "Suppressed"),
    "failed": Look("bad", "failed", "Failed"),
}
EVENT_LOOKS: Final[Mapping[str, Look]] = {
    "received": Look("busy", "pending", "Received"),
    "delivered": Look("good", "succeeded", "Delivered"),
    "parked": Look("caution", "late", "Parked"),
    "unheard": Look("idle", "skipped", "Unheard"),
}
STATUS_LOOKS: Final[Mapping[str, Look]] = {
    "active": Look("good", "succeeded", "Active"),
    "paused": Look("idle", "paused", "Paused"),
    "removed": Look("idle", "cancelled", "Removed"),
}
REFUSAL_WORDS: Final[Mapping[str, str]] = {
    "unsigned": "without a signature",
    "wrong_signature": "with a wrong signature",
    "out_of_time": "signed too long ago",
    "not_json": "not JSON",
    "too_large": "too large",
    "bad_event_id": "with an event id that cannot be one",
}


def rule_words(definition: TriggerDefinition) -> list[str]:
    """What it does beside: filter, de-duplication, coalescing, limit, schema versions."""
    words: list[str] = []
    if definition.filter is not None:
        words.append(f"Only when {definition.filter}")
    if definition.schemas:
        words.append(f"Only of schema {', '.join(definition.schemas)}")
    if definition.deduplicate is not None:
        rule = definition.deduplicate
        words.append(f"Once for the same {rule.key} within {seconds_words(rule.window_seconds)}")
    if definition.coalesce is not None:
        gathered = definition.coalesce
        kept = "the latest counts" if gathered.keep == "latest" else "as one list"
        words.append(f"Gathered for {seconds_words(gathered.window_seconds)}, {kept}")
    if definition.limit is not None:
        over = "the rest waits" if definition.limit.overflow == "park" else "the rest is dropped"
        words.append(f"At most {definition.limit.per_minute} a minute, {over}")
    return words


def address_of(trigger: Trigger) -> str:
    """Where a webhook's requests go."""
    path = reverse("runs:hook", args=[trigger.address])
    return f"{settings.BATON_URL.rstrip('/')}{path}"
