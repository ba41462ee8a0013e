"""Reading the registry: agents and their versions for people, interfaces and types for the engine.

A version that left the draft never changes but for its status and the types that it means, so what
is compiled from it is kept per process by version and types (`registered_version`).
`version_status` always asks the database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import (
    Case,
    Exists,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.fields.json import KT

from approvals import sign_offs
from approvals.closure import Member
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.selectors import names_of
from orchestrator.agents.llm import LlmConfig, terms_of
from orchestrator.agents.money import Money, money_of
from orchestrator.core.catalogue import AgentExample, AgentInterface, Catalogue, Repair
from orchestrator.core.catalogue import DomainType as CoreType
from orchestrator.core.contracts import Validator, bundle, standard_types
from orchestrator.core.definition import GateStep, WorkflowDefinition, agents_of
from orchestrator.core.errors import ConflictError, InvalidInputError, NotFoundError
from orchestrator.core.json import JsonObject
from orchestrator.core.model_usage import ModelTerms
from orchestrator.core.schemas import inline
from registry.closure import agent_version_member, type_member
from registry.comparison import Side
from registry.examination import Surroundings, no_model
from registry.lifecycle import CALLABLE, STARTABLE
from registry.manifest import AgentManifest
from registry.models import Agent, AgentVersion, AgentVersionStatus, DomainType, Endpoint
from registry.routes import usable_routes

KIND = "agent_version"
"""The kind of agent versions among reviews and sign-offs."""
Pins = Mapping[str, int]
"""Domain types by name -> the version that is meant."""

UNFINISHED = (AgentVersionStatus.DRAFT, AgentVersionStatus.IN_REVIEW)
"""Statuses from which a version may be edited (again); only what left them is kept compiled."""
_FOR_DRAFTS = (
    AgentVersionStatus.ACTIVE,
    AgentVersionStatus.APPROVED,
    AgentVersionStatus.IN_REVIEW,
    AgentVersionStatus.DRAFT,
    AgentVersionStatus.DEPRECATED,
)
"""Statuses of versions that a draft may name, the likeliest first."""


class AgentNotUsableError(ConflictError):
    """A run cannot start: an agent version is missing or its status forbids it.

    `detail["agents"]` lists each with its status ("missing" when it does not exist).
    """

    code = "agent_not_usable"
    is_denial = True


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """An agent version made ready for calls: manifest read, contracts compiled."""

    id: UUID
    slug: str
    number: int
    name: str
    workspace_id: UUID
    sha256: str
    manifest: AgentManifest
    types: Pins
    input: Validator
    output: Validator

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.name} v{self.number}"

    def inlined(self) -> tuple[JsonObject, JsonObject]:
        """The contracts in and out with the domain types written out where they are named."""
        types = types_at(self.types)
        given, made = bundle(self.manifest.input, types), bundle(self.manifest.output, types)
        return inline(given), inline(made)

    def interface(self) -> AgentInterface:
        """What a workflow may know of it."""
        return AgentInterface(
            slug=self.slug,
            version=self.number,
            name=self.name,
            kind=self.manifest.kind,
            input_schema=self.manifest.input,
            output_schema=self.manifest.output,
            effect=self.manifest.effect,
            side_effect=self.manifest.side_effect,
            waits=self.manifest.waits,
            price=self.manifest.price_of_call,
            examples=tuple(
                AgentExample(one.title, one.input, one.output) for one in self.manifest.examples
            ),
            models=self._terms(),
        )

    def _terms(self) -> ModelTerms | None:
        config = self.manifest.config
        return terms_of(config, self.inlined()[1]) if isinstance(config, LlmConfig) else None


# ---- for people --------------------------------------------------------------------------------


def list_agents(
    actor: Actor,
    *,
    search: str = "",
    status: str = "",
    kind: str = "",
    mine: bool = False,
    owner: str = "",
) -> QuerySet[Agent]:
    """Agents of the actor's workspaces by name, each with `versions` (newest first) and owner.

    `newest_kind`, `newest_purpose`, `newest_side_effect` and `newest_capabilities` are those of the
    newest version, `has_active_owner` whether the owner is active and holds the role. `search`
    looks at the newest version, name and owner; `status` is that of any version; `owner` "missing"
    keeps the agents without an active owner.
    """
    newest = (
        AgentVersion.objects.filter(agent=OuterRef("pk"))
        .order_by("-number")
        .annotate(
            kind=KT("manifest__kind"),
            purpose=KT("manifest__purpose"),
            side_effect=KT("manifest__side_effect"),
            capabilities=KT("manifest__capabilities"),
        )
    )
    agents = (
        Agent.objects.filter(workspace_id__in=access.workspaces_where(actor, "agent.read"))
        .annotate(
            newest_kind=Subquery(newest.values("kind")[:1]),
            newest_purpose=Subquery(newest.values("purpose")[:1]),
            newest_side_effect=Subquery(newest.values("side_effect")[:1]),
            newest_capabilities=Subquery(newest.values("capabilities")[:1]),
            has_active_owner=Exists(_with_active_owner().filter(pk=OuterRef("pk"))),
        )
        .select_related("owner", "workspace", "audit")
        .prefetch_related(
            Prefetch(
                "versions",
                AgentVersion.objects.select_related("author", "audit").order_by("-number"),
            )
        )
        .order_by("name", "slug")
    )
    if search:
        agents = agents.filter(
            Q(name__icontains=search)
            | Q(slug__icontains=search)
            | Q(owner__name__icontains=search)
            | Q(newest_purpose__icontains=search)
            | Q(newest_capabilities__icontains=search)
        )
    if status in AgentVersionStatus.values:
        having = AgentVersion.objects.filter(status=status).values("agent")
        agents = agents.filter(pk__in=having)
    if kind:
        agents = agents.filter(newest_kind=kind)
    if owner == "missing":
        agents = agents.filter(has_active_owner=False)
    if mine:
        agents = agents.filter(owner_id=UUID(actor.id)) if actor.kind == "user" else agents.none()
    return agents


def _with_active_owner() -> QuerySet[Agent]:
    return Agent.objects.filter(
        owner__is_active=True,
        owner__memberships__role=access.Role.AGENT_OWNER.value,
        owner__memberships__workspace_id=F("workspace_id"),
        owner__memberships__ended_at__isnull=True,
    )


def agents_without_owner(slugs: Iterable[str]) -> list[Agent]:
    """Those of these agents whose owner left, is locked out or lost the role; by slug."""
    named = Agent.objects.filter(slug__in=list(slugs)).select_related("owner")
    return list(named.exclude(pk__in=_with_active_owner().values("pk")).order_by("slug"))


def owner_choices(workspace_ids: Iterable[UUID]) -> dict[UUID, dict[UUID, str]]:
    """Who could own an agent, by workspace: person id -> name, by name."""
    found: dict[UUID, dict[UUID, str]] = {}
    for workspace_id in workspace_ids:
        people = access.people_with_role(access.Role.AGENT_OWNER, workspace_id)
        names = names_of(people)
        found[workspace_id] = dict(sorted(names.items(), key=lambda one: (one[1], one[0])))
    return found


def get_agent(actor: Actor, slug: str) -> Agent:
    """One agent with its owner and `versions`, newest first.

    Raises:
        NotFoundError: there is none by this slug in the actor's workspaces.
    """
    agent = list_agents(actor).filter(slug=slug).first()
    if agent is None:
        raise NotFoundError("There is no such agent.")
    return agent


def list_usable_versions(
    actor: Actor, *, search: str = "", limit: int = 50, workspace_id: UUID | None = None
) -> list[AgentVersion]:
    """The version of each agent that a draft would call, best match first, each with its agent.

    It is the active one, else the newest that is on its way to that; suspended and retired ones are
    left out. With `workspace_id` only its own agents: no other one can be called there. Every word
    of `search` must occur in name, capabilities, purpose or owner; active
    versions come first, then names that begin with the text, then the others by name.
    """
    rank = Case(
        *(When(status=status, then=Value(place)) for place, status in enumerate(_FOR_DRAFTS)),
        default=Value(len(_FOR_DRAFTS)),
    )
    best = (
        AgentVersion.objects.filter(agent=OuterRef("pk"), status__in=_FOR_DRAFTS)
        .annotate(rank=rank)
        .order_by("rank", "-number")
    )
    places = access.workspaces_where(actor, "agent.read")
    if workspace_id is not None:
        places &= {workspace_id}
    agents = Agent.objects.filter(workspace_id__in=places).annotate(
        best=Subquery(best.values("pk")[:1])
    )
    versions = AgentVersion.objects.filter(pk__in=agents.values("best")).annotate(
        purpose=KT("manifest__purpose"), capabilities=KT("manifest__capabilities"), rank=rank
    )
    for word in search.split():
        versions = versions.filter(
            Q(agent__name__icontains=word)
            | Q(agent__slug__icontains=word)
            | Q(capabilities__icontains=word)
            | Q(purpose__icontains=word)
            | Q(agent__owner__name__icontains=word)
        )
    nearness = Case(
        When(agent__name__istartswith=search, then=Value(0)),
        When(agent__name__icontains=search, then=Value(1)),
        default=Value(2),
    )
    return list(
        versions.select_related("agent__owner").order_by(
            "rank", nearness, "agent__name", "agent__slug"
        )[:limit]
    )


def active_numbers(
    slugs: Iterable[str], workspace_ids: Iterable[UUID]
) -> dict[tuple[UUID, str], int]:
    """The number of the active version of each of these agents, by workspace and slug."""
    rows = AgentVersion.objects.filter(
        agent__slug__in=list(slugs),
        agent__workspace_id__in=list(workspace_ids),
        status=AgentVersionStatus.ACTIVE,
    ).values_list("agent__workspace_id", "agent__slug", "number")
    return {(workspace_id, slug): number for workspace_id, slug, number in rows}


def list_agent_versions(
    actor: Actor, *, agent: str = "", status: str = ""
) -> QuerySet[AgentVersion]:
    """Agent versions of the actor's workspaces, newest first; `agent` is a slug."""
    versions = (
        AgentVersion.objects.filter(
            agent__workspace_id__in=access.workspaces_where(actor, "agent.read")
        )
        .select_related("agent", "author", "saved_by")
        .order_by("-created_at", "-id")
    )
    if agent:
        versions = versions.filter(agent__slug=agent)
    if status:
        versions = versions.filter(status=status)
    return versions


