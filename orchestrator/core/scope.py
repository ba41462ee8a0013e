"""What a step may read and what it takes, as schemas and as lists for people to pick from.

Schemas are inlined (`schemas.inline`); where a shared type was named, `x-type` says which. All of
it is worked out once per examination and shared: a schema that stands in many scopes is one object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from orchestrator.core.catalogue import AgentInterface, Catalogue, WorkflowInterface
from orchestrator.core.contracts import SchemaError, bundle
from orchestrator.core.definition import (
    CALLING,
    PARTIAL,
    WRITES_NOT,
    AgentRef,
    AgentStep,
    Auction,
    Debate,
    EmitStep,
    EndStep,
    EventAwaited,
    GateStep,
    GateType,
    Itself,
    JoinStep,
    MapStep,
    Negotiation,
    OutcomeKind,
    Relay,
    RouterMode,
    RouterStep,
    StartStep,
    Step,
    Supervised,
    TeamStep,
    TransformStep,
    WaitStep,
    WorkflowDefinition,
    WorkflowStep,
    item_run_of,
    ports_of,
    writes_of,
)
from orchestrator.core.expression_types import (
    ALL_KINDS,
    ExpressionType,
    check_expression,
    kinds_of,
    member,
    union_of,
)
from orchestrator.core.expressions import Path, path_expression
from orchestrator.core.flow import Flow, Ports
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.recursion import interface_run
from orchestrator.core.results import REASON_LENGTH
from orchestrator.core.schemas import inline

MAX_DEPTH = 4
"""How deep the fields of an output are listed."""
MAX_READ_STEPS = 60
"""From how many steps back values are offered; the nearest are."""
MAX_READABLES = 600
_FAR = 50
"""The distance of what a loop leads back from: offered after everything that comes before."""

OUTPUT_PORTS = frozenset(
    {
        "next",
        "partial",
        "disagreed",
        "uncertain",
        "approved",
        "rejected",
        "returned",
        "filled",
        "adjudicated",
    }
)
REASON_PORTS = frozenset({"not_found", "uncertain", "refused", "failed", "expired"})
_SPOKEN_PORTS = REASON_PORTS | {"rejected", "returned", "partial", "disagreed"}

_TYPE_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes/no",
    "array": "list",
    "object": "object",
    "null": "empty",
}
_NAMED_WORDS = {"Money": "money", "Artefact": "file", "Date": "date", "Instant": "time"}
_FORMAT_WORDS = {"date": "date", "date-time": "time"}
_NULL = frozenset({"null"})
_INDEX: JsonObject = {"type": "integer", "minimum": 0}
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_JOINED: JsonObject = {
    "type": "object",
    "properties": {
        "arrived": {"type": "array", "items": {"type": "string"}},
        "missing": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"branch": {"type": "string"}, "reason": {"type": "string"}},
                "required": ["branch", "reason"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["arrived", "missing"],
    "additionalProperties": False,
}
_JOINED_EARLY: JsonObject = {
    **_JOINED,
    "properties": {
        **_JOINED["properties"],  # type: ignore[dict-item]  # an object, as written above
        "late": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["arrived", "missing", "late"],
}

_LEFT_OUT: JsonObject = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "index": {"type": "integer"},
            "status": {"enum": ["cancelled", "running", "not_begun"]},
        },
        "required": ["index", "status"],
        "additionalProperties": False,
    },
}
"""The items of a map that were not waited for."""

_EMITTED: JsonObject = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "type": {"type": "string"},
        "subject": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
    },
    "required": ["id", "type", "subject", "at"],
    "additionalProperties": False,
}
_TEXT: JsonObject = {"type": "string"}
_TASKS: JsonObject = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "worker": _TEXT,
            "status": {"enum": ["done", "failed"]},
            "reason": _TEXT,
        },
        "required": ["worker", "status"],
        "additionalProperties": False,
    },
}
"""What became of the tasks of a supervised team."""
_HAVING_RESULTS = (*CALLING, GateStep, JoinStep, WaitStep, EmitStep, WorkflowStep)
"""The kinds of steps that end in more ways than with a value."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a step takes: the part of it that is mapped, the contract, what is mapped now.

    `contract` is None where anything may be given.
    """

    part: str
    contract: JsonObject | None
    mapping: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Readable:
    """One value that a step may read. `path` starts with `input` or `steps`."""

    path: Path
    label: str
    schema: JsonObject
    certain: bool
    sample: JsonValue = None
    distance: int = 0
    kinds: frozenset[str] = ALL_KINDS
    domain: str | None = None

    @property
    def step(self) -> str | None:
        """The step that gives it; None for the run's input."""
        return self.path[1] if self.path[0] == "steps" else None

    @property
    def expression(self) -> str:
        """The expression that reads it."""
        return path_expression(self.path)


