"""Who may sign off what, and what happens when something changes under a signature."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest
from django.db.models import Count
from django.test import Client
from django.utils import timezone

from approvals import selectors as reviews
from approvals import services as review_services
from approvals import sign_offs
from approvals.models import Decision, ReviewTask, SignOff
from approvals.sign_offs import SignOffMissingError
from audit.guards import governed_models
from audit.models import AuditOutbox
from designer import selectors, services
from orchestrator.access import SYSTEM, Actor, Role
from orchestrator.accounts import services as accounts
from orchestrator.core.errors import ConflictError, PermissionDeniedError
from orchestrator.runs import services as engine
from orchestrator.runs.models import Run
from registry import selectors as registry
from registry import services as agents
from registry.lifecycle import AgentVersionEvent
from registry.selectors import AgentNotUsableError
from tests.integration.designer.flows import small
from tests.integration.designer.test_services import create, install, publish, submit
from tests.integration.registry.world import NOW, RULES, World
from tests.signing import sign

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
OWNER, COMPLIANCE, ADMINISTRATOR = Role.BUSINESS_OWNER, Role.COMPLIANCE, Role.ADMINISTRATOR


def amount(name):
    """A contract with one field of a domain type."""
    return {
        "type": "object",
        "properties": {"amount": {"$ref": f"baton:{name}"}},
        "required": ["amount"],
        "additionalProperties": False,
    }


def flow(slug, type_name, **changes):
    """`small` with another agent and another domain type."""
    definition = small(name=slug.title(), **changes)
    definition["input"] = amount(type_name)
    definition["steps"]["size"]["uses"] = {"agent": slug, "version": 1}
    return definition


class Scene:
    """Two workflows that share nothing: `size` (type Amount) and `weight` (type Weight).

    Both are published in version 1; version 2 of `size` is signed off and not yet published.
    """

    def __init__(self, world):
        self.world = world
        for name in ("Amount", "Weight"):
            self.register_type(name, 1_000)
        for slug, name in (("size", "Amount"), ("weight", "Weight")):
            world.agent(slug, manifest={**RULES, "input": amount(name)})
            install(create(world, flow(slug, name), slug=slug))
        services.save_draft(
            slug="size",
            definition=flow("size", "Amount", summary="The next one."),
            revision=0,
            actor=self.owner,
            now=NOW,
        )
        version = submit(selectors.get_workflow("size"))
        sign("workflow_version", version.id, self.signer, NOW)
        self.first, self.second = (
            selectors.get_workflow("size").versions.get(number=number) for number in (1, 2)
        )
        self.other = selectors.get_workflow("weight").versions.get()
        self.agent = registry.get_agent_version("size", 1)
        self.other_agent = registry.get_agent_version("weight", 1)

    @property
    def owner(self):
        return self.world.people[OWNER]

    @property
    def signer(self):
        return self.world.people[COMPLIANCE]

    def register_type(self, name, most):
        return agents.register_domain_type(
            name=name,
            schema={"type": "integer", "minimum": 0, "maximum": most},
            actor=self.world.owner,
            now=NOW,
        )

    def standing(self):
        """Version id -> status of its latest sign-off."""
        rows = SignOff.objects.order_by("round")
        return {row.subject_id: row.status for row in rows}

    def start(self, slug="size"):
        return engine.start_run(
            workflow_slug=slug, input={"amount": 5}, actor=self.owner, now=timezone.now()
        )

    def publish_second(self):
        return publish(selectors.get_version(self.second.id))


def with_scene():
    """A world with its `scene`."""
    world = World()
    world.scene = Scene(world)
    return world


@pytest.fixture(scope="session")
def stock(stocked):
    return stocked(scene=with_scene, world=World)


@pytest.fixture
def scene(world):
    return world.scene


def client_of(world, actor_or_name):
    client = Client()
    name = actor_or_name
    client.force_login(world.users[name], backend=BACKEND)
    return client


def token_of(actor, *scopes):
    made = accounts.create_token(
        name="t", scopes=scopes, actor=SYSTEM, person_id=UUID(actor.id), now=timezone.now()
    )
    return {"Authorization": f"Bearer {made.text}"}


def rows():
    """How many rows every governed table holds, and what they were last changed by."""
    return {
        model._meta.label: sorted(model._default_manager.values_list("audit_id", flat=True))
        for model in governed_models()
    }


def waiting():
    """(kind, version id) of each review that waits for a signature."""
    tasks = ReviewTask.objects.filter(status__in=("open", "claimed"))
    return sorted((task.kind, str(task.sign_off.subject_id)) for task in tasks)


def refusals(scene):
    """Ask to start and to publish over the API; both answers, after checking what they wrote."""
    client = client_of(scene.world, "business-owner-claims")
    before, entries = rows(), AuditOutbox.objects.count()
    start = client.post(
        "/api/v1/runs/",
        json.dumps({"workflow": "size", "input": {"amount": 5}}),
        content_type="application/json",
    )
    publishing = client.post(
        f"/api/v1/workflow-versions/{scene.second.id}/publish/",
        "{}",
        content_type="application/json",
    )
    assert (before, Run.objects.count()) == (rows(), 0)
    written = AuditOutbox.objects.order_by("id").values_list("action", flat=True)[entries:]
    assert list(written) == ["access.denied", "access.denied"]
    return start, publishing


# ---- who signs ---------------------------------------------------------------------------------


def try_everything(world, actor, name, kind, version_id):
    """Try to sign by service, by page, by API and by token; nothing may come of it."""
    task = reviews.review_of_version(kind, version_id)
    with pytest.raises(PermissionDeniedError, match="so somebody else decides"):
        sign(kind, version_id, actor, NOW)
    client = client_of(world, name)
    page = client.get(f"/reviews/{task.id}/")
    assert page.status_code == 200
    assert 'value="approved" data-key' not in page.content.decode()
    form = {"decision": "approved", "shown_sha256": task.shown_sha256}
    assert client.post(f"/reviews/{task.id}/decide/", form).status_code == 403
    body = json.dumps({"outcome": "approved", "shown_sha256": task.shown_sha256})
    address = f"/api/v1/reviews/{task.id}/decide/"
    assert client.post(address, body, content_type="application/json").status_code == 403
    answer = Client().post(
        address, body, content_type="application/json", headers=token_of(actor, "*")
    )
    assert answer.status_code == 403, answer.content
    with pytest.raises(PermissionDeniedError):
        review_services.hand_over_review(
            task_id=task.id, actor=actor, to_user_id=UUID(actor.id), now=NOW
        )
    with pytest.raises(PermissionDeniedError):
        review_services.claim_review(task_id=task.id, actor=actor, now=NOW)
    assert not Decision.objects.filter(task=task).exists()
    assert reviews.count_mine(actor) == 0


def test_an_author_cannot_sign_off_his_own_version_by_any_way_or_role(world):
    world.agent("size")
    author = world.people[OWNER]
    for role in (Role.COMPLIANCE, Role.REVIEWER, Role.AGENT_OWNER, Role.ADMINISTRATOR):
        accounts.grant_membership(
            person_id=UUID(author.id),
            workspace_id=world.workspace.id,
            role=role,
            actor=SYSTEM,
            now=NOW,
        )
    version = submit(create(world))
    try_everything(world, author, f"{OWNER}-claims", "workflow_version", version.id)
    assert selectors.get_version(version.id).status == "in_review"


def test_whoever_edited_the_draft_once_cannot_sign_it_off(world):
    world.agent("size")
    workflow = create(world)
    helper = world.person("helper", OWNER, COMPLIANCE)
    services.save_draft(
        slug=workflow.slug, definition=small(summary="Helped."), revision=1, actor=helper, now=NOW
    )
    services.save_draft(
        slug=workflow.slug,
        definition=small(summary="By the owner again."),
        revision=2,
        actor=world.people[OWNER],
        now=NOW,
    )
    version = submit(workflow)
    try_everything(world, helper, "helper", "workflow_version", version.id)
    sign("workflow_version", version.id, world.people[COMPLIANCE], NOW)
    assert selectors.get_version(version.id).status == "approved"


def test_whoever_hands_a_version_in_cannot_sign_it_off(world):
    world.agent("size")
    workflow = create(world)
    second = world.person("second", OWNER)
    version = services.submit_draft(slug=workflow.slug, revision=1, actor=second, now=NOW)
    try_everything(world, second, "second", "workflow_version", version.id)


def test_an_agent_owner_cannot_approve_his_own_agent_by_any_way_or_role(world):
    accounts.grant_membership(
        person_id=UUID(world.owner.id),
        workspace_id=world.workspace.id,
        role=ADMINISTRATOR,
        actor=SYSTEM,
        now=NOW,
    )
    colleague = world.person("colleague", Role.AGENT_OWNER)
    world.agent("size", install=False)
    version = registry.get_agent_version("size", 1)
    agents.set_agent_version_status(
        version_id=version.id, event=AgentVersionEvent.SUBMIT, actor=world.owner, now=NOW
    )
    try_everything(world, world.owner, f"{Role.AGENT_OWNER}-claims", "agent_version", version.id)
    sign("agent_version", version.id, colleague, NOW)
    assert registry.version_status(version.id) == "approved"


def test_the_owner_of_an_agent_cannot_approve_what_a_colleague_wrote_for_it(world):
    colleague = world.person("colleague", Role.AGENT_OWNER)
    world.agent("size", install=False)
    version = agents.save_agent_version(
        version_id=registry.get_agent_version("size", 1).id,
        manifest={**RULES, "purpose": "Says it better."},
        revision=1,
        actor=colleague,
        now=NOW,
    )
    world.happen(version, AgentVersionEvent.SUBMIT, actor=colleague)
    for person, name in ((world.owner, f"{Role.AGENT_OWNER}-claims"), (colleague, "colleague")):
        try_everything(world, person, name, "agent_version", version.id)


@pytest.mark.parametrize("role", list(Role))
def test_the_permission_table_says_who_signs(world, role):
    world.agent("size")
    version = submit(create(world))
    actor = world.person("another", role)
    if role in {OWNER, COMPLIANCE}:
        sign("workflow_version", version.id, actor, NOW)
        assert selectors.get_version(version.id).status == "approved"
    else:
        with pytest.raises(PermissionDeniedError, match="Only the role Business owner or Compl"):
            sign("workflow_version", version.id, actor, NOW)
        task = reviews.review_of_version("workflow_version", version.id)
        standing = reviews.standing_of(actor, task, NOW)
        assert standing.reason.startswith("A business owner or compliance of Claims decides this.")


def test_administrators_see_agent_approvals_among_their_own_reviews_but_no_gates(world):
    world.agent("size", install=False)
    world.happen(registry.get_agent_version("size", 1), AgentVersionEvent.SUBMIT)
    administrator = world.people[ADMINISTRATOR]
    gate = review_services.open_review(
        kind="gate",
        subject_id="run/step/1",
        workspace_id=world.workspace.id,
        run_id=None,
        title="A claim",
        question="Pay?",
        evidence={"decision": {"choices": ["approved"]}},
        assign_role="administrator",
        due_at=NOW + timedelta(days=1),
        excluded_people=[],
        actor=SYSTEM,
        now=NOW,
    )
    assert [one.kind for one in reviews.list_reviews(administrator)] == ["agent_version"]
    assert reviews.count_mine(administrator) == 1
    assert not reviews.standing_of(administrator, gate, NOW).may_decide


def test_a_token_needs_the_scope_of_the_sign_off(world):
    world.agent("size")
    version = submit(create(world))
    task = reviews.review_of_version("workflow_version", version.id)
    body = json.dumps({"outcome": "approved", "shown_sha256": task.shown_sha256})

    def post(*scopes):
        return Client().post(
            f"/api/v1/reviews/{task.id}/decide/",
            body,
            content_type="application/json",
            headers=token_of(world.people[COMPLIANCE], *scopes),
        )

    refused = post("reviews:read", "reviews:decide")
    assert (refused.status_code, refused.json()["scope"]) == (403, "workflows:approve")
    assert post("reviews:read", "workflows:approve").status_code == 200
    assert selectors.get_version(version.id).status == "approved"


def test_a_returned_version_is_a_draft_again_with_the_reason_on_file(world):
    world.agent("size")
    version = submit(create(world))
    with pytest.raises(Exception, match="Give a reason"):
        sign(
            "workflow_version",
            version.id,
            world.people[COMPLIANCE],
            NOW,
            outcome="returned",
            reason="",
        )
    sign(
        "workflow_version", version.id, world.people[COMPLIANCE], NOW,
        outcome="returned", reason="Say who is told.",
    )  # fmt: skip
    assert selectors.get_version(version.id).status == "draft"
    (only,) = reviews.rounds_of("workflow_version", version.id)
    assert (only.sign_off.status, only.sign_off.closed_because) == ("returned", "Say who is told.")
    again = submit(version.workflow)
    sign("workflow_version", again.id, world.people[COMPLIANCE], NOW)
    assert [one.sign_off.round for one in reviews.rounds_of("workflow_version", version.id)] == [
        2,
        1,
    ]


def test_a_version_that_is_taken_back_takes_its_review_with_it(world):
    world.agent("size")
    version = submit(create(world))
    task = reviews.review_of_version("workflow_version", version.id)
    services.set_workflow_version_status(
        version_id=version.id,
        event=services.WorkflowVersionEvent.WITHDRAW,
        actor=world.people[OWNER],
        now=NOW,
        reason="Not yet.",
    )
    task.refresh_from_db()
    assert (task.status, task.closed_because) == ("withdrawn", "Not yet")
    assert reviews.standing_sign_off("workflow_version", version.id) is None


# ---- more than one person ----------------------------------------------------------------------


def test_two_people_sign_one_after_the_other_and_never_the_same_twice(world):
    sign_offs.set_sign_off_policy(
        workspace_id=world.workspace.id,
        needed={"none": 2, "read": 1, "write": 1, "irreversible": 1},
        reason="Four eyes.",
        actor=world.people[ADMINISTRATOR],
        now=NOW,
    )
    second = world.person("second", Role.AGENT_OWNER)
    world.agent("size", install=False)
    version = registry.get_agent_version("size", 1)
    world.happen(version, AgentVersionEvent.SUBMIT)
    first_task = reviews.review_of_version("agent_version", version.id)
    sign("agent_version", version.id, second, NOW)
    assert registry.version_status(version.id) == "in_review"
    task = reviews.review_of_version("agent_version", version.id)
    assert task.id != first_task.id
    evidence = reviews.evidence_of(task)
    assert "Signed so far: Second." in evidence.summary
    with pytest.raises(PermissionDeniedError, match="so somebody else decides"):
        sign("agent_version", version.id, second, NOW)
    sign("agent_version", version.id, world.people[ADMINISTRATOR], NOW)
    assert registry.version_status(version.id) == "approved"
    (only,) = reviews.rounds_of("agent_version", version.id)
    assert (only.sign_off.status, only.given) == ("signed", 2)


# ---- what changes under a signature ------------------------------------------------------------


def test_a_type_registered_anew_voids_what_binds_it_and_nothing_else(scene):
    before = scene.standing()
    scene.register_type("Amount", 2_000)
    touched = {scene.agent.id, scene.first.id, scene.second.id}
    after = scene.standing()
    assert {key for key in after if after[key] != before[key]} == touched
    assert {after[key] for key in touched} == {"open"}
    assert SignOff.objects.filter(status="void").count() == 3
    assert waiting() == sorted(
        [
            ("agent_version", str(scene.agent.id)),
            ("workflow_version", str(scene.first.id)),
            ("workflow_version", str(scene.second.id)),
        ]
    )
    scene.start("weight")


def test_what_a_changed_type_voids_is_refused_with_the_list_and_only_the_denial_is_written(scene):
    scene.register_type("Amount", 2_000)
    for answer in refusals(scene):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "sign_off_missing")
        assert [one["id"] for one in problem["changed"]] == ["Amount"]
        assert problem["changed"][0]["text"] == "Type Amount changed: version 2 instead of 1."
        assert "Size v1" in problem["missing"]


def test_the_new_review_lists_just_what_changed(scene):
    scene.register_type("Amount", 2_000)
    for kind, version_id in (
        ("agent_version", scene.agent.id),
        ("workflow_version", scene.first.id),
    ):
        evidence = reviews.evidence_of(reviews.review_of_version(kind, version_id))
        assert [item.kind for item in evidence.items] == ["changes", "findings", "closure"]
        changed, _, closure = evidence.items
        assert [(row["title"], row.get("before"), row.get("after")) for row in changed.value] == [
            ("Type Amount changed: version 2 instead of 1.", None, None),
            ("Amount: Maximum", "1000", "2000"),
        ]
        flagged = [one["id"] for one in closure.value["members"] if one["is_changed"]]
        assert flagged == ["Amount"]


def test_signed_anew_it_starts_again_on_the_new_type_without_publishing_twice(scene):
    old = scene.start()
    scene.register_type("Amount", 2_000)
    hashes = (scene.first.sha256, scene.agent.sha256)
    sign("workflow_version", scene.first.id, scene.signer, NOW)
    with pytest.raises(SignOffMissingError, match="Size v1 is not signed off"):
        scene.start()
    sign("agent_version", scene.agent.id, scene.world.people[ADMINISTRATOR], NOW)
    published = AuditOutbox.objects.filter(action="workflow_version.published").count()
    new = scene.start()
    bound = [run.detail.binding["types"]["Amount"] for run in (old, new)]
    assert bound == [1, 2]
    version, agent = selectors.get_version(scene.first.id), registry.get_version(scene.agent.id)
    assert (version.status, version.types, agent.types) == ("active", {"Amount": 2}, {"Amount": 2})
    assert (version.sha256, agent.sha256) == hashes
    assert AuditOutbox.objects.filter(action="workflow_version.published").count() == published
    assert AuditOutbox.objects.filter(action="workflow_version.rebound").count() == 1
    limits = [
        selectors.compiled(version.id, run.detail.binding["types"]).input_contract.accept(
            {"amount": 1_500}
        )
        for run in (old, new)
    ]
    assert [one.verdict for one in limits] == ["refused", "fits"]
    calls = [
        registry.registered_version(agent.id, run.detail.binding["types"]).input.check(
            {"amount": 1_500}
        )
        for run in (old, new)
    ]
    assert [bool(one) for one in calls] == [True, False]


def test_a_type_that_changes_twice_leaves_one_review_that_tells_both(scene):
    scene.register_type("Amount", 2_000)
    scene.register_type("Amount", 3_000)
    assert len(waiting()) == 3
    evidence = reviews.evidence_of(reviews.review_of_version("agent_version", scene.agent.id))
    assert evidence.items[0].value[0]["title"] == "Type Amount changed: version 3 instead of 1."
    sign("agent_version", scene.agent.id, scene.world.people[ADMINISTRATOR], NOW)
    assert registry.get_version(scene.agent.id).types == {"Amount": 3}


def test_a_type_that_breaks_a_version_can_only_be_returned(scene):
    agents.register_domain_type(
        name="Amount", schema={"type": "string"}, actor=scene.world.owner, now=NOW
    )
    task = reviews.review_of_version("agent_version", scene.agent.id)
    assert reviews.evidence_of(task).decision.choices == ("returned",)
    sign(
        "agent_version", scene.agent.id, scene.world.people[ADMINISTRATOR], NOW,
        outcome="returned", reason="It expects a number.",
    )  # fmt: skip
    assert registry.version_status(scene.agent.id) == "active"
    with pytest.raises(SignOffMissingError):
        scene.start()
    scene.register_type("Amount", 1_000)
    agents.ask_for_approval(
        version_id=scene.agent.id, actor=scene.world.owner, now=NOW, reason="The type is mended."
    )
    sign("agent_version", scene.agent.id, scene.world.people[ADMINISTRATOR], NOW)
    sign("workflow_version", scene.first.id, scene.signer, NOW)
    assert scene.start().mode == "live"


def test_another_policy_voids_every_sign_off_of_its_workspace_and_asks_for_each_anew(scene, other):
    elsewhere = other.agent("away")
    before = scene.standing()
    sign_offs.set_sign_off_policy(
        workspace_id=scene.world.workspace.id,
        needed={"none": 2, "read": 2, "write": 2, "irreversible": 3},
        reason="Four eyes.",
        actor=scene.world.people[ADMINISTRATOR],
        now=NOW,
    )
    after = scene.standing()
    touched = {
        one.id for one in (scene.agent, scene.other_agent, scene.first, scene.second, scene.other)
    }
    assert {key for key in after if after[key] != before[key]} == touched
    assert after[elsewhere.id] == "signed"
    assert len(waiting()) == len(touched)
    for answer in refusals(scene):
        assert [one["kind"] for one in answer.json()["changed"]] == ["sign_off_policy"]
    second = scene.world.person("second-signer", COMPLIANCE, Role.AGENT_OWNER)
    for person in (scene.world.people[ADMINISTRATOR], second):
        sign("agent_version", scene.agent.id, person, NOW)
    for person in (scene.signer, second):
        sign("workflow_version", scene.first.id, person, NOW)
    assert scene.start().mode == "live"


ONE_EACH = dict.fromkeys(("none", "read", "write", "irreversible"), 1)
GATE = {
    "kind": "gate",
    "name": "Ask",
    "type": "review",
    "question": "Write it down?",
    "proposal": {"amount": "input.amount"},
    "contract": small()["input"],
}


def asking_a_person():
    """`small`, with a gate before its agent."""
    document = small()
    document["steps"]["gate"] = GATE
    links = document["links"]
    links["start.next-gate"] = {**links.pop("start.next-size"), "target": "gate"}
    links["gate.approved-size"] = {"source": "gate", "port": "approved", "target": "size"}
    return document


def test_a_policy_that_wants_a_person_stops_what_asks_nobody(world):
    approved = world.agent("size", manifest={**RULES, "side_effect": "write"})
    first = install(create(world, small(), slug="size"))

    def start():
        actor = world.people[OWNER]
        engine.start_run(workflow_slug="size", input={"amount": 5}, actor=actor, now=timezone.now())

    start()
    sign_offs.set_sign_off_policy(
        workspace_id=world.workspace.id,
        needed=ONE_EACH,
        person_before="write",
        reason="Nothing is written that nobody has seen.",
        actor=world.people[ADMINISTRATOR],
        now=NOW,
    )
    with pytest.raises(SignOffMissingError):
        start()
    sign("agent_version", approved.id, world.people[ADMINISTRATOR], NOW)
    task = reviews.review_of_version("workflow_version", first.id)
    assert reviews.evidence_of(task).decision.choices == ("returned",), "it cannot be signed"
    changes = {"slug": "size", "actor": world.people[OWNER], "now": NOW}
    services.save_draft(definition=small(summary="Other words."), revision=0, **changes)
    with pytest.raises(services.NotSubmittableError) as refused:
        submit(selectors.get_workflow("size"))
    (finding,) = refused.value.detail["findings"]
    assert (finding["code"], finding["step"]) == ("person_missing", "size")
    services.save_draft(definition=asking_a_person(), revision=1, **changes)
    install(selectors.get_workflow("size"))
    start()


def test_the_same_policy_again_changes_nothing(scene):
    before = rows()
    sign_offs.set_sign_off_policy(
        workspace_id=scene.world.workspace.id,
        needed=dict.fromkeys(("none", "read", "write", "irreversible"), 1),
        reason="As it is.",
        actor=scene.world.people[ADMINISTRATOR],
        now=NOW,
    )
    assert rows() == before


@pytest.mark.parametrize("event", [AgentVersionEvent.SUSPEND, AgentVersionEvent.RETIRE])
def test_a_suspended_or_retired_agent_blocks_what_calls_it_and_voids_no_workflow(scene, event):
    if event == AgentVersionEvent.RETIRE:
        scene.world.happen(scene.agent, AgentVersionEvent.DEPRECATE)
        assert scene.start().mode == "live"
        Run.objects.update(status="succeeded")
    standing = {
        key: scene.standing()[key] for key in (scene.first.id, scene.second.id, scene.other.id)
    }
    scene.world.happen(scene.agent, event)
    assert {key: scene.standing()[key] for key in standing} == standing
    assert waiting() == []
    word = "suspended" if event == AgentVersionEvent.SUSPEND else "retired"
    with pytest.raises(AgentNotUsableError, match=f"size@1 is {word}"):
        scene.start()
    codes = {one["code"] for one in selectors.blocks_of(selectors.get_version(scene.second.id))}
    assert "agent_not_usable" in codes
    with pytest.raises(ConflictError if word == "retired" else services.NotPublishableError):
        scene.publish_second()
    scene.start("weight")


def test_a_suspension_that_is_lifted_unblocks_by_itself(scene):
    scene.world.happen(scene.agent, AgentVersionEvent.SUSPEND)
    start, publishing = refusals(scene)
    assert (start.status_code, start.json()["agents"]) == (409, {"size@1": "suspended"})
    assert publishing.json()["code"] == "not_publishable"
    assert publishing.json()["findings"][0]["message"] == "Size v1 is suspended."
    agents.lift_agent(slug="size", actor=scene.world.owner, now=NOW, reason="Mended.")
    assert selectors.blocks_of(selectors.get_version(scene.first.id)) == []
    scene.start()
    assert scene.publish_second().status == "active"


def test_an_owner_who_left_is_named_and_blocks_publishing_until_the_agent_has_another(scene):
    heir = scene.world.person("heir", Role.AGENT_OWNER)
    before = scene.standing()
    accounts.deactivate_person(
        person_id=UUID(scene.world.owner.id), reason="Left.", actor=SYSTEM, now=NOW
    )
    assert scene.standing() == before
    with pytest.raises(
        services.NotPublishableError, match="Agent Owner Claims is not an agent owner"
    ):
        scene.publish_second()
    assert [one["code"] for one in selectors.blocks_of(scene.second)] == ["owner_missing"]
    scene.start()
    agents.change_agent(slug="size", actor=heir, now=NOW, owner_id=UUID(heir.id))
    assert scene.publish_second().status == "active"


def test_a_workflow_owner_who_lost_his_role_blocks_publishing(scene):
    membership = scene.world.users["business-owner-claims"].memberships.get()
    publisher = scene.world.person("publisher", OWNER)
    accounts.end_membership(membership_id=membership.id, reason="Moved.", actor=SYSTEM, now=NOW)
    with pytest.raises(
        services.NotPublishableError, match="Business Owner Claims is not a business"
    ):
        services.publish_workflow_version(version_id=scene.second.id, actor=publisher, now=NOW)


def test_an_agent_that_lost_its_approval_cannot_be_activated(scene):
    fresh = scene.world.version("size", {**RULES, "input": amount("Amount")}, install=False)
    scene.world.happen(fresh, AgentVersionEvent.SUBMIT)
    sign("agent_version", fresh.id, scene.world.people[ADMINISTRATOR], NOW)
    scene.register_type("Amount", 2_000)
    with pytest.raises(SignOffMissingError, match="Type Amount changed"):
        scene.world.happen(fresh, AgentVersionEvent.ACTIVATE)
    sign("agent_version", fresh.id, scene.world.people[ADMINISTRATOR], NOW)
    assert scene.world.happen(fresh, AgentVersionEvent.ACTIVATE).status == "active"


def test_a_change_past_the_services_is_caught_by_the_second_wall(scene, monkeypatch):
    monkeypatch.setattr(sign_offs, "member_changed", lambda **_: [])
    scene.register_type("Amount", 2_000)
    assert scene.standing()[scene.first.id] == "signed"
    with pytest.raises(SignOffMissingError, match="Type Amount changed: version 2 instead of 1"):
        scene.start()


def test_a_decision_that_meets_a_change_is_asked_again_instead_of_signed(world, monkeypatch):
    world.agent("size")
    agents.register_domain_type(
        name="Amount", schema={"type": "integer"}, actor=world.owner, now=NOW
    )
    definition = small()
    definition["input"]["properties"]["amount"] = {"$ref": "baton:Amount"}
    definition["steps"]["size"]["input"] = {"amount": "1"}
    version = submit(create(world, definition))
    with monkeypatch.context() as patched:
        patched.setattr(sign_offs, "member_changed", lambda **_: [])
        agents.register_domain_type(
            name="Amount",
            schema={"type": "integer", "minimum": 0},
            actor=world.owner,
            now=NOW,
        )
    sign("workflow_version", version.id, world.people[COMPLIANCE], NOW)
    assert selectors.get_version(version.id).status == "in_review"
    assert [one.sign_off.status for one in reviews.rounds_of("workflow_version", version.id)] == [
        "open",
        "void",
    ]
    sign("workflow_version", version.id, world.people[COMPLIANCE], NOW)
    assert selectors.get_version(version.id).types == {"Amount": 2}


def test_what_is_out_of_use_is_not_asked_for_again_but_can_be(scene):
    scene.publish_second()
    assert selectors.get_version(scene.first.id).status == "deprecated"
    scene.register_type("Amount", 2_000)
    assert ("workflow_version", str(scene.first.id)) not in waiting()
    assert scene.standing()[scene.first.id] == "void"
    services.ask_for_sign_off(
        version_id=scene.first.id, actor=scene.owner, now=NOW, reason="We go back to it."
    )
    assert ("workflow_version", str(scene.first.id)) in waiting()


def test_what_a_sign_off_binds_is_the_definition_agents_types_and_policy(scene):
    (only,) = reviews.rounds_of("workflow_version", scene.first.id)
    members = reviews.members_of(only.sign_off.id)
    assert [(one.kind, one.id, one.version) for one in members] == [
        ("agent_version", str(scene.agent.id), 1),
        ("domain_type", "Amount", 1),
        ("sign_off_policy", str(scene.world.workspace.id), 0),
        ("workflow_version", str(scene.first.id), 1),
    ]
    evidence = reviews.evidence_of(only.decisions[0].task)
    bound = next(item.value for item in evidence.items if item.kind == "closure")
    assert bound["sha256"] == only.sign_off.closure_sha256
    assert {one["sha256"] for one in bound["members"]} == {one.sha256 for one in members}


# ---- over the API ------------------------------------------------------------------------------


def test_the_api_says_who_signed_what_blocks_and_what_changed(scene):
    reader = client_of(scene.world, "reviewer-claims")
    address = f"/api/v1/workflow-versions/{scene.first.id}/sign-off/"
    signed = reader.get(address).json()
    assert (signed["status"], signed["blocks"]) == ("signed", [])
    assert [one["kind"] for one in signed["members"]] == [
        "agent_version", "domain_type", "sign_off_policy", "workflow_version",
    ]  # fmt: skip
    (only,) = signed["rounds"]
    assert only["signatures"][0]["by"]["name"] == "Compliance Claims"
    assert only["signatures"][0]["reason"] == "Looked through."
    scene.register_type("Amount", 2_000)
    void = reader.get(address).json()
    assert (void["status"], len(void["rounds"])) == ("open", 2)
    assert [one["code"] for one in void["blocks"]] == ["sign_off_missing"] * 3
    assert void["rounds"][0]["review"]
    assert void["rounds"][1]["closed_because"].startswith("The type Amount was registered anew")
    agent = reader.get(f"/api/v1/agent-versions/{scene.agent.id}/sign-off/").json()
    assert agent["status"] == "open"


def test_a_version_lives_its_life_over_the_api(world):
    world.agent("size", install=False)
    owner, keeper = (client_of(world, f"{role}-claims") for role in (OWNER, Role.AGENT_OWNER))

    def post(client, path, body=None, status=200):
        answer = client.post(
            f"/api/v1/{path}", json.dumps(body or {}), content_type="application/json"
        )
        assert answer.status_code == status, answer.content
        return answer.json()

    agent = registry.get_agent_version("size", 1)
    path = f"agent-versions/{agent.id}"
    assert post(keeper, f"{path}/submit/")["status"] == "in_review"
    assert post(keeper, f"{path}/withdraw/")["status"] == "draft"
    assert post(keeper, f"{path}/activate/", status=409)["code"] == "illegal_transition"
    post(keeper, f"{path}/submit/")
    sign("agent_version", agent.id, world.people[ADMINISTRATOR], NOW)
    assert post(keeper, f"{path}/activate/")["status"] == "active"
    version = create(world).versions.get()
    path = f"workflow-versions/{version.id}"
    assert post(owner, "workflows/size-check/draft/submit/", {"revision": 1, "reason": "First."})
    assert post(owner, f"{path}/publish/", status=409)["code"] == "illegal_transition"
    sign("workflow_version", version.id, world.people[COMPLIANCE], NOW)
    assert post(owner, f"{path}/publish/")["status"] == "active"
    assert post(owner, f"{path}/deprecate/")["status"] == "deprecated"
    assert post(owner, f"{path}/retire/", status=422)["code"] == "reason_missing"
    assert post(owner, f"{path}/retire/", {"reason": "Replaced."})["status"] == "retired"
    assert post(owner, f"{path}/ask/", {"reason": "x"}, 409)["code"] == "illegal_transition"


def test_the_policy_over_the_api_and_on_its_page(world):
    administrator = client_of(world, f"{ADMINISTRATOR}-claims")
    reader = client_of(world, "reviewer-claims")
    address = "/api/v1/sign-off-policies/claims/"
    assert reader.get(address).json()["needed"]["irreversible"] == 1
    body = {"needed": {"none": 1, "read": 1, "write": 2, "irreversible": 2}, "reason": "Money."}

    def put(client, body):
        return client.put(address, json.dumps(body), content_type="application/json")

    assert put(reader, body).status_code == 403
    for wrong in ({"none": 0}, {**body["needed"], "read": 6}, {**body["needed"], "other": 1}):
        answer = put(administrator, {**body, "needed": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        assert answer.json()["violations"]
    answer = put(administrator, {**body, "person_before": "everything"})
    assert (answer.status_code, answer.json()["violations"][0]["path"]) == (422, "/person_before")
    assert put(administrator, {**body, "person_before": "write"}).json()["version"] == 1
    assert reader.get(address).json()["person_before"] == "write"
    assert put(administrator, body).json()["version"] == 1, "what is left out stays"
    form = {"input.none": 1, "input.read": 1, "input.write": 3, "input.irreversible": 3}
    form["input.person_before"] = "write"
    page = administrator.post("/settings/sign-offs/claims/", {**form, "input.reason": ""})
    assert page.status_code == 422
    page = administrator.post("/settings/sign-offs/claims/", {**form, "input.reason": "More."})
    assert page.status_code == 302
    policy = reviews.policy_of(world.workspace.id)
    assert (policy.needed["write"], policy.person_before) == (3, "write")
    form |= {"input.person_before": "irreversible", "input.reason": "Only what is for good."}
    assert administrator.post("/settings/sign-offs/claims/", form).status_code == 302
    assert reviews.policy_of(world.workspace.id).person_before == "irreversible"
    shown = reader.get("/settings/sign-offs/claims/").content.decode()
    assert "Only an administrator" in shown
    assert "Money." in shown


# ---- cost --------------------------------------------------------------------------------------


def test_the_second_wall_costs_a_start_at_most_three_queries(scene, django_assert_max_num_queries):
    version = selectors.get_version(scene.first.id)
    selectors.binding_of(version)
    with django_assert_max_num_queries(3):
        selectors.binding_of(version)


def test_no_row_of_a_sign_off_lacks_its_entry(scene):
    scene.register_type("Amount", 2_000)
    actions = dict(
        AuditOutbox.objects.filter(subject_kind="sign_off")
        .values_list("action")
        .annotate(count=Count("id"))
    )
    assert actions == {"sign_off.asked": 8, "sign_off.signed": 5, "sign_off.voided": 3}


def test_the_actor_of_a_voided_sign_off_is_whoever_changed_the_member(scene):
    scene.register_type("Amount", 2_000)
    entry = AuditOutbox.objects.filter(action="sign_off.voided").first()
    assert (entry.actor_kind, entry.actor_id) == ("user", scene.world.owner.id)
    assert Actor(kind="user", id=entry.actor_id) == scene.world.owner