def get_agent_version(slug: str, number: int) -> AgentVersion:
    """One version with its agent, for services; asks no permission.

    Raises:
        NotFoundError: there is none.
    """
    version = (
        AgentVersion.objects.select_related("agent").filter(agent__slug=slug, number=number).first()
    )
    if version is None:
        raise NotFoundError(f"There is no version {number} of an agent '{slug}'.")
    return version


def get_version(version_id: UUID) -> AgentVersion:
    """One version by id, with its agent, for services; asks no permission.

    Raises:
        NotFoundError: there is none.
    """
    version = AgentVersion.objects.select_related("agent", "saved_by").filter(pk=version_id).first()
    if version is None:
        raise NotFoundError("There is no such agent version.")
    return version


def shown_version(agent: Agent, number: int | None = None) -> AgentVersion | None:
    """The version that the agent's page opens with: the asked one, the active one, or the newest.

    Raises:
        NotFoundError: the asked version does not exist.
    """
    versions = list(agent.versions.all())
    if number is not None:
        found = next((one for one in versions if one.number == number), None)
        if found is None:
            raise NotFoundError(f"{agent.name} has no version {number}.")
        return found
    active = (one for one in versions if one.status == AgentVersionStatus.ACTIVE)
    return next(active, versions[0] if versions else None)