class Shapes:
    """The schemas of one definition.

    `outputs`, and for maps `items` (of each entry of the list), are filled as the steps are checked
    in order.
    """

    def __init__(self, definition: WorkflowDefinition, catalogue: Catalogue, flow: Flow) -> None:
        self.definition = definition
        self.catalogue = catalogue
        self.flow = flow
        self.outputs: dict[str, JsonObject] = {}
        self.items: dict[str, JsonObject] = {}
        self._own: WorkflowInterface | None = None
        self._inlined: dict[int, JsonObject] = {}
        self._views: dict[tuple[str, Ports | None], JsonObject] = {}
        self._listed: dict[tuple[str, Ports | None], tuple[Readable, ...]] = {}
        self._shared: dict[str, JsonObject] = {}

    def inlined(self, schema: JsonObject) -> JsonObject:
        """A contract without references; one that cannot be used says nothing."""
        known = self._inlined.get(id(schema))
        if known is None:
            try:
                known = inline(
                    bundle(schema, self.catalogue.types), named=self.catalogue.types.keys()
                )
            except SchemaError:
                known = {}
            self._inlined[id(schema)] = known
        return known

    def interface(self, step: Step) -> AgentInterface | None:
        """The agent version that a step calls, if it calls one that exists."""
        uses = step.uses if isinstance(step, (AgentStep, MapStep)) else None
        if not isinstance(uses, AgentRef):
            return None
        return self.catalogue.agents.get((uses.agent, uses.version))

    def item_run(self, step: Step) -> WorkflowInterface | None:
        """The workflow version that a map runs for each item, if it runs one that exists."""
        uses = item_run_of(step)
        return None if uses is None else self.catalogue.workflows.get((uses.workflow, uses.version))

    def target_of(self, step_id: str) -> Target | None:
        """What the step takes; None for steps that are not mapped to."""
        step = self.definition.steps[step_id]
        match step:
            case TeamStep(votes=False):
                return Target("input", None, step.input)
            case TeamStep():
                uses = step.members[0].uses
                interface = self.catalogue.agents.get((uses.agent, uses.version))
                return Target("input", interface.input_schema if interface else None, step.input)
            case AgentStep() | MapStep():
                done_by = self.interface(step) or self.item_run(step)
                return Target("input", done_by.input_schema if done_by else None, step.input)
            case GateStep():
                is_free = step.type in {GateType.FILL, GateType.ADJUDICATE}
                return Target("proposal", None if is_free else step.contract, step.proposal)
            case EndStep():
                outcome = self.definition.outcomes.get(step.outcome)
                return Target("result", outcome.result if outcome else None, step.result)
            case TransformStep():
                return Target("output", None, step.output)
            case EmitStep() | WorkflowStep():
                return self._target_outside(step)
            case _:
                return None

    def output_of(self, step_id: str) -> JsonObject:
        """The schema of a step's output, for kinds whose output its own contract states."""
        step = self.definition.steps[step_id]
        match step:
            case StartStep():
                return self.inlined(self.definition.input)
            case AgentStep() | MapStep():
                return self._answered(step)
            case TeamStep():
                return self._teamed(step, frozenset())
            case RouterStep():
                ports: list[JsonValue] = [*(route.port for route in step.routes), "default"]
                if step.mode is RouterMode.ALL:
                    several: JsonObject = {"type": "array", "items": {"enum": ports}}
                    return closed_object({"ports": several}, ["ports"])
                return closed_object({"port": {"enum": ports}}, ["port"])
            case JoinStep():
                return _JOINED_EARLY if step.policy in PARTIAL else _JOINED
            case GateStep(type=GateType.CHOOSE):
                chosen: list[JsonValue] = [choice.port for choice in step.choices]
                return closed_object({"choice": {"enum": chosen}}, ["choice"])
            case GateStep():
                return self.inlined(step.contract)
            case WaitStep() | EmitStep() | WorkflowStep():
                return self._from_outside(step)
            case _:
                return {}

    def _answered(self, step: AgentStep | MapStep) -> JsonObject:
        if isinstance(step, MapStep):
            return self._gathered(step, is_whole=False)
        interface = self.interface(step)
        return self.inlined(interface.output_schema) if interface else {}

    def _gathered(self, step: MapStep, *, is_whole: bool) -> JsonObject:
        """What a map gives; `is_whole`: each of its items has a value."""
        interface, child = self.interface(step), self.item_run(step)
        outcomes: Collection[str] | None = None if item_run_of(step) is None else ()
        schema = self.inlined(interface.output_schema) if interface else {}
        if child is not None:
            outcomes = _good(child.kinds) if is_whole else child.kinds.keys()
            schema = self._results(child, _good(child.kinds))
        return gathered(
            schema, is_whole=is_whole, is_partial=step.enough is not None, outcomes=outcomes
        )

    def _target_outside(self, step: EmitStep | WorkflowStep) -> Target:
        if isinstance(step, EmitStep):
            return Target("content", step.contract, step.content)
        child = self.child(step)
        return Target("input", child.input_schema if child else None, step.input)

    def _from_outside(self, step: WaitStep | EmitStep | WorkflowStep) -> JsonObject:
        if isinstance(step, WaitStep):
            return self._waited(step)
        if isinstance(step, EmitStep):
            return _EMITTED
        return self.resulting(step, frozenset(step.outcomes))

    def child(self, step: WorkflowStep) -> WorkflowInterface | None:
        """The workflow version that a step runs, if there is one."""
        if not isinstance(step.uses, Itself):
            return interface_run(step, self.definition, self.catalogue)
        if self._own is None:  # kept, as schemas are known by which object they are
            self._own = interface_run(step, self.definition, self.catalogue)
        return self._own

    def resulting(self, step: WorkflowStep, ports: Ports) -> JsonObject:
        """What the workflow that a step runs gives when it reaches one of these outcomes."""
        if step.detached:
            text: JsonObject = {"type": "string"}
            runs: JsonObject = {"type": "array", "items": text}
            many: JsonObject = {"runs": runs, "count": {"type": "integer"}}
            return closed_object(many if step.each is not None else {"run": text})
        child = self.child(step)
        return {} if child is None else self._results(child, ports & succeeding(step))

    def _results(self, child: WorkflowInterface, outcomes: Ports) -> JsonObject:
        results = [child.results.get(name) for name in sorted(outcomes)]
        known = [self.inlined(one) for one in results if one is not None]
        return union_of(*known) if known and len(known) == len(results) else {}

    def _teamed(self, step: TeamStep, ports: Ports) -> JsonObject:
        """What a team gives that left by one of these ports; none: that is not known."""
        is_done = ports == {"next"}
        match step.protocol:
            case Supervised(lead=lead):
                return self._talked("rounds", output=[lead], tasks=_TASKS)
            case Relay():
                named: JsonObject = {"type": "array", "items": _TEXT}
                uses = [one.uses for one in step.members]
                return self._talked("hops", output=uses, by=_TEXT, path=named)
            case Auction():
                return self._auctioned(step, is_done=is_done)
            case Debate():
                return self._debated(step, is_done=is_done)
            case Negotiation():
                return self._negotiated(step, is_done=is_done)
            case None:
                return self._voted(step, is_decided=is_done)

    def _talked(
        self, counted: str, *, output: Sequence[AgentRef], **more: JsonObject
    ) -> JsonObject:
        """An output of one of these agents, a number, and more."""
        made = union_of(*(self._part_of(uses, "output") for uses in output))
        return closed_object({"output": made, counted: {"type": "integer"}, **more})

    def _auctioned(self, step: TeamStep, *, is_done: bool) -> JsonObject:
        bid = closed_object(
            {
                "member": _TEXT,
                "rank": {"type": "integer"},
                "cost": closed_object({"minor": {"type": "integer"}, "currency": _TEXT}),
                "seconds": {"type": "number"},
                "confidence": {"type": "number"},
            }
        )
        absence = closed_object({"member": _TEXT, "reason": _TEXT})
        known: JsonObject = {
            "award": _TEXT,
            "bids": {"type": "array", "items": bid},
            "absent": {"type": "array", "items": absence},
            "failed": {"type": "array", "items": _TEXT},
        }
        made = union_of(*(self._part_of(one.uses, "output") for one in step.members))
        done: JsonObject = {"output": made, "awarded": _TEXT}
        return closed_object({**known, **done}, [*known, *(done if is_done else ())])

    def _negotiated(self, step: TeamStep, *, is_done: bool) -> JsonObject:
        split: JsonObject = {
            "type": "array",
            "items": closed_object({"member": _TEXT, "part": {"type": "object"}}),
        }
        reasons = closed_object({"member": _TEXT, "reason": _TEXT})
        refused = closed_object(
            {"by": _TEXT, "split": split, "reasons": {"type": "array", "items": reasons}}
        )
        made = union_of(*(self._part_of(one.uses, "output") for one in step.members))
        outputs = closed_object({"member": _TEXT, "output": made})
        known: JsonObject = {
            "rounds": {"type": "integer"},
            "refused": {"type": "array", "items": refused},
        }
        done: JsonObject = {
            "split": split,
            "by": _TEXT,
            "outputs": {"type": "array", "items": outputs},
        }
        return closed_object({**known, **done}, [*known, *(done if is_done else ())])

    def _debated(self, step: TeamStep, *, is_done: bool) -> JsonObject:
        ballots = [self.ballot_of(step, index) for index in range(len(step.members))]
        proposal = union_of(*(one or {} for one in ballots))
        number: JsonObject = {"type": "integer"}
        made = closed_object(
            {"agent": _TEXT, "proposal": proposal, "weight": number, "priority": number}
        )
        known: JsonObject = {
            **dict.fromkeys(("weight", "of", "rounds"), number),
            "stopped_by": {"enum": ["agreement", "priority", "max_rounds"]},
            "proposals": {"type": "array", "items": made},
            "absent": {"type": "array", "items": closed_object({"agent": _TEXT, "reason": _TEXT})},
        }
        return closed_object(
            {**known, "decision": proposal, "by": _TEXT},
            [*known, *(["decision"] if is_done else [])],
        )

    def _part_of(self, uses: AgentRef, name: str) -> JsonObject:
        """One field of what an agent answers, as far as its contract tells."""
        interface = self.catalogue.agents.get((uses.agent, uses.version))
        found = member(self.inlined(interface.output_schema), name) if interface else None
        return found[0] if found else {}

    def _voted(self, step: TeamStep, *, is_decided: bool) -> JsonObject:
        """What a team gives; the decision is certain only by the port of one."""
        ballots = [self.ballot_of(step, index) for index in range(len(step.members))]
        ballot = union_of(*(one or {} for one in ballots))
        text: JsonObject = {"type": "string"}
        number: JsonObject = {"type": "integer"}
        vote = closed_object({"agent": text, "vote": ballot, "weight": number})
        absence = closed_object({"agent": text, "kind": text, "reason": text})
        return closed_object(
            {
                "decision": ballot,
                "weight": number,
                "of": number,
                "votes": {"type": "array", "items": vote},
                "absent": {"type": "array", "items": absence},
            },
            [*(["decision"] if is_decided else []), "weight", "of", "votes", "absent"],
        )

    def ballot_of(self, step: TeamStep, index: int) -> JsonObject | None:
        """The schema of one member's vote; None when its answer has no such field."""
        uses = step.members[index].uses
        interface = self.catalogue.agents.get((uses.agent, uses.version))
        found = member(self.inlined(interface.output_schema), step.ballot) if interface else None
        return found[0] if found else None

    def _waited(self, step: WaitStep) -> JsonObject:
        instant: JsonObject = {"type": "string", "format": "date-time"}
        if not isinstance(step.awaits, EventAwaited):
            return closed_object({"at": instant})
        text: JsonObject = {"type": "string"}
        content = self.inlined(step.awaits.contract)
        return closed_object({"event": content, "source": text, "id": text, "at": instant})

    def variables(
        self, step_id: str | None, read: Collection[str], *, per_item: bool = False
    ) -> dict[str, JsonObject]:
        """The schemas of `input` and `steps` for an expression that reads these steps.

        Without a step: as seen when any step may or may not have run. `per_item`: with those of
        `item` and `index`.
        """
        facts = {} if step_id is None else self.flow.facts[step_id]
        properties: JsonObject = {}
        for other in read:
            seen = step_id is None or self.may_read(other, step_id)
            properties[other] = self.view(other, facts.get(other)) if seen else {}
        seen_by_all: dict[str, JsonObject] = {
            "input": self.inlined(self.definition.input),
            "steps": closed_object(properties),
            "context": self.shared(step_id),
        }
        if not per_item or step_id is None:
            return seen_by_all
        return {**seen_by_all, "item": self.items.get(step_id, {}), "index": _INDEX}

    def shared(self, step_id: str | None) -> JsonObject:
        """How a step sees what is shared; outside the steps nothing of it is seen."""
        if step_id is None or not self.definition.context:
            return _NOTHING_SHARED
        if step_id not in self._shared:
            known = self.definition.context
            properties: JsonObject = {key: self.inlined(one.contract) for key, one in known.items()}
            certain = [key for key in known if self.is_written(key, step_id)]
            self._shared[step_id] = closed_object(properties, certain)
        return self._shared[step_id]

    def is_written(self, key: str, step_id: str) -> bool:
        """Whether a shared value is certainly there when the step begins."""
        shared, facts = self.definition.context[key], self.flow.facts.get(step_id, {})
        if shared.initial is not None and not self.initial(key).may_be_absent:
            return True
        return any(
            writer in facts
            and key in writes_of(self.definition.steps[writer])
            and facts[writer] <= writing_ports(self.definition.steps[writer])
            for writer in shared.writers
        )

    def may_be_written(self, key: str, step_id: str) -> bool:
        """Whether a shared value may be there: given at the start, or some writer may be first.

        A writer comes too late only when every way to it leads through the step.
        """
        shared = self.definition.context[key]
        return shared.initial is not None or any(
            self.flow.is_former(writer, step_id)
            or not (writer == step_id or self.flow.is_before(step_id, writer))
            for writer in shared.writers
        )

    def initial(self, key: str) -> ExpressionType:
        """What the initial value of a shared key is, by the run's input."""
        text = self.definition.context[key].initial or ""
        return check_expression(text, {"input": self.inlined(self.definition.input)})

    def may_read(self, other: str, step_id: str) -> bool:
        """Whether a step has run before, or a loop leads from it back to the reader."""
        return self.flow.is_before(other, step_id) or self.flow.is_former(other, step_id)

    def view(self, step_id: str, ports: Ports | None) -> JsonObject:
        """How a step is seen that may have left by these ports; None: perhaps it never ran."""
        key = (step_id, ports)
        if step_id not in self.outputs:
            return self._view(step_id, ports)  # a loop leads here from a step not typed yet
        if key not in self._views:
            self._views[key] = self._view(step_id, ports)
        return self._views[key]

    def readables(self, step_id: str) -> list[Readable]:
        """What the step may read: the input, then by step, nearest first; at most 600 values.

        A map reads the item in hand before all.
        """
        found = [*self._item_readables(step_id), *self._input_readables()]
        found += self._shared_readables(step_id)
        facts = self.flow.facts.get(step_id, {})
        for other, distance in self.flow.before(step_id, MAX_READ_STEPS):
            for one in self._step_readables(other, facts.get(other)):
                if len(found) >= MAX_READABLES:
                    return found
                found.append(replace(one, distance=distance))
        for other in self._former(step_id):
            found.extend(replace(one, distance=_FAR) for one in self._step_readables(other, None))
        return found[:MAX_READABLES]

    def _former(self, step_id: str) -> list[str]:
        """The steps of which only the former round can be read here: later ones of the loop."""
        if not self.flow.loops(step_id):
            return []
        return [
            other
            for other in self.flow.order
            if not self.flow.is_before(other, step_id) and self.flow.is_former(other, step_id)
        ][:MAX_READ_STEPS]

    def _view(self, step_id: str, ports: Ports | None) -> JsonObject:
        step = self.definition.steps[step_id]
        possible = ports if ports is not None else frozenset(ports_of(step))
        properties: JsonObject = {
            "result": {"enum": ["value", "not_found", "uncertain", "refused", "failed"]},
            "reason": {"type": "string", "minLength": 1, "maxLength": REASON_LENGTH},
            "score": {"type": "number"},
            "round": {"type": "integer", "minimum": 1},
        }
        required: list[JsonValue] = ["result", "round"]
        is_calling = isinstance(step, _HAVING_RESULTS)
        with_output = possible & _with_output(step) if is_calling else possible
        if with_output or possible & {"not_found", "refused"}:
            properties["output"] = self._given(step_id, possible) if with_output else {}
            if with_output == possible:
                required.append("output")
        if possible <= REASON_PORTS - _with_output(step):
            required.append("reason")
        return {
            "type": "object",
            "properties": properties,
            "required": required if ports is not None else ["round"],
            "additionalProperties": False,
        }

    def _given(self, step_id: str, ports: Ports) -> JsonObject:
        """The output of a step that left by one of these ports."""
        step = self.definition.steps[step_id]
        if isinstance(step, WorkflowStep):
            return self.resulting(step, ports)
        if isinstance(step, TeamStep):
            return self._teamed(step, ports)
        if isinstance(step, MapStep) and step.enough is None and ports == {"next"}:
            return self._gathered(step, is_whole=True)
        return self.outputs.get(step_id, {})

    def _input_readables(self) -> Iterator[Readable]:
        schema = self.inlined(self.definition.input)
        sample = sample_of(schema)
        yield from listed(("input",), schema, certain=True, sample=sample)

    def _shared_readables(self, step_id: str) -> Iterator[Readable]:
        for key, shared in self.definition.context.items():
            if self.may_be_written(key, step_id):
                path, schema = ("context", key), self.inlined(shared.contract)
                certain = self.is_written(key, step_id)
                yield _readable(path, shared.label, schema, certain=certain)
                yield from listed(path, schema, certain=certain, label=shared.label)

    def _item_readables(self, step_id: str) -> Iterator[Readable]:
        if per_item(self.definition.steps[step_id]):
            schema = self.items.get(step_id, {})
            sample = sample_of(schema)
            yield _readable(("item",), "The item", schema, certain=True, sample=sample)
            yield from listed(("item",), schema, certain=True, sample=sample)
            yield _readable(("index",), "Its place in the list, from 0", _INDEX, certain=True)

    def _step_readables(self, step_id: str, ports: Ports | None) -> tuple[Readable, ...]:
        key = (step_id, ports)
        if key not in self._listed:
            self._listed[key] = tuple(self._list_step(step_id, ports))
        return self._listed[key]

    def _list_step(self, step_id: str, ports: Ports | None) -> Iterator[Readable]:
        step = self.definition.steps[step_id]
        if isinstance(step, StartStep):
            return  # its output is the input
        view = self.view(step_id, ports)
        output = member(view, "output")
        if output is not None:
            sample = self._output_sample(step)
            yield from listed(
                ("steps", step_id, "output"), output[0], certain=output[1], sample=sample
            )
        possible = ports if ports is not None else frozenset(ports_of(step))
        for name in self._said(step_id, possible):
            found = member(view, name)
            if found is not None:
                path = ("steps", step_id, name)
                yield _readable(path, name.capitalize(), found[0], certain=found[1])

    def _said(self, step_id: str, possible: Ports) -> Iterator[str]:
        step = self.definition.steps[step_id]
        if isinstance(step, _HAVING_RESULTS):
            yield "result"
            if possible & _SPOKEN_PORTS or isinstance(step, WorkflowStep):
                yield "reason"
        if self.flow.loops(step_id):
            yield "round"
        if isinstance(step, AgentStep):
            yield "score"

    def _output_sample(self, step: Step) -> JsonValue:
        interface = None if isinstance(step, MapStep) else self.interface(step)
        for example in interface.examples if interface else ():
            if example.output is not None:
                return example.output
        return None


