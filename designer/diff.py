"""What differs between two definitions, in plain words and as marks for the canvas. Pure.

`diff` walks both documents side by side by tables: every field of a step kind stands in `_FACTS`,
or is compared by a function of its own (mappings, routes, evidence, contracts field by field).
Nothing that a hash covers is left out; positions come last, as layout only. A link that begins or
ends at a step that was added or removed is told with that step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any, Final, TypeAlias

from designer.words import (
    awaited_words,
    back_words,
    seconds_words,
    source_words,
    team_word,
    when_words,
    with_article,
)
from orchestrator.core.compilation import DefinitionError, step_order
from orchestrator.core.definition import (
    AgentRef,
    AgentStep,
    Auction,
    BudgetPolicy,
    Coalescing,
    Debate,
    Deduplication,
    EmitStep,
    EndStep,
    EventAwaited,
    Exclusive,
    GateStep,
    InnerStep,
    Itself,
    JoinPolicy,
    JoinStep,
    Link,
    Losers,
    MapStep,
    Moment,
    Negotiation,
    OnlyWhile,
    OutcomeKind,
    Pause,
    RateLimit,
    Relay,
    RouterMode,
    RouterStep,
    ScheduleSource,
    StartStep,
    Step,
    Supervised,
    TeamMember,
    TeamStep,
    TransformStep,
    Trigger,
    WaitStep,
    WorkflowDefinition,
    WorkflowRef,
    WorkflowStep,
    WriteRule,
    doers_of,
    item_run_of,
    writes_of,
)
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.money import Money, format_money
from registry.presentation import words_of

AgentNames: TypeAlias = Mapping[tuple[str, int], str]
"""Agents by slug and version, as people call them."""
NONE: Final = "none"


class ChangeKind(StrEnum):
    """What happened to the thing that a change is about."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    LAYOUT = "layout"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `title` says what it is about, `before` and `after` how it was and is now.

    `step` or `link` is the id of what the canvas marks, `note` what else there is to say.
    """

    kind: ChangeKind
    title: str
    step: str | None = None
    link: str | None = None
    before: str = ""
    after: str = ""
    note: str = ""

    @property
    def sentence(self) -> str:
        """The whole change as one line of text: `Fraud check: confidence needed 0.70 → 0.80`."""
        words = self.title
        if self.before and self.after:
            words += f" {self.before} → {self.after}"
        elif self.after:
            words += f": {self.after}"
        elif self.before:
            words += f" (was {self.before})"
        return f"{words}. {self.note}" if self.note else words


@dataclass(frozen=True, slots=True)
class Overlay:
    """Both definitions in one picture: the later one with what was removed put back, and marks.

    `steps` and `links` say `added`, `removed` or `changed` by id.
    """

    definition: JsonObject
    steps: Mapping[str, str]
    links: Mapping[str, str]


def diff(
    before: WorkflowDefinition, after: WorkflowDefinition, agents: AgentNames | None = None
) -> list[Change]:
    """Every difference, what the workflow is about first, then steps, links, ends and limits."""
    return list(_Comparison(before, after, agents or {}).changes())


def is_layout_only(changes: Iterable[Change]) -> bool:
    """Whether nothing of this makes the workflow run differently."""
    return all(one.kind is ChangeKind.LAYOUT for one in changes)


def overlay_of(before: WorkflowDefinition, after: WorkflowDefinition) -> Overlay:
    """One document for the canvas that shows both."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    marks: dict[str, dict[str, str]] = {}
    for part in ("steps", "links"):
        marks[part] = {key: "removed" for key in old[part] if key not in new[part]}
        for key, value in new[part].items():
            if key not in old[part]:
                marks[part][key] = "added"
            elif old[part][key] != value:
                marks[part][key] = "changed"
    gone = {key: old["positions"][key] for key in marks["steps"] if key in old["positions"]}
    merged = {
        **new,
        "steps": {**{key: old["steps"][key] for key in old["steps"]}, **new["steps"]},
        "links": {**old["links"], **new["links"]},
        "positions": {**gone, **new["positions"]},
    }
    return Overlay(merged, marks["steps"], marks["links"])


# ---- the tables --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fact:
    """A single value of something: what it is called, and how it is put into words."""

    label: str
    words: Callable[[Any], str]


def _text(value: object) -> str:
    return str(value) if value not in (None, "") else NONE


def _quoted(value: object) -> str:
    return f"“{value}”" if value not in (None, "") else NONE


def _seconds(value: float) -> str:
    return seconds_words(value, units=4) if float(value).is_integer() else f"{value:.15g} s"


def _budget(value: BudgetPolicy | None) -> str:
    if value is None:
        return NONE
    calls = "" if value.calls is None else f"{value.calls:,} calls at most"
    tokens = "" if value.tokens is None else f"{value.tokens:,} tokens at most"
    money = ""
    if value.money is not None:
        money = f"{format_money(Money(value.money.minor, value.money.currency))} at most"
    return ", ".join(part for part in (calls, tokens, money) if part)


def _section(value: Exclusive | None) -> str:
    if value is None:
        return NONE
    return f"{value.section}, kept for the next steps of it" if value.keep else value.section


