"""The demo installation: people in every role, the claims workflow, its agents and its claims.

Everything goes through the services that people use, so it is audited like any other change: agents
and workflow are written by one person and signed off by another (their entries say `via` seed). The
seed is one transaction: a first start that is interrupted leaves nothing behind. Runs are not part
of it: `run_examples` starts them afterwards and the real engine executes them.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.db import close_old_connections, transaction
from django.utils import timezone

from approvals import selectors as reviews
from approvals import services as review_services
from designer import services as designs
from designer.selectors import NoActiveVersionError, active_version, find_workflow
from examples import claims, starters
from orchestrator.access import SYSTEM, Actor, Role, remembering
from orchestrator.accounts import services as accounts
from orchestrator.core.errors import DomainError, NotFoundError
from orchestrator.core.json import JsonValue
from orchestrator.files import services as files
from orchestrator.runs import examples as start_examples
from orchestrator.runs import selectors as runs
from orchestrator.runs import services as engine
from registry import services as agents
from registry.lifecycle import AgentVersionEvent

if TYPE_CHECKING:
    import threading

WORKSPACES = (("claims", "Claims"), ("customer-service", "Customer service"))
PEOPLE = (
    ("business-owner", "Maren Vogt", Role.BUSINESS_OWNER, ("claims",)),
    ("business-owner-2", "Tomas Lindqvist", Role.BUSINESS_OWNER, ("claims", "customer-service")),
    ("agent-owner", "Priya Nair", Role.AGENT_OWNER, ("claims",)),
    ("agent-owner-2", "Luca Bianchi", Role.AGENT_OWNER, ("claims", "customer-service")),
    ("reviewer", "Jonas Weber", Role.REVIEWER, ("claims",)),
    ("reviewer-2", "Dana Ilić", Role.REVIEWER, ("claims", "customer-service")),
    ("operator", "Amara Okafor", Role.OPERATOR, ("claims",)),
    ("compliance", "Henrik Dahl", Role.COMPLIANCE, ("claims",)),
    ("administrator", "Sofia Keller", Role.ADMINISTRATOR, ("claims", "customer-service")),
)
HOME_EXAMPLES = 4
SEED = "seed"
"""How the log says that a person of the demo did something while it was put in."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class HomeExample:
    """A card of the home page: one shipped input of one shipped workflow."""

    title: str
    summary: str
    pattern: str
    workflow: str
    url: str


def ensure_demo(say: Say = lambda _: None) -> bool:
    """Seed an empty installation; returns whether example runs are still to be started."""
    if not get_user_model().objects.exists():
        started = time.monotonic()
        say("loading the demo: people, agents, the claims workflow")
        with transaction.atomic():
            passwords = _seed(timezone.now())
        _write_sign_ins(passwords)
        say(f"demo data is in ({time.monotonic() - started:.1f} s)")
    register_examples()
    return not is_complete()


def register_examples() -> None:
    """Offer the shipped claims at the start form of the claims workflow."""
    start_examples.register(claims.WORKFLOW_SLUG, _claim_examples)


def is_complete() -> bool:
    """Whether every shipped claim has been started and none of those runs is still on its way."""
    started = runs.list_runs(SYSTEM, workflow=claims.WORKFLOW_SLUG)
    statuses = list(started.values_list("status", flat=True))
    return len(statuses) >= len(claims.claim_ids()) and not {"pending"} & set(statuses)


def run_examples(stop: threading.Event | None = None) -> None:
    """Start a run for every shipped claim; safe to call again, each is started once."""
    try:
        actor = Actor(kind="user", id=str(_person("business-owner")))
        for claim_id, example in zip(claims.claim_ids(), _claim_examples(), strict=True):
            if stop is not None and stop.is_set():
                return
            engine.start_run(
                workflow_slug=claims.WORKFLOW_SLUG,
                input=example.input,
                actor=actor,
                now=timezone.now(),
                idempotency_key=f"demo-{claim_id}",
            )
    finally:
        close_old_connections()


def examples_for(actor: Actor) -> list[HomeExample]:
    """The examples that this person's home page offers; none outside a demo."""
    if not settings.DEMO:
        return []
    try:
        workflow = find_workflow(actor, claims.WORKFLOW_SLUG)
        version = active_version(workflow)
    except (NotFoundError, NoActiveVersionError):
        return []
    return [
        HomeExample(
            title=example.title,
            summary=example.summary,
            pattern="fan-out",
            workflow=f"{workflow.name} v{version.number}",
            url=f"/workflows/{workflow.slug}/start/?example={example.key}",
        )
        for example in _claim_examples()[:HOME_EXAMPLES]
    ]


def _seed(now: Any) -> dict[str, str]:
    spaces = {
        slug: accounts.create_workspace(slug=slug, name=name, actor=SYSTEM, now=now).id
        for slug, name in WORKSPACES
    }
    password = secrets.token_urlsafe(9)
    hashed = make_password(password)
    people: dict[str, UUID] = {}
    for username, name, role, workspaces in PEOPLE:
        person = accounts.create_person(
            username=username, name=name, hashed_password=hashed, actor=SYSTEM, now=now
        ).person
        people[username] = person.id
        for slug in workspaces:
            accounts.grant_membership(
                person_id=person.id, workspace_id=spaces[slug], role=role, actor=SYSTEM, now=now
            )
    with remembering():
        _seed_claims(spaces["claims"], people, now)
    return dict.fromkeys(people, password)