def listed(
    path: Path, schema: JsonObject, *, certain: bool, sample: JsonValue = None, label: str = ""
) -> Iterator[Readable]:
    """The fields of an object, each followed by its own fields, down to depth 4."""
    depth = len(path) - (3 if path[0] == "steps" else 1)
    kinds = kinds_of(schema)
    if depth >= MAX_DEPTH or "object" not in kinds or kinds == ALL_KINDS:
        return
    for name in _fields(schema):
        found = member(schema, name)
        if found is None:
            continue
        inner, is_required = found
        is_certain = certain and is_required and kinds == {"object"}
        given = sample.get(name) if isinstance(sample, dict) else None
        shown = given if given is not None else sample_of(inner)
        words = label_of(name, inner)
        full = f"{label} / {words}" if label else words
        yield _readable((*path, name), full, inner, certain=is_certain, sample=shown)
        yield from listed((*path, name), inner, certain=is_certain, sample=shown, label=full)


def gathered(
    output: JsonObject,
    *,
    is_whole: bool = False,
    is_partial: bool = False,
    outcomes: Collection[str] | None = None,
) -> JsonObject:
    """What a map gives whose items give this; null where one has no value, unless it is whole.

    A partial one does not wait for all items, and says which it left out. `outcomes` are those that
    the run of an item may reach (empty: nobody knows which); None: no runs.
    """
    texts: JsonObject = {"kind": {"type": "string"}, "reason": {"type": "string"}}
    failure = closed_object({"index": {"type": "integer"}, **texts})
    entry = output if is_whole else union_of(output, {"type": "null"})
    whole: JsonObject = {
        "items": {"type": "array", "items": entry},
        "failed": {"type": "array", "items": failure},
        "count": {"type": "integer"},
    }
    if outcomes is not None:
        names: list[JsonValue] = [*sorted(outcomes), *([] if is_whole else [None])]
        reached: JsonObject = {"enum": names} if outcomes else {}
        whole["outcomes"] = {"type": "array", "items": reached}
    return closed_object({**whole, "left_out": _LEFT_OUT} if is_partial else whole)