def _only_while(value: OnlyWhile | None) -> str:
    if value is None:
        return "always"
    after = f"after {value.after} has ended" if value.after else ""
    until = f"until {value.until} begins" if value.until else ""
    return ", ".join(one for one in (after, until) if one)


def _which(value: WorkflowRef | Itself) -> str:
    return f"{value.workflow} v{value.version}" if isinstance(value, WorkflowRef) else value.words


def _once(value: Deduplication | None) -> str:
    return NONE if value is None else f"{value.key} within {_seconds(value.window_seconds)}"


def _together(value: Coalescing | None) -> str:
    if value is None:
        return NONE
    kept = "a list of all" if value.keep == "list" else "the last one"
    return f"what comes within {_seconds(value.window_seconds)}, as {kept}"


def _limit(value: RateLimit | None) -> str:
    if value is None:
        return NONE
    return f"{value.per_minute:,} a minute, more is {_OVERFLOWS[value.overflow]}"


def _share(value: float | None) -> str:
    return (
        NONE if value is None else f"{value:.2f}" if round(value, 2) == value else f"{value:.15g}"
    )


def _role(value: str) -> str:
    return with_article(value)


def _joined(values: Iterable[str]) -> str:
    return ", ".join(one.replace("_", " ") for one in values) or NONE


def _counts(kind: OutcomeKind) -> str:
    return "success" if kind is OutcomeKind.SUCCESS else "failure"


