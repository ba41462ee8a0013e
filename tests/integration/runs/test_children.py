"""Runs that steps of runs start: once each, with lineage both ways, following their parent."""

import pytest

from audit.models import AuditOutbox
from audit.selectors import content_of
from designer import selectors as designs
from designer import services as designer
from orchestrator.core.errors import ConflictError
from orchestrator.core.progress import child_id
from orchestrator.runs import selectors, services
from orchestrator.runs.models import ChildRun, InboxEvent, Run, RunDetail, StepRun
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    chain,
    decide,
    definition,
    invariants,
    now,
    status_of,
    steps_of,
    stored_and_replayed,
)
from tests.signing import sign

ENDS = {"done": "success", "broken": "failure"}


def running(slug, **more):
    """start → w, which runs the workflow, → done; failed → bad."""
    step = {
        "kind": "workflow",
        "name": "Inner",
        "uses": {"workflow": slug, "version": 1},
        "outcomes": ENDS,
        "input": {"text": "input.text"},
        **more,
    }
    steps = {"w": step, "bad": {"kind": "end", "name": "Bad", "outcome": "broken"}}
    port = "next" if more.get("detached") else "done"
    return definition(steps, ["start.next-w", f"w.{port}-done", "w.failed-bad"])


def child_of(run, iteration=1):
    return Run.objects.get(id=child_id(str(run.id), "w", iteration))


def go_on(*runs):
    """Walk runs until none of them has anything to do."""
    for _ in range(20):
        busy = list(Run.objects.filter(rung_at__isnull=False))
        if not busy:
            return
        for run in busy:
            walk(run.id)


def begun(world, document, **more):
    run = world.start(running(world.publish(document), **more), text="o-7")
    go_on()
    return run


@pytest.fixture
def inner(world, doorbells, fakes):
    return world.publish(chain("a"))


@pytest.mark.parametrize("document", [chain("a"), definition({}, ["start.next-done"])])
def test_the_childs_end_lets_the_parent_go_on(world, doorbells, fakes, document):
    run = begun(world, document)
    child = child_of(run)
    assert (status_of(child), status_of(run)) == ("succeeded", "succeeded")
    assert StepRun.objects.get(run=run, step="w").output == {"text": "o-7"}
    assert ChildRun.objects.get().status == "started"
    assert InboxEvent.objects.filter(run=run).count() == 1
    detail = RunDetail.objects.get(run=child)
    assert detail.started_by == RunDetail.objects.get(run=run).started_by
    assert detail.binding["parent"]["run"] == str(run.id)
    for one in (run, child):
        stored, replayed = stored_and_replayed(one)
        assert stored == replayed
    assert invariants() == {}


def test_the_child_is_started_once_whoever_looks(world, inner, monkeypatch):
    monkeypatch.setattr(services, "start_children", lambda *_, **__: 0)
    run = world.start(running(inner), text="o-7")
    walk(run.id)
    assert not Run.objects.filter(workflow__slug=inner).exists()
    assert status_of(run) == "waiting"
    assert invariants() == {}
    monkeypatch.undo()
    assert services.start_children(now()) == 1
    assert services.start_children(now()) == 0
    go_on()
    assert Run.objects.filter(workflow__slug=inner).count() == 1
    assert status_of(run) == "succeeded"


def test_who_goes_on_is_rung_for_before_runs_that_begin(world, inner, monkeypatch):
    rung = []
    monkeypatch.setattr(
        services, "ring", lambda one, *, first=False, **_: rung.append((one, first))
    )
    run = world.start(running(inner), text="o-7")
    walk(run.id)
    child = child_of(run)
    walk(child.id)
    assert rung == [(run.id, False), (child.id, False), (run.id, True)]


