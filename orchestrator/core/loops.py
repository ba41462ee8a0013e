"""Back links: which links lead forward, which lead back, and whether a loop is sound.

A back link may lead only to a step that *dominates* its source: every way from the start to the
source passes it. Then what lies between the two is one loop with one way in, and taking the link
can start all of it anew without anything half done left outside.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from orchestrator.core.definition import Link, StartStep, WorkflowDefinition


def forward_links(definition: WorkflowDefinition) -> Iterator[Link]:
    """The links that are no back links; they form no cycle in a definition that can run."""
    return (link for link in definition.links.values() if not link.is_back)


def back_links(definition: WorkflowDefinition) -> Iterator[Link]:
    """The back links, in order of their ids."""
    links = definition.links
    return (links[key] for key in sorted(links) if links[key].is_back)


def way_around(definition: WorkflowDefinition, link: Link) -> tuple[str, ...]:
    """A way from the start to a back link's source that does not pass its target.

    Empty when there is none: then the target dominates the source, and the link is allowed.
    """
    targets: dict[str, list[str]] = {}
    for one in forward_links(definition):
        targets.setdefault(one.source, []).append(one.target)
    starts = [key for key, step in definition.steps.items() if isinstance(step, StartStep)]
    came_from: dict[str, str | None] = {key: None for key in starts if key != link.target}
    layer = list(came_from)
    while layer and link.source not in came_from:
        following = []
        for key in layer:
            for target in sorted(targets.get(key, ())):
                if target not in came_from and target != link.target:
                    came_from[target] = key
                    following.append(target)
        layer = following
    return _traced(came_from, link.source) if link.source in came_from else ()


def _traced(came_from: Mapping[str, str | None], end: str) -> tuple[str, ...]:
    way: list[str] = []
    step: str | None = end
    while step is not None:
        way.append(step)
        step = came_from[step]
    return tuple(reversed(way))


def bodies(
    links: Iterable[Link], descendants: Mapping[str, Collection[str]]
) -> dict[str, frozenset[str]]:
    """Per target of back links, the steps that are started anew: itself and all that follows it."""
    return {link.target: frozenset({link.target, *descendants[link.target]}) for link in links}
