"""The one door: kill switch, permission, contracts, files, and no exception of an agent gets out."""

from __future__ import annotations

import asyncio
import hashlib
import time
from uuid import UUID

import pytest

from orchestrator.access import SYSTEM, Role
from orchestrator.agents.base import FunctionAgent
from orchestrator.core.commands import InvokeAgent
from orchestrator.core.definition import AgentRef
from orchestrator.core.results import NotFound, Uncertain, Value
from orchestrator.files import services as files
from orchestrator.ids import new_id
from orchestrator.runs import invoke
from orchestrator.runs.invoke import InvocationContext, invoke_sync, prepare_call
from orchestrator.runs.invokers import function
from registry import examination
from registry import services as registry
from registry.lifecycle import AgentVersionEvent
from tests.integration.designer.flows import small
from tests.integration.invoke.misbehaving import Misbehaving
from tests.integration.registry.world import NOW, NUMBERS, RULES, VERDICT

ANY = {"type": "object"}


def context(world, version, **more):
    return InvocationContext(
        run_id=new_id(),
        workspace_id=world.workspace.id,
        workflow_id=more.pop("workflow_id", new_id()),
        agent_version_id=version.id,
        step="size",
        iteration=1,
        attempt=1,
        now=NOW,
        **more,
    )


def command(given, timeout=5.0):
    return InvokeAgent(
        step="size",
        iteration=1,
        attempt=1,
        uses=AgentRef(agent="size", version=1),
        input=given,
        timeout_seconds=timeout,
        idempotency_key="run/size/1",
    )


def ask(world, version, given, *, timeout=5.0, **more):
    return invoke_sync(prepare_call(context(world, version, **more), command(given, timeout)))


def install_function(world, monkeypatch, call, *, slug="scripted", **manifest):
    """An active agent of kind function that does what `call` does."""
    agent = FunctionAgent(
        name="test.scripted",
        title="Scripted",
        summary="As the test says.",
        call=call,
        input_schema=ANY,
        output_schema=ANY,
    )
    monkeypatch.setattr(function, "FUNCTIONS", {agent.name: agent})
    monkeypatch.setattr(examination, "FUNCTIONS", {agent.name: agent})
    return world.agent(
        slug,
        manifest={
            "kind": "function",
            "purpose": "As the test says.",
            "input": ANY,
            "output": VERDICT,
            "config": {"function": agent.name, **manifest.pop("config", {})},
            **manifest,
        },
    )


def test_a_table_answers_with_its_basis(world):
    version = world.agent()
    result = ask(world, version, {"amount": 2_000})
    assert (result.type, result.output) == ("value", {"large": True})
    assert (result.basis[0].id, result.basis[0].row) == ("size@1", "large")


def test_a_template_is_filled(world):
    template = {
        **RULES,
        "kind": "template",
        "output": ANY,
        "config": {"text": "The amount is {amount}."},
        "examples": [],
    }
    version = world.agent("letter", manifest=template)
    assert ask(world, version, {"amount": 5}).output["text"] == "The amount is 5."


def test_input_that_breaks_the_contract_never_reaches_the_agent(world, monkeypatch):
    called = []
    version = install_function(
        world, monkeypatch, lambda given, _: called.append(given), input=NUMBERS
    )
    result = ask(world, version, {"amount": "12"})
    assert (result.kind, result.reason_code) == ("contract", "input_contract")
    assert result.violations[0].path == "/amount"
    assert not result.retryable
    assert called == []


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (Value(output={"large": None}), None),
        (Value(output={}), None),
        (Value(output={"large": "yes"}), None),
        (Uncertain(output={"large": 1}, reason_code="x", reason="x", score=0.1), None),
        (NotFound(output={"large": 1}, reason_code="x", reason="x"), None),
        (Value.model_construct(output={"large": float("nan")}, type="value", basis=()), "json"),
        (Value.model_construct(output={"large": "\x00"}, type="value", basis=()), "json"),
        (Value.model_construct(output={"large": {1, 2}}, type="value", basis=()), "json"),
        (Value(output={"large": "x" * 2_000}), "size"),
        (
            Value(
                output={
                    "large": [
                        [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
                    ]
                }
            ),
            "json",
        ),
    ],
)
def test_output_that_breaks_the_contract_is_a_failure_and_no_value(
    world, monkeypatch, answer, rule
):
    version = install_function(world, monkeypatch, lambda *_: answer, max_output_bytes=1_000)
    result = ask(world, version, {})
    assert (result.type, result.kind, result.reason_code) == (
        "failed",
        "contract",
        "output_contract",
    )
    assert result.violations
    if rule:
        assert result.violations[0].rule == rule


