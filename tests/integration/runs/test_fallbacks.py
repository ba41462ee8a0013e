"""Another agent takes over when a step's own has failed: attempts, log, pages, on both databases."""

from audit.models import AuditOutbox
from orchestrator.runs.models import Attempt
from orchestrator.runs.selectors import run_snapshot
from orchestrator.runs.walker import walk
from registry.models import AgentVersion
from tests.integration.runs.test_overrides import FATAL, envelopes
from tests.integration.runs.world import (
    agent,
    chain,
    definition,
    invariants,
    status_of,
    stored_and_replayed,
)

SPARE = [{"agent": "spare", "version": 1}]


def test_the_attempts_name_who_was_called_and_the_result_who_answered(world, doorbells, fakes):
    world.register("spare")
    fakes.script("a", FATAL, {"type": "value", "output": {"label": "a", "text": "spare"}})
    run = world.start(chain("a", fallbacks=SPARE))
    walk(run.id)
    assert status_of(run) == "succeeded"
    first, second = Attempt.objects.filter(run=run, step="a").order_by("number")
    versions = {row.id: row.agent.slug for row in AgentVersion.objects.select_related("agent")}
    assert [versions[one.agent_version_id] for one in (first, second)] == ["scripted", "spare"]
    assert (first.status, second.status) == ("failed", "succeeded")
    assert second.idempotency_key == f"{first.idempotency_key}/1"
    shown = run_snapshot(run.id)["steps"]["a"]
    assert [one["agent"] for one in shown["attempts"]] == ["scripted@1", "spare@1"]
    assert shown["basis"][0]["row"] == "spare@1"
    (chosen,) = envelopes(run, "step.fallback_chosen")
    decision = chosen["decision"]
    assert (decision["agent"], decision["in_place_of"]) == ("spare@1", "scripted@1")
    assert (decision["outcome"], decision["kind"]) == ("fallback", "unavailable")
    ended = [one for one in envelopes(run, "step.completed") if one["step"] == "a"]
    assert ended[0]["decision"]["agent"]["slug"] == "spare"
    assert ended[0]["actor"]["kind"] == "agent"
    assert invariants() == {}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_a_stand_in_whose_answer_breaks_the_contract_of_the_steps_agent_has_failed(
    world, doorbells, fakes
):
    loose = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
    world.register("strict", output={**loose, "properties": {"label": {"pattern": "^ok"}}})
    world.register("spare", output={**loose, "properties": {"label": {"pattern": "^(ok|no)"}}})
    answer = {"type": "value", "output": {"label": "no", "text": ""}}
    fakes.script("a", FATAL, answer)
    steps = {"a": agent("a", uses="strict", fallbacks=SPARE)}
    run = world.start(definition(steps, ["start.next-a", "a.next-done"]))
    walk(run.id)
    shown = run_snapshot(run.id)["steps"]["a"]
    assert (shown["waiting_for"], shown["failure_kind"]) == ("exception", "contract")
    assert shown["violations"][0]["path"] == "/label"


def test_who_is_bound_to_a_run_and_its_signature_includes_those_who_may_take_over(world, doorbells):
    world.register("spare")
    run = world.start(chain("a", fallbacks=SPARE))
    assert set(run.detail.binding["agents"]) == {"scripted@1", "spare@1"}
    used = run.version.agent_uses.values_list("agent_version__agent__slug", flat=True)
    assert set(used) == {"scripted", "spare"}
    assert AuditOutbox.objects.filter(run_id=run.id, action="run.started").exists()
