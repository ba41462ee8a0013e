"""Reading runs: lists and figures for people, a run's snapshot, journal and messages, its state."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, reduce
from operator import itemgetter, or_
from statistics import quantiles
from typing import Any, Final, Protocol
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum

from approvals import selectors as approvals
from budgets import selectors as budgets
from designer import selectors as designer
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.selectors import get_workspace
from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.definition import (
    Step,
    WorkflowDefinition,
    WorkflowStep,
    is_member,
    item_run_of,
    member_id,
    member_of,
    owner_of,
    place_of,
)
from orchestrator.core.errors import InvalidInputError, NotFoundError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.money import Money
from orchestrator.core.overrides import WAITS_FOR, giver_of_basis
from orchestrator.core.planner import overridable_steps, resumable_steps
from orchestrator.core.rollback import MAY_BE_ROLLED_BACK, rollback_plan
from orchestrator.core.sharing import CONFLICT
from orchestrator.core.state import (
    TERMINAL_RUN,
    AttemptStatus,
    MemberGroup,
    RunState,
    RunStatus,
    StepStatus,
    is_terminal,
    patched,
)
from orchestrator.runs.costs import Costs, costs_of
from orchestrator.runs.models import (
    AgentBreaker,
    Attempt,
    ChildRun,
    DefinitionSnapshot,
    Handoff,
    ReceivedEvent,
    Run,
    RunDetail,
    RunEvent,
    StepRun,
    Timer,
    Trigger,
    TriggerFiring,
    TriggerRefusal,
    Worker,
)
from orchestrator.runs.saved import Saved, saved_by, tokens_in
from orchestrator.runs.sentences import sentence, step_of
from orchestrator.runs.traffic import Answered, Called, Facts, Passed, Traffic, Turned, traffic_of
from registry import selectors as registry

METRIC_DAYS: Final = 30
METRIC_RUNS: Final = 2_000
"""Figures look at the newest runs only: their cost does not grow with the history."""
JOURNAL_PAGE: Final = 500
MEMBER_PAGE: Final = 50
_MEMBER_ORDER: Final = ("failed", "waiting", "running", "ready", "cancelled", "succeeded")
"""The statuses of members in lists, what needs a look first."""
_MEMBER_COLUMNS: Final = (
    *("pk", "step", "status", "waiting_for", "result_tag", "iteration", "attempt"),
    *("started_at", "ended_at"),
)
STATE_COLUMNS: Final = ("step", "iteration", "input", "input_override", "output", "result")
"""What of step runs belongs to a run's state."""
FAILURE_RUNS: Final = 500
FAILURE_ROWS: Final = 1_000
"""The handoff map looks at so many of the latest runs, and refusals, only."""


@dataclass(frozen=True, slots=True)
class WorkflowFigures:
    """How a workflow has done lately; rate and p95 are None while no run has ended."""

    runs: int
    ended: int
    failed: int
    success_rate: float | None
    p95_seconds: float | None
    attention: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """Calls of an agent version that are being made, and live runs whose version may call it."""

    calls: int
    runs: int


# ---- lists and figures ---------------------------------------------------------------------------


def list_runs(
    actor: Actor,
    *,
    status: str = "",
    workflow: str = "",
    attention: bool = False,
    search: str = "",
    mode: str = "live",
    priority: str = "",
) -> QuerySet[Run]:
    """Runs of the actor's workspaces, newest first, each with workflow and version.

    `mode` is live, test or all: test runs are nobody's business but their starter's.
    `workflow` is a slug, `search` looks at the title and the beginning of the id, `attention` keeps
    those with an open exception or an undismissed failure.
    """
    runs = (
        Run.objects.filter(workspace_id__in=access.workspaces_where(actor, "run.read"))
        .select_related("workflow", "version", "workspace")
        .defer("state", "version__definition")
        .order_by("-created_at", "-id")
    )
    if status:
        runs = runs.filter(status=status)
    if workflow:
        runs = runs.filter(workflow__slug=workflow)
    if attention:
        runs = runs.filter(needs_attention=True)
    if mode != "all":
        runs = runs.filter(mode=mode)
    if priority:
        runs = runs.filter(priority=priority)
    if search:
        runs = runs.filter(Q(title__icontains=search) | _id_begins(search))
    return runs


def count_attention(actor: Actor) -> int:
    """How many live runs of the actor's workspaces need somebody's attention."""
    return Run.objects.filter(
        workspace_id__in=access.workspaces_where(actor, "run.read"),
        needs_attention=True,
        mode="live",
    ).count()


def get_run(actor: Actor, run_id: UUID) -> Run:
    """One run with workflow and version.

    Raises:
        NotFoundError: there is none in the actor's workspaces.
    """
    run = Run.objects.select_related("workflow", "version", "workspace").filter(id=run_id).first()
    if run is None:
        raise NotFoundError("There is no such run.")
    access.require(actor, "run.read", run)
    return run


def figures_of(workflow_ids: Iterable[UUID], *, now: datetime) -> dict[UUID, WorkflowFigures]:
    """The figures of each workflow over its newest live runs of the latest 30 days."""
    rows = Run.objects.filter(
        workflow_id__in=list(workflow_ids),
        mode="live",
        created_at__gte=now - timedelta(days=METRIC_DAYS),
    ).order_by("-created_at")
    columns = ("workflow_id", "status", "started_at", "ended_at", "needs_attention")
    by_workflow: dict[UUID, list[tuple[Any, ...]]] = defaultdict(list)
    for workflow_id, *rest in rows.values_list(*columns)[:METRIC_RUNS]:
        by_workflow[workflow_id].append(tuple(rest))
    return {key: _figures(found) for key, found in by_workflow.items()}


def in_flight_of(actor: Actor, agent_version_ids: Iterable[UUID]) -> dict[UUID, InFlight]:
    """What is under way that calls these agent versions, in the actor's workspaces."""
    ids = list(agent_version_ids)
    readable = access.workspaces_where(actor, "run.read")
    calls = (
        Attempt.objects.filter(
            agent_version_id__in=ids,
            status=AttemptStatus.LEASED,
            owner__isnull=False,
            run__owner__isnull=False,
            run__workspace_id__in=readable,
        )
        .values_list("agent_version_id")
        .annotate(count=Count("id"))
    )
    runs = (
        Run.objects.filter(version__agent_uses__agent_version_id__in=ids, workspace_id__in=readable)
        .exclude(status__in=TERMINAL_RUN)
        .values_list("version__agent_uses__agent_version_id")
        .annotate(count=Count("id", distinct=True))
    )
    calling, under_way = dict(calls), dict(runs)
    return {
        key: InFlight(calls=calling.get(key, 0), runs=under_way.get(key, 0))
        for key in {*calling, *under_way} & set(ids)
    }