def _readable(
    path: Path, label: str, schema: JsonObject, *, certain: bool, sample: JsonValue = None
) -> Readable:
    """A value with what is asked about it often worked out once."""
    return Readable(
        path, label, schema, certain, sample, kinds=kinds_of(schema), domain=domain_type(schema)
    )


def _with_output(step: Step) -> Ports:
    """The ports by which a step that calls or asks leaves with an output."""
    if isinstance(step, GateStep) and step.type is GateType.CHOOSE:
        return frozenset(choice.port for choice in step.choices)
    if isinstance(step, WorkflowStep):
        return frozenset({"next"}) if step.detached else succeeding(step)
    return OUTPUT_PORTS


def writing_ports(step: Step) -> Ports:
    """The ways out by which a step has written what it writes."""
    return (_with_output(step) | {"next"}) - WRITES_NOT - {"uncertain"}


def per_item(step: Step | None) -> bool:
    """Whether the input of a step is built for each item of a list."""
    return isinstance(step, MapStep) or (isinstance(step, WorkflowStep) and step.each is not None)


def succeeding(step: WorkflowStep) -> Ports:
    """The outcomes of the workflow that a step runs that count as success."""
    return _good(step.outcomes)


def _good(kinds: Mapping[str, OutcomeKind]) -> Ports:
    return frozenset(name for name, kind in kinds.items() if kind is OutcomeKind.SUCCESS)