def test_an_agent_that_raises_is_a_failure_without_its_words(world, monkeypatch):
    def call(given, context):
        raise KeyError("secret=hunter2")

    result = ask(world, install_function(world, monkeypatch, call), {})
    assert (result.kind, result.reason_code) == ("agent_error", "agent_stopped")
    assert "hunter2" not in result.reason


def test_a_suspended_version_is_refused_within_a_second(world):
    version = world.agent()
    assert ask(world, version, {"amount": 1}).type == "value"
    registry.suspend_agent(slug="size", actor=world.operator, now=NOW, reason="leak")
    time.sleep(invoke.STATUS_SECONDS + 0.05)
    result = ask(world, version, {"amount": 1})
    assert (result.type, result.policy, result.reason_code) == (
        "refused",
        "kill switch",
        "agent_suspended",
    )
    registry.lift_agent(slug="size", actor=world.operator, now=NOW, reason="mended")
    invoke.forget_status()
    assert ask(world, version, {"amount": 1}).type == "value"


def test_a_call_that_waited_asks_the_kill_switch_again(world):
    version = world.agent()
    prepared = prepare_call(context(world, version), command({"amount": 1}))
    registry.suspend_agent(slug="size", actor=world.operator, now=NOW, reason="leak")
    time.sleep(invoke.STATUS_SECONDS + 0.05)
    assert invoke_sync(prepared).reason_code == "agent_suspended"


@pytest.mark.parametrize("event", [AgentVersionEvent.DEPRECATE, AgentVersionEvent.RETIRE])
def test_a_deprecated_version_still_runs_where_it_is_pinned_a_retired_one_does_not(world, event):
    version = world.agent()
    for one in (AgentVersionEvent.DEPRECATE, AgentVersionEvent.RETIRE):
        registry.set_agent_version_status(
            version_id=version.id, event=one, actor=world.owner, now=NOW, reason="old"
        )
        if one == event:
            break
    result = ask(world, version, {"amount": 1})
    assert result.type == ("value" if event == AgentVersionEvent.DEPRECATE else "refused")


def test_an_agent_of_another_workspace_is_refused(world):
    from tests.integration.registry.world import World

    other = World("other")
    version = other.agent("theirs")
    result = ask(world, version, {"amount": 1})
    assert (result.type, result.reason_code) == ("refused", "foreign_agent")


def test_a_version_that_does_not_exist_is_a_failure(world):
    class Gone:
        id = new_id()

    result = ask(world, Gone, {"amount": 1})
    assert (result.type, result.reason_code, result.retryable) == (
        "failed",
        "agent_unusable",
        False,
    )


def test_a_test_run_calls_nothing_that_writes(world, monkeypatch):
    version = install_function(
        world, monkeypatch, lambda *_: Value(output={"large": True}), side_effect="write"
    )
    assert ask(world, version, {}, mode="test").reason_code == "writes_in_test"
    assert ask(world, version, {}).type == "value"


def test_an_agent_of_effect_once_is_not_called_again_after_an_unclear_outcome(world, monkeypatch):
    def slow(given, context):
        time.sleep(0.5)

    version = install_function(world, monkeypatch, slow, effect="once")
    result = ask(world, version, {}, timeout=0.1)
    assert (result.kind, result.retryable) == ("timeout", False)