def breakers_of_agent(slug: str) -> list[AgentBreaker]:
    """The breakers of an agent's versions that ever counted a failure, by version number."""
    rows = AgentBreaker.objects.filter(agent_version__agent__slug=slug)
    return list(rows.select_related("agent_version").order_by("agent_version__number"))


def breakers_of(version_ids: Iterable[UUID]) -> dict[UUID, AgentBreaker]:
    """The breakers of agent versions that are not closed, by version."""
    rows = AgentBreaker.objects.filter(agent_version_id__in=list(version_ids)).select_related(
        "agent_version__agent"
    )
    return {row.agent_version_id: row for row in rows.exclude(status="closed")}


def live_workers(since: datetime) -> int:
    """How many workers have given a sign of life since then and have not ended."""
    return Worker.objects.filter(seen_at__gte=since, ended_at__isnull=True).count()


def labels_alive() -> set[str]:
    """The labels of the workers that have not ended."""
    alive = Worker.objects.filter(ended_at__isnull=True).values_list("labels", flat=True)
    return {label for labels in alive.exclude(labels="") for label in labels.split(",")}


def labels_wanted(actor: Actor) -> dict[str, int]:
    """Labels that the actor's runs wait for and that no worker has: how many runs, by label."""
    waiting = Run.objects.exclude(needs="").exclude(needs__in=labels_alive())
    mine = waiting.filter(workspace_id__in=access.workspaces_where(actor, "run.read"))
    return dict(mine.values_list("needs").annotate(Count("id")).order_by("needs"))


@dataclass(frozen=True, slots=True)
class RunBrief:
    """What a list says about one run. `steps` are (status, what it waits for) in order of the way.

    `at` is the step that the run is at, failed at or ended with; `cause` why it waits or failed;
    `due_at` when the review is due that it waits for.
    """

    steps: tuple[tuple[str, str], ...]
    at: str
    cause: str
    outcome: str
    failed_step: str
    review_id: UUID | None = None
    due_at: datetime | None = None
    with_whom: str = ""


def briefs_of(actor: Actor, runs: Sequence[Run]) -> dict[UUID, RunBrief]:
    """What the list says about each run of a page; as many queries for many runs as for one."""
    ids = [run.id for run in runs]
    states = _stored_states(ids)
    reasons = dict(RunDetail.objects.filter(run_id__in=ids).values_list("run_id", "end_reason"))
    troubled = {
        (run_id, step): result
        for run_id, step, result in StepRun.objects.filter(
            Q(status=StepStatus.FAILED) | Q(waiting_for="exception"), run_id__in=ids
        )
        .exclude(step__contains=".")
        .order_by("iteration")
        .values_list("run_id", "step", "result")
    }
    reviews = {
        review.run_id: review
        for review in approvals.list_reviews(actor, segment=approvals.Segment.TEAM)
        .filter(run_id__in=ids)
        .order_by("-due_at")
    }
    return {
        run.id: _brief(
            run,
            states.get(run.id) or {},
            troubled=troubled,
            reasons=reasons,
            review=reviews.get(run.id),
        )
        for run in runs
    }


# ---- one run -------------------------------------------------------------------------------------


def run_snapshot(run_id: UUID, actor: Actor | None = None, *, member: str = "") -> JsonObject:
    """Everything the run page shows, as JSON; as many queries for a large run as for a small one.

    Members of steps are counted (`members` of their step), and listed by `list_members`; only
    `member` stands among the steps, when there is such a one. `can` says what the
    actor may ask of the run now (nothing without an actor). A step that is planned and that no
    worker has begun yet is shown as `ready`.

    Raises:
        NotFoundError: there is no such run.
    """
    run = Run.objects.select_related("workflow", "version").filter(id=run_id).first()
    detail = RunDetail.objects.filter(run_id=run_id).first()
    if run is None or detail is None:
        raise NotFoundError("There is no such run.")
    compiled = compiled_run(run)
    definition = compiled.definition
    shown = ~Q(step__contains=".") | Q(step=member)
    step_runs = list(StepRun.objects.filter(shown, run_id=run_id).order_by("iteration"))
    attempts = list(Attempt.objects.filter(shown, run_id=run_id).order_by("iteration", "number"))
    reviews = approvals.reviews_of_run(run_id)
    inputs = {(row.step, row.iteration): row.input for row in step_runs}
    handoffs = Handoff.objects.filter(shown, run_id=run_id).order_by("seq", "id")
    _bring_up_to_date(run)
    links, agents = run.state.get("links", {}), _agents_by_id(detail.binding)
    costs = costs_of(run_id, agents)
    places = _places_waited_for(run_id, attempts)
    workers = _workers_waited_for(run, attempts)
    return {
        "id": str(run.id),
        "title": run.title,
        "status": run.status,
        "mode": run.mode,
        "priority": run.priority,
        "outcome": run.outcome,
        "outcome_title": _outcome_title(definition, run.outcome),
        "workflow": {
            "slug": run.workflow.slug,
            "name": run.workflow.name,
            "version": run.version.number,
            "is_draft": run.snapshot_id is not None,
        },
        "seq": run.seq,
        "created_at": _at(run.created_at),
        "started_at": _at(run.started_at),
        "ended_at": _at(run.ended_at),
        "needs_attention": run.needs_attention,
        "failed_step": run.state.get("failed_step"),
        "not_undone": run.state.get("not_undone", {}),
        "end_reason": detail.end_reason,
        "budget": _budget(definition, run),
        "cost": costs.get("", []),
        "parent": _parent_of(detail),
        "input": detail.input,
        "result": detail.result,
        "started_by": {"kind": detail.started_by_kind, "id": detail.started_by},
        "can": _allowed(run, step_runs, detail, actor),
        "definition": definition.model_dump(mode="json"),
        "steps": _steps(
            definition,
            run,
            step_runs=step_runs,
            attempts=attempts,
            reviews=reviews,
            agents=agents,
            children=_children_of(definition, run_id, member),
            costs=costs,
            places=places,
            workers=workers,
            tokens=_tokens_of_members(compiled, run_id),
        ),
        "links": {name: links.get(name, "open") for name in definition.links},
        "shared": run.state.get("context", {}),
        "handoffs": [_handoff(row, inputs) for row in handoffs],
    }