def closed_object(properties: JsonObject, required: Collection[str] | None = None) -> JsonObject:
    """A closed object; by default every field is there."""
    names: list[JsonValue] = [*(properties if required is None else required)]
    return {
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": False,
    }


_NOTHING_SHARED = closed_object({})


def label_of(name: str, schema: JsonObject) -> str:
    """A field's title; else its name in words, unless the shared type has a title of its own."""
    title = schema.get("title")
    if isinstance(title, str) and title and "x-type" not in schema:
        return title
    words = " ".join(_WORD.findall(name)).lower()
    return words[:1].upper() + words[1:] if words else name


def type_word(schema: JsonObject) -> str:
    """The type of a value in a word for people; what may also be empty is called as without."""
    name = domain_type(schema)
    if name in _NAMED_WORDS:
        return _NAMED_WORDS[name]
    schema = _if_given(schema)
    if schema.get("format") in _FORMAT_WORDS:
        return _FORMAT_WORDS[str(schema["format"])]
    kinds = kinds_of(schema)
    if kinds == ALL_KINDS:
        return "anything"
    several = kinds - {"null"} or kinds
    if len(several) != 1:
        return " or ".join(sorted(_TYPE_WORDS[kind] for kind in several)) or "nothing"
    (kind,) = several
    if kind == "number" and _is_whole(schema):
        return "whole number"
    return _TYPE_WORDS[kind]