def live_version(agent_id: UUID) -> AgentVersion | None:
    """The newest version of an agent that runs use, or None."""
    active = AgentVersion.objects.filter(agent_id=agent_id, status=AgentVersionStatus.ACTIVE)
    return active.order_by("-number").first()


def people_named(ids: Iterable[str]) -> list[str]:
    """The names of people, sorted."""
    people = get_user_model()._default_manager.filter(pk__in=list(ids))
    return sorted(str(person) for person in people)


def shown_version_of(agent: Agent, number: str) -> AgentVersion:
    """The agent's version of this number, as an address carries it.

    Raises:
        InvalidInputError: it is no number.
        NotFoundError: there is no such version.
    """
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InvalidInputError("A version is a whole number.")
    found = shown_version(agent, int(number))
    assert found is not None
    return found


def side_of(version: AgentVersion) -> Side:
    """A version as two are compared: its contracts are closed over the types that it pins."""
    manifest = AgentManifest.model_validate(version.manifest)
    types = types_at(version.types)
    return Side(
        manifest=manifest,
        types=dict(version.types),
        takes=bundle(manifest.input, types),
        gives=bundle(manifest.output, types),
    )


def newest_version(agent: Agent) -> AgentVersion | None:
    """The version with the highest number, discarded drafts left out; None when there is none."""
    versions = [one for one in agent.versions.all() if one.status != AgentVersionStatus.RETIRED]
    return max(versions or list(agent.versions.all()), key=lambda one: one.number, default=None)