def _budget(definition: WorkflowDefinition, run: Run) -> JsonObject | None:
    """What a run has used of its budget, what is reserved, what is allowed; None: anything."""
    budget, state = definition.policies.budget, run.state
    if budget is None:
        return None
    found: JsonObject = {
        "calls": state.get("calls", 0),
        "limit": budget.calls,
        "tokens": None,
        "money": None,
    }
    reserved = state.get("reserved", {})
    if budget.tokens is not None:
        found["tokens"] = {
            "used": state.get("tokens", 0),
            "reserved": reserved.get("tokens", 0),
            "limit": budget.tokens,
        }
    if budget.money is not None:
        currency = budget.money.currency
        found["money"] = {
            "used": Money(state.get("money", 0), currency).json(),
            "reserved": Money(reserved.get("money", 0), currency).json(),
            "limit": budget.money.model_dump(),
        }
    return found


def saved_by_resuming(run: Run, snapshot: JsonObject) -> Saved | None:
    """What a run kept when it was last resumed at a step; None: it never was."""
    _bring_up_to_date(run)
    if not run.state.get("resumes"):
        return None
    resumed = RunEvent.objects.filter(run_id=run.id, type="run_resumed").order_by("-seq").first()
    if resumed is None:
        return None
    step = str(resumed.body["event"]["step"])
    return saved_by(snapshot, compiled_run(run), step, before=resumed.at)


def run_journal(run_id: UUID, after_seq: int = 0, limit: int = JOURNAL_PAGE) -> JsonObject:
    """The journal after a number, in order: `{"events": [{"seq", "type", "at", "text", ...}]}`.

    Raises:
        NotFoundError: there is no such run.
    """
    definition = _definition_of(run_id)
    rows = RunEvent.objects.filter(run_id=run_id, seq__gt=after_seq).order_by("seq")[:limit]
    return {
        "events": [
            {
                "seq": row.seq,
                "type": row.type,
                "at": _at(row.at),
                "step": step_of(row.body),
                "text": sentence(definition, row.body),
                "body": row.body,
            }
            for row in rows
        ]
    }


def shared_versions(run_id: UUID) -> JsonObject:
    """Every version of what the steps of a run share, as `RunState.context` is stored.

    Raises:
        NotFoundError: there is no such run.
    """
    run = Run.objects.filter(id=run_id).only("id", "state", "state_seq", "seq").first()
    if run is None:
        raise NotFoundError("There is no such run.")
    _bring_up_to_date(run)
    return {**run.state.get("context", {})}


def context_conflicts(run_id: UUID) -> list[JsonObject]:
    """The writes that came too late, in order: `{"step", "iteration", "reason", "at"}`."""
    found = StepRun.objects.filter(run_id=run_id, result__reason_code=CONFLICT)
    return [
        {
            "step": row.step,
            "iteration": row.iteration,
            "reason": (row.result or {}).get("reason", ""),
            "at": _at(row.ended_at or row.started_at),
        }
        for row in found.order_by("started_at", "id")
    ]


def message_log(run_id: UUID) -> list[JsonObject]:
    """What was passed between steps, in order: handoffs with payload, answers with output.

    Each `{"seq", "at", "type": "handoff" | "answer", "from": [step], "to": step, ...}`.

    Raises:
        NotFoundError: there is no such run.
    """
    definition = _definition_of(run_id)
    step_runs = {(row.step, row.iteration): row for row in StepRun.objects.filter(run_id=run_id)}
    handoffs = {(row.seq, row.step): row for row in Handoff.objects.filter(run_id=run_id)}
    messages: list[JsonObject] = []
    for event in RunEvent.objects.filter(run_id=run_id).order_by("seq"):
        for one in event.body["derived"]:
            row = step_runs.get((one.get("step"), one.get("iteration")))
            made = handoffs.get((event.seq, one.get("step")))
            if one["type"] == "handoff_made" and made is not None:
                messages.append(_handed_over(definition, made, row))
            elif one["type"] == "step_ended" and row is not None:
                messages.append(_answer(event, one, row))
    return messages


def run_traffic(run: Run, now: datetime) -> Traffic:
    """What the steps of a run have passed to each other so far, and what looks odd about it."""
    passed = Handoff.objects.filter(run_id=run.id).order_by("seq", "id")
    called = Attempt.objects.filter(run_id=run.id).order_by("started_at", "id")
    ended = StepRun.objects.filter(run_id=run.id, ended_at__isnull=False)
    answered, turned = _answers_and_turns(run.id)
    _bring_up_to_date(run)
    facts = Facts(
        passed=[
            Passed(step, iteration, tuple(links), size, at)
            for step, iteration, links, size, at in passed.values_list(
                "step", "iteration", "links", "payload_bytes", "at"
            )
        ],
        answered=answered,
        called=[
            Called(*one)
            for one in called.values_list("step", "iteration", "started_at", "ended_at")
        ],
        turned=turned,
        ends={
            (step, iteration): at
            for step, iteration, at in ended.values_list("step", "iteration", "ended_at")
            if at is not None
        },
        depth=int(run.state.get("depth", 0)),
        now=run.ended_at or now,
    )
    return traffic_of(compiled_run(run).definition, facts)


def _answers_and_turns(run_id: UUID) -> tuple[list[Answered], list[Turned]]:
    """What agents have answered, and which links back were taken, by the journal."""
    answered: list[Answered] = []
    turned: list[Turned] = []
    rows = RunEvent.objects.filter(run_id=run_id).order_by("seq")
    for seq, kind, body in rows.values_list("seq", "type", "body"):
        if kind == "attempt_succeeded":
            answered.append(_answered(seq, body["event"]))
        turned += [
            Turned(seq, one["link"], one["used"], one["limit"])
            for one in body["derived"]
            if one["type"] == "round_begun"
        ]
    return answered, turned