def domain_type(schema: JsonObject) -> str | None:
    """The shared type that a schema stands for, also where the value may be empty."""
    name = _if_given(schema).get("x-type")
    return name if isinstance(name, str) else None


def says_nothing(schema: JsonObject) -> bool:
    """Whether a contract allows any object at all."""
    telling = {key for key in schema if not key.startswith(("x-", "$"))}
    telling -= {"title", "description", "examples", "default"}
    return not telling or (telling == {"type"} and schema["type"] == "object")


def sample_of(schema: JsonObject, depth: int = 0) -> JsonValue:
    """A value that the schema itself gives as constant, default, example or choice; else None.

    For an object what its fields give; None when none of them gives anything.
    """
    if "const" in schema:
        return schema["const"]
    if schema.get("default") is not None:
        return schema["default"]
    for keyword in ("examples", "enum"):
        offered = schema.get(keyword)
        if isinstance(offered, list) and offered:
            return next((one for one in offered if one is not None), None)
    properties = schema.get("properties")
    if not isinstance(properties, dict) or depth > MAX_DEPTH:
        return None
    kept: JsonObject = {}
    for name, child in properties.items():
        value = sample_of(child, depth + 1) if isinstance(child, dict) else None
        if value is not None:
            kept[name] = value
    return kept or None


