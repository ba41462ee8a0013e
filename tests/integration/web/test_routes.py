"""Every route, API action and live topic, asked as a visitor and in each role, own and foreign."""

import copy
import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLResolver
from django.utils import timezone

from orchestrator.access import ACTIONS, Role
from tests.databases import CommittedDatabase
from tests.route_table import PUBLIC, ROUTES, SIGNED_IN, TOPICS

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
UNDRAWN = {"accept": "application/json"}


def _walk(patterns, prefix=""):
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield _plain(prefix + str(pattern.pattern)), pattern.callback


def _plain(route):
    """A regular expression of DRF's router as a path: `^runs/(?P<pk>[^/.]+)/$` -> `runs/<pk>/`."""
    route = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", route)
    return route.replace("^", "").replace("$", "").replace("\\Z", "")


def _routes():
    return dict(_walk(get_resolver().url_patterns))


def _methods_of(callback):
    """The methods that a class-based view answers; None for a function, which is asked."""
    actions = getattr(callback, "actions", None)
    if actions:
        return {method.upper() for method in actions if method != "head"}
    view = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    if view is None:
        return None
    return {method for method in METHODS if hasattr(view, method.lower())}


def test_every_route_has_a_row_and_every_row_a_route():
    known = {route for _, route in ROUTES}
    assert not sorted(set(_routes()) - known), "routes without a row in tests/route_table.py"
    assert not sorted(known - set(_routes())), "rows without a route"


def test_every_method_of_a_class_based_view_has_a_row():
    missing = []
    for route, callback in _routes().items():
        for method in _methods_of(callback) or ():
            is_form = "accounts/" in route and method in {"PUT", "DELETE", "PATCH"}
            if (method, route) not in ROUTES and not is_form and method != "OPTIONS":
                missing.append(f"{method} {route}")
    assert not missing


def test_every_live_topic_has_a_row_with_its_line():
    from orchestrator.runs import consumers

    stated = {topic: row.line for topic, row in TOPICS.items()}
    assert stated == {**consumers.TOPIC_ACTIONS, consumers.RUN_TOPIC: consumers.RUN_ACTION}


def test_every_line_names_an_action_of_the_permission_table():
    for rows in ROUTES.values():
        for row in rows if isinstance(rows, tuple) else (rows,):
            assert row.line in {PUBLIC, SIGNED_IN} or row.line in ACTIONS