def _answered(seq: int, event: Mapping[str, Any]) -> Answered:
    """An answer by its place; one without an output is told from another by its reason."""
    result = event["result"]
    output = result.get("output") or {"bytes": 0}
    content = output.get("sha256") or f"{result['type']}/{result.get('reason_code')}"
    return Answered(seq, event["step"], event["iteration"], output["bytes"], content)


@dataclass(frozen=True, slots=True)
class MemberList:
    """A page of a step's members in their latest iterations.

    `counts` is of all, by status, what needs a look first.
    """

    rows: tuple[JsonObject, ...]
    counts: Mapping[str, int]
    total: int


def list_members(
    run_id: UUID,
    step: str,
    *,
    status: str = "",
    start: int = 0,
    size: int = MEMBER_PAGE,
    with_messages: bool = False,
) -> MemberList:
    """The members of a step, what needs a look first; without their inputs and outputs.

    Each `{"id", "index", "status", "waiting_for", "result_tag", "iteration", "attempt", "reason",
    "started_at", "ended_at", "run"}`, the last the run that an item started. `status` keeps those
    of one status, `total` counts them. The calls of a team that talks come in order, with `given`,
    `answer` and the `verdict` on the handoff; `with_messages` gives these of every member.
    """
    groups = _stored_states([run_id])[run_id].get("groups")
    group = groups.get(step) if isinstance(groups, dict) else None
    counted = MemberGroup.model_validate(group) if group else None
    total, talk = (counted.total, counted.talk) if counted else (0, None)
    named = None if talk is None else {member_id(step, one) for one in talk.calls}
    latest: dict[int, Mapping[str, Any]] = {}
    rows = StepRun.objects.filter(run_id=run_id, step__startswith=f"{step}.").order_by("iteration")
    for row in rows.values(*_MEMBER_COLUMNS):
        index = place_of(row["step"])
        if index < total if named is None else row["step"] in named:
            latest[index] = {**row, "index": index, "status": _member_status(row)}
    by_place = itemgetter("index")
    in_order = sorted(latest.values(), key=_member_urgency if named is None else by_place)
    counts = Counter(one["status"] for one in in_order)
    found = [one for one in in_order if status in {"", one["status"]}]
    page = found[start : start + size]
    results = dict(
        StepRun.objects.filter(pk__in=[one["pk"] for one in page]).values_list("pk", "result")
    )
    runs = _runs_of_items(run_id, page)
    shown = tuple(_member(one, results.get(one["pk"]) or {}, runs) for one in page)
    if named is not None or with_messages:
        shown = _with_messages(run_id, page, shown)
    return MemberList(shown, dict(counts), len(found))


def _with_messages(
    run_id: UUID, page: Sequence[Mapping[str, Any]], shown: tuple[JsonObject, ...]
) -> tuple[JsonObject, ...]:
    """Calls with what was given and answered, and how the handoff was judged."""
    columns = ("pk", "input", "input_override", "output")
    rows = StepRun.objects.filter(pk__in=[one["pk"] for one in page]).values(*columns)
    said = {row["pk"]: row for row in rows}
    made = Handoff.objects.filter(run_id=run_id, step__in=[one["step"] for one in page])
    verdicts = {
        (step, iteration): verdict
        for step, iteration, verdict in made.order_by("seq").values_list(
            "step", "iteration", "verdict"
        )
    }
    return tuple(
        {
            **one,
            "given": said[row["pk"]]["input"] or said[row["pk"]]["input_override"],
            "answer": said[row["pk"]]["output"],
            "verdict": verdicts.get((row["step"], row["iteration"]), ""),
        }
        for one, row in zip(shown, page, strict=True)
    )


def _member_status(row: Mapping[str, Any]) -> str:
    """A member's status as lists show it: one that ended without a value counts as failed."""
    is_bad = row["result_tag"] not in {"", "value"} and row["status"] == StepStatus.SUCCEEDED
    return StepStatus.FAILED.value if is_bad else str(row["status"])


def _runs_of_items(
    run_id: UUID, page: Sequence[Mapping[str, Any]]
) -> Mapping[tuple[str, int], UUID]:
    """The runs that items started, by step run and iteration; no query when all of them call."""
    without = [one["step"] for one in page if one["started_at"] and not one["attempt"]]
    if not without:
        return {}
    rows = ChildRun.objects.filter(parent_id=run_id, step__in=without, status="started")
    return {(row.step, row.iteration): row.id for row in rows.only("id", "step", "iteration")}


def _member(
    row: Mapping[str, Any], result: Mapping[str, Any], runs: Mapping[tuple[str, int], UUID]
) -> JsonObject:
    run = runs.get((row["step"], row["iteration"]))
    shown = ("index", "status", "waiting_for", "result_tag", "iteration", "attempt")
    return {
        "id": row["step"],
        **{name: row[name] for name in shown},
        "reason": result.get("reason") or "",
        "started_at": _at(row["started_at"]),
        "ended_at": _at(row["ended_at"]),
        "run": None if run is None else str(run),
    }


def _member_urgency(one: Mapping[str, Any]) -> tuple[int, int]:
    status, order = one["status"], _MEMBER_ORDER
    return order.index(status) if status in order else len(order), one["index"]


def run_state(run: Run) -> RunState:
    """The planner's state of a run, with inputs and outputs put back."""
    return _state_of(run, RunDetail.objects.get(run_id=run.id).input)


def run_states(runs: Sequence[Run]) -> dict[UUID, RunState]:
    """The states of several runs, as `run_state` gives each; as many queries as for one.

    The runs are brought up to date, so that their states are not deferred any more.
    """
    ids = [run.id for run in runs]
    inputs = dict(RunDetail.objects.filter(run_id__in=ids).values_list("run_id", "input"))
    rows: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in StepRun.objects.filter(run_id__in=ids).values("run_id", *STATE_COLUMNS):
        rows[row["run_id"]].append(row)
    _bring_up_to_date(*runs)
    return {run.id: hydrated(run.state, inputs[run.id], rows[run.id]) for run in runs}


def _state_of(run: Run, run_input: JsonObject) -> RunState:
    rows = StepRun.objects.filter(run_id=run.id).values(*STATE_COLUMNS)
    _bring_up_to_date(run)
    return hydrated(run.state, run_input, rows)


