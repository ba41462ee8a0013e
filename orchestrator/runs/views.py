"""Pages of runs: the list, the form that starts one, the run itself with its parts and actions.

The run page is whole as HTML: each part has its address under `parts/` and refreshes itself by htmx
when the run moves on. Only the graph is drawn by the canvas island.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from designer import selectors as designer
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts import selectors as accounts
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.contracts import Validator
from orchestrator.core.definition import RouterStep, TeamStep, is_member, owner_of
from orchestrator.core.errors import ConflictError, DomainError, InvalidInputError
from orchestrator.core.examples import sample_document
from orchestrator.core.json import JsonObject
from orchestrator.core.shares import Priority
from orchestrator.runs import examples, forms, presentation, selectors, services
from orchestrator.runs.models import Run
from orchestrator.runs.origins import origin_lines
from orchestrator.runs.shared_data import conflict_lines, key_lines, read_by, written_by
from orchestrator.runs.timeline import timeline_of
from orchestrator.runs.trials import NotTriableError
from orchestrator.web.lists import Column, Empty, Filter, Link, ListSpec, Option, render_list
from registry import selectors as registry
from registry.selectors import AgentNotUsableError

LOG_VIEWS: Final[Mapping[str, str]] = {
    "timeline": "Timeline",
    "steps": "Steps",
    "graph": "Graph",
    "messages": "Messages",
    "shared": "Shared data",
    "journal": "Journal",
}
STEP_TABS: Final[Mapping[str, str]] = {
    "result": "Result",
    "origin": "Origin",
    "messages": "Messages",
    "attempts": "Attempts",
    "journal": "Journal",
}
PARTS: Final = ("head", "log", "step")

RUNS: Final = ListSpec(
    key="runs",
    one="run",
    many="runs",
    columns=(
        Column("Run"),
        Column("Status", "end"),
        Column("Steps, and where it is", "wide"),
        Column("What is going on", "wide"),
        Column("When", "only-wide"),
        Column("Actions", "right only-wide", is_hidden_label=True),
    ),
    row_template="runs/row.html",
    search_fields=("title",),
    search_label="Name of the run",
    filters=(
        Filter(
            "show",
            "Show",
            (
                Option("attention", "Needs attention", "failed", Q(needs_attention=True)),
                Option("running", "Running", "running", Q(status__in=("pending", "running"))),
                Option("waiting", "Waiting", "waiting", Q(status="waiting")),
                Option("paused", "Paused", "paused", Q(status="paused")),
                Option("failed", "Failed", "failed", Q(status="failed")),
                Option("succeeded", "Succeeded", "succeeded", Q(status="succeeded")),
            ),
        ),
    ),
    empty=Empty(
        "run",
        "No runs yet",
        "A run is one case on its way through a workflow. Start one, or let a trigger start it.",
        (Link("Choose a workflow", "/workflows/", "workflow"),),
    ),
    live_topic="runs",
)
MODE: Final = Filter(
    "mode", "Kind of run", (Option("test", "Test runs", "", Q(mode="test")),), all_label="Live"
)
"""Which runs are listed; the queryset holds live ones unless test runs are asked for."""
PRIORITIES: Final[Mapping[Priority, str]] = {
    Priority.URGENT: "Urgent",
    Priority.NORMAL: "Normal",
    Priority.LOW: "Low",
}
PRIORITY: Final = Filter(
    "priority",
    "Priority",
    tuple(
        Option(one.value, word)
        for one, word in PRIORITIES.items()
        if one is not Priority.NORMAL  # nobody looks for those, and the line is full
    ),
    field="priority",
    all_label="Any",
)
MAX_WORKFLOW_CHIPS: Final = 8


@dataclass(frozen=True, slots=True)
class RunAction:
    """What an operator may ask of a run: its words, its permission line, what carries it out."""

    name: str
    verb: str
    title: str
    effect: str
    icon: str
    line: str
    service: Callable[..., None]
    done: str
    is_danger: bool = False


ACTIONS: Final[Mapping[str, RunAction]] = {
    one.name: one
    for one in (
        RunAction(
            "pause",
            "Pause",
            "Pause this run?",
            "Nothing new begins. A call that is under way is broken off and made again later.",
            "pause",
            "run.pause",
            services.pause_run,
            "The run pauses.",
        ),
        RunAction(
            "continue",
            "Continue",
            "Let this run go on?",
            "It goes on where it was paused.",
            "play",
            "run.pause",
            services.continue_run,
            "The run goes on.",
        ),
        RunAction(
            "cancel",
            "Cancel run",
            "Cancel this run?",
            "It ends for good: calls under way are broken off, open reviews are withdrawn. What "
            "was done stays done.",
            "stop",
            "run.cancel",
            services.cancel_run,
            "The run is being cancelled.",
            is_danger=True,
        ),
        RunAction(
            "dismiss",
            "Dismiss",
            "Take this run off the list?",
            "It stays failed and can still be resumed; nobody is reminded of it any more.",
            "check",
            "run.override",
            services.dismiss_run,
            "The run no longer needs attention.",
        ),
        RunAction(
            "roll-back",
            "Roll back",
            "Undo what this run has done?",
            "Steps that say how are undone, the latest first, by the agents that they name. What "
            "cannot be undone is listed here afterwards, so that somebody deals with it.",
            "undo",
            "run.override",
            services.roll_back_run,
            "The run is being rolled back.",
            is_danger=True,
        ),
    )
}


# ---- The list ----------------------------------------------------------------------------------


@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    access.require(actor, "run.read")
    query = request.GET.get("q", "").strip()
    spec = replace(RUNS, filters=(*RUNS.filters, *workflow_filter(actor), PRIORITY, MODE))
    mode = "test" if request.GET.get("mode") == "test" else "live"
    rows = selectors.list_runs(actor, mode=mode)

    def extras(page: list[Run]) -> Mapping[str, Any]:
        return {"runs": shown_rows(actor, page)}

    return render_list(
        request,
        spec,
        rows,
        template="runs/list.html",
        context={
            "attention": selectors.count_attention(actor),
            "no_worker": selectors.labels_wanted(actor).items(),
            "query": query,
            "mode": mode,
            "may_select": access.can(actor, "run.cancel"),
            "filters": request.GET.urlencode(),
        },
        extras=extras,
    )


def workflow_filter(actor: Actor) -> tuple[Filter, ...]:
    """A filter by workflow, when there are several."""
    found = designer.list_workflows(actor).prefetch_related(None)[:MAX_WORKFLOW_CHIPS]
    options = tuple(Option(one.slug, one.name) for one in found)
    if len(options) < 2:
        return ()
    return (
        Filter("workflow", "Workflow", options, field="workflow__slug", all_label="All workflows"),
    )


def shown_rows(actor: Actor, rows: list[Run]) -> dict[UUID, dict[str, Any]]:
    """What a row of a list of runs shows, by run."""
    briefs = selectors.briefs_of(actor, rows)
    return {
        run.id: {
            "brief": briefs[run.id],
            "pips": presentation.pips_of(briefs[run.id].steps),
            "look": presentation.run_look(
                run.status,
                waits_for_person=briefs[run.id].review_id is not None,
                is_outside=presentation.waits_outside(one for _, one in briefs[run.id].steps),
                is_troubled=run.needs_attention,
            ),
            "took": presentation.took(run.started_at, run.ended_at),
            "waits": presentation.waits_word(one for _, one in briefs[run.id].steps),
        }
        for run in rows
    }


# ---- Starting ----------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def start(request: HttpRequest, slug: str) -> HttpResponse:
    actor = actor_of(request)
    workflow = designer.find_workflow(actor, slug)
    mode: Literal["live", "test"] = "test" if request.GET.get("mode") == "test" else "live"
    access.require(actor, "run.start" if mode == "live" else "workflow.try", workflow)
    version = (designer.active_version if mode == "live" else designer.version_to_try)(workflow)
    contract = designer.input_contract_of(version)
    offered = _examples(slug, contract, mode)
    chosen = next((one for one in offered if one.key == request.GET.get("example")), None)
    form = forms.InputForm(
        contract=contract,
        value=chosen.input if chosen else None,
        is_json=request.GET.get("as") == "json",
    )
    priority = _priority(request.POST.get("priority", ""))
    refusal: DomainError | None = None
    status = 200
    if request.method == "POST":
        form, given = forms.read_input(
            request, form, actor=actor, workspace_id=workflow.workspace_id
        )
        status = 422
        if given is not None:
            try:
                run = services.start_run(
                    workflow_slug=slug,
                    input=given,
                    mode=mode,
                    priority=priority,
                    actor=actor,
                    now=timezone.now(),
                    idempotency_key=request.POST.get("once") or None,
                )
            except NotTriableError as error:
                refusal = error
            except (InvalidInputError, AgentNotUsableError) as error:
                form = form.with_error(error)
                status = error.status
            else:
                return redirect("runs:detail", run_id=run.id)
    context = {
        "workflow": workflow,
        "version": version,
        "form": form,
        "mode": mode,
        "asks_nothing": not form.asked,
        "refusal": refusal,
        "examples": offered,
        "chosen": chosen,
        "priority": priority,
        "priorities": PRIORITIES.items(),
        "usual_priority": PRIORITIES[designer.definition_of(version).policies.priority],
        "once": request.POST.get("once") or forms.new_key(),
    }
    return render(request, "runs/start.html", context, status=status)


def _priority(given: str) -> Priority | None:
    """The priority that the form says; None: that of the workflow."""
    if not given:
        return None
    if given not in set(Priority):
        offered = ", ".join(Priority)
        raise InvalidInputError(
            f"The priority of a run is one of {offered}.",
            detail={"priorities": list(Priority)},
        )
    return Priority(given)


def _examples(
    slug: str, contract: Validator, mode: Literal["live", "test"]
) -> tuple[examples.Example, ...]:
    """The shipped inputs of a workflow; a test may also begin with made-up values."""
    offered = examples.examples_of(slug)
    made_up = sample_document(contract.schema) if mode == "test" else {}
    if not made_up:
        return offered
    words = "Values made up from the contract; change what you like."
    return (*offered, examples.Example("made-up", "Fill with an example", words, made_up))


# ---- One run -----------------------------------------------------------------------------------


@require_safe
def detail(request: HttpRequest, run_id: UUID) -> HttpResponse:
    page = _Page(request, run_id)
    return render(request, "runs/detail.html", page.everything())


@require_safe
def part(request: HttpRequest, run_id: UUID, name: str) -> HttpResponse:
    if name not in PARTS:
        raise Http404
    page = _Page(request, run_id)
    build = {"head": page.head, "log": page.log, "step": page.step}[name]
    return render(request, f"runs/parts/{name}.html", {**page.common(), **build(), "is_part": True})


class _Page:
    """One request's view of a run; each part asks for what it needs only."""

    def __init__(self, request: HttpRequest, run_id: UUID) -> None:
        self.actor = actor_of(request)
        self.run = selectors.get_run(self.actor, run_id)
        self.now = timezone.now()
        asked = request.GET.get("step", "")
        self.snapshot = selectors.run_snapshot(
            run_id, self.actor, member=asked if is_member(asked) else ""
        )
        self.compiled = selectors.compiled_run(self.run)
        self.definition = self.compiled.definition
        self.steps = cast("Mapping[str, Mapping[str, Any]]", self.snapshot["steps"])
        shown = presentation.step_to_show(self.snapshot, self.definition)
        self.asked = asked if asked in self.steps else ""
        self.member_status = request.GET.get("members", "")
        self.member_start = _place(request.GET.get("from", ""))
        self.selected = self.asked or shown
        self.tab = _one_of(request.GET.get("tab", ""), STEP_TABS)
        self.view = _one_of(request.GET.get("log", ""), LOG_VIEWS)
        self._names: dict[str, str] | None = None

    def everything(self) -> dict[str, Any]:
        picture = {
            "definition": self.definition.model_dump(mode="json"),
            "run": presentation.graph_of(self.snapshot),
        }
        return {
            **self.common(),
            **self.head(),
            **self.log(),
            **self.step(),
            "picture": picture,
            "all_actions": _all_offers(self.actor, self.run),
            "may_resume": access.can(self.actor, "run.resume", self.run),
            "api": f"{reverse('runs:run-detail', args=[self.run.id])}?view=graph",
        }

    def common(self) -> dict[str, Any]:
        look = presentation.run_look(
            self.run.status,
            waits_for_person=self._waits_for_person(),
            is_outside=presentation.waits_outside(
                selectors.waits_for(
                    self.compiled.step(name).step, str(one.get("waiting_for") or "")
                )
                for name, one in self.steps.items()
            ),
            is_troubled=self.run.needs_attention,
        )
        return {
            "run": self.run,
            "snapshot": self.snapshot,
            "look": look,
            "topic": f"run:{self.run.id}",
            "selected": self.selected,
            "asked": self.asked,
            "log_view": self.view,
            "log_tabs": [
                (name, label)
                for name, label in LOG_VIEWS.items()
                if name != "shared" or self.definition.context
            ],
            "tab": self.tab,
            "step_tabs": STEP_TABS.items(),
            "is_over": self.run.ended_at is not None,
            "message_count": len(cast("list[object]", self.snapshot["handoffs"]))
            + sum(bool(step.get("result_tag")) for step in self.steps.values()),
        }

    def head(self) -> dict[str, Any]:
        running = sum(
            step["members"]["open"] if step.get("waiting_for") == "members" else 1
            for name, step in self.steps.items()
            if not is_member(name)
            and (step["status"] == "running" or step.get("waiting_for") == "members")
        )
        return {
            "running": running if self.run.status != "running" or running > 1 else 0,
            "actions": _offered(self.actor, self.run, can_roll_back=self._can_roll_back()),
            "not_undone": self._not_undone(),
            "priority": PRIORITIES[Priority(self.run.priority)],
            "starter": _name_of(self.snapshot["started_by"]),
            "elapsed": presentation.elapsed(self.snapshot, self.now),
            "outcome": self.snapshot["outcome_title"],
            "budget": self.snapshot["budget"],
            "cost": self.snapshot["cost"],
            "saved": selectors.saved_by_resuming(self.run, self.snapshot),
            "parent": self.snapshot["parent"],
            "reason": self.snapshot["end_reason"],
            "failed_step": self._failed_step(),
        }

    def log(self) -> dict[str, Any]:
        context: dict[str, Any] = {}
        if self.view in ("timeline", "graph"):
            context["timeline"] = timeline_of(self.snapshot, self.definition, self.now)
        elif self.view == "steps":
            context["outline"] = presentation.outline_of(self.snapshot, self.definition, self.now)
        elif self.view == "messages":
            context["messages_log"] = presentation.messages_of(
                selectors.message_log(self.run.id), self.definition
            )
            context["traffic"] = selectors.run_traffic(self.run, self.now)
        elif self.view == "shared":
            context["shared_keys"] = key_lines(
                self.definition, cast("Mapping[str, Any]", self.snapshot["shared"])
            )
            context["conflicts"] = conflict_lines(
                self.definition, selectors.context_conflicts(self.run.id)
            )
        elif self.view == "journal":
            context["journal"] = presentation.journal_of(self._events())
        return context

    def step(self) -> dict[str, Any]:
        if self.selected is None:
            return {"panel": None}
        panel = presentation.panel_of(
            self.snapshot, self.compiled, self.selected, self.now, names=self._agent_names()
        )
        context: dict[str, Any] = {
            "panel": panel,
            "resume": resume_offer(self.actor, self.run, self.snapshot, self.selected),
            "override": override_address(self.run, self.snapshot, self.selected),
            "given_by": person_named(panel.given_by),
        }
        if self.definition.context and self.tab == "result":
            context |= self._shared(owner_of(self.selected))
        if self.tab == "messages":
            found = presentation.messages_of(selectors.message_log(self.run.id), self.definition)
            context["step_messages"] = [
                one for one in found if self.selected in {one.target, *one.sources}
            ]
        elif self.tab == "origin":
            lines = origin_lines(
                self.snapshot, self.compiled, self.selected, names=self._agent_names()
            )
            people = people_named(one.given_by for one in lines)
            context["origins"] = [(one, people.get(one.given_by, "")) for one in lines]
        elif self.tab == "journal":
            context["step_events"] = presentation.events_about(self._events(), self.selected)
        elif "members" in self.steps[self.selected]:
            context["members"] = self._members(self.selected)
            context["members_from"] = self.member_start
            context["counted"] = self.steps[self.selected]["members"]
        elif isinstance(self.compiled.step(self.selected).step, RouterStep):
            events = self._events()
            context["route"] = presentation.route_of(events, self.definition, self.selected)
        return context

    def _shared(self, step_id: str) -> dict[str, Any]:
        """What the step has read and written of what steps share."""
        stored = cast("Mapping[str, Any]", self.snapshot["shared"])
        seen = self.steps[step_id].get("seen") or {}
        return {
            "shared_read": read_by(self.compiled, stored, step_id, seen),
            "shared_written": written_by(self.definition, stored, step_id),
        }

    def _members(self, step_id: str) -> presentation.MemberPage:
        step = self.definition.steps[step_id]
        found = selectors.list_members(
            self.run.id,
            step_id,
            status=self.member_status,
            start=self.member_start,
            with_messages=isinstance(step, TeamStep),
        )
        return presentation.member_page(
            step,
            found.rows,
            found.counts,
            status=self.member_status,
            start=self.member_start,
            total=found.total,
            now=self.now,
            names=self._agent_names(),
        )

    def _agent_names(self) -> dict[str, str]:
        """The names of the agents that the run calls, by slug; read once."""
        if self._names is None:
            self._names = registry.agent_names(self.definition)
        return self._names

    def _events(self) -> list[Mapping[str, Any]]:
        """The whole journal; long ones are read in pages."""
        found: list[Mapping[str, Any]] = []
        while True:
            after = found[-1]["seq"] if found else 0
            page = cast(
                "list[Mapping[str, Any]]", selectors.run_journal(self.run.id, after)["events"]
            )
            found += page
            if len(page) < selectors.JOURNAL_PAGE:
                return found

    def _waits_for_person(self) -> bool:
        return any(
            step.get("waiting_for") in {"review", "exception"} for step in self.steps.values()
        )

    def _can_roll_back(self) -> bool:
        can = self.snapshot["can"]
        return isinstance(can, dict) and bool(can.get("roll_back"))

    def _not_undone(self) -> list[dict[str, str]]:
        left = self.snapshot["not_undone"]
        steps = self.definition.steps
        return [
            {"id": step, "name": steps[step].name, "reason": str(reason)}
            for step, reason in (left if isinstance(left, dict) else {}).items()
            if step in steps
        ]

    def _failed_step(self) -> dict[str, str] | None:
        step_id = self.snapshot["failed_step"]
        if not isinstance(step_id, str) or step_id not in self.definition.steps:
            return None
        return {"id": step_id, "name": self.definition.steps[step_id].name}


