"""Reading workflows: lists and versions for people, compiled definitions for the engine.

What left the draft never changes but for its status and the types that it means, so compiled forms
are kept per process by version and types. A run keeps the types that it started with, whatever its
version is bound to since: those of its binding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils.text import slugify
from pydantic import TypeAdapter

from approvals import selectors as approvals
from approvals import sign_offs
from approvals.closure import Member
from audit.selectors import latest_entry
from audit.services import subject_of
from designer.closure import closure_members, definition_member
from designer.diff import Change, Overlay, diff, overlay_of
from designer.documents import read_definition
from designer.models import (
    AgentUse,
    DraftPresence,
    Workflow,
    WorkflowVersion,
    WorkflowVersionStatus,
)
from designer.patterns import BLANK, STARTERS, Starter
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.catalogue import AgentInterface, Catalogue, WorkflowInterface
from orchestrator.core.checks import Finding, check_definition
from orchestrator.core.checks import examine as examine_definition
from orchestrator.core.compilation import CompiledWorkflow, compile_workflow
from orchestrator.core.contracts import Validator, bundle
from orchestrator.core.definition import WorkflowDefinition, workflows_of
from orchestrator.core.errors import ConflictError, InvalidInputError, NotFoundError
from orchestrator.core.findings import Examination
from orchestrator.core.json import JsonObject
from registry import selectors as registry
from registry.selectors import Pins

if TYPE_CHECKING:
    from approvals.models import Decision, ReviewTask, SignOff
    from registry.models import AgentVersion

KIND = "workflow_version"
"""The kind of workflow versions among reviews and sign-offs."""

COPY: Final = "copy:"
"""A starter's key with this in front, and a workflow's slug behind it, copies that workflow."""
UNFINISHED = (WorkflowVersionStatus.DRAFT, WorkflowVersionStatus.IN_REVIEW)
"""Statuses from which a version may be edited (again); only what left them is kept compiled."""
VERSIONS_SHOWN: Final = 20
"""How many versions the history shows at once."""
DISCARDED: Final = "workflow_version.discarded"
OUT_OF_USE: Final = ("workflow_version.deprecated", "workflow_version.retired")
PRESENT_FOR: Final = timedelta(seconds=30)
"""How long a note of `services.note_presence` says that somebody is there."""


TRIED_STATUSES: Final = (
    WorkflowVersionStatus.DRAFT,
    WorkflowVersionStatus.IN_REVIEW,
    WorkflowVersionStatus.ACTIVE,
    WorkflowVersionStatus.APPROVED,
    WorkflowVersionStatus.DEPRECATED,
)
"""Of which status the version is that a test run executes; the first that there is."""


class NoActiveVersionError(ConflictError):
    """The workflow has no active version, so nothing can start."""

    code = "no_active_version"


def list_workflows(
    actor: Actor,
    *,
    search: str = "",
    status: str = "",
    mine: bool = False,
    archived: bool | None = False,
) -> QuerySet[Workflow]:
    """Workflows of the actor's workspaces by name, each with `versions` (newest first) and owner.

    Archived ones are left out, or alone (`archived` True), or among the others (None).

    `search` looks at name, summary, owner and the agents called; `status` is that of any version.
    """
    workflows = (
        Workflow.objects.filter(
            workspace_id__in=access.workspaces_where(actor, "workflow.read"),
        )
        .select_related("owner", "workspace")
        .prefetch_related(
            Prefetch(
                "versions",
                WorkflowVersion.objects.defer("definition")
                .select_related("author", "audit")
                .order_by("-number"),
            )
        )
        .order_by("name", "slug")
    )
    if archived is not None:
        workflows = workflows.filter(archived_at__isnull=not archived)
    if search:
        calls = AgentUse.objects.filter(
            version__workflow=OuterRef("pk"), agent_version__agent__name__icontains=search
        )
        workflows = workflows.filter(
            Q(name__icontains=search)
            | Q(summary__icontains=search)
            | Q(owner__name__icontains=search)
            | Q(Exists(calls))
        )
    if status in WorkflowVersionStatus.values:
        having = WorkflowVersion.objects.filter(workflow=OuterRef("pk"), status=status)
        workflows = workflows.filter(Exists(having))
    if mine:
        is_mine = Q(owner_id=UUID(actor.id)) if actor.kind == "user" else Q(pk__in=[])
        workflows = workflows.filter(is_mine)
    return workflows


def find_workflow(actor: Actor, slug: str) -> Workflow:
    """One workflow, archived or not, with owner and `versions` (newest first, no definitions).

    Raises:
        NotFoundError: there is none by this slug in the actor's workspaces.
    """
    workflow = list_workflows(actor, archived=None).filter(slug=slug).first()
    if workflow is None:
        raise NotFoundError("There is no such workflow.")
    return workflow


@dataclass(frozen=True, slots=True)
class OfferedStarter:
    """A starter with the agents that it calls and that no workspace of the reader has active."""

    starter: Starter
    missing: tuple[str, ...]


def offered_starters(workspace_ids: Collection[UUID]) -> list[OfferedStarter]:
    """The starters of the gallery; one can be used where all its agents are in one workspace."""
    slugs = {slug for one in STARTERS for slug in one.agents}
    active = registry.active_numbers(slugs, workspace_ids)
    offered = []
    for one in STARTERS:
        gaps = [
            tuple(slug for slug in one.agents if (place, slug) not in active)
            for place in workspace_ids
        ]
        offered.append(OfferedStarter(one, min(gaps, key=len, default=one.agents)))
    return offered


def starter_definition(actor: Actor, key: str, name: str, workspace_id: UUID) -> JsonObject:
    """The document that a new workflow begins with; agent steps call the active versions.

    Raises:
        InvalidInputError: there is no such starter, or the workspace lacks an agent that it calls.
        NotFoundError: the workflow to copy is not the actor's to read.
    """
    if key.startswith(COPY):
        workflow = find_workflow(actor, key.removeprefix(COPY))
        copied: JsonObject = dict(shown_version(workflow).definition)
        return {**copied, "name": name or f"{workflow.name[:110]}, copy"}
    starter = next((one for one in (BLANK, *STARTERS) if one.key == key), None)
    if starter is None:
        raise _refused("/starter", f"There is no starter '{key}'.")
    active = registry.active_numbers(starter.agents, [workspace_id])
    missing = [slug for slug in starter.agents if (workspace_id, slug) not in active]
    if missing:
        raise _refused(
            "/workspace",
            f"This workspace has no active agent {' and no '.join(missing)}, which "
            f"“{starter.title}” calls. An agent owner can register it.",
        )
    definition = starter.build(name or starter.title)
    for step in cast("dict[str, JsonObject]", definition["steps"]).values():
        if isinstance(uses := step.get("uses"), dict):
            uses["version"] = active[workspace_id, str(uses["agent"])]
    return definition


def free_slug(name: str) -> str:
    """An address for a new workflow made from its name that no other one has."""
    base = slugify(name)[:55].strip("-_").replace("_", "-") or "workflow"
    taken = set(Workflow.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    numbered = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (base, *numbered) if slug not in taken)


def find_workflow_to_edit(actor: Actor, slug: str) -> Workflow:
    """One workflow, as `find_workflow` gives it, that the actor may edit.

    Raises:
        NotFoundError: there is none by this slug in the actor's workspaces.
        PermissionDeniedError: the actor may only read it.
    """
    workflow = find_workflow(actor, slug)
    access.require(actor, "workflow.edit", workflow)
    return workflow


def get_workflow(slug: str) -> Workflow:
    """One workflow by its slug, for services; asks no permission.

    Raises:
        NotFoundError: there is none.
    """
    workflow = Workflow.objects.filter(slug=slug).first()
    if workflow is None:
        raise NotFoundError("There is no such workflow.")
    return workflow


def active_version(workflow: Workflow) -> WorkflowVersion:
    """The version that new runs execute.

    Raises:
        NoActiveVersionError: there is none, or the workflow is archived.
    """
    version = workflow.versions.filter(status=WorkflowVersionStatus.ACTIVE).first()
    if version is None or workflow.archived_at is not None:
        raise NoActiveVersionError(f"{workflow.name} has no active version to run.")
    return version


def active_versions() -> dict[UUID, UUID]:
    """Each workflow that takes new runs, with its active version; both by id."""
    rows = WorkflowVersion.objects.filter(
        status=WorkflowVersionStatus.ACTIVE, workflow__archived_at__isnull=True
    )
    return dict(rows.values_list("workflow_id", "id"))


def workspace_of(workflow_id: UUID) -> UUID:
    """The workspace of a workflow that exists, by id."""
    return Workflow.objects.values_list("workspace_id", flat=True).get(id=workflow_id)


def slug_of(workflow_id: UUID) -> str:
    """The slug of a workflow that exists."""
    return Workflow.objects.values_list("slug", flat=True).get(id=workflow_id)


def version_to_try(workflow: Workflow) -> WorkflowVersion:
    """What a test run executes: the unfinished version, else the active one, else the newest.

    Raises:
        NoActiveVersionError: there is none that could run, or the workflow is archived.
    """
    versions = {
        one.status: one
        for one in workflow.versions.exclude(status=WorkflowVersionStatus.RETIRED)
        .select_related("workflow")
        .order_by("number")
    }
    for status in TRIED_STATUSES:
        if status in versions and workflow.archived_at is None:
            return versions[status]
    raise NoActiveVersionError(f"{workflow.name} has no version that could be tried.")


def get_version(version_id: UUID) -> WorkflowVersion:
    """One version by id, with its workflow, for services; asks no permission.

    Raises:
        NotFoundError: there is none.
    """
    version = (
        WorkflowVersion.objects.select_related("workflow", "author", "audit")
        .filter(pk=version_id)
        .first()
    )
    if version is None:
        raise NotFoundError("There is no such workflow version.")
    return version


def list_versions(
    actor: Actor, *, workflow: str = "", status: str = ""
) -> QuerySet[WorkflowVersion]:
    """Versions of the workflows that the actor may read, newest first, without definitions."""
    versions = (
        WorkflowVersion.objects.filter(
            workflow__workspace_id__in=access.workspaces_where(actor, "workflow.read")
        )
        .defer("definition")
        .select_related("workflow", "author", "audit")
        .order_by("-created_at", "-id")
    )
    if workflow:
        versions = versions.filter(workflow__slug=workflow)
    if status:
        versions = versions.filter(status=status)
    return versions


def find_version(actor: Actor, version_id: UUID) -> WorkflowVersion:
    """One version with its definition.

    Raises:
        NotFoundError: there is none in the actor's workspaces.
    """
    version = list_versions(actor).defer(None).filter(pk=version_id).first()
    if version is None:
        raise NotFoundError("There is no such workflow version.")
    return version


def shown_version(workflow: Workflow, number: int | None = None) -> WorkflowVersion:
    """The version that pages open with: the asked one, else the active one, else the newest.

    Raises:
        NotFoundError: the asked version does not exist.
    """
    versions = list(workflow.versions.all())
    if number is not None:
        versions = [one for one in versions if one.number == number]
    if not versions:
        raise NotFoundError(f"{workflow.name} has no version {number or 1}.")
    active = (one for one in versions if one.status == WorkflowVersionStatus.ACTIVE)
    return get_version(next(active, versions[0]).id)


def version_in_review(workflow: Workflow) -> int | None:
    """The number of the version that waits for its sign-off; no draft can begin before."""
    waiting = (one for one in workflow.versions.all() if one.status == "in_review")
    return next((one.number for one in waiting), None)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a version changes against an earlier one; without one everything is new."""

    before: WorkflowVersion | None
    changes: list[Change]