def _bring_up_to_date(*runs: Run) -> None:
    """Apply to the states what later journal events have changed; a query only when there are any.

    Between two steps that follow each other quickly a walker writes changes only.
    """
    behind = {run.id: run for run in runs if run.state_seq < run.seq}
    if not behind:
        return
    later = Q()
    for run in behind.values():
        later |= Q(run_id=run.id, seq__gt=run.state_seq, seq__lte=run.seq)
    changes = RunEvent.objects.filter(later, patch__isnull=False).order_by("seq")
    for run_id, patch in changes.values_list("run_id", "patch"):
        run = behind[run_id]
        run.state = patched(run.state, [patch or {}])
    for run in behind.values():
        run.state_seq = run.seq


def _stored_states(ids: Sequence[UUID]) -> dict[UUID, JsonObject]:
    """The stored states of runs as they are now."""
    runs = Run.objects.filter(id__in=ids).only("id", "state", "state_seq", "seq")
    _bring_up_to_date(*runs)
    return {run.id: run.state for run in runs}


def hydrated(
    stored: JsonObject, run_input: JsonObject, step_rows: Iterable[Mapping[str, Any]]
) -> RunState:
    """Put inputs and outputs of the step rows back into a stored state.

    Of earlier iterations only what can still be read of a former round is put back.
    """
    steps = stored.get("steps")
    filled: dict[str, dict[str, Any]] = {
        name: dict(step)
        for name, step in (steps if isinstance(steps, dict) else {}).items()
        if isinstance(step, dict)
    }
    for row in step_rows:
        step = filled.get(row["step"])
        if step is None:
            continue
        if step.get("former_iteration") == row["iteration"]:
            step["former"] = _result_of(row)
        if step.get("iteration", 1) != row["iteration"]:
            continue
        for name in ("input", "input_override"):
            if row[name] is not None:
                step[name] = row[name]
        step["result"] = _result_of(row)
    return RunState.model_validate({**stored, "input": run_input, "steps": filled})


