"""Applies the patch of a mending to a document, as a browser does."""

from __future__ import annotations

import copy

from orchestrator.core.definition import WorkflowDefinition


def apply_patch(document, patch):
    """A changed copy; objects on the way of a `set` are made when they are missing."""
    changed = copy.deepcopy(document)
    for step in patch:
        *way, last = [
            part.replace("~1", "/").replace("~0", "~") for part in step.path.split("/")[1:]
        ]
        node = changed
        for part in way:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        if step.op == "remove":
            node.pop(last, None)
        elif isinstance(node, list):
            node[int(last)] = step.value
        else:
            node[last] = step.value
    return changed


def mended(definition, mending):
    """The definition after a mending; it must still be of the right shape."""
    return WorkflowDefinition.model_validate(
        apply_patch(definition.model_dump(mode="json"), mending.patch)
    )