def draft_of(agent: Agent, number: int | None = None) -> AgentVersion:
    """The agent's draft; `number` says which version it must be.

    Raises:
        NotFoundError: there is none, or the version of this number is no draft.
    """
    drafts = [one for one in agent.versions.all() if one.status == AgentVersionStatus.DRAFT]
    for one in drafts:
        if number in {None, one.number}:
            return one
    words = "no draft" if number is None else f"no draft of version {number}"
    raise NotFoundError(f"{agent.name} has {words}.")


def list_domain_types() -> QuerySet[DomainType]:
    """The registered types that are current, by name."""
    return DomainType.objects.filter(is_current=True).order_by("name")


def domain_type_versions(name: str) -> list[DomainType]:
    """All versions of a registered type, newest first.

    Raises:
        NotFoundError: no type of this name was registered.
    """
    found = list(DomainType.objects.filter(name=name).order_by("-version"))
    if not found:
        raise NotFoundError(f"There is no type '{name}'.")
    return found


def versions_bound_to(name: str) -> list[AgentVersion]:
    """Agent versions still in use that are bound to a version of the type, by agent and number."""
    bound = AgentVersion.objects.filter(types__has_key=name)
    in_use = bound.exclude(status=AgentVersionStatus.RETIRED).select_related("agent")
    return list(in_use.order_by("agent__name", "number"))


def list_endpoints(workspace_id: UUID) -> QuerySet[Endpoint]:
    """The services that HTTP agents of a workspace may call, by name; disabled ones too."""
    return Endpoint.objects.filter(workspace_id=workspace_id).order_by("name")


# ---- for the engine and the checker ------------------------------------------------------------


def current_types() -> dict[str, CoreType]:
    """Every type as it is now, by name: the built-in ones and the registered ones."""
    return {
        **standard_types(),
        **{row.name: core_type(row) for row in DomainType.objects.filter(is_current=True)},
    }


def types_at(pins: Pins) -> dict[str, CoreType]:
    """The pinned versions of types, by name.

    Raises:
        NotFoundError: a pinned version is not known (built-in ones have version 1).
    """
    found = {name: one for name, one in standard_types().items() if pins.get(name) == one.version}
    missing = {name: number for name, number in pins.items() if name not in found}
    if missing:
        for row in DomainType.objects.filter(name__in=missing, version__in=missing.values()):
            if missing.get(row.name) == row.version:
                found[row.name] = core_type(row)
    for name, number in pins.items():
        if name not in found:
            raise NotFoundError(f"There is no version {number} of the type '{name}'.")
    return found