def versions_with_changes(workflow: Workflow, *, below: int | None = None) -> list[WorkflowVersion]:
    """The newest versions with their definitions, and one more to compare the last one with."""
    versions = WorkflowVersion.objects.filter(workflow=workflow)
    if below is not None:
        versions = versions.filter(number__lt=below)
    found = versions.select_related("author", "audit", "saved_by").order_by("-number")
    return list(found[: VERSIONS_SHOWN + 1])


def compared(versions: Sequence[WorkflowVersion]) -> dict[int, Compared]:
    """What each version changes against the one before it that was not discarded, by number."""
    names = agent_names(versions)
    models = {one.number: definition_of(one) for one in versions}
    found: dict[int, Compared] = {}
    for version in versions:
        before = next(
            (one for one in versions if one.number < version.number and not was_discarded(one)),
            None,
        )
        changes = diff(models[before.number], models[version.number], names) if before else []
        found[version.number] = Compared(before, changes)
    return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """One version beside another one, or alone when there is none before it."""

    version: WorkflowVersion
    before: WorkflowVersion | None
    changes: list[Change]

    @property
    def both(self) -> list[WorkflowVersion]:
        """The versions that are compared."""
        return [self.version, *([self.before] if self.before else [])]

    def overlay(self) -> Overlay:
        """Both in one picture; without an earlier one nothing is marked."""
        after = definition_of(self.version)
        return overlay_of(definition_of(self.before) if self.before else after, after)