_ABOUT: Final[Mapping[str, _Fact]] = {
    "name": _Fact("name", _quoted),
    "summary": _Fact("description", _quoted),
}
_BEGINS: Final[Mapping[str, _Fact]] = {
    "exclusive": _Fact("section", _section),
    "only_while": _Fact("may begin", _only_while),
}
_TIMEOUT: Final[Mapping[str, _Fact]] = {
    "attempt_seconds": _Fact("time limit of a try", _seconds),
}
_RETRY: Final[Mapping[str, _Fact]] = {
    "max_attempts": _Fact("tries at most", _text),
    "kinds": _Fact("tries again after", lambda kinds: _joined(one.value for one in kinds)),
    "backoff_seconds": _Fact("wait before the next try", _seconds),
    "backoff_factor": _Fact("growth of the wait", lambda value: f"{value:.15g} times"),
    "max_backoff_seconds": _Fact("longest wait before a try", _seconds),
    "jitter": _Fact("spread of the wait", _share),
}
_JOINS: Final = {
    JoinPolicy.ALL: "all branches must arrive",
    JoinPolicy.BEST_EFFORT: "what has arrived is enough",
    JoinPolicy.FIRST: "the first branch is enough",
    JoinPolicy.N_OF_M: "a number of branches is enough",
}
_LOSERS: Final = {Losers.CANCEL: "are cancelled", Losers.IGNORE: "go on and are ignored"}
_LATE: Final = {Losers.CANCEL: "are cancelled", Losers.IGNORE: "finish and are ignored"}
_BEFORE: Final = {True: "do not count", False: "count for a quarter of an hour"}
_NEXT_BEST: Final = {True: "the next best gets the task", False: "the step fails"}
_ARBITRATED: Final = {True: "the highest priority decides", False: "the team disagrees"}
_TOLERATED: Final = {True: "is told to the others", False: "fails the step"}
_MODES: Final = {
    RouterMode.FIRST: "the first whose rule holds",
    RouterMode.ALL: "every one whose rule holds",
}
_FACTS: Final[Mapping[type, Mapping[str, _Fact]]] = {
    StartStep: {},
    AgentStep: {
        "confidence_threshold": _Fact("confidence needed", _share),
        "fallback_on": _Fact(
            "others take over after", lambda kinds: _joined(one.value for one in kinds)
        ),
    },
    MapStep: {
        "items": _Fact("goes through", _text),
        "max_parallel": _Fact("items at the same time, at most", _text),
        "tolerated_failures": _Fact("failed items tolerated", _text),
        "enough": _Fact("items that are enough", lambda n: "all" if n is None else str(n)),
        "late": _Fact("late items", lambda late: _LATE[late]),
    },
    TeamStep: {
        "ballot": _Fact("counted field", _text),
        "rule": _Fact("decides by", lambda rule: str(rule.value)),
    },
    RouterStep: {"mode": _Fact("ways taken", lambda mode: _MODES[mode])},
    JoinStep: {
        "policy": _Fact("rule", lambda policy: _JOINS[policy]),
        "n": _Fact("branches needed", lambda n: "not said" if n is None else str(n)),
        "losers": _Fact("late branches", lambda losers: _LOSERS[losers]),
    },
    GateStep: {
        "type": _Fact("what is asked", lambda kind: str(kind.value)),
        "question": _Fact("question", _quoted),
        "title": _Fact("title of the review", _text),
        "why": _Fact("why it is asked", _text),
        "assign_role": _Fact("who decides", _role),
        "due_seconds": _Fact("due within", _seconds),
        "confidence": _Fact("confidence shown", _text),
    },
    TransformStep: {},
    WaitStep: {},
    EmitStep: {
        "event": _Fact("tells", _text),
        "subject": _Fact("key of the event", _text),
        "dataschema": _Fact("schema version", _text),
    },
    WorkflowStep: {
        "uses": _Fact("runs", _which),
        "outcomes": _Fact("outcomes", lambda ends: _listed(list(ends)) or "none"),
        "each": _Fact("starts one for each of", _text),
        "detached": _Fact("waits for its end", lambda off: "no" if off else "yes"),
    },
    EndStep: {},
}
"""Single values by step kind; the other fields of a kind are compared in `_Comparison`."""
_PROTOCOLS: Final[Mapping[type, Mapping[str, _Fact]]] = {
    Supervised: {
        "max_rounds": _Fact("rounds, at most", _text),
        "max_tasks": _Fact("tasks, at most", _text),
        "max_parallel": _Fact("tasks at the same time, at most", _text),
        "tolerate": _Fact("a task that fails", lambda on: _TOLERATED[on]),
    },
    Auction: {
        "award": _Fact("awards the task to", lambda award: str(award.value).replace("_", " ")),
        "weights": _Fact(
            "weighs", lambda one: f"cost {one.cost}, time {one.seconds}, trust {one.confidence}"
        ),
        "currency": _Fact("bids in", _text),
        "next_best": _Fact("when the winner fails", lambda on: _NEXT_BEST[on]),
    },
    Relay: {"max_hops": _Fact("passes, at most", _text)},
    Debate: {
        "max_rounds": _Fact("rounds, at most", _text),
        "arbitrate": _Fact("without agreement", lambda on: _ARBITRATED[on]),
    },
    Negotiation: {"max_rounds": _Fact("rounds, at most", _text)},
}
"""Single values of the ways in which a team talks."""
_AWAITED: Final[Mapping[type, Mapping[str, _Fact]]] = {
    Pause: {"seconds": _Fact("waits", _seconds)},
    Moment: {"at": _Fact("waits until", _text)},
    EventAwaited: {
        "event": _Fact("waits for", _text),
        "key": _Fact("key of the event", _text),
        "deadline_seconds": _Fact("waits at most", _seconds),
        "only_new": _Fact("events from before it waits", lambda only: _BEFORE[only]),
    },
}
_OUTCOME: Final[Mapping[str, _Fact]] = {
    "title": _Fact("title", _quoted),
    "kind": _Fact("counts as", _counts),
    "summary": _Fact("description", _quoted),
    "rollback": _Fact("undoing what was done", lambda on: "yes" if on else "no"),
}
_EVIDENCE: Final[Mapping[str, _Fact]] = {
    "kind": _Fact("shown as", lambda kind: str(kind.value)),
    "value": _Fact("shows", _text),
    "sources": _Fact("marks places from", _text),
}
_POLICIES: Final[Mapping[str, _Fact]] = {
    "run_timeout_seconds": _Fact("Time limit of the whole run", _seconds),
    "max_parallel": _Fact("Branches at the same time, at most", _text),
    "budget": _Fact("Budget of a run", _budget),
    "priority": _Fact("Priority of runs", _text),
}
_EXCEPTIONS: Final[Mapping[str, _Fact]] = {
    "mode": _Fact(
        "What no link takes",
        lambda mode: "goes to a person" if mode == "inbox" else "ends the run",
    ),
    "assign_role": _Fact("Exceptions go to", _role),
    "due_seconds": _Fact("Exceptions are due within", _seconds),
}
_OVERFLOWS: Final = {"park": "parked", "drop": "dropped"}
_CATCH_UPS: Final = {"none": "nothing", "latest": "the last", "all": "each"}
_TRIGGER: Final[Mapping[str, _Fact]] = {
    **_ABOUT,
    "schemas": _Fact("schema versions taken", lambda names: ", ".join(names) or "any"),
    "filter": _Fact("filter", _text),
    "deduplicate": _Fact("counts once per", _once),
    "coalesce": _Fact("takes together", _together),
    "limit": _Fact("limit", _limit),
    "priority": _Fact("priority of its runs", lambda one: one or "that of the workflow"),
}
_RULES: Final[Mapping[WriteRule, str]] = {
    WriteRule.REPLACE: "a write takes its place",
    WriteRule.APPEND: "a write is put at the end of the list",
    WriteRule.UNION: "a write adds what is not in the list yet",
    WriteRule.ADD: "a write is added to the number",
}
_SHARED: Final[Mapping[str, _Fact]] = {
    "label": _Fact("label", _quoted),
    "summary": _Fact("description", _quoted),
    "initial": _Fact("begins with", _text),
    "rule": _Fact("written", lambda rule: _RULES[rule]),
}
_SCHEDULE: Final[Mapping[str, _Fact]] = {
    "catch_up": _Fact("made up for when it was missed", lambda policy: _CATCH_UPS[policy]),
    "catch_up_limit": _Fact("made up for at most", _text),
}


# ---- the walk ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a change belongs: what its title begins with, and what the canvas marks."""

    name: str
    step: str | None = None
    link: str | None = None

    def change(self, label: str, old: str, new: str) -> Change:
        return Change(
            ChangeKind.CHANGED, self._title(label), self.step, self.link, before=old, after=new
        )

    def added(self, label: str, new: str = "", note: str = "") -> Change:
        title = self._title(label)
        return Change(ChangeKind.ADDED, title, self.step, self.link, after=new, note=note)

    def removed(self, label: str, old: str = "") -> Change:
        return Change(ChangeKind.REMOVED, self._title(label), self.step, self.link, before=old)

    def _title(self, label: str) -> str:
        return f"{self.name}: {label}" if self.name else label