def test_a_child_does_not_begin_under_a_parent_that_was_paused_meanwhile(world, inner, monkeypatch):
    monkeypatch.setattr(services, "start_children", lambda *_, **__: 0)
    run = world.start(running(inner), text="o-7")
    walk(run.id)
    child = ChildRun.objects.select_related("parent").get()
    services.pause_run(run_id=run.id, reason="Wait.", actor=world.operator, now=now())
    go_on()
    services._start_child(child, now())  # which was looked at before the pause
    assert ChildRun.objects.get().status == "wanted"
    monkeypatch.undo()
    services.continue_run(run_id=run.id, reason="On.", actor=world.operator, now=now())
    go_on()
    services.start_children(now())
    go_on()
    assert status_of(run) == "succeeded"
    assert invariants() == {}


def test_a_lost_end_is_told_by_the_inbox_alone(world, inner, monkeypatch):
    run = world.start(running(inner), text="o-7")
    walk(run.id)
    monkeypatch.setattr(services, "ring", lambda *_, **__: None)
    walk(child_of(run).id)
    run.refresh_from_db()
    assert (run.status, run.inbox_seq) == ("waiting", 1)
    assert run.rung_at is not None
    walk(run.id)
    assert status_of(run) == "succeeded"


def test_a_child_that_fails_is_an_exception_and_is_tried_again_as_another_run(
    world, doorbells, fakes
):
    fakes.script(
        "a",
        {"type": "failed", "kind": "agent_error", "reason_code": "no", "reason": "No.",
         "retryable": False},
        {"type": "value", "output": {"label": "a", "text": "x"}},
    )  # fmt: skip
    document = chain("a")
    document["policies"]["exceptions"]["mode"] = "end"
    parent = running(world.publish(document))
    parent["links"].pop("w.failed-bad")
    parent["steps"].pop("bad")
    run = world.start(parent, text="o-7")
    go_on()
    assert status_of(child_of(run)) == "failed"
    assert steps_of(run)["w"] == "waiting"
    row = StepRun.objects.get(run=run, step="w")
    assert (row.waiting_for, row.result["reason_code"]) == ("exception", "child_failed")
    decide(world, run, "chosen", kind="exception", choice="retry")
    go_on()
    assert status_of(child_of(run, 2)) == "succeeded"
    assert status_of(run) == "succeeded"
    assert invariants() == {}


def test_cancel_pause_and_continue_reach_the_child_and_its_child(world, doorbells, fakes):
    gate = {"kind": "wait", "name": "Wait", "awaits": {"type": "duration", "seconds": 3_600}}
    deepest = world.publish(definition({"g": gate}, ["start.next-g", "g.next-done"]))
    middle = world.publish(running(deepest))
    run = world.start(running(middle), text="o-7")
    go_on()
    family = [run, child_of(run), child_of(child_of(run))]
    assert {status_of(one) for one in family} == {"waiting"}

    def ask(what):
        what(run_id=run.id, reason="Because.", actor=world.operator, now=now())
        go_on()
        return [status_of(one) for one in family]

    assert ask(services.pause_run) == ["paused"] * 3
    assert ask(services.continue_run) == ["waiting"] * 3
    assert ask(services.cancel_run) == ["cancelled"] * 3
    asked = AuditOutbox.objects.filter(action="run.cancel_requested")
    assert {row.run_id for row in asked} == {one.id for one in family}
    assert invariants() == {}


def test_a_detached_child_goes_on_alone(world, doorbells, fakes):
    run = begun(world, chain("a"), detached=True)
    child = child_of(run)
    assert (status_of(run), status_of(child)) == ("succeeded", "succeeded")
    assert StepRun.objects.get(run=run, step="w").output == {"run": str(child.id)}
    assert not InboxEvent.objects.filter(run=run).exists()


def test_what_cannot_start_fails_the_step_with_the_reason(world, inner):
    slug = world.publish(running(inner))
    held = pytest.MonkeyPatch()
    held.setattr(services, "start_children", lambda *_, **__: 0)
    run = world.start(slug, text="o-7")
    held.undo()
    designer.archive_workflow(slug=inner, actor=world.owner, now=now(), reason="Over.")
    services.start_children(now())
    go_on()
    assert status_of(run) == "failed"
    assert AuditOutbox.objects.filter(action="run.child_refused", run_id=run.id).count() == 1
    row = StepRun.objects.get(run=run, step="w")
    assert row.result["reason_code"] == "child_not_started"
    assert "takes no new runs" in row.result["reason"]