def version_to_compare(
    workflow: Workflow, number: int, *, against: int | None = None
) -> Comparison:
    """A version and what it changes against another one; usually the one before it.

    Raises:
        NotFoundError: one of the two does not exist.
    """
    version = shown_version(workflow, number)
    earlier = [
        one for one in workflow.versions.all() if one.number < number and not was_discarded(one)
    ]
    if against is None:
        against = earlier[0].number if earlier else None
    before = None if against is None else shown_version(workflow, against)
    if before is None:
        return Comparison(version, None, [])
    names = agent_names([version, before])
    return Comparison(version, before, diff(definition_of(before), definition_of(version), names))


def was_discarded(version: WorkflowVersion) -> bool:
    """Whether it was given up as a draft."""
    return version.audit.action == DISCARDED


def agent_names(versions: Iterable[WorkflowVersion]) -> dict[tuple[str, int], str]:
    """The agent versions that these workflow versions name, as people call them."""
    wanted = [definition_of(one) for one in versions]
    return {
        key: f"{row.agent.name} v{row.number}"
        for key, row in registry.versions_used_in(wanted).items()
    }


@dataclass(frozen=True, slots=True)
class Signing:
    """The latest round of a version's sign-off: who signed it and why, and what waits for whom."""

    sign_off: SignOff
    signatures: list[Decision]
    review: ReviewTask | None

    @property
    def is_open(self) -> bool:
        """Whether somebody is still asked."""
        return self.review is not None