def test_only_files_of_the_call_that_the_workflow_uses_are_opened(world, monkeypatch):
    def read(given, context):
        file = context.open_artefact(given["wanted"])
        return Value(output={"large": len(file.content) > 1_000})

    version = install_function(world, monkeypatch, read)
    workflow_id = _workflow(world)
    ours = _upload(world, b"ours, and attached")
    loose = _upload(world, b"not attached to the workflow")
    files.attach(ours, workflow_id)

    def opened(wanted, *named):
        given = {"wanted": wanted.sha256, "files": [{"artefact": one.sha256} for one in named]}
        return ask(world, version, given, workflow_id=workflow_id)

    assert opened(ours, ours).type == "value"
    assert "ArtefactMissingError" in opened(ours).reason
    assert "ArtefactMissingError" in opened(loose, loose).reason


def _workflow(world):
    from designer import services as designer

    owner = UUID(world.people[Role.BUSINESS_OWNER].id)
    return designer.create_workflow(
        slug="flow",
        workspace_id=world.workspace.id,
        owner_id=owner,
        definition=small(),
        actor=SYSTEM,
        author_id=owner,
        now=NOW,
    ).id


def _upload(world, content):
    return files.upload_artefact(
        workspace_id=world.workspace.id,
        name=f"{hashlib.sha256(content).hexdigest()[:8]}.txt",
        chunks=[content],
        actor=world.people[Role.BUSINESS_OWNER],
        now=NOW,
    )


class TestHttp:
    """The whole way of a waiting call."""

    @pytest.fixture
    def service(self, settings):
        server = Misbehaving()
        settings.EGRESS_HOSTS = {"people.demo": ("127.0.0.1", server.port)}
        yield server
        server.stop()

    def register(self, world, **manifest):
        registry.register_endpoint(
            workspace_id=world.workspace.id,
            name="people",
            base_url="http://people.demo",
            allow_private=True,
            actor=world.people[Role.ADMINISTRATOR],
            now=NOW,
        )
        person = {
            "type": "object",
            "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer"}},
            "required": ["name", "age"],
        }
        return world.agent(
            "people",
            manifest={
                "kind": "http",
                "purpose": "Looks people up.",
                "input": ANY,
                "output": person,
                "side_effect": "read",
                "config": {"endpoint": "people", "path": "/{page}"},
                **manifest,
            },
        )

    def ask(self, world, version, page, timeout=2.0):
        prepared = prepare_call(context(world, version), command({"page": page}, timeout))
        assert prepared.waits
        return invoke_sync(prepared)

    def test_an_answer_is_checked_by_the_contract(self, world, service):
        version = self.register(world)
        assert self.ask(world, version, "good").output == {"name": "Ada", "age": 36}
        for page in ("null", "missing"):
            result = self.ask(world, version, page)
            assert (result.kind, result.reason_code) == ("contract", "output_contract")
            assert result.retryable

    def test_an_unclear_outcome_of_an_effect_once_goes_to_a_person(self, world, service):
        version = self.register(world, effect="once")
        assert not self.ask(world, version, "slow", timeout=0.3).retryable
        assert not self.ask(world, version, "maintenance").retryable
        service.stop()

    def test_a_connection_that_was_never_made_may_be_tried_again(self, world, settings):
        settings.EGRESS_HOSTS = {"people.demo": ("127.0.0.1", 1)}
        result = self.ask(world, self.register(world, effect="once"), "good")
        assert (result.reason_code, result.retryable) == ("service_unreachable", True)

    def test_a_disabled_service_is_refused(self, world, service):
        version = self.register(world)
        registry.disable_endpoint(
            name="people", actor=world.people[Role.ADMINISTRATOR], now=NOW, reason="breach"
        )
        result = self.ask(world, version, "good")
        assert (result.type, result.reason_code) == ("refused", "service_disabled")
        assert service.requests == []

    def test_both_doors_take_both_kinds(self, world, service):
        http, rules = self.register(world), world.agent()
        prepared = prepare_call(context(world, http), command({"page": "good"}))
        assert invoke_sync(prepared).type == "value"
        prepared = prepare_call(context(world, rules), command({"amount": 1}))
        assert asyncio.run(invoke.invoke(prepared)).type == "value"