class World:
    """The demo's objects in `claims`; a person per role there, and one per role elsewhere."""

    def __init__(self):
        from designer.selectors import active_version, find_workflow
        from orchestrator.access import SYSTEM
        from orchestrator.accounts import services
        from orchestrator.accounts.models import Workspace
        from orchestrator.console import demo
        from registry import services as agents
        from registry.models import AgentVersion

        demo.ensure_demo()
        self.now = timezone.now()
        self.password = make_password("correct-horse-9")
        self._cookies = {}
        claims = Workspace.objects.get(slug="claims")
        elsewhere = services.create_workspace(
            slug="elsewhere", name="Elsewhere", actor=SYSTEM, now=self.now
        )
        self.own = {role: self._person(f"own-{role}", role, claims) for role in Role}
        self.foreign = {role: self._person(f"foreign-{role}", role, elsewhere) for role in Role}
        colleague = self._person("colleague", Role.REVIEWER, claims)
        workflow = find_workflow(SYSTEM, "insurance-claim")
        version = (
            AgentVersion.objects.select_related("agent").filter(agent__workspace=claims).first()
        )
        agents.register_agent_version(
            agent_slug=version.agent.slug,
            manifest=version.manifest,
            actor=self._actor(Role.AGENT_OWNER),
            now=self.now,
        )
        active = active_version(workflow)
        self.step = next(iter(active.definition["steps"]))
        self.run = self._run(workflow)
        self.objects = {
            "person": str(colleague.id),
            "membership": str(colleague.memberships.get().id),
            "workspace": "claims",
            "workflow": workflow.slug,
            "workflow_version": str(active.id),
            "agent": version.agent.slug,
            "agent_version": str(version.id),
            "run": str(self.run.id),
            "step": self.step,
            "artefact": self._artefact(),
            **self._accounts(claims),
            **self._reviews(claims),
            "entry": self._entry(claims),
            "trigger": self._trigger(claims),
            "hooked": "hooked",
            "limit": self._limit(claims),
            "bulk_act": self._bulk_act(),
            "observation": self._observation(),
            **self._models(claims),
        }

    def _bulk_act(self):
        """Something that was asked of the run, and that it could not take."""
        from orchestrator.runs import bulk

        row = bulk.act_on_runs(
            act=bulk.BulkKind.CONTINUE,
            run_ids=[self.run.id],
            reason="because",
            actor=self._actor(Role.OPERATOR),
            now=self.now,
        )
        return str(row.id)

    def _observation(self):
        """Something that was seen about the run."""
        from orchestrator.runs.models import Observation

        row = Observation.objects.create(
            workspace_id=self.run.workspace_id,
            workflow_id=self.run.workflow_id,
            kind="circles",
            step=self.step,
            run_id=self.run.id,
            text="The loop went round.",
            first_at=self.now,
            latest_at=self.now,
        )
        return str(row.id)

    def _models(self, workspace):
        """A provider of models and a route that leads to it."""
        from orchestrator.access import SYSTEM
        from registry import providers
        from registry.routes import ModelChoice

        provider = providers.add_provider(
            workspace_id=workspace.id,
            name="local",
            protocol="openai",
            base_url="https://models.example/v1",
            actor=SYSTEM,
            now=self.now,
        )
        route = providers.set_route(
            workspace_id=workspace.id,
            name="strong",
            choices=[ModelChoice(provider="local", model="large", context_tokens=8_000)],
            reason="For the tests.",
            actor=SYSTEM,
            now=self.now,
        )
        return {"provider": str(provider.id), "route": str(route.id)}

    def _limit(self, workspace):
        """A limit of calls."""
        from budgets import services
        from budgets.limits import Period, Scope, Unit
        from orchestrator.access import SYSTEM

        row = services.set_limit(
            workspace_id=workspace.id,
            scope=Scope.WORKSPACE,
            target="",
            unit=Unit.CALLS,
            currency="",
            period=Period.MONTH,
            terms=services.Terms(1_000_000),
            reason="because",
            actor=SYSTEM,
            now=self.now,
        )
        return str(row.id)

    def _trigger(self, workspace):
        """A webhook of a published workflow."""
        from designer import services as designer
        from orchestrator.access import SYSTEM
        from orchestrator.runs.models import Trigger
        from orchestrator.runs.triggers import Installed
        from tests.signing import sign
        from tests.unit.core.flows import definition

        hook = {"name": "Hook", "source": {"type": "webhook"}, "input": {}}
        author = self.own[Role.BUSINESS_OWNER]
        designer.create_workflow(
            slug="hooked",
            workspace_id=workspace.id,
            owner_id=author.id,
            definition=definition({}, ["start-done"], triggers={"hook": hook}),
            actor=SYSTEM,
            author_id=author.id,
            now=self.now,
        )
        version = designer.submit_draft(slug="hooked", revision=1, actor=SYSTEM, now=self.now)
        sign("workflow_version", version.id, self._actor(Role.COMPLIANCE), self.now)
        designer.publish_workflow_version(version_id=version.id, actor=SYSTEM, now=self.now)
        Installed().sync(self.now)
        return str(Trigger.objects.get(workflow__slug="hooked").id)

    def _person(self, name, role, workspace):
        from orchestrator.access import SYSTEM
        from orchestrator.accounts import services

        person = services.create_person(
            username=name, name=name, hashed_password=self.password, actor=SYSTEM, now=self.now
        ).person
        services.grant_membership(
            person_id=person.id,
            workspace_id=workspace.id,
            role=role.value,
            actor=SYSTEM,
            now=self.now,
        )
        return person

    def _actor(self, role):
        from orchestrator.accounts.authentication import actor_of_person

        return actor_of_person(self.own[role])

    def _run(self, workflow):
        from orchestrator.console.demo import _claim_examples
        from orchestrator.runs import services

        return services.start_run(
            workflow_slug=workflow.slug,
            input=_claim_examples()[0].input,
            actor=self._actor(Role.BUSINESS_OWNER),
            now=self.now,
        )

    def _artefact(self):
        from orchestrator.files.models import Artefact

        found = Artefact.objects.filter(workspace__slug="claims", media="application/pdf")
        return found.first().sha256

    def _accounts(self, workspace):
        from orchestrator.accounts import services

        administrator = self._actor(Role.ADMINISTRATOR)
        identity = services.create_service_identity(
            workspace_id=workspace.id, name="Portal", actor=administrator, now=self.now
        )
        token = services.create_token(
            name="t", scopes=["*"], actor=self._actor(Role.OPERATOR), now=self.now
        )
        return {"service": str(identity.id), "token": str(token.row.id)}

    def _reviews(self, workspace):
        from approvals import services
        from orchestrator.access import SYSTEM
        from tests.integration.approvals.world import make_evidence

        def task(subject):
            return services.open_review(
                kind="gate",
                subject_id=subject,
                workspace_id=workspace.id,
                run_id=self.run.id,
                title="Approve the settlement",
                question="Pay it?",
                evidence=make_evidence(),
                assign_role="reviewer",
                due_at=self.now + timedelta(days=1),
                excluded_people=[],
                actor=SYSTEM,
                now=self.now,
            )

        open_task = task(f"{self.run.id}/{self.step}/1")
        decided = task(f"{self.run.id}/{self.step}/2")
        decision = services.decide_review(
            task_id=decided.id,
            actor=self._actor(Role.REVIEWER),
            outcome="approved",
            shown_sha256=decided.shown_sha256,
            now=timezone.now(),
            undo_seconds=600,
        )
        return {
            "task": str(open_task.id),
            "decided": str(decided.id),
            "decision": str(decision.id),
        }

    def _entry(self, workspace):
        from audit.models import AuditOutbox
        from audit.sequencer import sequence_once

        sequence_once(timezone.now())
        return str(AuditOutbox.objects.get(action="run.started", workspace_id=workspace.id).id)

    def client(self, person):
        """A browser in which this person, or nobody, is signed in; each signs in once."""
        client = Client(headers={"host": "127.0.0.1"}, raise_request_exception=False)
        if person is not None:
            if person.id not in self._cookies:
                client.force_login(person, backend=BACKEND)
                self._cookies[person.id] = client.cookies
            client.cookies = copy.deepcopy(self._cookies[person.id])
        return client

    def address(self, route, row):
        """Fill a route with the row's object and words."""

        def value(match):
            name = match.group(1).rpartition(":")[2]
            return row.path.get(name, "").format(**self.objects) or self.objects[row.about]

        return "/" + re.sub(r"<([^>]+)>", value, route)

    def body(self, row):
        text = json.dumps(row.body or {})
        for name, value in self.objects.items():
            text = text.replace("{" + name + "}", value)
        return json.loads(text)