def signings_of(versions: Iterable[WorkflowVersion]) -> dict[UUID, Signing]:
    """The latest sign-off of each version that was ever handed in, by the version's id."""
    found = approvals.latest_sign_offs(KIND, [one.pk for one in versions])
    signatures = approvals.signatures_of(found.values())
    waiting = approvals.waiting_reviews(found.values())
    return {
        key: Signing(one, signatures.get(one.pk, []), waiting.get(one.pk))
        for key, one in found.items()
    }


def bound_by(signing: Signing) -> tuple[Member, ...]:
    """What a sign-off binds: definition, agents, types and policy as they were when asked."""
    return approvals.members_of(signing.sign_off.pk)


def live_at(workflow: Workflow, moment: datetime) -> tuple[WorkflowVersion, datetime] | None:
    """The version that new runs executed at a moment, and since when; None when there was none."""
    versions = {str(one.pk): one for one in workflow.versions.all()}
    about = [subject_of(one) for one in versions.values()]
    begun = latest_entry(about, ["workflow_version.published"], until=moment)
    if begun is None:
        return None
    version = versions[begun.subject_id]
    ended = latest_entry([subject_of(version)], OUT_OF_USE, until=moment)
    if ended is not None and (ended.at, ended.pk) > (begun.at, begun.pk):
        return None
    return version, begun.at


def draft_of(workflow: Workflow) -> WorkflowVersion | None:
    """The workflow's draft with its definition and who saved it; None when there is none."""
    return (
        WorkflowVersion.objects.select_related("workflow", "saved_by")
        .filter(workflow=workflow, status=WorkflowVersionStatus.DRAFT)
        .first()
    )


def draft_revision(workflow: Workflow) -> int:
    """The revision of the workflow's draft; 0 when there is none."""
    drafts = workflow.versions.filter(status=WorkflowVersionStatus.DRAFT)
    return drafts.values_list("revision", flat=True).first() or 0


def editable_draft(workflow: Workflow) -> WorkflowVersion:
    """The workflow's draft, or one that is not stored yet: a copy of the version to start from.

    The copy has `revision` 0; it is that of the active version, else of the newest.
    """
    draft = draft_of(workflow)
    if draft is not None:
        return draft
    version = shown_version(workflow)
    newest = max(one.number for one in workflow.versions.all())
    return WorkflowVersion(
        workflow=workflow,
        number=newest + 1,
        status=WorkflowVersionStatus.DRAFT,
        definition=version.definition,
        sha256=version.sha256,
        revision=0,
    )