def ranked(
    readables: Collection[Readable], name: str, schema: JsonObject
) -> list[tuple[float, Readable]]:
    """Values that may be meant for a field, most likely first, each with how likely it is."""
    wanted, meant = kinds_of(schema), domain_type(schema)
    scored = [
        (_likeness(one, name, schema, meant), one)
        for one in readables
        if one.kinds & wanted and (meant is None or one.domain in {None, meant})
    ]
    return sorted(scored, key=lambda pair: (-pair[0], len(pair[1].path), pair[1].path))


LIKELY = 40.0
"""From here on a value is meant for a field: the same name or shared type, or most of the name."""


def best(
    readables: Collection[Readable],
    name: str,
    schema: JsonObject,
    can_take: Callable[[JsonObject], bool],
    *,
    limit: int,
    least: float = float("-inf"),
) -> list[Readable]:
    """The likeliest values that fit a field, at most `limit` of them."""
    found: list[Readable] = []
    for score, one in ranked(readables, name, schema)[: 4 * limit + 8]:
        if score < least or len(found) == limit:
            break
        if can_take(one.schema):
            found.append(one)
    return found


def _likeness(one: Readable, name: str, schema: JsonObject, meant: str | None) -> float:
    own, wanted = _words(one.path[-1]), _words(name)
    score = 0.0
    if one.path[-1] == name or own == wanted:
        score += 50
    elif own & wanted:
        score += 40 * len(own & wanted) / len(own | wanted)
    elif own_step := _words(one.step or ""):
        score += 15 * len(own_step & wanted) / len(own_step | wanted)
    if meant is not None and one.domain == meant:
        score += 45 if meant not in _NAMED_WORDS else 30
    if one.schema.get("type") == schema.get("type"):
        score += 6
    score += 8 if one.certain else 0
    score -= 2 * len(one.path) + min(one.distance, 8)
    return score