@pytest.fixture(scope="module")
def world(migrated, django_db_blocker):
    """One world, committed to a database of its own; whoever asks in it rolls back."""
    with django_db_blocker.unblock():
        database = CommittedDatabase.create(migrated)
        try:
            yield World()
        finally:
            database.drop()


def _ask(world, method, route, row, person, **headers):
    """The status of one request, whose effects are rolled back."""
    client = world.client(person)
    body = world.body(row)
    given = {"headers": headers}
    if method != "GET":
        given["data"] = body
    if method != "GET" and not row.is_form:
        given |= {"data": json.dumps(body), "content_type": "application/json"}
    with transaction.atomic():
        answer = getattr(client, method.lower())(world.address(route, row), **given)
        transaction.set_rollback(True)
    if answer.status_code == 302 and answer["Location"].startswith("/accounts/login/"):
        return 401
    return answer.status_code


def _roles_of(row):
    if row.only is not None:
        return {Role(one) for one in row.only}
    return set(Role) if row.line in {PUBLIC, SIGNED_IN} else set(ACTIONS[row.line].roles)


def _is_let_in(status):
    return status < 500 and status not in {401, 403, 404, 405}


def _mismatches(world, method, route, row):
    """Say where an answer differs from the row."""
    status = _ask(world, method, route, row, None)
    if row.line == PUBLIC:
        if (status >= 500 or status == 401) and status not in row.also:
            yield f"visitor: {status}"
        return
    if status != 401:
        yield f"visitor: {status}, expected 401 or the sign-in page"
    allowed = _roles_of(row)
    everywhere = row.line in ACTIONS and ACTIONS[row.line].everywhere
    drawn = {}  # a refusal is drawn for the first whom it meets: the others' would look the same
    for role in Role if row.line in ACTIONS or row.about else (Role.REVIEWER, Role.ADMINISTRATOR):
        shown = {} if role in allowed else drawn
        status = _ask(world, method, route, row, world.own[role], **shown)
        if role not in allowed:
            drawn = UNDRAWN
        if role in allowed and not _is_let_in(status) and status not in row.also:
            yield f"{role} own: {status}, expected to be let in"
        if role not in allowed and status != row.refused:
            yield f"{role} own: {status}, expected {row.refused}"
        if row.line == SIGNED_IN and row.about is None:
            continue  # nothing that could be foreign
        # People of the workspace get the page; the others' refusals are not drawn, which is half the time.
        status = _ask(world, method, route, row, world.foreign[role], **UNDRAWN)
        if row.about is None or everywhere or role in row.anywhere_for:
            is_in = _is_let_in(status) or (role in allowed and status in row.also)
            if (role in allowed) != is_in:
                yield f"{role} elsewhere: {status}"
        elif status not in ({404} if role in allowed else {404, 403}):
            yield f"{role} foreign: {status}, expected 404"


