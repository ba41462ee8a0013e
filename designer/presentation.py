"""How a definition is put into words: the outline, which says all that the canvas shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.urls import reverse

from designer.models import WorkflowVersion
from designer.words import (
    awaited_words,
    back_words,
    port_words,
    seconds_words,
    team_word,
    with_article,
)
from orchestrator.core.checks import Finding
from orchestrator.core.compilation import DefinitionError, step_order
from orchestrator.core.definition import (
    AgentRef,
    AgentStep,
    Auction,
    Debate,
    EmitStep,
    EndStep,
    GateStep,
    GateType,
    JoinPolicy,
    JoinStep,
    Losers,
    MapStep,
    Negotiation,
    OutcomeKind,
    Protocol,
    Relay,
    RouterMode,
    RouterStep,
    StartStep,
    Step,
    Supervised,
    TeamMember,
    TeamStep,
    TransformStep,
    VoteRule,
    WaitStep,
    WorkflowDefinition,
    WorkflowStep,
    doers_of,
    item_run_of,
    ports_of,
)
from orchestrator.core.json import JsonObject, JsonValue
from registry import selectors as registry

if TYPE_CHECKING:
    from approvals.closure import Member
    from designer.acts import Act
    from designer.diff import Change
    from designer.selectors import Compared
    from registry.models import AgentVersion

CHANGES_SHOWN = 4
_CLOSURE = (
    ("workflow_version", "Steps, links, settings", "workflow"),
    ("agent_version", "Agents", "agent"),
    ("domain_type", "Types of the contracts", "swap"),
    ("sign_off_policy", "Sign-off policy", "lock"),
)
_JOIN_WORDS = {
    JoinPolicy.ALL: "Every branch must have arrived; else it fails.",
    JoinPolicy.BEST_EFFORT: "Goes on with what has arrived, and says what is missing.",
    JoinPolicy.FIRST: "Goes on with the first branch that arrives.",
    JoinPolicy.N_OF_M: "Goes on as soon as {n} branches have arrived; fails when they cannot.",
}
_LOSER_WORDS = {
    Losers.CANCEL: "Steps that lead here alone are cancelled.",
    Losers.IGNORE: "They go on; what they find is dropped.",
}
_LATE_WORDS = {
    Losers.CANCEL: "Calls under way are cancelled; what has not begun never begins.",
    Losers.IGNORE: "Calls under way finish and do not count; what has not begun never begins.",
}
_GATE_WORDS = {
    GateType.APPROVE: "approves or rejects",
    GateType.REVIEW: "accepts, edits, rejects or returns",
    GateType.FILL: "fills in",
    GateType.CHOOSE: "chooses a way",
    GateType.ADJUDICATE: "decides between the proposals",
}
_GATE_ICONS = {
    GateType.APPROVE: "gate",
    GateType.REVIEW: "pen",
    GateType.FILL: "list",
    GateType.CHOOSE: "split",
    GateType.ADJUDICATE: "scale",
}


@dataclass(frozen=True, slots=True)
class AgentUsed:
    """The agent version that a step calls, as pages name it. `slug` is empty when it is missing."""

    name: str
    number: int
    slug: str = ""
    owner: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """Where a port leads: steps by id and name, or in words what happens instead.

    `back` says of a way that leads back how often, and what happens then.
    """

    words: str
    condition: str = ""
    targets: tuple[tuple[str, str], ...] = ()
    instead: str = ""
    back: str = ""


@dataclass(frozen=True, slots=True)
class OutlineStep:
    """One step in words. `facts` are label and text, `mappings` field and expression."""

    id: str
    name: str
    icon: str
    kind: str
    summary: str
    agent: AgentUsed | None = None
    facts: tuple[tuple[str, str], ...] = ()
    mappings_title: str = ""
    mappings: tuple[tuple[str, str], ...] = ()
    ways: tuple[Way, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Described:
    icon: str
    kind: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    mappings_title: str = ""
    mappings: Mapping[str, str] = field(default_factory=dict)


def outline_of(
    definition: WorkflowDefinition,
    used: Mapping[tuple[str, int], AgentVersion],
    findings: Sequence[Finding] = (),
) -> list[OutlineStep]:
    """Every step in words, each after those that lead to it."""
    try:
        order: Iterable[str] = step_order(definition)
    except DefinitionError:
        order = definition.steps
    return [_outline_step(definition, step_id, used, findings) for step_id in order]


def agent_cards(used: Mapping[tuple[str, int], AgentVersion]) -> JsonObject:
    """Who stands behind `slug@version`, for the canvas."""
    return {f"{slug}@{number}": agent_card(version) for (slug, number), version in used.items()}


def agent_card(version: AgentVersion) -> JsonObject:
    """An agent version as the editor's palette and inspector know it; contracts are inlined."""
    manifest = version.manifest
    given, made = registry.registered_version(version.id).inlined()
    return {
        "slug": version.agent.slug,
        "version": version.number,
        "name": version.agent.name,
        "kind": manifest["kind"],
        "purpose": manifest["purpose"],
        "summary": manifest["purpose"],
        "owner": version.agent.owner.name,
        "status": version.status,
        "side_effect": manifest["side_effect"],
        "effect": manifest["effect"],
        "capabilities": manifest["capabilities"],
        "input": given,
        "output": made,
        "examples": [
            {"title": one["title"], "input": one["input"], "output": one["output"]}
            for one in manifest["examples"]
        ],
    }


