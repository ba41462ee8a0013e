"""Test runs: a draft as it is, no effects, on both databases."""

import json

import pytest

from approvals.models import ReviewTask
from audit.models import AuditOutbox
from designer import selectors as designer
from designer import services as design
from designer.models import WorkflowVersion
from orchestrator.access import SYSTEM
from orchestrator.core.errors import InvalidInputError, PermissionDeniedError
from orchestrator.runs import selectors, services
from orchestrator.runs.models import DefinitionSnapshot, Run, StepRun
from orchestrator.runs.trials import NotTriableError
from orchestrator.runs.walker import walk
from registry import services as registry
from registry.lifecycle import AgentVersionEvent
from registry.models import AgentVersion
from registry.selectors import AgentNotUsableError
from tests import fake_agents
from tests.integration.runs.world import (
    agent,
    chain,
    decide,
    definition,
    invariants,
    now,
    review_of,
    stored_and_replayed,
    with_gate,
)

MANIFEST = {
    "kind": "function",
    "purpose": "Answers as the test says.",
    "input": fake_agents.INPUT,
    "output": fake_agents.OUTPUT,
    "config": {"function": "fake.scripted"},
}


@pytest.fixture
def draft(world):
    """Makes a workflow with this definition as its draft; gives its slug."""
    count = 0

    def make(document):
        nonlocal count
        count += 1
        design.create_workflow(
            slug=f"draft-{count}",
            workspace_id=world.workspace.id,
            owner_id=world.author.id,
            definition=document,
            actor=world.owner,
            now=now(),
        )
        return f"draft-{count}"

    return make


def try_it(world, slug, **more):
    more.setdefault("actor", world.owner)
    return services.start_run(
        workflow_slug=slug, input={"text": "hello"}, mode="test", now=now(), **more
    )


def save(world, slug, document):
    workflow = designer.get_workflow(slug)
    version = workflow.versions.get(status="draft")
    return design.save_draft(
        slug=slug, definition=document, revision=version.revision, actor=world.owner, now=now()
    )


def steps_of(run):
    return set(StepRun.objects.filter(run_id=run.id).values_list("step", flat=True))


def test_a_test_run_walks_the_draft_to_its_end(world, doorbells, draft):
    run = try_it(world, draft(chain("a", "b")))
    assert (run.mode, run.version.status) == ("test", "draft")
    assert walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.outcome) == ("succeeded", "done")
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert not invariants()


def test_a_test_run_keeps_the_definition_that_it_began_with(world, doorbells, draft):
    slug = draft(chain("a", "b"))
    run = try_it(world, slug)
    save(world, slug, chain("c"))
    assert walk(run.id)
    assert steps_of(run) == {"start", "a", "b", "done"}
    snapshot = selectors.run_snapshot(run.id, world.owner)
    assert set(snapshot["steps"]) == {"start", "a", "b", "done"}
    assert snapshot["workflow"]["is_draft"]
    assert selectors.run_journal(run.id)["events"]
    later = try_it(world, slug)
    assert walk(later.id)
    assert steps_of(later) == {"start", "c", "done"}


def test_what_a_draft_was_is_kept_once_per_content(world, doorbells, draft):
    slug = draft(chain("a"))
    first, second = try_it(world, slug), try_it(world, slug)
    assert first.snapshot_id == second.snapshot_id
    assert DefinitionSnapshot.objects.count() == 1


def test_a_test_run_of_a_workflow_without_a_draft_executes_the_active_version(world, doorbells):
    slug = world.publish(chain("a"))
    run = try_it(world, slug)
    assert run.version.status == "active"
    assert run.snapshot_id is None
    assert walk(run.id)


def test_a_draft_beside_an_active_version_is_what_is_tried_and_not_what_runs(world, doorbells):
    slug = world.publish(chain("a"))
    design.save_draft(slug=slug, definition=chain("b"), revision=0, actor=world.owner, now=now())
    assert try_it(world, slug).version.status == "draft"
    assert world.start(slug).version.status == "active"


def test_a_test_run_calls_agents_that_are_drafts_and_a_live_run_does_not(world, doorbells, draft):
    registry.register_agent(
        slug="young",
        name="Young",
        workspace_id=world.workspace.id,
        owner_id=world.author.id,
        actor=SYSTEM,
        now=now(),
    )
    registry.register_agent_version(
        agent_slug="young", manifest=MANIFEST, actor=SYSTEM, author_id=world.author.id, now=now()
    )
    run = try_it(world, draft(chain("a", uses="young")))
    assert walk(run.id)
    run.refresh_from_db()
    assert run.status == "succeeded"


def test_a_draft_agent_that_was_edited_meanwhile_is_not_called(world, doorbells, draft):
    registry.register_agent(
        slug="young",
        name="Young",
        workspace_id=world.workspace.id,
        owner_id=world.author.id,
        actor=SYSTEM,
        now=now(),
    )
    version = registry.register_agent_version(
        agent_slug="young", manifest=MANIFEST, actor=SYSTEM, author_id=world.author.id, now=now()
    )
    run = try_it(world, draft(chain("a", uses="young")))
    AgentVersion.objects.filter(id=version.id).update(
        manifest={**version.manifest, "purpose": "Does something else."}, sha256="0" * 64
    )
    assert walk(run.id)
    step = StepRun.objects.get(run_id=run.id, step="a")
    assert step.result["reason_code"] == "agent_changed"
    assert "Start the test run again" in step.result["reason"]