def test_a_test_run_starts_test_runs_without_effects(world, inner):
    slug = world.publish(running(inner))
    run = services.start_run(
        workflow_slug=slug, input={"text": "o"}, mode="test", actor=world.owner, now=now()
    )
    go_on()
    assert child_of(run).mode == "test"
    assert status_of(run) == "succeeded"
    writing = world.publish(chain("b", uses="once"))
    run = services.start_run(
        workflow_slug=world.publish(running(writing)),
        input={"text": "o"},
        mode="test",
        actor=world.owner,
        now=now(),
    )
    go_on()
    assert StepRun.objects.get(run=run, step="w").result["reason_code"] == "child_not_started"
    assert not Run.objects.filter(workflow__slug=writing).exists()


def test_a_sign_off_binds_the_workflows_that_are_run_at_any_depth(world, inner):
    middle = world.publish(running(inner))
    outer = world.publish(running(middle))
    version = designs.active_version(designs.get_workflow(outer))
    reached = designs.reached_by(designs.definition_of(version))
    assert [one.workflow.slug for one in reached.direct] == [middle]
    members = designs.closure_of(version, [], reached, types=version.types)
    assert [one.title for one in members if one.kind == "agent_version"] == ["Scripted v1"]
    assert sum(one.kind == "workflow_version" for one in members) == 3
    designer.archive_workflow(slug=inner, actor=world.owner, now=now(), reason="Over.")
    with pytest.raises(ConflictError, match="is archived"):
        services.start_run(
            workflow_slug=outer, input={"text": "o"}, actor=world.operator, now=now()
        )
    assert any("is archived" in str(one) for one in designs.blocks_of(version))


def test_what_runs_a_workflow_that_takes_no_runs_is_not_published(world, inner):
    slug = world.publish(running(inner))
    definition = designs.definition_of(designs.active_version(designs.get_workflow(slug)))
    designer.save_draft(
        slug=slug,
        revision=0,
        definition=definition.model_dump(mode="json") | {"summary": "Again."},
        actor=world.owner,
        now=now(),
    )
    version = designer.submit_draft(slug=slug, revision=1, actor=world.owner, now=now())
    sign("workflow_version", version.id, world.signer, now())
    designer.archive_workflow(slug=inner, actor=world.owner, now=now(), reason="Over.")
    with pytest.raises(designer.NotPublishableError) as refused:
        designer.publish_workflow_version(version_id=version.id, actor=world.owner, now=now())
    assert [one["code"] for one in refused.value.detail["findings"]] == ["workflow_not_usable"]


def test_a_start_reads_no_definition_anew(world, inner, monkeypatch):
    world.start(inner)
    monkeypatch.setattr(designs, "definition_of", None)
    assert status_of(world.start(inner)) == "pending"


def test_the_start_and_the_step_name_each_other_in_the_audit_log(world, inner):
    run = world.start(running(inner), text="o-7")
    go_on()
    child = child_of(run)
    started = AuditOutbox.objects.get(action="run.started", run_id=child.id)
    ended = AuditOutbox.objects.get(action="step.completed", subject_id=f"{run.id}/w/1")
    assert content_of(started)["decision"]["parent"]["run"] == str(run.id)
    assert content_of(ended)["decision"]["child"]["run"] == str(child.id)


# ---- a workflow that runs itself -----------------------------------------------------------------

MORE = "int(input.text) > 1"


def recursive():
    """start → more? → w, which runs this workflow with a smaller number, → done."""
    step = {
        "kind": "workflow",
        "name": "Again",
        "uses": {"itself": True},
        "outcomes": ENDS,
        "input": {"text": "string(int(input.text) - 1)"},
    }
    more = {"kind": "router", "name": "More"}
    more["routes"] = [{"port": "left", "title": "Left", "when": MORE}]
    bad = {"kind": "end", "name": "Bad", "outcome": "broken"}
    links = ["start.next-more", "more.left-w", "more.default-done", "w.done-done", "w.failed-bad"]
    return definition({"more": more, "w": step, "bad": bad}, links)