def _result_of(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["result"] is None:
        return None
    return {**row["result"], **({} if row["output"] is None else {"output": row["output"]})}


class Pinned(Protocol):
    """A run, or a claim of one: what it walks."""

    @property
    def version_id(self) -> UUID:
        """Its workflow version."""

    @property
    def snapshot_id(self) -> str | None:
        """The unfinished definition that it walks instead of the version's."""


def compiled_run(run: Pinned, types: Mapping[str, int] | None = None) -> CompiledWorkflow:
    """What the run walks, ready for the planner: always what it was started with.

    `types` are those of its binding; without them it is good for its graph only.
    """
    if run.snapshot_id is not None:
        return _compiled_snapshot(run.snapshot_id)
    return designer.compiled(run.version_id, types)


def get_timer(timer_id: UUID) -> Timer | None:
    """A timer, or None when it is gone."""
    return Timer.objects.filter(id=timer_id).first()


@lru_cache(maxsize=128)
def _compiled_snapshot(sha256: str) -> CompiledWorkflow:
    content = DefinitionSnapshot.objects.values_list("content", flat=True).get(sha256=sha256)
    return designer.compiled_document(content["definition"], content["types"])


# ---- triggers ------------------------------------------------------------------------------------

COUNTED: Final = timedelta(days=7)
"""How far back pages and API count what triggers were told of."""


def list_triggers(actor: Actor, *, workflow: str = "") -> QuerySet[Trigger]:
    """Triggers of the actor's workspaces by name, each with workflow, workspace and clock."""
    found = (
        Trigger.objects.filter(workspace_id__in=access.workspaces_where(actor, "workflow.read"))
        .select_related("workflow", "workspace", "clock", "version")
        .defer("version__definition")
        .order_by("workflow__slug", "name")
    )
    return found.filter(workflow__slug=workflow) if workflow else found


def get_trigger(actor: Actor, trigger_id: UUID) -> Trigger:
    """A trigger that the actor may see.

    Raises:
        NotFoundError: there is none, or not for this actor.
    """
    found = list_triggers(actor).filter(id=trigger_id).first()
    if found is None:
        raise NotFoundError("There is no such trigger.")
    return found


def find_webhook(address: str) -> Trigger | None:
    """The webhook that listens at an address, for whoever asks there and signs."""
    found = Trigger.objects.filter(address=address, kind="webhook")
    return found.exclude(status="removed").first()


def firings_of(trigger: Trigger, *, status: str = "") -> QuerySet[TriggerFiring]:
    """What a trigger was told of, newest first, each with its run."""
    found = TriggerFiring.objects.filter(trigger=trigger).select_related("run").order_by("-id")
    found = found.defer("run__state")
    return found.filter(status=status) if status else found


def firing_counts(triggers: Iterable[Trigger], since: datetime) -> dict[UUID, dict[str, int]]:
    """How many firings each trigger has had since then, by status."""
    counts: dict[UUID, dict[str, int]] = defaultdict(dict)
    rows = TriggerFiring.objects.filter(trigger__in=list(triggers), at__gte=since)
    for row in rows.values("trigger_id", "status").annotate(count=Count("id")):
        counts[row["trigger_id"]][row["status"]] = row["count"]
    return counts


def refusals_of(triggers: Iterable[Trigger], since: datetime) -> dict[UUID, dict[str, int]]:
    """How many requests each trigger's address has refused since that day, by reason."""
    counts: dict[UUID, dict[str, int]] = defaultdict(dict)
    rows = TriggerRefusal.objects.filter(trigger__in=list(triggers), day__gte=since.date())
    for row in rows.values("trigger_id", "reason").annotate(total=Sum("count")):
        counts[row["trigger_id"]][row["reason"]] = row["total"]
    return counts


# ---- events --------------------------------------------------------------------------------------


def received_events(
    actor: Actor, *, status: str = "", event_type: str = "", workspace: str = ""
) -> QuerySet[ReceivedEvent]:
    """Events of the actor's workspaces, newest first, each with its workspace."""
    found = (
        ReceivedEvent.objects.filter(workspace_id__in=access.workspaces_where(actor, "run.read"))
        .select_related("workspace")
        .order_by("-id")
    )
    if status:
        found = found.filter(status=status)
    if event_type:
        found = found.filter(type=event_type)
    return found.filter(workspace__slug=workspace) if workspace else found


def workspace_for_events(actor: Actor, slug: str) -> UUID:
    """The workspace that an event is sent to: the named one, or the only one there is to choose.

    Raises:
        NotFoundError: there is no such workspace for this actor.
        InvalidInputError: the actor may start runs in several and named none.
    """
    allowed = access.workspaces_where(actor, "run.start")
    if slug:
        workspace_id: UUID = get_workspace(actor, slug).id
        access.require(actor, "run.start", workspace_id)
        return workspace_id
    if len(allowed) != 1:
        reason = "must name one of the workspaces in which you may start runs"
        raise InvalidInputError(
            f"workspace {reason}.",
            detail={"violations": [{"path": "/workspace", "rule": "required", "reason": reason}]},
        )
    return next(iter(allowed))


# ---- parts ---------------------------------------------------------------------------------------


def _brief(
    run: Run,
    state: JsonObject,
    *,
    troubled: Mapping[tuple[UUID, str], Any],
    reasons: Mapping[UUID, str],
    review: Any,
) -> RunBrief:
    compiled = compiled_run(run)
    stored = state.get("steps")
    steps: dict[str, Any] = stored if isinstance(stored, dict) else {}
    pairs = [
        (
            str(one.get("status", StepStatus.PENDING)),
            waits_for(compiled.steps[name].step, str(one.get("waiting_for") or "")),
        )
        for name, one in ((name, steps.get(name, {})) for name in compiled.order)
    ]
    by_step = dict(zip(compiled.order, pairs, strict=True))
    failed_step = str(state.get("failed_step") or "")
    at = failed_step or _place(compiled.order, by_step)
    trouble = troubled.get((run.id, at)) or {}
    return RunBrief(
        steps=tuple(pairs),
        at=compiled.definition.steps[at].name if at in compiled.definition.steps else "",
        cause=str(trouble.get("reason") or reasons.get(run.id) or ""),
        outcome=_outcome_title(compiled.definition, run.outcome),
        failed_step=at if trouble else "",
        review_id=review.id if review else None,
        due_at=review.due_at if review else None,
        with_whom=str(review.claimed_by or review.assigned_to or "") if review else "",
    )


def waits_for(step: Step, waiting_for: str) -> str:
    """What keeps a run waiting at a step: a map of runs waits as a step does that runs one."""
    is_map_of_runs = waiting_for == "members" and item_run_of(step) is not None
    return "child" if is_map_of_runs else waiting_for


def _place(order: Sequence[str], steps: Mapping[str, tuple[str, str]]) -> str:
    """The step that says most about where a run is: in trouble, waiting, running, last ended."""
    for wanted in (("waiting", "exception"), ("waiting", ""), ("running", ""), ("ready", "")):
        for name in order:
            status, waiting_for = steps[name]
            if status == wanted[0] and wanted[1] in {"", waiting_for}:
                return name
    return next((name for name in reversed(order) if steps[name][0] == "succeeded"), "")


def _id_begins(search: str) -> Q:
    """Runs whose id begins like this, as a range of the primary key."""
    digits = search.replace("-", "").lower()
    if not 6 <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
        return Q(pk__in=[])
    return Q(id__gte=UUID(digits.ljust(32, "0")), id__lte=UUID(digits.ljust(32, "f")))


def _figures(rows: Sequence[tuple[Any, ...]]) -> WorkflowFigures:
    ended = [row for row in rows if row[0] in {RunStatus.SUCCEEDED, RunStatus.FAILED}]
    failed = sum(row[0] == RunStatus.FAILED for row in ended)
    seconds = [(row[2] - row[1]).total_seconds() for row in ended if row[1] and row[2]]
    p95 = quantiles(seconds, n=20, method="inclusive")[18] if len(seconds) > 1 else None
    return WorkflowFigures(
        runs=len(rows),
        ended=len(ended),
        failed=failed,
        success_rate=1 - failed / len(ended) if ended else None,
        p95_seconds=p95 if p95 is not None else (seconds[0] if seconds else None),
        attention=sum(bool(row[3]) for row in rows),
    )


def binding_of(run: Run) -> JsonObject:
    """What the run is pinned to."""
    binding: JsonObject = RunDetail.objects.values_list("binding", flat=True).get(run_id=run.id)
    return binding


def _definition_of(run_id: UUID) -> WorkflowDefinition:
    run = Run.objects.only("version_id", "snapshot_id").filter(id=run_id).first()
    if run is None:
        raise NotFoundError("There is no such run.")
    return compiled_run(run).definition


def _allowed(
    run: Run, step_runs: Sequence[StepRun], detail: RunDetail, actor: Actor | None
) -> JsonObject:
    """What the actor may ask of the run now; its state is read for those only who could ask."""
    if actor is None:
        return {}
    going_on = not is_terminal(RunStatus(run.status)) and run.status != RunStatus.ROLLING_BACK
    paused = run.status == RunStatus.PAUSED
    may_pause = going_on and access.can(actor, "run.pause", run)
    may_override = access.can(actor, "run.override", run)
    has_failed = run.status == RunStatus.FAILED
    may_resume = has_failed and access.can(actor, "run.resume", run)
    may_give = (
        may_override
        and actor.kind == "user"
        and (has_failed or any(row.waiting_for in WAITS_FOR for row in step_runs))
    )
    may_undo = may_override and run.mode == "live" and run.status in MAY_BE_ROLLED_BACK
    resumable: tuple[str, ...] = ()
    overridable: tuple[str, ...] = ()
    can_be_undone = False
    if may_resume or may_give or may_undo:
        compiled, state = compiled_run(run), _state_of(run, detail.input)
        resumable = resumable_steps(compiled, state) if may_resume else ()
        overridable = overridable_steps(compiled, state) if may_give else ()
        can_be_undone = may_undo and not rollback_plan(compiled, state).is_empty
    return {
        "cancel": going_on and access.can(actor, "run.cancel", run),
        "pause": may_pause and not paused,
        "continue": may_pause and paused,
        "resume": bool(resumable),
        "resume_at": list(resumable),
        "override_at": list(overridable),
        "dismiss": may_override
        and run.needs_attention
        and run.status in {RunStatus.FAILED, RunStatus.ROLLED_BACK},
        "roll_back": can_be_undone,
    }


def _steps(
    definition: WorkflowDefinition,
    run: Run,
    *,
    step_runs: Sequence[StepRun],
    attempts: Sequence[Attempt],
    reviews: Sequence[Any],
    agents: Mapping[str, str],
    children: Mapping[str, JsonObject],
    costs: Costs,
    places: Mapping[tuple[str, int], str],
    workers: Mapping[tuple[str, int], str],
    tokens: Mapping[str, int],
) -> JsonObject:
    latest = {row.step: row for row in step_runs}  # ordered by iteration
    tries: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        tries[attempt.step].append(attempt)
    asked = {review.subject_id.split("/")[1]: review for review in reviews}  # newest last
    stored, groups = run.state.get("steps", {}), run.state.get("groups", {})
    found: JsonObject = {}
    for name in (*definition.steps, *filter(is_member, latest)):
        step = _step(
            latest.get(name),
            stored.get(name, {}),
            tries.get(name, []),
            asked.get(name),
            agents=agents,
        )
        if seen := stored.get(name, {}).get("seen"):
            step["seen"] = seen
        if name in groups:
            step["members"] = _member_counts(MemberGroup.model_validate(groups[name]))
        if name in tokens:
            step["tokens"] = tokens[name]
        if name in children:
            step["child"] = children[name]
        if name in costs:
            step["cost"] = costs[name]
        if (waits := places.get((name, step["iteration"]))) is not None:  # type: ignore[arg-type]  # a number, above
            step |= {"waiting_for": "place", "reason": waits}
        if (waits := workers.get((name, step["iteration"]))) is not None:  # type: ignore[arg-type]  # as above
            step |= {"waiting_for": "worker", "reason": waits}
        found[name] = step
    return found


def _tokens_of_members(compiled: CompiledWorkflow, run_id: UUID) -> dict[str, int]:
    """The tokens that models have taken for the members of steps; no query when none asks one."""
    asking = [
        step.id
        for step in compiled.steps.values()
        if any(called.models for member in step.members for called in member.interfaces)
    ]
    if not asking:
        return {}
    names = reduce(or_, (Q(step__startswith=f"{name}.") for name in asking))
    rows = StepRun.objects.filter(names, run_id=run_id).order_by("iteration")
    latest = dict(rows.values_list("step", "result__basis"))
    sums = Counter(dict.fromkeys(asking, 0))
    for member, basis in latest.items():
        sums[owner_of(member)] += tokens_in(basis)
    return {name: many for name, many in sums.items() if many}


def _places_waited_for(run_id: UUID, attempts: Sequence[Attempt]) -> dict[tuple[str, int], str]:
    """What calls of a run wait for that find no place, by step and iteration, in words.

    No query when every call has begun.
    """
    if not any(one.status == "leased" and one.owner is None for one in attempts):
        return {}
    return {
        key: " ".join(f"Waits for a place of {one.about} ({one.words})." for one in limits)
        for key, limits in budgets.places_waited_for(run_id).items()
    }


def _workers_waited_for(run: Run, attempts: Sequence[Attempt]) -> dict[tuple[str, int], str]:
    """What calls of a run wait for that other workers make, by step and iteration, in words.

    No query unless the run has been handed over to workers with a label.
    """
    if not run.needs:
        return {}
    waiting = [one for one in attempts if one.status == "leased" and one.owner is None]
    labels = registry.labels_of_workers({one.agent_version_id for one in waiting})
    alive = labels_alive()
    return {
        (one.step, one.iteration): f"Waits for a worker with the label “{label}”"
        + ("." if label in alive else "; none is running.")
        for one in waiting
        if (label := labels.get(one.agent_version_id)) is not None
    }


def _children_of(
    definition: WorkflowDefinition, run_id: UUID, member: str
) -> dict[str, JsonObject]:
    """The run that each step started last, and earlier ones; no query when none starts any.

    `{"run": id or null, "name", "status", "run_status" (of the run; null before it has begun),
    "needs_attention", "reason", "earlier": [{"run", "iteration"}]}`; of a step that starts one for
    each item and goes on also `"runs": [{"run", "index", "status", "reason"}]`, with the statuses
    of the runs. Of the items of a map only `member` is among them.
    """
    found: dict[str, JsonObject] = {}
    steps = definition.steps.items()
    starting = [name for name, step in steps if isinstance(step, WorkflowStep)]
    if member and item_run_of(definition.steps[owner_of(member)]) is not None:
        starting.append(member)
    if not starting:
        return found
    wanted = Q(step__in=starting)
    for name, step in steps:
        if isinstance(step, WorkflowStep) and step.each is not None:
            wanted |= Q(step__startswith=member_id(name, ""))
    rows = sorted(
        ChildRun.objects.filter(wanted, parent_id=run_id).defer("input"),
        key=lambda row: (row.iteration, int(member_of(row.step) or 0)),
    )
    columns = ("id", "status", "needs_attention", "workflow__name")
    began = Run.objects.filter(id__in=[one.id for one in rows]).values(*columns)
    runs = {one["id"]: one for one in began}
    titles = {key: str(one["workflow__name"]) for key, one in runs.items()}
    for row in rows:
        if is_member(row.step) and row.step != member:
            status = runs[row.id]["status"] if row.id in runs else row.status
            _add_run_of_item(found, row, titles, status)
            continue
        earlier: list[JsonValue] = [
            {"run": str(one.id), "iteration": one.iteration}
            for one in rows
            if one.step == row.step and one.iteration < row.iteration and one.status == "started"
        ]
        found[row.step] = {
            "run": str(row.id) if row.status == "started" else None,
            "name": f"{titles.get(row.id, row.workflow)} v{row.number}",
            "status": row.status,
            "run_status": runs[row.id]["status"] if row.id in runs else None,
            "needs_attention": row.id in runs and runs[row.id]["needs_attention"],
            "reason": row.reason,
            "earlier": earlier,
        }
    return found


def _add_run_of_item(
    found: dict[str, JsonObject], row: ChildRun, titles: Mapping[UUID, str], status: str
) -> None:
    """Put a run that was started for an item beside the others of its step's latest iteration."""
    step = owner_of(row.step)
    known = found.get(step)
    if known is None or known["iteration"] != row.iteration:
        known = found[step] = {
            "run": None,
            "name": f"{titles.get(row.id, row.workflow)} v{row.number}",
            "status": row.status,
            "reason": "",
            "earlier": [],
            "iteration": row.iteration,
            "runs": [],
        }
    listed = known["runs"]
    assert isinstance(listed, list)
    listed.append(
        {
            "run": str(row.id) if row.status == "started" else None,
            "index": int(member_of(row.step)),
            "status": status,
            "reason": row.reason,
        }
    )


def _parent_of(detail: RunDetail) -> JsonObject | None:
    """The run whose step started this one: `{"run", "step", "iteration", "title", "workflow"}`."""
    parent = detail.binding.get("parent")
    if not isinstance(parent, dict):
        return None
    run = Run.objects.filter(id=parent["run"]).values_list("title", "workflow__name").first()
    title, workflow = run or ("", "")
    shown = {name: parent[name] for name in ("run", "step", "iteration")}
    return {**shown, "title": title, "workflow": workflow}


def _member_counts(group: MemberGroup) -> JsonObject:
    """How far a step is with its members; `open` ones of a step that has ended were left out."""
    counts: JsonObject = {
        "total": group.total,
        "done": group.begun - group.open - group.failed,
        "failed": group.failed,
        "open": group.open,
    }
    if group.enough is not None:
        counts |= {"enough": group.enough, "not_begun": group.total - group.begun}
    return counts


def hashes_of_agents(run_id: UUID) -> dict[str, str]:
    """The agent versions that a run is pinned to: `slug@number` -> content hash."""
    binding = RunDetail.objects.values_list("binding", flat=True).get(run_id=run_id)
    agents = binding.get("agents")
    pinned = agents if isinstance(agents, dict) else {}
    return {name: str(one["sha256"]) for name, one in pinned.items() if isinstance(one, dict)}


def _agents_by_id(binding: JsonObject) -> dict[str, str]:
    """The agent versions that a run is pinned to: id -> `slug@number`."""
    agents = binding.get("agents")
    pinned = agents if isinstance(agents, dict) else {}
    return {str(one["id"]): name for name, one in pinned.items() if isinstance(one, dict)}


def _step(
    row: StepRun | None,
    stored: JsonObject,
    tries: Sequence[Attempt],
    review: Any,
    *,
    agents: Mapping[str, str],
) -> JsonObject:
    if row is None:
        status = stored.get("status", StepStatus.PENDING.value)
        return {
            "status": status,
            "iteration": 1,
            "round": stored.get("round", 1),
            "attempt": 0,
            "attempts": [],
            "review": None,
        }
    result = row.result or {}
    not_begun = any(one.status == "leased" and one.owner is None for one in tries)
    begun = row.status != StepStatus.RUNNING or not not_begun
    return {
        "status": row.status if begun else StepStatus.READY.value,
        "iteration": row.iteration,
        "round": stored.get("round", 1),
        "attempt": row.attempt,
        "result_tag": row.result_tag,
        "port": row.port,
        "waiting_for": row.waiting_for,
        "reason": result.get("reason") or "",
        "reason_code": result.get("reason_code") or "",
        "failure_kind": result.get("kind") or "",
        "started_at": _at(row.started_at),
        "ended_at": _at(row.ended_at),
        "input": row.input,
        "output": row.output,
        "score": result.get("score"),
        "violations": result.get("violations", []),
        "basis": result.get("basis", []),
        "given_by": giver_of_basis(result.get("basis", [])),
        "input_edited": row.input_override is not None and not is_member(row.step),
        "attempts": [_attempt(one, agents) for one in tries],
        "review": None
        if review is None
        else {"id": str(review.id), "status": review.status, "due_at": _at(review.due_at)},
    }


def _attempt(row: Attempt, agents: Mapping[str, str]) -> JsonObject:
    return {
        "number": row.number,
        "agent": agents.get(str(row.agent_version_id), ""),
        "iteration": row.iteration,
        "status": row.status,
        "started_at": _at(row.started_at),
        "ended_at": _at(row.ended_at),
        "result_tag": row.result_tag,
        "reason": row.reason,
        "failure_kind": row.failure_kind,
    }


def _handoff(row: Handoff, inputs: Mapping[tuple[str, int], JsonValue]) -> JsonObject:
    return {
        "seq": row.seq,
        "at": _at(row.at),
        "step": row.step,
        "iteration": row.iteration,
        "links": row.links,
        "verdict": row.verdict,
        "violations": row.violations,
        "repairs": row.repairs,
        "payload": inputs.get((row.step, row.iteration)),
    }


def _handed_over(
    definition: WorkflowDefinition, made: Handoff, taker: StepRun | None
) -> JsonObject:
    return {
        "seq": made.seq,
        "at": _at(made.at),
        "type": "handoff",
        "from": [owner_of(made.step)]
        if is_member(made.step)
        else [definition.links[link].source for link in made.links],
        "to": made.step,
        "iteration": made.iteration,
        "verdict": made.verdict,
        "violations": made.violations,
        "repairs": made.repairs,
        "payload": taker.input if taker else None,
        "payload_sha256": made.payload_sha256,
    }


def _answer(event: RunEvent, ended: JsonObject, giver: StepRun) -> JsonObject:
    result = giver.result or {}
    return {
        "seq": event.seq,
        "at": _at(event.at),
        "type": "answer",
        "from": [giver.step],
        "to": None,
        "iteration": giver.iteration,
        "port": ended.get("port"),
        "result": giver.result_tag,
        "output": giver.output,
        "reason": result.get("reason") or "",
        "score": result.get("score"),
    }


def _outcome_title(definition: WorkflowDefinition, name: str) -> str:
    outcome = definition.outcomes.get(name)
    return outcome.title if outcome else name


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@dataclass(frozen=True, slots=True)
class HandoffFailures:
    """How often a link's handoff was refused among a workflow's latest runs, and the latest one."""

    count: int
    run_id: UUID
    step: str
    at: datetime
    reason: str


def handoff_failures_of(workflow_id: UUID) -> dict[str, HandoffFailures]:
    """The refused handoffs of the workflow's latest runs, by link."""
    latest = Run.objects.filter(workflow_id=workflow_id).order_by("-created_at").values("pk")
    refused = Handoff.objects.filter(
        run_id__in=list(latest.values_list("pk", flat=True)[:FAILURE_RUNS]), verdict="refused"
    ).order_by("-at", "-id")
    found: dict[str, HandoffFailures] = {}
    for row in refused[:FAILURE_ROWS]:
        reason = str(row.violations[0].get("reason", "")) if row.violations else ""
        for link in row.links:
            known = found.get(link)
            found[link] = (
                replace(known, count=known.count + 1)
                if known
                else HandoffFailures(1, row.run_id, row.step, row.at, reason)
            )
    return found