def test_a_suspended_agent_is_not_tried(world, doorbells, draft):
    slug = draft(chain("a"))
    version = AgentVersion.objects.get(agent__slug="scripted")
    registry.set_agent_version_status(
        version_id=version.id,
        event=AgentVersionEvent.SUSPEND,
        actor=world.operator,
        reason="why",
        now=now(),
    )
    with pytest.raises(AgentNotUsableError) as caught:
        try_it(world, slug)
    assert caught.value.detail["agents"] == {"scripted@1": "suspended"}


def test_agents_that_change_things_outside_are_refused_and_their_steps_named(world, draft):
    slug = draft(
        definition(
            {"a": agent("a"), "pay": agent("pay", uses="once")},
            [
                "start.next-a",
                "a.next-pay",
                "pay.next-done",
            ],
        )
    )
    with pytest.raises(NotTriableError) as caught:
        try_it(world, slug)
    assert caught.value.detail["steps"] == ["pay"]
    assert "'Pay' calls Once" in caught.value.message
    assert not Run.objects.exists()


def test_a_draft_with_errors_is_refused_with_what_is_wrong(world, draft):
    broken = chain("a")
    broken["steps"]["a"]["input"] = {"text": "input.nothing_of_the_kind.x"}
    slug = draft(broken)
    with pytest.raises(NotTriableError) as caught:
        try_it(world, slug)
    codes = {one["code"] for one in caught.value.detail["findings"]}
    assert "missing_field" in codes
    assert not DefinitionSnapshot.objects.exists()


def test_only_who_may_try_starts_a_test_run(world, draft):
    slug = draft(chain("a"))
    with pytest.raises(PermissionDeniedError):
        try_it(world, slug, actor=world.operator)


def test_the_input_of_a_test_run_must_fit_the_drafts_contract(world, draft):
    slug = draft(chain("a"))
    with pytest.raises(InvalidInputError):
        services.start_run(
            workflow_slug=slug, input={"text": 1}, mode="test", actor=world.owner, now=now()
        )


def test_what_a_test_run_asks_is_marked_and_put_to_business_owners(world, doorbells, draft):
    run = try_it(world, draft(with_gate()))
    assert walk(run.id)
    task = review_of(run)
    assert task.title.startswith("Test run: ")
    assert (task.assign_role, task.excluded_people) == ("business-owner", [])
    decide(world, run, actor=world.owner)
    assert walk(run.id)
    run.refresh_from_db()
    assert run.status == "succeeded"
    assert ReviewTask.objects.get(id=task.id).status == "decided"


def test_test_runs_count_in_no_list_or_figure_of_live_runs(world, doorbells, fakes, draft):
    fakes.script(
        "a",
        {
            "type": "failed",
            "kind": "agent_error",
            "reason_code": "x",
            "reason": "No.",
            "retryable": False,
        },
    )
    document = chain("a")
    document["policies"]["exceptions"]["mode"] = "end"
    run = try_it(world, draft(document))
    assert walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.needs_attention) == ("failed", True)
    assert selectors.count_attention(world.operator) == 0
    assert not selectors.list_runs(world.operator)
    assert not selectors.list_runs(world.operator, attention=True)
    assert [one.id for one in selectors.list_runs(world.operator, mode="test")] == [run.id]
    assert [one.id for one in selectors.list_runs(world.operator, mode="all")] == [run.id]
    assert selectors.figures_of([run.workflow_id], now=now()) == {}
    assert selectors.briefs_of(world.operator, [run])[run.id].failed_step == "a"


def test_the_audit_log_says_that_it_was_a_test(world, doorbells, draft):
    run = try_it(world, draft(chain("a")))
    entry = AuditOutbox.objects.get(action="run.started", run_id=run.id)
    assert json.loads(bytes(entry.envelope))["decision"]["mode"] == "test"


def test_a_failed_test_run_can_be_resumed_on_what_it_began_with(world, doorbells, fakes, draft):
    failed = {
        "type": "failed",
        "kind": "agent_error",
        "reason_code": "x",
        "reason": "No.",
        "retryable": False,
    }
    fakes.script("a", failed, {"type": "value", "output": {"label": "a", "text": "x"}})
    document = chain("a")
    document["policies"]["exceptions"]["mode"] = "end"
    slug = draft(document)
    run = try_it(world, slug)
    assert walk(run.id)
    save(world, slug, chain("c"))
    services.resume_run(run_id=run.id, reason="again", actor=world.operator, now=now())
    assert walk(run.id)
    run.refresh_from_db()
    assert run.status == "succeeded"


def test_a_draft_that_was_discarded_leaves_its_test_runs_readable(world, doorbells, draft):
    slug = draft(chain("a"))
    run = try_it(world, slug)
    assert walk(run.id)
    version = WorkflowVersion.objects.get(workflow__slug=slug)
    design.discard_draft(slug=slug, revision=version.revision, actor=world.owner, now=now())
    assert selectors.run_snapshot(run.id, world.owner)["status"] == "succeeded"