def levels(run):
    """The runs from this one inwards, in order."""
    found = [run]
    while inner := Run.objects.filter(id=child_id(str(found[-1].id), "w", 1)).first():
        found.append(inner)
    return found


def test_a_workflow_that_runs_itself_runs_the_same_version_as_deep_as_is_allowed(
    world, doorbells, fakes
):
    run = world.start(recursive(), text="3")
    go_on()
    found = levels(run)
    assert [status_of(one) for one in found] == ["succeeded"] * 3
    assert {one.version_id for one in found} == {run.version_id}
    texts = [RunDetail.objects.get(run=one).input["text"] for one in found]
    assert texts == ["3", "2", "1"]
    assert invariants() == {}
    deep = world.start(recursive(), text="6")
    go_on()
    assert [status_of(one) for one in levels(deep)] == ["failed"] * 5
    refused = ChildRun.objects.get(status="refused")
    assert "More than 5 runs" in refused.reason
    assert AuditOutbox.objects.filter(action="run.child_refused").count() == 1


def test_a_test_run_of_a_draft_that_runs_itself_runs_the_draft_as_it_was(world, doorbells, fakes):
    designer.create_workflow(
        slug="draft",
        workspace_id=world.workspace.id,
        owner_id=world.author.id,
        definition=recursive(),
        actor=world.owner,
        author_id=world.author.id,
        now=now(),
    )
    run = services.start_run(
        workflow_slug="draft", input={"text": "2"}, mode="test", actor=world.owner, now=now()
    )
    go_on()
    found = levels(run)
    assert [(status_of(one), one.mode) for one in found] == [("succeeded", "test")] * 2
    assert found[1].snapshot_id == run.snapshot_id is not None


def test_a_run_for_each_item_is_started_and_goes_its_own_way(world, doorbells, fakes):
    inner = world.publish(chain("a"))
    more = {"detached": True, "each": '["one", "two"]', "input": {"text": "item"}}
    run = world.start(running(inner, **more), text="o-7")
    go_on()
    assert status_of(run) == "succeeded"
    runs = Run.objects.filter(workflow__slug=inner)
    assert {RunDetail.objects.get(run=one).input["text"] for one in runs} == {"one", "two"}
    assert {status_of(one) for one in runs} == {"succeeded"}
    assert StepRun.objects.get(run=run, step="w").output["count"] == 2
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


# ---- a map whose items are runs ------------------------------------------------------------------


def mapping(slug, items='["one", "two", "three"]', **more):
    """start → m, a map that runs the workflow for each item, → done; failed → bad."""
    step = {
        "kind": "map",
        "name": "All of them",
        "items": items,
        "uses": {"workflow": slug, "version": 1},
        "input": {"text": "item"},
        **more,
    }
    steps = {"m": step, "bad": {"kind": "end", "name": "Bad", "outcome": "broken"}}
    return definition(steps, ["start.next-m", "m.next-done", "m.partial-done", "m.failed-bad"])


def item_runs(run, iteration=1):
    found = (child_id(str(run.id), f"m.{index}", iteration) for index in range(3))
    return [one for one in (Run.objects.filter(id=key).first() for key in found) if one]


WAITING = {"kind": "wait", "name": "Wait", "awaits": {"type": "duration", "seconds": 3_600}}