def _if_given(schema: JsonObject) -> JsonObject:
    """What a value is when it is not empty: the only alternative beside null."""
    for keyword in ("anyOf", "oneOf"):
        branches = schema.get(keyword)
        if isinstance(branches, list):
            others = [one for one in branches if isinstance(one, dict) and kinds_of(one) != _NULL]
            return others[0] if len(others) == 1 else schema
    return schema


def same_meaning(given: JsonObject, wanted: JsonObject) -> bool:
    """Whether two values may mean the same: not when both are of shared types that differ."""
    left, right = domain_type(given), domain_type(wanted)
    return left is None or right is None or left == right


@lru_cache(maxsize=4_096)
def _words(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(name))


def _fields(schema: JsonObject, depth: int = 0) -> list[str]:
    """The fields that a schema declares, in its own order."""
    names: dict[str, None] = {}
    properties = schema.get("properties")
    if isinstance(properties, dict):
        names.update(dict.fromkeys(properties))
    for keyword in ("allOf", "anyOf", "oneOf"):
        branches = schema.get(keyword)
        for branch in branches if isinstance(branches, list) and depth < MAX_DEPTH else ():
            if isinstance(branch, dict):
                names.update(dict.fromkeys(_fields(branch, depth + 1)))
    return list(names)


def _is_whole(schema: JsonObject) -> bool:
    stated = schema.get("type")
    if stated == "integer" or (isinstance(stated, list) and "number" not in stated):
        return True
    options = [schema["const"]] if "const" in schema else schema.get("enum")
    return isinstance(options, list) and all(isinstance(one, int) for one in options)