def others_present(actor: Actor, workflow: Workflow, now: datetime) -> list[DraftPresence]:
    """Who else has the workflow's editor open, by how long."""
    present = workflow.presences.filter(seen_at__gte=now - PRESENT_FOR)
    if actor.kind == "user":
        present = present.exclude(person_id=UUID(actor.id))
    return list(present.select_related("person").order_by("since", "person_id"))


def examine(workflow: Workflow, definition: JsonObject, step: str | None = None) -> JsonObject:
    """What the checker says of a document that is not stored; `step` asks for what it may read.

    `core.findings.Examination` as JSON, against the agents of the workflow's workspace.

    Raises:
        InvalidInputError: the document is malformed, or has no such step.
    """
    model = read_definition(definition)
    if step is not None and step not in model.steps:
        reason = f"The definition has no step '{step}'."
        raise InvalidInputError(
            reason, detail={"violations": [{"path": "/step", "rule": "unknown", "reason": reason}]}
        )
    catalogue = catalogue_for(model, workspace_id=workflow.workspace_id, own=workflow.slug)
    examined: JsonObject = examine_definition(model, catalogue, step).model_dump(mode="json")
    return examined


def definition_of(version: WorkflowVersion) -> WorkflowDefinition:
    """The version's definition as a model."""
    return WorkflowDefinition.model_validate(version.definition)


def catalogue_of(version: WorkflowVersion) -> Catalogue:
    """What the version's definition refers to: with its pinned types, a draft with today's."""
    types = None if version.status == WorkflowVersionStatus.DRAFT else version.types
    return catalogue_for(
        definition_of(version),
        types,
        workspace_id=version.workflow.workspace_id,
        own=version.workflow.slug,
    )


def catalogue_for(
    definition: WorkflowDefinition,
    types: Pins | None = None,
    *,
    workspace_id: UUID | None = None,
    own: str = "",
) -> Catalogue:
    """What the checker and the planner may know: agents and types, and workflows that are run.

    As `registry.selectors.catalogue_for`. Workflow versions are there once they are signed off;
    with a workspace, those of others are as if they did not exist, and its policy is known.
    """
    known = registry.catalogue_for(definition, types, workspace_id=workspace_id)
    found = versions_run_by(definition)
    workflows = {
        (one.workflow.slug, one.number): interface_of(one)
        for one in found
        if workspace_id in {None, one.workflow.workspace_id}
    }
    found_in = replace(known, workflows=workflows, own=own)
    if workspace_id is None:
        return found_in
    return replace(found_in, person_before=approvals.policy_of(workspace_id).person_before)


def versions_run_by(definition: WorkflowDefinition) -> list[WorkflowVersion]:
    """The frozen versions that a definition's steps run, those that exist."""
    wanted = {(one.workflow, one.version) for one in workflows_of(definition)}
    if not wanted:
        return []
    rows = WorkflowVersion.objects.select_related("workflow").filter(
        workflow__slug__in={slug for slug, _ in wanted}, number__in={number for _, number in wanted}
    )
    return [
        one
        for one in rows.exclude(status__in=UNFINISHED).order_by("workflow__slug", "number")
        if (one.workflow.slug, one.number) in wanted
    ]


_NO_NEW_RUNS: Final = frozenset({"archived", WorkflowVersionStatus.RETIRED})


@dataclass(frozen=True, slots=True)
class Reached:
    """What the workflows that a definition runs bring along: versions, agents, types by name.

    `direct` are the versions that its own steps run; `versions` are all, at any depth.
    """

    direct: Sequence[WorkflowVersion] = ()
    versions: Sequence[WorkflowVersion] = ()
    agents: Sequence[AgentVersion] = ()
    types: frozenset[str] = frozenset()

    @property
    def unusable(self) -> dict[str, str]:
        """The versions that take no new runs: `slug@n` -> status."""
        return {
            f"{one.workflow.slug}@{one.number}": status
            for one in self.versions
            if (status := "archived" if one.workflow.archived_at else one.status) in _NO_NEW_RUNS
        }

    @property
    def interfaces(self) -> list[AgentInterface]:
        """The agents as workflows see them."""
        found = (registry.registered_version(one.id, one.types) for one in self.agents)
        return [one.interface() for one in found]