def test_a_map_waits_for_the_runs_of_its_items_and_gathers_them_in_order(world, inner):
    run = world.start(mapping(inner, max_parallel=2), text="o-7")
    walk(run.id)
    assert [one.workflow.slug for one in item_runs(run)] == [inner] * 2  # the third has to wait
    assert status_of(run) == "waiting"
    assert invariants() == {}
    go_on()
    assert status_of(run) == "succeeded"
    runs = item_runs(run)
    assert [RunDetail.objects.get(run=one).input["text"] for one in runs] == ["one", "two", "three"]
    output = StepRun.objects.get(run=run, step="m").output
    assert [one["text"] for one in output["items"]] == ["one", "two", "three"]
    assert (output["outcomes"], output["count"]) == (["done"] * 3, 3)
    listed = selectors.list_members(run.id, "m").rows
    assert [(one["status"], one["run"]) for one in listed] == [
        ("succeeded", str(one.id)) for one in runs
    ]
    shown = selectors.run_snapshot(run.id, member="m.1")["steps"]
    assert shown["m.1"]["child"]["run"] == str(runs[1].id)
    ended = AuditOutbox.objects.get(action="step.completed", subject_id=f"{run.id}/m.1/1")
    assert content_of(ended)["decision"]["child"]["run"] == str(runs[1].id)
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_a_map_is_resumed_with_other_runs_for_the_items_that_have_not_succeeded(
    world, doorbells, fakes
):
    fakes.script(
        "a",
        {"type": "value", "output": {"label": "a", "text": "x"}},
        {"type": "failed", "kind": "agent_error", "reason_code": "no", "reason": "No.",
         "retryable": False},
        {"type": "value", "output": {"label": "a", "text": "y"}},
    )  # fmt: skip
    document = chain("a")
    document["policies"]["exceptions"]["mode"] = "end"
    run = world.start(mapping(world.publish(document), '["one", "two"]', max_parallel=1), text="o")
    go_on()
    assert status_of(run) == "failed"
    row = StepRun.objects.get(run=run, step="m")
    assert (row.port, row.result["reason_code"]) == ("failed", "items_failed")
    services.resume_run(run_id=run.id, step="m", reason="Again.", actor=world.operator, now=now())
    go_on()
    assert status_of(run) == "succeeded"
    assert [status_of(one) for one in (*item_runs(run), *item_runs(run, 2))] == [
        *("succeeded", "failed", "succeeded"),
    ]
    assert invariants() == {}


def test_cancel_pause_and_continue_reach_the_runs_of_items(world, doorbells, fakes):
    held = world.publish(definition({"g": WAITING}, ["start.next-g", "g.next-done"]))
    run = world.start(mapping(held, max_parallel=2), text="o-7")
    go_on()
    family = [run, *item_runs(run)]
    assert [status_of(one) for one in family] == ["waiting"] * 3

    def ask(what):
        what(run_id=run.id, reason="Because.", actor=world.operator, now=now())
        go_on()
        return [status_of(one) for one in family]

    assert ask(services.pause_run) == ["paused"] * 3
    assert ask(services.continue_run) == ["waiting"] * 3
    assert ask(services.cancel_run) == ["cancelled"] * 3
    assert ChildRun.objects.count() == 2
    assert invariants() == {}


def test_enough_runs_of_items_let_the_map_go_on_and_cancel_the_others(world, inner):
    fast = definition({"g": WAITING}, ["start.next-g", "g.next-done"])
    fast["steps"]["more"] = {
        "kind": "router",
        "name": "Fast?",
        "routes": [{"port": "fast", "title": "Fast", "when": "input.text == 'two'"}],
    }
    fast["links"].pop("start.next-g")
    for source, port, target in (("start", "next", "more"), ("more", "fast", "done"),
                                 ("more", "default", "g")):  # fmt: skip
        link = {"source": source, "port": port, "target": target}
        fast["links"][f"{source}.{port}-{target}"] = link
    run = world.start(mapping(world.publish(fast), enough="1"), text="o-7")
    go_on()
    assert status_of(run) == "succeeded"
    assert [status_of(one) for one in item_runs(run)] == ["cancelled", "succeeded", "cancelled"]
    assert invariants() == {}


def test_a_sign_off_binds_the_workflow_that_is_run_for_each_item(world, inner):
    version = designs.active_version(designs.get_workflow(world.publish(mapping(inner))))
    reached = designs.reached_by(designs.definition_of(version))
    assert [one.workflow.slug for one in reached.direct] == [inner]
    designer.archive_workflow(slug=inner, actor=world.owner, now=now(), reason="Over.")
    assert any("is archived" in str(one) for one in designs.blocks_of(version))