def pins_of(schemas: Iterable[JsonObject], types: Mapping[str, CoreType]) -> dict[str, int]:
    """The versions of all types that these contracts use, directly or through other types.

    Raises:
        SchemaError: a contract is malformed or names an unknown type.
    """
    pins: dict[str, int] = {}
    for schema in schemas:
        own = schema.get("$defs")
        defined = bundle(schema, types).get("$defs")
        names = defined if isinstance(defined, dict) else {}
        for name in names:
            if name in types and not (isinstance(own, dict) and name in own):
                pins[name] = types[name].version
    return pins


def schemas_of(definition: WorkflowDefinition) -> list[JsonObject]:
    """The contracts that stand in a workflow definition itself."""
    gates = [step.contract for step in definition.steps.values() if isinstance(step, GateStep)]
    results = [one.result for one in definition.outcomes.values() if one.result is not None]
    shared = [one.contract for one in definition.context.values()]
    return [definition.input, *gates, *results, *shared]


def registered_version(version_id: UUID, types: Pins | None = None) -> RegisteredVersion:
    """The version made ready for calls; kept per process once it left the draft.

    `types` are those of the run that calls it, which keeps what it started with; by default the
    version's own.

    Raises:
        NotFoundError: there is none.
        SchemaError: a contract of a draft is malformed.
    """
    if types is None:
        own = AgentVersion.objects.filter(pk=version_id).values_list("types", flat=True).first()
        if own is None:
            raise NotFoundError("There is no such agent version.")
        types = own
    try:
        return _frozen(version_id, tuple(sorted(types.items())))
    except _IsOpenError as open_:
        return _registered(open_.version, open_.version.types)


def version_status(version_id: UUID) -> str:
    """The status of an agent version as the database has it now; empty when there is none."""
    found = AgentVersion.objects.filter(pk=version_id).values_list("status", flat=True).first()
    return found or ""