def reached_by(definition: WorkflowDefinition) -> Reached:
    """What the workflows that a definition runs bring along; no query when it runs none."""
    direct = layer = versions_run_by(definition)
    if not direct:
        return Reached()
    found: dict[UUID, tuple[WorkflowVersion, WorkflowDefinition]] = {}
    while layer:
        fresh = {one.id: (one, definition_of(one)) for one in layer if one.id not in found}
        found |= fresh
        layer = [inner for _, its in fresh.values() for inner in versions_run_by(its)]
    versions = [one for one, _ in found.values()]
    agents = list(registry.versions_used_in(its for _, its in found.values()).values())
    types = frozenset(name for one in (*versions, *agents) for name in one.types)
    return Reached(direct, versions, agents, types)


def version_to_run(slug: str, number: int, workspace_id: UUID) -> WorkflowVersion:
    """The version that a step of a run in this workspace starts.

    Raises:
        NoActiveVersionError: it does not exist there, or takes no new runs any more.
    """
    version = (
        WorkflowVersion.objects.select_related("workflow")
        .filter(workflow__slug=slug, number=number, workflow__workspace_id=workspace_id)
        .exclude(status__in=(*UNFINISHED, WorkflowVersionStatus.RETIRED))
        .first()
    )
    if version is None or version.workflow.archived_at is not None:
        raise NoActiveVersionError(f"{slug} version {number} takes no new runs.")
    return version


def workflow_cards(workflow: Workflow) -> list[JsonObject]:
    """What a step of this workflow may run: active versions of its workspace, and those it runs.

    Each `{"slug", "version", "name", "input", "outcomes": {name: kind}}`.
    """
    active = WorkflowVersion.objects.select_related("workflow").filter(
        status=WorkflowVersionStatus.ACTIVE,
        workflow__archived_at__isnull=True,
        workflow__workspace_id=workflow.workspace_id,
    )
    draft = draft_of(workflow)
    run = versions_run_by(definition_of(draft)) if draft is not None else []
    offered = {one.id: one for one in (*active.exclude(workflow_id=workflow.id), *run)}
    found = map(interface_of, offered.values())
    return [
        {
            "slug": one.slug,
            "version": one.version,
            "name": one.name,
            "input": one.input_schema,
            "outcomes": {name: kind.value for name, kind in one.kinds.items()},
        }
        for one in sorted(found, key=lambda one: (one.name, one.slug, -one.version))
        if workflow.slug not in one.reaches
    ]


def compiled(version_id: UUID, types: Pins | None = None) -> CompiledWorkflow:
    """The version ready for the planner; kept per process once it left the draft.

    `types` are those of a run's binding. Without them it is good for its graph only: what its
    contracts mean is as it was when this process first asked.

    Raises:
        NotFoundError: there is no such version.
        DomainError: a draft that does not compile.
    """
    try:
        return _compiled(version_id, None if types is None else tuple(sorted(types.items())))
    except _IsOpenError as open_:
        return compile_workflow(definition_of(open_.version), catalogue_of(open_.version))


def input_contract_of(version: WorkflowVersion) -> Validator:
    """What a run of the version takes; a draft need not be complete for that.

    Raises:
        SchemaError: a draft's contract cannot be used.
    """
    if is_unfinished(version):
        return Validator(definition_of(version).input, registry.current_types())
    return compiled(version.id, pins_of(version)).input_contract


def is_unfinished(version: WorkflowVersion) -> bool:
    """Whether the version may still be changed, or returned to be changed."""
    return version.status in UNFINISHED


def types_of(version: WorkflowVersion) -> dict[str, int]:
    """The domain types that the contracts in the definition mean; a draft's are today's."""
    if version.status != WorkflowVersionStatus.DRAFT:
        return dict(version.types)
    return pins_today(version)


def compiled_document(document: JsonObject, types: Mapping[str, int]) -> CompiledWorkflow:
    """A document with its pinned types ready for the planner; nothing is kept.

    Raises:
        DomainError: it does not compile.
    """
    definition = WorkflowDefinition.model_validate(document)
    return compile_workflow(definition, catalogue_for(definition, types))


def findings_of(version: WorkflowVersion) -> list[Finding]:
    """What the checker says about a version today."""
    return check_definition(definition_of(version), catalogue_of(version))


def examination_of(version: WorkflowVersion) -> Examination:
    """Findings and link verdicts of a version as of today."""
    return examine_definition(definition_of(version), catalogue_of(version))


