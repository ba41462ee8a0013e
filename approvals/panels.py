"""What reviews add to the frame: the count beside Reviews, and open reviews in the palette."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from django.urls import reverse

from approvals import selectors
from approvals.selectors import Segment
from audit.labels import Label
from orchestrator.access import Actor
from orchestrator.web.panels import Badge, Found


def waiting_badge(actor: Actor) -> Badge | None:
    """How many reviews wait for this person."""
    number = selectors.count_mine(actor)
    words = "1 review waits for you" if number == 1 else f"{number} reviews wait for you"
    return Badge(number, words, "person") if number else None


def name_sign_offs(ids: Collection[str]) -> Mapping[str, Label]:
    """What the audit log calls sign-offs: the version, the round, and its latest review."""
    return {
        key: Label(
            f"{task.title}, sign-off {task.sign_off.round}",
            reverse("approvals:review", args=[task.id]),
        )
        for key, task in selectors.reviews_of_sign_offs(ids).items()
        if task.sign_off is not None
    }


def search_reviews(actor: Actor, text: str, limit: int) -> Iterable[Found]:
    """Reviews that wait, for the palette."""
    for task in selectors.list_reviews(actor, segment=Segment.TEAM, text=text)[:limit]:
        yield Found(
            title=task.title or task.question,
            url=reverse("approvals:review", args=[task.id]),
            group="Reviews",
            icon="review",
            note=task.question,
        )