class _Comparison:
    def __init__(
        self, before: WorkflowDefinition, after: WorkflowDefinition, agents: AgentNames
    ) -> None:
        self.before = before
        self.after = after
        self.agents = agents
        self.gone = set(before.steps) - set(after.steps)
        self.new = set(after.steps) - set(before.steps)

    def changes(self) -> Iterator[Change]:
        before, after = self.before, self.after
        workflow = _Spot("Workflow")
        yield from _facts(workflow, _ABOUT, before, after)
        if before.run_title != after.run_title:
            yield workflow.change("title of a run", _text(before.run_title), _text(after.run_title))
        yield from _contract(_Spot("Input"), before.input, after.input)
        for step_id in _ordered(after):
            if step_id in self.new:
                yield self._added_step(step_id)
            else:
                yield from self._step(step_id)
        for step_id in _ordered(before):
            if step_id in self.gone:
                yield self._removed_step(step_id)
        yield from self._links()
        yield from self._triggers()
        yield from self._shared()
        yield from self._outcomes()
        yield from self._policies()
        yield from self._layout()

    # ---- steps ---------------------------------------------------------------------------------

    def _step(self, step_id: str) -> Iterator[Change]:
        old, new = self.before.steps[step_id], self.after.steps[step_id]
        if old == new:
            return
        spot = _Spot(new.name, step=step_id)
        yield from _facts(spot, _ABOUT, old, new)
        if type(old) is not type(new):
            yield spot.change("kind", self._what(self.before, old), self._what(self.after, new))
            return
        if isinstance(new, InnerStep):
            yield from _facts(spot, _BEGINS, old, new)
        yield from _mapping(spot, "writes", writes_of(old), writes_of(new))
        yield from _facts(spot, _FACTS[type(new)], old, new)
        yield from self._parts(spot, old, new)

    def _parts(self, spot: _Spot, old: Any, new: Any) -> Iterator[Change]:
        """What is compared in a way of its own; both steps are of the same kind."""
        match new:
            case AgentStep() | MapStep() | TeamStep():
                yield from self._called(spot, old, new)
                yield from _mapping(spot, "gets", old.input, new.input)
                yield from _facts(spot, _TIMEOUT, old.timeout, new.timeout)
                yield from _facts(spot, _RETRY, old.retry, new.retry)
            case RouterStep():
                yield from _routes(spot, old, new)
            case GateStep():
                yield from _mapping(spot, "proposes", old.proposal, new.proposal)
                yield from _contract(spot, old.contract, new.contract)
                yield from _evidence(spot, old, new)
                yield from _preset_reasons(spot, old, new)
                yield from _choices(spot, old, new)
                yield from _proposals(spot, old, new)
            case TransformStep():
                yield from _mapping(spot, "builds", old.output, new.output)
            case WaitStep() | EmitStep() | WorkflowStep():
                yield from _outside(spot, old, new)
            case EndStep():
                if old.outcome != new.outcome:
                    ends = self._outcome(self.before, old), self._outcome(self.after, new)
                    yield spot.change("outcome", *ends)
                yield from _mapping(spot, "results in", old.result, new.result)
            case _:
                pass

    def _added_step(self, step_id: str) -> Change:
        step = self.after.steps[step_id]
        sources = _neighbours(self.after, step_id, incoming=True)
        where = f" after {_listed(sources)}" if sources else ""
        return Change(
            ChangeKind.ADDED,
            f"{step.name}{where}",
            step=step_id,
            note=f"{self._what(self.after, step)}.{_leads(self.after, step_id)}",
        )

    def _removed_step(self, step_id: str) -> Change:
        step = self.before.steps[step_id]
        sources = _neighbours(self.before, step_id, incoming=True)
        where = f" after {_listed(sources)}" if sources else ""
        what = self._what(self.before, step)
        return Change(ChangeKind.REMOVED, f"{step.name}{where}", step=step_id, note=f"{what}.")

    def _what(self, definition: WorkflowDefinition, step: Step) -> str:
        match step:
            case StartStep():
                return "Start"
            case MapStep() | TeamStep():
                return self._what_group(step)
            case AgentStep():
                return f"Agent step, {self._agent(step.uses)}"
            case RouterStep():
                return f"Router, {_listed([one.title for one in step.routes])} or otherwise"
            case JoinStep():
                return f"Join, {_JOINS[step.policy]}"
            case GateStep():
                return f"{step.type.value.capitalize()} gate for {_role(step.assign_role)}"
            case TransformStep():
                return f"Transform, builds {_listed(list(step.output))}"
            case WaitStep() | EmitStep() | WorkflowStep():
                return _what_outside(step)
            case EndStep():
                return f"End, {self._outcome(definition, step)}"

    def _what_group(self, step: MapStep | TeamStep) -> str:
        if isinstance(step, TeamStep):
            return f"{team_word(step)}, {self._members(step)}"
        return f"Map, {self._done_by(step)} for each of {step.items}"

    def _called(self, spot: _Spot, old: Any, new: Any) -> Iterator[Change]:
        if isinstance(new, TeamStep):
            if old.members != new.members:
                yield spot.change("members", self._members(old), self._members(new))
            yield from self._protocol(spot, old, new)
            return
        if old.uses != new.uses:
            runs = item_run_of(old), item_run_of(new)
            what = "workflow" if all(runs) else "for each item" if any(runs) else "agent"
            yield spot.change(what, self._done_by(old), self._done_by(new))
        if doers_of(old)[1:] != doers_of(new)[1:]:
            yield spot.change("fallback agents", self._others(old), self._others(new))
        yield from self._undoing(spot, old, new)

    def _done_by(self, step: AgentStep | MapStep) -> str:
        """What does the step's work: an agent, or a workflow that is run for each item."""
        return self._agent(step.uses) if isinstance(step.uses, AgentRef) else _which(step.uses)

    def _agent(self, called: AgentRef) -> str:
        key = (called.agent, called.version)
        return self.agents.get(key, f"{called.agent} v{called.version}")

    def _undoing(self, spot: _Spot, old: Step, new: Step) -> Iterator[Change]:
        """Which agent undoes the step, and what that is given."""
        ways = [one.compensation if isinstance(one, AgentStep) else None for one in (old, new)]
        uses = [self._agent(one.uses) if one is not None else "nobody" for one in ways]
        if uses[0] != uses[1]:
            yield spot.change("undone by", *uses)
        inputs = [one.input if one is not None else {} for one in ways]
        yield from _mapping(spot, "is undone with", *inputs)

    def _protocol(self, spot: _Spot, old: TeamStep, new: TeamStep) -> Iterator[Change]:
        """How the team works together, and the rules of that."""
        if type(old.protocol) is not type(new.protocol):
            yield spot.change("works by", team_word(old), team_word(new))
        elif new.protocol is not None:
            yield from _facts(spot, _PROTOCOLS[type(new.protocol)], old.protocol, new.protocol)
        if old.lead != new.lead:
            led_by = [self._agent(one.lead) if one.lead else "nobody" for one in (old, new)]
            yield spot.change("led by", *led_by)

    def _members(self, step: TeamStep) -> str:
        return _listed([self._member(one) for one in step.members])

    def _member(self, one: TeamMember) -> str:
        more = [f"weight {one.weight}"]
        more += [f"for {_quoted(one.purpose)}"] if one.purpose else []
        more += [f"priority {one.priority}"] if one.priority else []
        if one.passes_to is not None:
            more.append(f"passes to {', '.join(one.passes_to) or 'nobody'}")
        return f"{self._agent(one.uses)} ({'; '.join(more)})"

    def _others(self, step: Step) -> str:
        return ", then ".join(self._agent(one) for one in doers_of(step)[1:]) or "none"

    def _outcome(self, definition: WorkflowDefinition, step: EndStep) -> str:
        return _title(definition, step.outcome)

    # ---- triggers ------------------------------------------------------------------------------

    def _triggers(self) -> Iterator[Change]:
        old, new = self.before.triggers, self.after.triggers
        for key in sorted(old.keys() | new.keys()):
            if key not in old:
                note = f"{source_words(new[key])}."
                yield Change(ChangeKind.ADDED, f"Trigger “{new[key].name}”", note=note)
            elif key not in new:
                yield Change(ChangeKind.REMOVED, f"Trigger “{old[key].name}”")
            else:
                yield from _trigger(_Spot(f"Trigger “{new[key].name}”"), old[key], new[key])

    def _shared(self) -> Iterator[Change]:
        """What the steps of a run share."""
        old, new = self.before.context, self.after.context
        for key in sorted(old.keys() | new.keys()):
            if key not in old:
                note = f"{_RULES[new[key].rule].capitalize()}."
                yield Change(ChangeKind.ADDED, f"Shared data “{new[key].label}”", note=note)
            elif key not in new:
                yield Change(ChangeKind.REMOVED, f"Shared data “{old[key].label}”")
            else:
                spot = _Spot(f"Shared data “{new[key].label}”")
                yield from _facts(spot, _SHARED, old[key], new[key])
                if tuple(old[key].writers) != tuple(new[key].writers):
                    yield spot.change(
                        "written by",
                        self._names(self.before, old[key].writers),
                        self._names(self.after, new[key].writers),
                    )
                yield from _contract(spot, old[key].contract, new[key].contract)

    def _names(self, definition: WorkflowDefinition, steps: Iterable[str]) -> str:
        """Steps by their names; one that does not exist, or shares its name, by its id."""
        found = [definition.steps[one].name if one in definition.steps else one for one in steps]
        return (
            _listed([f"{name} ({one})" for name, one in zip(found, steps, strict=True)]) or "nobody"
        )

    # ---- links ---------------------------------------------------------------------------------

    def _links(self) -> Iterator[Change]:
        old, new = self.before.links, self.after.links
        removed = [one for key, one in sorted(old.items()) if key not in new and self._stays(one)]
        added = [one for key, one in sorted(new.items()) if key not in old and self._stays(one)]
        for link in added:
            instead = [one for one in removed if (one.source, one.port) == (link.source, link.port)]
            others = [one for one in added if (one.source, one.port) == (link.source, link.port)]
            if len(instead) == len(others) == 1:
                removed.remove(instead[0])
                yield self._turned(instead[0], link)
            else:
                yield Change(ChangeKind.ADDED, self._reach(link, "now reaches"), link=link.id)
        for link in removed:
            title = self._reach(link, "no longer reaches", self.before)
            yield Change(ChangeKind.REMOVED, title, link=link.id)
        for key in sorted(set(old) & set(new)):
            if old[key].branch != new[key].branch:
                spot = _Spot(self._reach(new[key], "to"), link=key)
                own = "of its own"
                yield spot.change("branch", old[key].branch or own, new[key].branch or own)
            if old[key].max_rounds != new[key].max_rounds:
                spot = _Spot(self._reach(new[key], "to"), link=key)
                yield spot.change("way", _way_words(old[key]), _way_words(new[key]))

    def _stays(self, link: Link) -> bool:
        """Whether both ends are in both definitions, so that no step's own change tells of it."""
        return not {link.source, link.target} & (self.gone | self.new)

    def _turned(self, old: Link, new: Link) -> Change:
        source = self.after.steps[new.source]
        when = when_words(source, new.port)
        targets = self.before.steps[old.target].name, self.after.steps[new.target].name
        title = f"{source.name}, {when}, reaches" if when else f"{source.name} reaches"
        kind = ChangeKind.CHANGED
        return Change(kind, title, link=new.id, before=targets[0], after=targets[1])

    def _reach(self, link: Link, verb: str, within: WorkflowDefinition | None = None) -> str:
        steps = (within or self.after).steps
        source, target = steps[link.source], steps[link.target]
        said = f"{source.name} {verb} {target.name} {when_words(source, link.port)}".rstrip()
        return f"{said}, {back_words(link)}" if link.is_back else said

    # ---- the whole -----------------------------------------------------------------------------

    def _outcomes(self) -> Iterator[Change]:
        old, new = self.before.outcomes, self.after.outcomes
        for key in chain(new, (one for one in old if one not in new)):
            if key not in old:
                spot = _Spot("Outcome")
                note = f"It counts as {_counts(new[key].kind)}."
                yield spot.added(f"“{new[key].title}”", note=note)
            elif key not in new:
                yield _Spot("Outcome").removed(f"“{old[key].title}”")
            else:
                spot = _Spot(f"Outcome “{new[key].title}”")
                yield from _facts(spot, _OUTCOME, old[key], new[key])
                was, now = old[key].result, new[key].result
                yield from _maybe_contract(spot, "contract of the result", was, now)

    def _policies(self) -> Iterator[Change]:
        old, new = self.before.policies, self.after.policies
        spot = _Spot("")
        yield from _facts(spot, _POLICIES, old, new)
        yield from _facts(spot, _EXCEPTIONS, old.exceptions, new.exceptions)
        for label, was, now in (
            ("A run that takes too long ends as", old.timeout_outcome, new.timeout_outcome),
            ("Exceptions end as", old.exceptions.outcome, new.exceptions.outcome),
        ):
            if was != now:
                yield spot.change(label, _title(self.before, was), _title(self.after, now))

    def _layout(self) -> Iterator[Change]:
        both = set(self.before.steps) & set(self.after.steps)
        old, new = self.before.positions, self.after.positions
        moved = sum(1 for key in both if old.get(key) != new.get(key))
        if moved:
            words = "1 step moved" if moved == 1 else f"{moved} steps moved"
            note = "Layout only, nothing runs differently."
            yield Change(ChangeKind.LAYOUT, words, note=note)