def binding_of(version: WorkflowVersion) -> JsonObject:
    """What a run of this version that starts now is pinned to; see `registry.selectors.binding_of`.

    Three queries: the agent versions, the sign-offs, the types; more for workflows that it runs.

    Raises:
        AgentNotUsableError: an agent version is missing, or its status forbids starting.
        NoActiveVersionError: a workflow that it runs takes no new runs.
        SignOffMissingError: the version or an agent version is not signed off as it is now.
    """
    definition = compiled(version.id).definition
    agents = registry.versions_used(definition)
    binding = registry.binding_of(definition, version.types, versions=agents)
    reached = reached_by(definition)
    if reached.unusable:
        listed = ", ".join(f"{name} is {status}" for name, status in reached.unusable.items())
        raise NoActiveVersionError(f"This workflow cannot run now: it runs {listed}.")
    require_signed(version, list(agents.values()), reached, action="run.start")
    return binding


def require_signed(
    version: WorkflowVersion, agents: Sequence[AgentVersion], reached: Reached, *, action: str
) -> None:
    """Let a version pass that is signed off as it is now, with all agents and workflows it names.

    Raises:
        SignOffMissingError: lists what is not signed and what changed.
    """
    sign_offs.require_signed(
        _to_be_signed(version, agents, reached),
        main=(KIND, version.id),
        members=_closure_as_pinned(version, agents, reached),
        action=action,
    )


def blocks_of(version: WorkflowVersion) -> list[JsonObject]:
    """Why a frozen version could not be published or start now; rows of `sign_offs.blocks`."""
    if is_unfinished(version):
        return []
    definition = definition_of(version)
    agents = registry.versions_used(definition)
    called, reached = list(agents.values()), reached_by(definition)
    gaps = sign_offs.gaps_in(
        _to_be_signed(version, called, reached),
        main=(KIND, version.id),
        members=_closure_as_pinned(version, called, reached),
    )
    unusable = registry.unusable_agents(definition, agents) | reached.unusable
    return sign_offs.blocks(
        gaps,
        unusable=[f"{name} is {status}." for name, status in unusable.items()],
        departed=[*registry.departed_owners(called), *departed_owner(version)],
    )


def _to_be_signed(
    version: WorkflowVersion, agents: Iterable[AgentVersion], reached: Reached
) -> dict[tuple[str, UUID], str]:
    called = {(registry.KIND, one.id): f"{one.agent.name} v{one.number}" for one in agents}
    run = {
        (KIND, one.id): f"{one.workflow.name} v{one.number}" for one in (version, *reached.direct)
    }
    return {**run, **called}


def _closure_as_pinned(
    version: WorkflowVersion, agents: Sequence[AgentVersion], reached: Reached
) -> tuple[Member, ...]:
    """The closure with the types that the version and its agents were frozen with, as of today."""
    names = {*version.types, *(name for one in agents for name in one.types)}
    return closure_of(version, agents, reached, types=names)


def closure_of(
    version: WorkflowVersion,
    agents: Iterable[AgentVersion],
    reached: Reached,
    *,
    types: Iterable[str],
) -> tuple[Member, ...]:
    """What the sign-off of a frozen version binds, without the policy.

    `agents` are those that it names itself, `types` the shared types that their contracts and its
    own mean.
    """
    return closure_members(
        [
            definition_member(str(one.id), one.number, one.sha256, one.workflow.name)
            for one in (version, *reached.versions)
        ],
        registry.agent_members({one.id: one for one in (*agents, *reached.agents)}.values()),
        registry.type_members({*types, *reached.types}),
    )


def pins_today(version: WorkflowVersion) -> dict[str, int]:
    """The types, as they are now, that the contracts in the version's definition mean."""
    schemas = registry.schemas_of(definition_of(version))
    return registry.pins_of(schemas, registry.current_types())


def pins_of(version: WorkflowVersion) -> dict[str, int]:
    """The types that a run of this version would be bound to, its agents' among them."""
    uses = version.agent_uses.values_list("agent_version__types", flat=True)
    pins = {name: number for types in uses for name, number in types.items()}
    return {**pins, **version.types}


def departed_owner(version: WorkflowVersion) -> list[str]:
    """A sentence that names the workflow's owner, when he is no business owner there any more."""
    workflow = version.workflow
    if workflow.owner_id in access.people_who("workflow.edit", workflow.workspace_id):
        return []
    return [
        f"{workflow.name} has no owner any more: {workflow.owner} is not a business owner here. "
        "Give it to somebody who is."
    ]