# ---- What an operator asks of a run ------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, run_id: UUID, name: str) -> HttpResponse:
    if name not in ACTIONS:
        raise Http404
    actor, action = actor_of(request), ACTIONS[name]
    run = selectors.get_run(actor, run_id)
    access.require(actor, action.line, run)
    error: DomainError | None = None
    if request.method == "POST":
        reason = request.POST.get("reason", "")
        try:
            action.service(run_id=run.id, reason=reason, actor=actor, now=timezone.now())
        except (InvalidInputError, ConflictError) as refused:
            error = refused
        else:
            messages.success(request, action.done)
            return redirect("runs:detail", run_id=run.id)
    context = {"run": run, "action": action, "error": error}
    return render(request, "runs/act.html", context, status=error.status if error else 200)


# ---- Parts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """An action as a button: `locked` says why it is not to be had, and who can."""

    action: RunAction
    url: str
    locked: str


def _offered(actor: Actor, run: Run, *, can_roll_back: bool) -> list[Offer]:
    """The actions that fit the run's status, locked ones with the reason."""
    fitting = {
        "pause": run.status in {"pending", "running", "waiting"},
        "continue": run.status == "paused",
        "cancel": run.ended_at is None,
        "dismiss": run.status in {"failed", "rolled_back"} and run.needs_attention,
        "roll-back": can_roll_back,
    }
    found = []
    for name, fits in fitting.items():
        if fits:
            url = reverse("runs:act", args=[run.id, name])
            found.append(Offer(ACTIONS[name], url, _locked(actor, ACTIONS[name].line, run)))
    return found