# ---- parts of steps ----------------------------------------------------------------------------


def _facts(spot: _Spot, table: Mapping[str, _Fact], old: Any, new: Any) -> Iterator[Change]:
    for name, fact in table.items():
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            yield spot.change(fact.label, fact.words(was), fact.words(now))


def _mapping(
    spot: _Spot, verb: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[Change]:
    for name in chain(new, (one for one in old if one not in new)):
        if name not in old:
            yield spot.added(f"now {verb} {name} from", new[name])
        elif name not in new:
            yield spot.removed(f"no longer {verb} {name}", old[name])
        elif old[name] != new[name]:
            yield spot.change(f"{verb} {name} from", old[name], new[name])


def _routes(spot: _Spot, old: RouterStep, new: RouterStep) -> Iterator[Change]:
    was, now = _keyed(old.routes, "port"), _keyed(new.routes, "port")
    for key, route in now.items():
        if key not in was:
            yield spot.added(f"way “{route.title}”", f"when {route.when}")
            continue
        if was[key].when != route.when:
            yield spot.change(f"way “{route.title}” when", was[key].when, route.when)
        if was[key].title != route.title:
            yield spot.change("way", f"“{was[key].title}”", f"“{route.title}”")
    for key in was:
        if key not in now:
            yield spot.removed(f"way “{was[key].title}”", f"when {was[key].when}")
    yield from _order(spot, "order of the ways", was, now, name="title")


def _evidence(spot: _Spot, old: GateStep, new: GateStep) -> Iterator[Change]:
    was, now = _keyed(old.evidence, "title"), _keyed(new.evidence, "title")
    for key, piece in now.items():
        if key not in was:
            yield spot.added(f"evidence “{piece.title}”", piece.value)
        else:
            named = _Spot(f"{spot.name}: evidence “{piece.title}”", step=spot.step)
            yield from _facts(named, _EVIDENCE, was[key], piece)
    for key in was:
        if key not in now:
            yield spot.removed(f"evidence “{was[key].title}”", was[key].value)
    yield from _order(spot, "order of the evidence", was, now, name="title")


def _proposals(spot: _Spot, old: GateStep, new: GateStep) -> Iterator[Change]:
    was, now = _keyed(old.proposals, "title"), _keyed(new.proposals, "title")
    for key, one in now.items():
        if key not in was:
            yield spot.added(f"proposal “{one.title}”", one.value)
        elif was[key].value != one.value:
            yield spot.change(f"proposal “{one.title}”", was[key].value, one.value)
    for key in was:
        if key not in now:
            yield spot.removed(f"proposal “{was[key].title}”", was[key].value)
    yield from _order(spot, "order of the proposals", was, now, name="title")


def _choices(spot: _Spot, old: GateStep, new: GateStep) -> Iterator[Change]:
    yield from _named(spot, "choice", old.choices, new.choices, key="port", name="title")


def _preset_reasons(spot: _Spot, old: GateStep, new: GateStep) -> Iterator[Change]:
    was, now = old.preset_reasons, new.preset_reasons
    yield from _named(spot, "preset reason", was, now, key="code", name="text")


def _named(
    spot: _Spot, what: str, old: Iterable[Any], new: Iterable[Any], *, key: str, name: str
) -> Iterator[Change]:
    """Things that have only a name for people beside the one that keeps them apart."""
    was, now = _keyed(old, key), _keyed(new, key)
    for place, one in now.items():
        words = _quoted(getattr(one, name))
        if place not in was:
            yield spot.added(what, words)
        elif _quoted(getattr(was[place], name)) != words:
            yield spot.change(what, _quoted(getattr(was[place], name)), words)
    for place in was:
        if place not in now:
            yield spot.removed(what, _quoted(getattr(was[place], name)))
    yield from _order(spot, f"order of the {what}s", was, now, name=name)


def _keyed(items: Iterable[Any], name: str) -> dict[str, Any]:
    """The items by one of their fields; a second one with the same value gets a number."""
    found: dict[str, Any] = {}
    for item in items:
        key, number = getattr(item, name), 1
        while (key if number == 1 else f"{key} {number}") in found:
            number += 1
        found[key if number == 1 else f"{key} {number}"] = item
    return found


def _order(
    spot: _Spot, label: str, was: Mapping[str, Any], now: Mapping[str, Any], *, name: str
) -> Iterator[Change]:
    old = [key for key in was if key in now]
    new = [key for key in now if key in was]
    if old != new:
        words = [getattr(was[key], name) for key in old], [getattr(now[key], name) for key in new]
        yield spot.change(label, _listed(words[0]), _listed(words[1]))


def _trigger(spot: _Spot, old: Trigger, new: Trigger) -> Iterator[Change]:
    was, now = source_words(old), source_words(new)
    if was != now:
        yield spot.change("fires", was, now)
    if isinstance(old.source, ScheduleSource) and isinstance(new.source, ScheduleSource):
        if was == now and old.source.cron != new.source.cron:
            yield spot.change("fires", old.source.cron, new.source.cron)
        yield from _facts(spot, _SCHEDULE, old.source, new.source)
    yield from _facts(spot, _TRIGGER, old, new)
    yield from _maybe_contract(spot, "contract of the data", old.contract, new.contract)
    yield from _mapping(spot, "gives", old.input, new.input)


# ---- contracts ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a contract without what stands inside it."""

    own: JsonObject
    is_required: bool

    def words(self, root: JsonObject) -> str:
        required = "required" if self.is_required else "optional"
        return f"{words_of(self.own, root)}, {required}"


def _what_outside(step: WaitStep | EmitStep | WorkflowStep) -> str:
    if isinstance(step, WorkflowStep):
        return f"Run a workflow, {_which(step.uses)}"
    if isinstance(step, EmitStep):
        return f"Tell an event, {step.event}"
    return f"Wait, {awaited_words(step)}"


def _outside(spot: _Spot, old: Any, new: Any) -> Iterator[Change]:
    """What a step waits for, or tells."""
    if isinstance(new, WaitStep):
        yield from _awaited(spot, old, new)
        return
    if isinstance(new, WorkflowStep):
        yield from _mapping(spot, "gets", old.input, new.input)
        return
    yield from _mapping(spot, "tells", old.content, new.content)
    yield from _maybe_contract(spot, "contract of the data", old.contract, new.contract)


def _awaited(spot: _Spot, old: WaitStep, new: WaitStep) -> Iterator[Change]:
    before, after = old.awaits, new.awaits
    if type(before) is not type(after):
        yield spot.change("waits", awaited_words(old), awaited_words(new))
        return
    yield from _facts(spot, _AWAITED[type(after)], before, after)
    if isinstance(before, EventAwaited) and isinstance(after, EventAwaited):
        yield from _contract(spot, before.contract, after.contract)


def _maybe_contract(
    spot: _Spot, label: str, old: JsonObject | None, new: JsonObject | None
) -> Iterator[Change]:
    if old is None and new is not None:
        fields = _listed([key for key in _fields(new) if key])
        yield spot.added(label, fields or "anything")
    elif old is not None and new is None:
        yield spot.removed(label)
    elif old is not None and new is not None:
        yield from _contract(spot, old, new)


def _contract(spot: _Spot, old: JsonObject, new: JsonObject) -> Iterator[Change]:
    """Field by field; a rule that no field's words show is given as its JSON."""
    was, now = _fields(old), _fields(new)
    for path, one in now.items():
        if path not in was:
            yield spot.added(f"field {path}", one.words(new))
        elif was[path] != one:
            yield from _field_changes(spot, path, was[path], one)
    for path, one in was.items():
        if path not in now:
            yield spot.removed(f"field {path}", one.words(old))


def _field_changes(spot: _Spot, path: str, old: _Field, new: _Field) -> Iterator[Change]:
    label = f"field {path}" if path else "contract"
    if old.is_required != new.is_required:
        words = ("required", "optional") if old.is_required else ("optional", "required")
        yield spot.change(label, *words)
    for key in chain(new.own, (one for one in old.own if one not in new.own)):
        was, now = old.own.get(key), new.own.get(key)
        if was != now or (key in old.own) != (key in new.own):
            named = _KEYWORDS.get(key, key)
            yield spot.change(f"{label}, {named}", _keyword(key, old.own), _keyword(key, new.own))


_KEYWORDS: Final[Mapping[str, str]] = {
    "type": "type",
    "$ref": "type",
    "format": "form",
    "enum": "choices",
    "pattern": "pattern",
    "minimum": "least",
    "maximum": "most",
    "minLength": "shortest",
    "maxLength": "longest",
    "minItems": "fewest",
    "maxItems": "most items",
    "items": "each item",
    "title": "label",
    "description": "description",
    "x-class": "data class",
    "additionalProperties": "other fields",
}


def _keyword(key: str, own: JsonObject) -> str:
    if key not in own:
        return NONE
    value = own[key]
    if key == "additionalProperties" and isinstance(value, bool):
        return "allowed" if value else "refused"
    if key == "enum" and isinstance(value, list):
        return _listed([str(one) for one in value])
    if key == "$ref" and isinstance(value, str):
        return value.removeprefix("baton:")
    if isinstance(value, str) and key in {"title", "description"}:
        return f"“{value}”"
    return value if isinstance(value, str) and value else _json(value)


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _fields(schema: JsonObject) -> dict[str, _Field]:
    """Every field by its dotted path (`[]` for each item); the whole contract has the path ""."""
    found: dict[str, _Field] = {}
    stack: list[tuple[str, JsonObject, bool]] = [("", schema, True)]
    while stack:
        path, node, is_required = stack.pop()
        own = dict(node)
        inner, suffix = node, ""
        items = node.get("items")
        if isinstance(items, dict) and isinstance(items.get("properties"), dict):
            inner, suffix = items, "[]"
            own["items"] = _without_fields(items)
        else:
            own = _without_fields(node)
        found[path] = _Field(own, is_required)
        properties, required = inner.get("properties"), inner.get("required")
        needed = required if isinstance(required, list) else []
        prefix = f"{path}{suffix}." if path + suffix else ""
        for name, child in properties.items() if isinstance(properties, dict) else ():
            kept: JsonObject = child if isinstance(child, dict) else {"allows": child}
            stack.append((f"{prefix}{name}", kept, name in needed))
    return dict(sorted(found.items()))


def _without_fields(node: JsonObject) -> JsonObject:
    """The node's own rules; names that are required but not described stay, as a rule."""
    properties, required = node.get("properties"), node.get("required")
    own = {key: value for key, value in node.items() if key not in {"properties", "required"}}
    if not isinstance(properties, dict):
        properties = {}
    if isinstance(required, list):
        unknown = [name for name in required if name not in properties]
        if unknown:
            own["required"] = unknown
    elif required is not None:
        own["required"] = required
    return own


# ---- words -------------------------------------------------------------------------------------


def _ordered(definition: WorkflowDefinition) -> Sequence[str]:
    try:
        return step_order(definition)
    except DefinitionError:
        return list(definition.steps)


def _neighbours(definition: WorkflowDefinition, step_id: str, *, incoming: bool) -> list[str]:
    """The names of the steps that links of this one come from, or go to."""
    found = [
        link.source if incoming else link.target
        for _, link in sorted(definition.links.items())
        if (link.target if incoming else link.source) == step_id
    ]
    return [definition.steps[key].name for key in dict.fromkeys(found)]


def _leads(definition: WorkflowDefinition, step_id: str) -> str:
    step = definition.steps[step_id]
    ways = [
        f"{definition.steps[link.target].name} {when_words(step, link.port)}".rstrip()
        + (f", {back_words(link)}" if link.is_back else "")
        for _, link in sorted(definition.links.items())
        if link.source == step_id
    ]
    return f" It reaches {_listed(ways)}." if ways else ""


def _way_words(link: Link) -> str:
    return back_words(link) if link.is_back else "forwards"


def _title(definition: WorkflowDefinition, outcome: str) -> str:
    found = definition.outcomes.get(outcome)
    return f"“{found.title}”" if found else f"“{outcome}”"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)