def labels_of_workers(version_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The label that a worker must have to call it, for the versions that ask for one."""
    rows = AgentVersion.objects.filter(id__in=set(version_ids), manifest__has_key="worker")
    return {key: label for key, label in rows.values_list("id", "manifest__worker") if label}


def slugs_of(version_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The agents that versions are of, by their slugs."""
    rows = AgentVersion.objects.filter(id__in=set(version_ids))
    return dict(rows.values_list("id", "agent__slug"))


def prices_of(version_ids: Iterable[UUID]) -> dict[UUID, Money]:
    """What a call costs, for the versions that declare it."""
    rows = AgentVersion.objects.filter(id__in=set(version_ids), manifest__has_key="price")
    return {
        key: price
        for key, given in rows.values_list("id", "manifest__price")
        if (price := money_of(given)) is not None
    }


def surroundings_of(workspace_id: UUID) -> Surroundings:
    """What examining a manifest of an agent of this workspace needs to know."""
    return Surroundings(
        types=current_types(),
        endpoints={one.name: one.disabled_at is None for one in list_endpoints(workspace_id)},
        routes=usable_routes(workspace_id),
    )


def get_endpoint(name: str) -> Endpoint | None:
    """A registered service, disabled or not; None when there is none."""
    return Endpoint.objects.filter(name=name).first()


def versions_used(definition: WorkflowDefinition) -> dict[tuple[str, int], AgentVersion]:
    """The agent versions that a definition names, by (slug, number); missing ones are left out."""
    return versions_used_in([definition])


def agent_names(definition: WorkflowDefinition) -> dict[str, str]:
    """The names of the agents that a definition calls, by slug; missing ones are left out."""
    slugs = {slug for slug, _ in _named(definition)}
    rows = Agent.objects.filter(slug__in=slugs) if slugs else Agent.objects.none()
    return dict(rows.values_list("slug", "name"))


def versions_used_in(
    definitions: Iterable[WorkflowDefinition],
) -> dict[tuple[str, int], AgentVersion]:
    """The agent versions that any of these definitions names, as `versions_used` gives them."""
    wanted = sorted({one for definition in definitions for one in _named(definition)})
    rows = AgentVersion.objects.select_related("agent__owner").filter(
        agent__slug__in={slug for slug, _ in wanted}, number__in={number for _, number in wanted}
    )
    found = {(row.agent.slug, row.number): row for row in rows}
    return {key: found[key] for key in wanted if key in found}


def catalogue_for(
    definition: WorkflowDefinition,
    types: Pins | None = None,
    *,
    workspace_id: UUID | None = None,
) -> Catalogue:
    """What the checker and the planner may know: named agent versions, and domain types.

    For an agent that is named in a version that does not exist, its newest callable one is there.
    With a workspace, agents of others are as if they did not exist.
    Types are the pinned versions when `types` is given, else the current ones.
    """
    used = versions_used(definition)
    missing = {slug for slug, number in _named(definition) if (slug, number) not in used}
    rows = [*used.values(), *(_newest_callable(missing) if missing else ())]
    versions = [
        registered_version(row.id, row.types)
        for row in rows
        if workspace_id in {None, row.agent.workspace_id}
    ]
    known = current_types() if types is None else types_at({**_pins_of_all(versions), **types})
    return Catalogue(
        agents={(one.slug, one.number): _offered(one) for one in versions}, types=known
    )


def _offered(version: RegisteredVersion) -> AgentInterface:
    """What a workflow may know of an agent version, and what it lacks now."""
    config, interface = version.manifest.config, version.interface()
    if not isinstance(config, LlmConfig) or config.route in usable_routes(version.workspace_id):
        return interface
    return replace(interface, lacks=no_model(config.route))


def pins_of_version(manifest: AgentManifest) -> dict[str, int]:
    """The types that an agent version's contracts mean now."""
    return pins_of((manifest.input, manifest.output), current_types())


def type_members(names: Iterable[str]) -> list[Member]:
    """The named types as members of a closure, as they are now; one query once they are known."""
    wanted = set(names)
    members = {name: _standard_members()[name] for name in wanted if name in _standard_members()}
    rows = dict(
        DomainType.objects.filter(is_current=True, name__in=wanted).values_list("name", "id")
    )
    unknown = [row_id for row_id in rows.values() if row_id not in _type_members]
    for row in DomainType.objects.filter(id__in=unknown) if unknown else ():
        _type_members[row.id] = type_member(core_type(row))
    members |= {name: _type_members[row_id] for name, row_id in rows.items()}
    return [members[name] for name in sorted(members)]


def agent_members(versions: Iterable[AgentVersion]) -> list[Member]:
    """Agent versions, each with its agent, as members of a closure."""
    return [member_of(one) for one in versions]


def member_of(version: AgentVersion) -> Member:
    """An agent version as a member of a closure."""
    return agent_version_member(str(version.id), version.number, version.sha256, version.agent.name)


def members_of_version(version: AgentVersion) -> list[Member]:
    """What the approval of an agent version binds now, without the sign-off policy."""
    return [member_of(version), *type_members(version.types)]


def blocks_of(version: AgentVersion) -> list[JsonObject]:
    """Why a frozen version could not be activated or used now; rows of `sign_offs.blocks`."""
    if version.status in UNFINISHED:
        return []
    key = (KIND, version.id)
    title = f"{version.agent.name} v{version.number}"
    gaps = sign_offs.gaps_in({key: title}, main=key, members=members_of_version(version))
    is_stopped = version.status in {AgentVersionStatus.SUSPENDED, AgentVersionStatus.RETIRED}
    return sign_offs.blocks(
        gaps,
        unusable=[f"{title} is {version.status}."] if is_stopped else (),
        departed=departed_owners([version]),
    )


def departed_owners(versions: Iterable[AgentVersion]) -> list[str]:
    """Agents whose owner is no longer an agent owner there, each as a sentence that names both."""
    return [
        f"{agent.name} has no owner any more: {agent.owner} is not an agent owner here. "
        "Give it to somebody who is."
        for agent in agents_without_owner({one.agent.slug for one in versions})
    ]


def unusable_agents(
    definition: WorkflowDefinition,
    versions: Mapping[tuple[str, int], AgentVersion],
    statuses: Collection[str] = STARTABLE,
) -> dict[str, str]:
    """The named agent versions in none of the statuses: `slug@n` -> status, or "missing"."""
    return {
        f"{slug}@{number}": versions[slug, number].status
        if (slug, number) in versions
        else "missing"
        for slug, number in _named(definition)
        if (slug, number) not in versions or versions[slug, number].status not in statuses
    }


def binding_of(
    definition: WorkflowDefinition,
    types: Pins | None = None,
    *,
    versions: Mapping[tuple[str, int], AgentVersion] | None = None,
    statuses: Collection[str] = STARTABLE,
) -> JsonObject:
    """What a run that starts now is pinned to; `versions` are those used, when they are read.

    `{"definition_sha256", "agents": {"slug@n": {"id", "sha256"}}, "types": {name: version}}`.

    Raises:
        AgentNotUsableError: an agent version is missing, or its status forbids starting.
    """
    if versions is None:
        versions = versions_used(definition)
    unusable = unusable_agents(definition, versions, statuses)
    if unusable:
        listed = ", ".join(f"{name} is {status}" for name, status in unusable.items())
        message = f"This workflow cannot run now: {listed}."
        if AgentVersionStatus.SUSPENDED in unusable.values():
            roles = access.ACTIONS["agent.suspend"].roles
            who = " or ".join(f"an {role.label.lower()}" for role in access.Role if role in roles)
            message += f" {who[0].upper()}{who[1:]} of its workspace can lift the suspension."
        raise AgentNotUsableError(message, detail={"action": "run.start", "agents": unusable})
    pinned: dict[str, int] = {}
    for row in versions.values():
        pinned.update(row.types)
    return {
        "definition_sha256": definition.sha256,
        "agents": {
            f"{slug}@{number}": {"id": str(row.id), "sha256": row.sha256}
            for (slug, number), row in versions.items()
        },
        "types": {**pinned, **(types or {})},
    }


_type_members: dict[UUID, Member] = {}
"""By row of the type: rows never change but for being current, so this is kept per process."""


@lru_cache(maxsize=1)
def _standard_members() -> Mapping[str, Member]:
    return {name: type_member(one) for name, one in standard_types().items()}


class _IsOpenError(Exception):
    def __init__(self, version: AgentVersion) -> None:
        super().__init__("not frozen yet")
        self.version = version


@lru_cache(maxsize=1_024)
def _frozen(version_id: UUID, pins: tuple[tuple[str, int], ...]) -> RegisteredVersion:
    version = get_version(version_id)
    if version.status in UNFINISHED:
        raise _IsOpenError(version)
    return _registered(version, dict(pins))


def _registered(version: AgentVersion, pins: Pins) -> RegisteredVersion:
    manifest = AgentManifest.model_validate(version.manifest)
    types = types_at(pins)
    return RegisteredVersion(
        id=version.id,
        slug=version.agent.slug,
        number=version.number,
        name=version.agent.name,
        workspace_id=version.agent.workspace_id,
        sha256=version.sha256,
        manifest=manifest,
        types=dict(pins),
        input=Validator(manifest.input, types),
        output=Validator(manifest.output, types),
    )


def _named(definition: WorkflowDefinition) -> list[tuple[str, int]]:
    called = (one for step in definition.steps.values() for one in agents_of(step))
    return sorted({(one.agent, one.version) for one in called})


def _newest_callable(slugs: Iterable[str]) -> list[AgentVersion]:
    """Each agent's newest version that may be called, with its agent."""
    rows = AgentVersion.objects.select_related("agent").filter(
        agent__slug__in=list(slugs), status__in=CALLABLE
    )
    return list({row.agent_id: row for row in rows.order_by("number")}.values())


def _pins_of_all(versions: Iterable[RegisteredVersion]) -> dict[str, int]:
    pins: dict[str, int] = {}
    for version in versions:
        pins.update(version.types)
    return pins


def core_type(row: DomainType) -> CoreType:
    """A registered type as the contracts know it."""
    return CoreType(
        name=row.name,
        version=row.version,
        schema=row.schema,
        repairs=tuple(Repair(**one) for one in row.repairs),
        uppercase=row.uppercase,
    )