def _seed_claims(workspace_id: UUID, people: dict[str, UUID], now: Any) -> None:
    """The claims workflow with its agents, each written by one person and signed off by another."""
    by = {name: Actor(kind="user", id=str(key), via=SEED) for name, key in people.items()}

    def upload(path: Path) -> dict[str, Any]:
        artefact = files.upload_artefact(
            workspace_id=workspace_id,
            name=path.name,
            chunks=[path.read_bytes()],
            actor=by["business-owner"],
            now=now,
        )
        return {"artefact": artefact.sha256, "media": artefact.media, "name": artefact.name}

    for domain_type in claims.domain_types():
        agents.register_domain_type(**domain_type, actor=by["agent-owner"], now=now)
    agents.register_endpoint(
        workspace_id=workspace_id,
        name=claims.ENDPOINT,
        base_url=claims.ENDPOINT_URL,
        allow_private=True,
        actor=by["administrator"],
        now=now,
    )
    shipped = [*claims.agents(upload), *starters.agents(upload)]
    for agent in shipped:
        _seed_agent(agent, workspace_id, by, now)
    workflow = designs.create_workflow(
        slug=claims.WORKFLOW_SLUG,
        workspace_id=workspace_id,
        owner_id=people["business-owner"],
        definition=claims.workflow(),
        actor=by["business-owner"],
        now=now,
    )
    version = designs.submit_draft(
        slug=workflow.slug,
        revision=1,
        reason="The claims process as it ships with the demo.",
        actor=by["business-owner"],
        now=now,
    )
    _sign("workflow_version", version.id, by["compliance"], now)
    designs.publish_workflow_version(version_id=version.id, actor=by["business-owner"], now=now)
    given = [claims.claim_input(claim_id, upload) for claim_id in claims.claim_ids()]
    payloads: list[JsonValue] = [agent["manifest"]["config"] for agent in shipped]
    for payload in (*payloads, *given):
        files.attach_payload(
            payload=payload, workspace_id=workspace_id, workflow_id=workflow.id, actor=None
        )


def _seed_agent(agent: dict[str, Any], workspace_id: UUID, by: dict[str, Actor], now: Any) -> None:
    owner = by["agent-owner"]
    agents.register_agent(
        slug=agent["slug"],
        name=agent["name"],
        workspace_id=workspace_id,
        owner_id=UUID(owner.id),
        actor=owner,
        now=now,
    )
    version = agents.register_agent_version(
        agent_slug=agent["slug"], manifest=agent["manifest"], actor=owner, now=now
    )

    def happen(event: AgentVersionEvent) -> None:
        agents.set_agent_version_status(
            version_id=version.id, event=event, actor=owner, now=now, reason="First version"
        )

    happen(AgentVersionEvent.SUBMIT)
    _sign("agent_version", version.id, by["agent-owner-2"], now)
    happen(AgentVersionEvent.ACTIVATE)


def _sign(kind: str, version_id: UUID, actor: Actor, now: Any) -> None:
    """Sign what waits for it, as the person who does it on the review page."""
    task = reviews.review_of_version(kind, version_id)
    review_services.decide_review(
        task_id=task.id,
        actor=actor,
        outcome="approved",
        reason="Looked through for the demo.",
        shown_sha256=task.shown_sha256,
        now=now,
        undo_seconds=0,
    )


@cache
def _claim_examples() -> tuple[start_examples.Example, ...]:
    """The shipped claims as inputs; the seed uploaded their files, here they are only named."""
    truth = json.loads(claims.TRUTH.read_text(encoding="utf-8"))
    scenarios = {claim_id: case["scenario"] for claim_id, case in truth.items()}
    return tuple(
        start_examples.Example(
            key=claim_id,
            title=_words(scenarios[claim_id]),
            summary=f"{claim_id}: {_listed(claim_id)}",
            input=claims.claim_input(claim_id, _reference),
        )
        for claim_id in claims.claim_ids()
    )


def _words(scenario: str) -> str:
    return scenario.replace("_", " ").capitalize()


def _listed(claim_id: str) -> str:
    kinds = {".pdf": "a form as PDF", ".txt": "a claim as text", ".jpg": "a photograph"}
    return " and ".join(kinds[path.suffix] for _, path in claims.claim_files(claim_id))


def _reference(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"artefact": digest, "media": claims.MEDIA[path.suffix], "name": path.name}


def _person(username: str) -> UUID:
    person = get_user_model().objects.filter(username=username).values_list("id", flat=True).first()
    if person is None:
        raise DomainError(f"The demo has no person '{username}'.")
    return UUID(str(person))


def _write_sign_ins(passwords: dict[str, str]) -> None:
    """Keep the demo's sign-ins in a file of its own, readable by its owner only."""
    path = settings.BATON_HOME / "sign-ins.txt"
    path.touch(mode=0o600)
    names = {username: (name, role) for username, name, role, _ in PEOPLE}
    lines = [
        f"  {username:<18} {password}   {names[username][0]}, {names[username][1].label}"
        for username, password in passwords.items()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