@pytest.mark.timeout(900)
def test_each_route_lets_in_whom_its_line_names_and_nobody_else(world, settings):
    settings.DEMO = True
    settings.API_REQUESTS_PER_MINUTE = 1_000_000
    found = []
    for (method, route), rows in ROUTES.items():
        for row in rows if isinstance(rows, tuple) else (rows,):
            where = f"{method} {world.address(route, row)}"
            found += [f"{where} as {one}" for one in _mismatches(world, method, route, row)]
    assert not found, "\n" + "\n".join(found)


def test_each_topic_lets_in_whom_its_line_names_and_nobody_else(world):
    found = list(_topic_mismatches(world))
    assert not found, "\n" + "\n".join(found)


def _topic_mismatches(world):
    """Ask the one function that the live socket asks before it lets anybody follow a topic."""
    from orchestrator.accounts.authentication import actor_of_person
    from orchestrator.core.errors import DomainError
    from orchestrator.runs.consumers import _standing

    def status(person, topic):
        try:
            _standing(actor_of_person(person), topic)
        except DomainError as error:
            return error.status
        return 200

    for topic, row in TOPICS.items():
        allowed, action = _roles_of(row), ACTIONS[row.line]
        name = topic + world.objects[row.about] if row.about else topic
        for role in Role:
            expected = 200 if role in allowed else 403
            if status(world.own[role], name) != expected:
                yield f"topic {topic} as {role} own, expected {expected}"
            if row.about and not action.everywhere:
                expected = 404
            if status(world.foreign[role], name) != expected:
                yield f"topic {topic} as {role} foreign, expected {expected}"


def test_a_method_without_a_row_is_not_answered(world, settings):
    settings.DEMO = True
    found = []
    for route, callback in _routes().items():
        if _methods_of(callback) is not None:
            continue
        for method in METHODS:
            if (method, route) in ROUTES:
                continue
            rows = next(rows for (_, one), rows in ROUTES.items() if one == route)
            row = rows[0] if isinstance(rows, tuple) else rows
            status = _ask(world, method, route, row, world.own[Role.OPERATOR])
            if status not in {403, 404, 405}:
                found.append(f"{method} {route}: {status}")
    assert not found, "\n" + "\n".join(found)