def live_version(version: WorkflowVersion) -> WorkflowVersion | None:
    """The active version of the same workflow, unless it is this one."""
    active = WorkflowVersion.objects.filter(
        workflow_id=version.workflow_id, status=WorkflowVersionStatus.ACTIVE
    )
    return active.exclude(pk=version.pk).first()


def uses_of(agent_version_ids: Iterable[UUID]) -> Sequence[AgentUse]:
    """Which workflow versions call these agent versions, by workflow, newest first."""
    return list(
        AgentUse.objects.filter(agent_version_id__in=list(agent_version_ids))
        .select_related("version__workflow", "agent_version")
        .defer("version__definition", "agent_version__manifest")
        .order_by("version__workflow__name", "-version__number")
    )


def versions_bound_to(type_name: str) -> list[WorkflowVersion]:
    """Workflow versions in use that name a shared type, themselves or by an agent they call."""
    own = Q(types__has_key=type_name)
    called = Q(agent_uses__agent_version__types__has_key=type_name)
    in_use = WorkflowVersion.objects.exclude(status=WorkflowVersionStatus.RETIRED)
    found = in_use.filter(own | called).select_related("workflow").distinct()
    return list(found.order_by("workflow__name", "number"))


def agents_called_by(versions: Iterable[WorkflowVersion]) -> dict[UUID, list[str]]:
    """The agent versions that each workflow version calls, as words, by the version's id."""
    found: dict[UUID, list[str]] = {}
    for use in (
        AgentUse.objects.filter(version__in=list(versions))
        .select_related("agent_version__agent")
        .defer("agent_version__manifest")
        .order_by("agent_version__agent__name")
    ):
        version = use.agent_version
        found.setdefault(use.version_id, []).append(f"{version.agent.name} v{version.number}")
    return found


def workflow_counts(actor: Actor, agent_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many workflows that the actor may read call each agent in a version that is in use."""
    rows = (
        AgentUse.objects.filter(
            agent_version__agent_id__in=agent_ids,
            version__workflow__workspace_id__in=access.workspaces_where(actor, "workflow.read"),
            version__workflow__archived_at__isnull=True,
        )
        .exclude(version__status=WorkflowVersionStatus.RETIRED)
        .values_list("agent_version__agent_id")
        .annotate(count=Count("version__workflow", distinct=True))
    )
    return dict(rows)


@lru_cache(maxsize=1)
def workflow_schema() -> JsonObject:
    """The JSON Schema of a workflow definition."""
    schema: JsonObject = TypeAdapter(WorkflowDefinition).json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$id"] = "/api/v1/schemas/workflow.json"
    return schema


def _refused(path: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        reason, detail={"violations": [{"path": path, "rule": "unknown", "reason": reason}]}
    )


class _IsOpenError(Exception):
    def __init__(self, version: WorkflowVersion) -> None:
        super().__init__("not frozen yet")
        self.version = version


@lru_cache(maxsize=256)
def _compiled(version_id: UUID, types: tuple[tuple[str, int], ...] | None) -> CompiledWorkflow:
    version = get_version(version_id)
    if version.status in UNFINISHED:
        raise _IsOpenError(version)
    definition = definition_of(version)
    pins = version.types if types is None else dict(types)
    return compile_workflow(definition, catalogue_for(definition, pins))


def interface_of(version: WorkflowVersion) -> WorkflowInterface:
    """A frozen version as a step sees it that runs it, under the workflow's present name."""
    return replace(_interface(version.id), name=version.workflow.name)


@lru_cache(maxsize=256)
def _interface(version_id: UUID) -> WorkflowInterface:
    version = get_version(version_id)
    definition = definition_of(version)
    types = registry.types_at(version.types)
    inner = [_interface(one.id) for one in versions_run_by(definition)]
    return WorkflowInterface(
        slug=version.workflow.slug,
        version=version.number,
        name=version.workflow.name,
        input_schema=bundle(definition.input, types),
        kinds={name: one.kind for name, one in definition.outcomes.items()},
        results={
            name: None if one.result is None else bundle(one.result, types)
            for name, one in definition.outcomes.items()
        },
        depth=1 + max((one.depth for one in inner), default=0),
        reaches=frozenset().union(*({one.slug, *one.reaches} for one in inner)),
    )
