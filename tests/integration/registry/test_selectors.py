"""Lists, catalogue and binding."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orchestrator.core.definition import WorkflowDefinition
from registry import selectors, services
from registry.lifecycle import AgentVersionEvent
from tests.integration.designer.flows import small
from tests.integration.registry.world import NOW, RULES


def names(found):
    return [one.slug for one in found]


def test_lists_show_only_agents_of_own_workspaces(world, other):
    world.agent("ours")
    other.agent("theirs")
    assert names(selectors.list_agents(world.owner)) == ["ours"]
    assert names(selectors.list_agents(other.owner)) == ["theirs"]


def test_search_finds_by_name_purpose_capability_and_owner(world):
    world.agent("size")
    world.agent("other", manifest={**RULES, "purpose": "Reads letters.", "capabilities": ["ocr"]})
    assert names(selectors.list_agents(world.owner, search="letters")) == ["other"]
    assert names(selectors.list_agents(world.owner, search="OCR")) == ["other"]
    assert names(selectors.list_agents(world.owner, search="size")) == ["size"]
    assert names(selectors.list_agents(world.owner, search="Agent Owner")) == ["other", "size"]
    assert names(selectors.list_agents(world.owner, kind="rules")) == ["other", "size"]
    assert names(selectors.list_agents(world.owner, kind="http")) == []
    assert names(selectors.list_agents(world.owner, status="active")) == ["other", "size"]
    assert names(selectors.list_agents(world.owner, status="suspended")) == []
    assert names(selectors.list_agents(world.operator, mine=True)) == []


def test_a_list_costs_the_same_whatever_its_length(world):
    def cost():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            for one in selectors.list_agents(world.owner):
                _ = one.owner.name, one.workspace.name, [v.status for v in one.versions.all()]
        return len(queries)

    world.agent("first")
    few = cost()
    for number in range(5):
        world.agent(f"more-{number}")
        world.version(f"more-{number}")
    assert cost() == few


def test_the_catalogue_holds_what_a_definition_names(world):
    world.agent("size")
    catalogue = selectors.catalogue_for(WorkflowDefinition.model_validate(small()))
    interface = catalogue.agents["size", 1]
    assert (interface.kind, interface.waits, interface.effect) == ("rules", False, "idempotent")
    assert interface.output_schema == RULES["output"]
    assert "Money" in catalogue.types


def test_the_catalogue_brings_the_newest_callable_version_of_one_that_is_named_wrongly(world):
    world.agent("size")
    world.version("size")
    world.version("size", install=False)
    document = small()
    document["steps"]["size"]["uses"]["version"] = 9
    definition = WorkflowDefinition.model_validate(document)
    assert set(selectors.catalogue_for(definition).agents) == {("size", 2)}


def test_an_agent_of_another_workspace_is_not_in_the_catalogue(world, other):
    other.agent("size")
    definition = WorkflowDefinition.model_validate(small())
    found = selectors.catalogue_for(definition, workspace_id=world.workspace.id)
    assert not found.agents
    assert selectors.catalogue_for(definition, workspace_id=other.workspace.id).agents


def test_a_binding_pins_versions_by_id_and_hash(world):
    version = world.agent("size")
    binding = selectors.binding_of(WorkflowDefinition.model_validate(small()))
    assert binding["agents"] == {"size@1": {"id": str(version.id), "sha256": version.sha256}}
    assert len(binding["definition_sha256"]) == 64


@pytest.mark.parametrize("event", [AgentVersionEvent.SUSPEND, None])
def test_a_run_cannot_start_on_a_version_that_may_not_be_called(world, event):
    if event is not None:
        version = world.agent("size")
        services.set_agent_version_status(
            version_id=version.id, event=event, actor=world.operator, now=NOW, reason="why"
        )
    with pytest.raises(selectors.AgentNotUsableError) as refused:
        selectors.binding_of(WorkflowDefinition.model_validate(small()))
    assert refused.value.detail["agents"] == {"size@1": "suspended" if event else "missing"}