def _all_offers(actor: Actor, run: Run) -> list[Offer]:
    """Every action that the actor may ever ask of this run; their dialogs stand ready."""
    return [
        Offer(action, reverse("runs:act", args=[run.id, name]), "")
        for name, action in ACTIONS.items()
        if access.can(actor, action.line, run)
    ]


@dataclass(frozen=True, slots=True)
class ResumeOffer:
    """Whether the run can go on at this step, or why not."""

    url: str
    locked: str


def resume_offer(actor: Actor, run: Run, snapshot: JsonObject, step: str) -> ResumeOffer | None:
    """Whether a failed run can go on at this step; None when there is nothing to say about it."""
    if run.status != "failed":
        return None
    locked = _locked(actor, "run.resume", run)
    can = snapshot["can"]
    possible = can.get("resume_at", []) if isinstance(can, dict) else []
    if not locked and isinstance(possible, list) and step not in possible:
        return None
    if locked and step != snapshot["failed_step"]:
        return None
    return ResumeOffer(reverse("runs:resume", args=[run.id, step]), locked)


def override_address(run: Run, snapshot: JsonObject, step: str) -> str:
    """Where the actor may give this step's result; empty when he may not, or not now."""
    can = snapshot["can"]
    possible = can.get("override_at", []) if isinstance(can, dict) else []
    if not isinstance(possible, list) or step not in possible:
        return ""
    return reverse("runs:override", args=[run.id, step])


def _locked(actor: Actor, line: str, run: Run) -> str:
    try:
        access.require(actor, line, run)
    except DomainError as error:
        return error.message
    return ""


def _name_of(who: Any) -> str:
    """Who started a run, in words."""
    if who["kind"] != "user":
        return {"service": "a service", "system": "Baton"}.get(who["kind"], str(who["kind"]))
    return person_named(str(who["id"]))


def people_named(ids: Iterable[str]) -> dict[str, str]:
    """The names of people by id."""
    wanted = {one: UUID(one) for one in ids if one}
    known = accounts.names_of(set(wanted.values())) if wanted else {}
    return {one: known.get(person, "somebody who has left") for one, person in wanted.items()}


def person_named(person_id: str) -> str:
    """The name of a person by id; empty for no id."""
    return people_named([person_id]).get(person_id, "")


def _place(text: str) -> int:
    """Where a page begins; anything that is no number is the beginning."""
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def _one_of(value: str, known: Mapping[str, str]) -> str:
    return value if value in known else next(iter(known))