def type_cards() -> JsonObject:
    """The domain types as they are now, by name: version, title and schema."""
    return {
        name: {
            "version": one.version,
            "title": one.schema.get("title", name),
            "schema": one.schema,
        }
        for name, one in registry.current_types().items()
    }


def draft_json(draft: WorkflowVersion) -> JsonObject:
    """A draft as the editor and the API read it."""
    saver = draft.saved_by
    return {
        "number": draft.number,
        "revision": draft.revision,
        "definition": draft.definition,
        "saved_at": draft.saved_at.isoformat() if draft.saved_at else None,
        "saved_by": {"id": str(saver.id), "name": saver.name} if saver else None,
    }


def editor_urls(slug: str) -> JsonObject:
    """The addresses that the editor of a workflow calls."""
    api = f"{reverse('designer:workflow-detail', args=[slug])}"
    page = f"/workflows/{slug}/"
    return {
        "draft": f"{api}draft/",
        "check": f"{api}check/",
        "agent_cards": f"{api}agent-cards/",
        "presence": f"{api}draft/presence/",
        "text": f"{api}draft/text/",
        "submit": f"{api}draft/submit/",
        "try_step": f"{api}try-step/",
        "try_form": f"{page}try-step/form/",
        "runs": "/api/v1/runs/",
        "start_test": f"{page}start/?mode=test",
        "versions": reverse("designer:versions", args=[slug]),
        "sign_in": f"{reverse('account_login')}?{urlencode({'next': f'{page}design/'})}",
    }


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A line of the history. `status` and `word` say what became of it, `changes` the first few."""

    version: WorkflowVersion
    status: str
    word: str
    before: int | None
    changes: tuple[Change, ...]
    more: int
    acts: tuple[Act, ...]


def version_row(version: WorkflowVersion, compared: Compared, acts: Iterable[Act]) -> VersionRow:
    """A version for the history."""
    is_discarded = version.audit.action == "workflow_version.discarded"
    return VersionRow(
        version=version,
        status=version.status,
        word="Discarded" if is_discarded else "",
        before=compared.before.number if compared.before else None,
        changes=tuple(compared.changes[:CHANGES_SHOWN]),
        more=max(0, len(compared.changes) - CHANGES_SHOWN),
        acts=tuple(one for one in acts if not one.is_danger),
    )


def change_counts(changes: Iterable[Change]) -> list[tuple[str, int]]:
    """How many changes of each kind there are, without those of the layout."""
    kinds = [one.kind.value for one in changes]
    wanted = ("changed", "added", "removed")
    return [(kind, kinds.count(kind)) for kind in wanted if kind in kinds]


@dataclass(frozen=True, slots=True)
class ClosurePart:
    """Members of one kind that a sign-off binds."""

    title: str
    icon: str
    members: tuple[Member, ...]


def closure_parts(members: Iterable[Member]) -> list[ClosurePart]:
    """What a sign-off binds, by kind."""
    kept = list(members)
    return [
        ClosurePart(title, icon, found)
        for kind, title, icon in _CLOSURE
        if (found := tuple(one for one in kept if one.kind == kind))
    ]


def finding_json(finding: Finding) -> JsonValue:
    """A finding for the canvas."""
    dumped: JsonObject = finding.model_dump(mode="json")
    return dumped


def badges_of(versions: Iterable[WorkflowVersion]) -> list[tuple[str, str]]:
    """Status and words of the versions that matter in a list, newest first."""
    all_versions = list(versions)
    kept = [one for one in all_versions if one.status not in {"deprecated", "retired"}]
    return [(one.status, _badge(one)) for one in (kept or all_versions[:1])[:3]]


def latest_change(versions: Iterable[WorkflowVersion]) -> WorkflowVersion | None:
    """The version that changed last, by the time of its audit entry."""
    return max(versions, key=lambda one: one.audit.at, default=None)


def outcome_words(definition: WorkflowDefinition) -> list[tuple[str, str, str]]:
    """Status shape, title and summary of every declared end."""
    return [
        (
            "succeeded" if one.kind is OutcomeKind.SUCCESS else "failed",
            one.title,
            one.summary,
        )
        for one in definition.outcomes.values()
    ]


def _badge(version: WorkflowVersion) -> str:
    if version.status == "draft":
        return f"Draft of v{version.number}"
    return f"v{version.number} {version.get_status_display().lower()}"


def _outline_step(
    definition: WorkflowDefinition,
    step_id: str,
    used: Mapping[tuple[str, int], AgentVersion],
    findings: Sequence[Finding],
) -> OutlineStep:
    step = definition.steps[step_id]
    described = _describe(definition, step)
    return OutlineStep(
        id=step_id,
        name=step.name,
        icon=described.icon,
        kind=described.kind,
        summary=step.summary,
        agent=_agent_of(doers_of(step)[0], used)
        if isinstance(step, (AgentStep, MapStep)) and doers_of(step)
        else None,
        facts=tuple(described.facts),
        mappings_title=described.mappings_title,
        mappings=tuple(described.mappings.items()),
        ways=tuple(_way(definition, step_id, step, port) for port in ports_of(step)),
        findings=tuple(one for one in findings if one.step == step_id),
    )


def _describe(definition: WorkflowDefinition, step: Step) -> _Described:
    match step:
        case StartStep():
            return _Described("play", "Start")
        case AgentStep() | MapStep() | TeamStep():
            return _describe_calling(step)
        case RouterStep():
            taken = "Every way" if step.mode is RouterMode.ALL else "The first way"
            return _Described("branch", "Router", [("Rule", f"{taken} that holds is taken.")])
        case JoinStep():
            return _Described("merge", "Join", _join_facts(step))
        case GateStep():
            kind = f"{step.type.value.capitalize()} gate"
            facts = _gate_facts(step)
            return _Described(_GATE_ICONS[step.type], kind, facts, "Proposal", step.proposal)
        case TransformStep():
            return _Described("transform", "Transform", [], "Output", step.output)
        case WaitStep() | EmitStep() | WorkflowStep():
            return _describe_outside(step)
        case EndStep():
            outcome = definition.outcomes.get(step.outcome)
            title = outcome.title if outcome else step.outcome
            good = outcome is not None and outcome.kind is OutcomeKind.SUCCESS
            counts = "counts as success" if good else "counts as failure"
            return _Described(
                "flag", "End", [("Outcome", f"{title}; {counts}")], "Result", step.result
            )


def _describe_outside(step: WaitStep | EmitStep | WorkflowStep) -> _Described:
    match step:
        case WaitStep():
            return _Described("clock", "Wait", [("Waits", awaited_words(step))])
        case EmitStep():
            return _Described("send", "Tell an event", _event_facts(step), "Data", step.content)
        case WorkflowStep():
            facts = _child_facts(step)
            return _Described("workflow", "Run a workflow", facts, "Input", step.input)


def _child_facts(step: WorkflowStep) -> list[tuple[str, str]]:
    waits = "no: it goes on at once" if step.detached else "yes"
    return [
        ("Workflow", step.uses.words),
        ("Waits for its end", waits),
        *([("For each of", step.each)] if step.each is not None else []),
    ]


def _event_facts(step: EmitStep) -> list[tuple[str, str]]:
    facts = [("Event", step.event), ("Key", step.subject or "none: no step can wait for it")]
    return [*facts, ("Schema version", step.dataschema)] if step.dataschema else facts


def _describe_calling(step: AgentStep | MapStep | TeamStep) -> _Described:
    match step:
        case AgentStep():
            return _Described("agent", "Agent step", _agent_facts(step), "Input", step.input)
        case TeamStep():
            part = "Input of all" if step.votes else "Task"
            return _Described("team", team_word(step), _team_facts(step), part, step.input)
        case MapStep():
            return _Described("layers", "Map", _map_facts(step), "Input of each item", step.input)


def _team_facts(step: TeamStep) -> list[tuple[str, str]]:
    if step.protocol is not None:
        return [*_protocol_facts(step, step.protocol), *_agent_facts(step)]
    members = [f"{one.uses.agent} v{one.uses.version}, weight {one.weight}" for one in step.members]
    words = {VoteRule.MAJORITY: "more than half of the weight", VoteRule.UNANIMITY: "all of them"}
    return [
        ("Members", "; ".join(members)),
        ("Vote", f"the field '{step.ballot}' of each answer"),
        ("Decided by", words[step.rule]),
        *_agent_facts(step),
    ]


def _protocol_facts(step: TeamStep, protocol: Protocol) -> list[tuple[str, str]]:
    members = "; ".join(_member_words(one) for one in step.members)
    match protocol:
        case Supervised(lead=lead):
            return [
                ("Supervisor", f"{lead.agent} v{lead.version}"),
                ("Workers", members),
                ("Gives tasks", f"{protocol.max_rounds} times, {protocol.max_tasks} at most"),
                ("At the same time", f"{protocol.max_parallel} at most"),
                ("A task that fails", "goes on" if protocol.tolerate else "fails the step"),
            ]
        case Auction():
            award = protocol.award.value.replace("_", " ")
            after = "the next best gets the task" if protocol.next_best else "the step fails"
            return [
                ("Bidders", members),
                ("Awarded to", f"the {award} bid, in {protocol.currency}"),
                ("When the winner fails", after),
            ]
        case Relay():
            return [("Peers", members), ("Passed on", f"{protocol.max_hops} times at most")]
        case Debate():
            after = "the highest priority decides" if protocol.arbitrate else "it disagrees"
            return [
                ("Members", members),
                ("Counted", f"the field '{step.ballot}', by {step.rule.value}"),
                ("Rounds", f"{protocol.max_rounds} at most, then {after}"),
            ]
        case Negotiation():
            return [("Members", members), ("Rounds", f"{protocol.max_rounds} at most")]


def _member_words(one: TeamMember) -> str:
    purpose = f" ({one.purpose})" if one.purpose else ""
    to = "" if one.passes_to is None else f", passes to {', '.join(one.passes_to) or 'nobody'}"
    return f"{one.uses.agent} v{one.uses.version}{purpose}{to}"


def _map_facts(step: MapStep) -> list[tuple[str, str]]:
    allowed, run = step.tolerated_failures, item_run_of(step)
    facts = [
        *([("Workflow", run.words)] if run is not None else []),
        ("For each of", step.items),
        ("At the same time", f"{step.max_parallel} at most"),
        ("May fail", f"{allowed} at most" if allowed else "none"),
    ]
    if step.enough is not None:
        facts += [("Enough", f"{step.enough} items"), ("Late items", _LATE_WORDS[step.late])]
    return facts if run is not None else [*facts, *_agent_facts(step)]


def _agent_facts(step: AgentStep | MapStep | TeamStep) -> list[tuple[str, str]]:
    retry = step.retry
    tries = "1, never repeated by itself"
    if retry.max_attempts > 1:
        kinds = ", ".join(kind.value.replace("_", " ") for kind in retry.kinds)
        tries = f"{retry.max_attempts} at most, after {kinds}"
    facts = [
        ("Time limit", f"{seconds_words(step.timeout.attempt_seconds)} for each try"),
        ("Tries", tries),
    ]
    if not isinstance(step, AgentStep):
        return facts
    if step.fallbacks:
        others = ", then ".join(f"{one.agent} v{one.version}" for one in step.fallbacks)
        kinds = ", ".join(kind.value.replace("_", " ") for kind in step.fallback_on)
        facts.append(("Otherwise", f"{others}, after {kinds}"))
    if step.compensation is not None:
        uses = step.compensation.uses
        facts.append(("Undone by", f"{uses.agent} v{uses.version}, when the run is rolled back"))
    if step.confidence_threshold is not None:
        facts.append(
            ("Confidence", f"below {step.confidence_threshold:.2f} it counts as uncertain")
        )
    return facts


def _join_facts(step: JoinStep) -> list[tuple[str, str]]:
    facts = [("Rule", _JOIN_WORDS[step.policy].format(n=step.n or "some"))]
    if step.policy in {JoinPolicy.FIRST, JoinPolicy.N_OF_M}:
        facts.append(("Late branches", _LOSER_WORDS[step.losers]))
    return facts


def _gate_facts(step: GateStep) -> list[tuple[str, str]]:
    facts = [
        ("Question", step.question),
        ("Who", f"{with_article(step.assign_role)} {_GATE_WORDS[step.type]}"),
        ("Due", f"within {seconds_words(step.due_seconds)}"),
    ]
    if step.type is GateType.CHOOSE:
        facts.append(("Ways", ", ".join(one.title for one in step.choices)))
    if step.type is GateType.ADJUDICATE:
        facts.append(("Proposals", ", ".join(one.title for one in step.proposals)))
    if step.evidence:
        facts.append(("Evidence", ", ".join(piece.title for piece in step.evidence)))
    return facts


def _agent_of(called: AgentRef, used: Mapping[tuple[str, int], AgentVersion]) -> AgentUsed:
    version = used.get((called.agent, called.version))
    if version is None:
        return AgentUsed(name=called.agent, number=called.version)
    return AgentUsed(
        name=version.agent.name,
        number=version.number,
        slug=version.agent.slug,
        owner=version.agent.owner.name,
        status=version.status,
    )


def _way(definition: WorkflowDefinition, step_id: str, step: Step, port: str) -> Way:
    routes = step.routes if isinstance(step, RouterStep) else ()
    condition = next((one.when for one in routes if one.port == port), "")
    links = [one for one in definition.links_from(step_id) if one.port == port]
    exceptions = definition.policies.exceptions
    instead = (
        "the run ends"
        if exceptions.mode == "end"
        else f"{with_article(exceptions.assign_role)} decides in the exceptions inbox"
    )
    return Way(
        port_words(step, port),
        condition,
        tuple((link.target, definition.steps[link.target].name) for link in links),
        instead="" if links else instead,
        back=next((f"{back_words(one)}, then {instead}" for one in links if one.is_back), ""),
    )
