"""A definition made ready for the planner: expressions, contracts, adjacency and ranks.

Compiled once per version and shared between threads; nothing in it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from orchestrator.core.beginnings import (
    circle,
    entered_midway,
    exclusive_of,
    held_midway,
    only_while_of,
    stretches,
)
from orchestrator.core.catalogue import AgentInterface, Catalogue, DomainType, WorkflowInterface
from orchestrator.core.contracts import Validator, bundle
from orchestrator.core.definition import (
    MAX_ITEMS,
    MAX_STARTED,
    PARTIAL,
    AgentRef,
    AgentStep,
    EmitStep,
    EndStep,
    EventAwaited,
    Evidence,
    GateProposal,
    GateStep,
    Itself,
    JoinStep,
    MapStep,
    Moment,
    OutcomeKind,
    Route,
    RouterStep,
    SharedKey,
    StartStep,
    Step,
    TeamStep,
    TransformStep,
    WaitStep,
    WorkflowDefinition,
    WorkflowRef,
    WorkflowStep,
    agents_of,
    called_in,
    doers_of,
    item_run_of,
    owner_of,
    place_of,
    writes_of,
)
from orchestrator.core.errors import DomainError
from orchestrator.core.expressions import (
    RUN_VARIABLES,
    CompiledExpression,
    NumberTree,
    Path,
    compile_expression,
    number_tree,
    numbers_at,
)
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.loops import back_links, bodies, forward_links, way_around
from orchestrator.core.recursion import interface_run
from orchestrator.core.schemas import inline

CompiledMapping = tuple[tuple[str, CompiledExpression], ...]

ITEM_VARIABLES = (*RUN_VARIABLES, "item", "index")
"""What the expressions of a map see that are evaluated per item."""
ITEMS_CONTRACT: JsonObject = {
    "type": "object",
    "properties": {"items": {"type": "array", "maxItems": MAX_ITEMS}},
    "required": ["items"],
    "additionalProperties": False,
}
"""What a map takes."""
ENOUGH_CONTRACT: JsonObject = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "maxItems": MAX_ITEMS},
        "enough": {"type": "integer", "minimum": 1},
    },
    "required": ["items", "enough"],
    "additionalProperties": False,
}
"""What a map takes of which a number of items is enough."""


EACH_CONTRACT: JsonObject = {
    "type": "object",
    "properties": {"items": {"type": "array", "maxItems": MAX_STARTED}},
    "required": ["items"],
    "additionalProperties": False,
}
"""What a step takes that starts a run for each item of a list."""


class DefinitionError(DomainError):
    """The definition cannot be run; `core/checks.py` says everything that is wrong with it."""

    code = "invalid_definition"
    status = 422


@dataclass(frozen=True, slots=True)
class CompiledEvidence:
    """One piece of evidence of a gate."""

    evidence: Evidence
    value: CompiledExpression
    sources: CompiledExpression | None


@dataclass(frozen=True, slots=True)
class CompiledCompensation:
    """How a step is undone: the agent that does it, what that is given, and what it takes."""

    interface: AgentInterface
    mapping: CompiledMapping
    contract: Validator


@dataclass(frozen=True, slots=True)
class CompiledKey:
    """A value that steps share: what gives its first version, and what judges each of them."""

    initial: CompiledExpression | None
    contract: Validator


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One step. Fields that its kind does not have are empty.

    `rank` is its place in a fixed topological order; the planner works in that order, so that it
    does the same whatever order a database returned the definition's keys in. `incoming`,
    `outgoing` and `by_port` hold links that lead forward; `back` names the back link of a port,
    `back_in` those that lead here, and `loops` says that some back link may start the step anew.
    For a join that does not wait for all, `private` are the steps whose every way leads into it;
    they name that join in `serves`. `stretch` is the first step of the stretch in which it is in
    its `section`; `is_limited` says that its links alone do not decide when it may begin. `mapping`
    is the input (agent), proposal (gate), output (transform), data (emit) or result (end).
    `contract` judges that mapping, for a gate also what the person gives back; `output_contract`
    judges an agent's output that a person, or another agent, gives in its place. `interfaces` are
    those of all agents that the step may call, its own first. `reads` are the steps whose results
    the expressions need. `members` is what the step runs of a map (one for all) or of a team are:
    steps without links, which call an agent or, in a map, run a workflow; a map's own mapping gives
    `{"items": list}`, and `"enough"` when it has one. For a wait, `moment` gives the instant, `key`
    the key of the awaited event, and `arrival` judges that event's data; for an emit, `key` gives
    the key of its event. `keys` are the shared values that its expressions read (`*`: all),
    `writes` what it writes to them.
    """

    id: str
    step: Step
    rank: int
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    by_port: Mapping[str, tuple[str, ...]]
    back: Mapping[str, str] = field(default_factory=dict)
    back_in: tuple[str, ...] = ()
    loops: bool = False
    section: str = ""
    stretch: str = ""
    is_limited: bool = False
    interfaces: tuple[AgentInterface, ...] = ()
    mapping: CompiledMapping = ()
    contract: Validator | None = None
    output_contract: Validator | None = None
    compensation: CompiledCompensation | None = None
    routes: tuple[tuple[Route, CompiledExpression], ...] = ()
    why: CompiledExpression | None = None
    title: CompiledExpression | None = None
    confidence: CompiledExpression | None = None
    evidence: tuple[CompiledEvidence, ...] = ()
    proposals: tuple[tuple[GateProposal, CompiledExpression], ...] = ()
    branches: tuple[tuple[str, tuple[str, ...]], ...] = ()
    private: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    moment: CompiledExpression | None = None
    key: CompiledExpression | None = None
    arrival: Validator | None = None
    reads: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    writes: CompiledMapping = ()
    members: tuple[CompiledStep, ...] = ()


@dataclass(frozen=True, slots=True)
class CompiledWorkflow:
    """A definition ready to be walked. `order` lists the step ids by rank.

    `title_reads` are the steps that the run's title needs. `stretches` are by their first steps
    (`core/beginnings.py`); the steps `limited` may begin only while something holds.
    """

    definition: WorkflowDefinition
    steps: Mapping[str, CompiledStep]
    order: tuple[str, ...]
    start: str
    input_contract: Validator
    run_title: CompiledExpression | None = None
    title_reads: frozenset[str] = frozenset()
    descendants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    types: Mapping[str, DomainType] = field(default_factory=dict)
    stretches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limited: tuple[str, ...] = ()
    context: Mapping[str, CompiledKey] = field(default_factory=dict)

    def step(self, step_run: str) -> CompiledStep:
        """What a step run executes: the step of that id, or its part in the step it belongs to.

        Raises:
            KeyError: there is no such step, or it has no members.
        """
        found = self.steps.get(step_run)
        if found is not None:
            return found
        owner = self.steps[owner_of(step_run)]
        if not owner.members:
            raise KeyError(step_run)
        index = called_in(step_run) if isinstance(owner.step, TeamStep) else 0
        member = owner.members[index]
        name = f"{member.step.name}, {member_word(owner.step, step_run)}"
        return replace(member, id=step_run, step=member.step.model_copy(update={"name": name}))

    def title_of(self, input_: JsonObject) -> str:
        """The run's name in lists, as far as its input tells; empty when it does not."""
        if self.run_title is None:
            return ""
        try:
            value = self.run_title.evaluate({"input": input_, "steps": {}})
        except DomainError:
            return ""
        return value if isinstance(value, str) else ""


def compile_workflow(definition: WorkflowDefinition, catalogue: Catalogue) -> CompiledWorkflow:
    """Compile a definition against the agent versions and shared types that it names.

    Raises: DefinitionError: no single start, a cycle, a back link into a step that can be passed
    by, steps that would wait for each other, an agent version that the catalogue does not have.
    ExpressionError: an expression cannot be compiled. SchemaError: a contract cannot be compiled.
    """
    order = step_order(definition)
    starts = [step_id for step_id in order if isinstance(definition.steps[step_id], StartStep)]
    if len(starts) != 1:
        raise DefinitionError(f"A workflow has exactly one start; this one has {len(starts)}.")
    compiler = _Compiler(definition, catalogue, _numbers(definition, catalogue))
    descendants = _descendants(definition, order)
    looping = _looping(definition, descendants)
    private = _private_steps(definition, order)
    found = _stretches(definition, order)
    limits = _limits(definition, found)
    serves: dict[str, list[str]] = {}
    for join, losers in private.items():
        for step_id in losers:
            serves.setdefault(step_id, []).append(join)
    steps = {
        step_id: replace(
            compiler.step(step_id, rank),
            loops=step_id in looping,
            private=private.get(step_id, ()),
            serves=tuple(serves.get(step_id, ())),
            **limits.get(step_id, {}),
        )
        for rank, step_id in enumerate(order)
    }
    run_title = compiler.expression(definition.run_title)
    title_reads = _reads([run_title]) if run_title is not None else frozenset()
    return CompiledWorkflow(
        definition=definition,
        steps=steps,
        order=order,
        start=starts[0],
        input_contract=Validator(definition.input, catalogue.types),
        run_title=run_title,
        title_reads=frozenset(order) if "*" in title_reads else title_reads,
        descendants=descendants,
        types=catalogue.types,
        stretches=found,
        limited=tuple(step_id for step_id in order if only_while_of(definition, step_id)),
        context={key: _shared_key(one, catalogue) for key, one in definition.context.items()},
    )


def compile_step(
    definition: WorkflowDefinition, catalogue: Catalogue, step_id: str
) -> CompiledStep:
    """Compile one step alone, however unfinished the rest is.

    Raises: DefinitionError, ExpressionError, SchemaError: as `compile_workflow`, for this step.
    """
    return _Compiler(definition, catalogue, _numbers(definition, catalogue)).step(step_id, 0)


def member_word(step: Step, step_run: str) -> str:
    """Which member of a step a step run is, for people, who count from one."""
    return f"{member_kind(step)} {place_of(step_run) + 1}"


def member_kind(step: Step) -> str:
    """What the step runs of a step are called."""
    if isinstance(step, TeamStep):
        return "member" if step.votes else "call"
    return "item"


def step_order(definition: WorkflowDefinition) -> tuple[str, ...]:
    """A topological order of the steps that depends on the ids only; back links do not count.

    Raises:
        DefinitionError: the other links form a cycle; `detail["cycle"]` names its steps.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(definition.steps, ()))
    for link in forward_links(definition):
        sorter.add(link.target, link.source)
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = list(dict.fromkeys(reversed(error.args[1])))
        raise DefinitionError(
            f"The links form a cycle: {' → '.join([*cycle, cycle[0]])}.", detail={"cycle": cycle}
        ) from None
    order: list[str] = []
    while sorter.is_active():
        layer = sorted(sorter.get_ready())
        order.extend(layer)
        sorter.done(*layer)
    return tuple(order)


def _descendants(
    definition: WorkflowDefinition, order: tuple[str, ...]
) -> dict[str, frozenset[str]]:
    targets: dict[str, set[str]] = {step_id: set() for step_id in order}
    for link in forward_links(definition):
        targets[link.source].add(link.target)
    found: dict[str, frozenset[str]] = {}
    for step_id in reversed(order):
        direct = targets[step_id]
        found[step_id] = frozenset(direct).union(*(found[target] for target in direct))
    return found


def _looping(
    definition: WorkflowDefinition, descendants: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """The steps that some back link may start anew."""
    links = list(back_links(definition))
    for link in links:
        around = way_around(definition, link)
        if around or isinstance(definition.steps[link.target], StartStep):
            raise DefinitionError(
                f"The link back from '{link.source}' leads to '{link.target}', "
                "which is not on every way there.",
                detail={"link": link.id, "around": list(around)},
            )
    return frozenset().union(*bodies(links, descendants).values())


def _stretches(
    definition: WorkflowDefinition, order: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """The stretches in which steps are in their sections; none of them waits in a circle."""
    for step_id in definition.steps:
        limits = only_while_of(definition, step_id)
        named = {limits.after, limits.until} - {None} if limits is not None else set()
        if unknown := named - definition.steps.keys():
            raise DefinitionError(
                f"'{step_id}' may begin only while something holds of '{unknown.pop()}', "
                "which does not exist.",
                detail={"step": step_id},
            )
    if waiting := circle(definition):
        raise DefinitionError(
            f"These steps would wait for each other: {', '.join(waiting)}.",
            detail={"circle": list(waiting)},
        )
    found = stretches(definition, order)
    midway = [link.target for link in entered_midway(definition, found)]
    for step_id in (*midway, *held_midway(definition, found)):
        raise DefinitionError(
            f"'{step_id}' would keep its section while it waits for other steps.",
            detail={"step": step_id},
        )
    return found


def _limits(
    definition: WorkflowDefinition, found: Mapping[str, tuple[str, ...]]
) -> dict[str, dict[str, Any]]:
    """What compiled steps know of when they may begin; most have nothing to know."""
    limits: dict[str, dict[str, Any]] = {}
    for step_id in definition.steps:
        if only_while_of(definition, step_id) is not None:
            limits[step_id] = {"is_limited": True}
    for first, steps in found.items():
        for step_id in steps:
            exclusive = exclusive_of(definition, step_id)
            section = exclusive.section if exclusive is not None else ""
            limits[step_id] = {"is_limited": True, "section": section, "stretch": first}
    return limits


def _private_steps(
    definition: WorkflowDefinition, order: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Per join that does not wait for all, the steps whose every way leads into it, by rank."""
    found: dict[str, tuple[str, ...]] = {}
    forward: dict[str, set[str]] = {step_id: set() for step_id in order}
    for link in forward_links(definition):
        forward[link.source].add(link.target)
    back: dict[str, set[str]] = {step_id: set() for step_id in order}
    for link in back_links(definition):
        back[link.source].add(link.target)
    for join in order:
        step = definition.steps[join]
        if not isinstance(step, JoinStep) or step.policy not in PARTIAL:
            continue
        inside: set[str] = set()
        for step_id in reversed(order[: order.index(join)]):
            if forward[step_id] and forward[step_id] <= inside | {join}:
                inside.add(step_id)
        # A way back to before the branches is a way past the join.
        while outside := {one for one in inside if not forward[one] | back[one] <= inside | {join}}:
            inside -= outside
        found[join] = tuple(step_id for step_id in order if step_id in inside)
    return found


def _numbers(definition: WorkflowDefinition, catalogue: Catalogue) -> dict[str, NumberTree]:
    """Where the run's input and the outputs of steps are fractions by contract."""
    steps: dict[str, NumberTree] = {}
    for step_id, step in definition.steps.items():
        schema: JsonObject | None = None
        run = item_run_of(step)
        if run is not None:
            schema = _results_of(catalogue.workflows.get((run.workflow, run.version)))
        elif isinstance(step, (AgentStep, MapStep)):
            (called,) = doers_of(step)[:1]
            interface = catalogue.agents.get((called.agent, called.version))
            schema = interface.output_schema if interface else None
        elif isinstance(step, GateStep):
            schema = step.contract
        elif isinstance(step, WaitStep) and isinstance(step.awaits, EventAwaited):
            schema = {"type": "object", "properties": {"event": step.awaits.contract}}
        elif isinstance(step, WorkflowStep):
            schema = _results_of(interface_run(step, definition, catalogue))
        if schema is not None:
            tree = number_tree(inline(bundle(schema, catalogue.types)))
            if tree:
                gathered: NumberTree = {"items": {"*": tree}}
                steps[step_id] = {"output": gathered if isinstance(step, MapStep) else tree}
    shared: dict[str, NumberTree] = {
        key: tree
        for key, one in definition.context.items()
        if (tree := number_tree(inline(bundle(one.contract, catalogue.types))))
    }
    return {
        "input": number_tree(inline(bundle(definition.input, catalogue.types))),
        "steps": steps or False,
        "context": shared or False,
    }


def _results_of(interface: WorkflowInterface | None) -> JsonObject | None:
    """What the workflow that a step runs may result in."""
    results = interface.results.values() if interface else ()
    known: list[JsonValue] = [one for one in results if one is not None]
    return {"anyOf": known} if known else None


class _Compiler:
    def __init__(
        self,
        definition: WorkflowDefinition,
        catalogue: Catalogue,
        numbers: Mapping[str, NumberTree],
    ) -> None:
        self.definition = definition
        self.catalogue = catalogue
        self.numbers = numbers
        self.incoming: dict[str, list[str]] = {step_id: [] for step_id in definition.steps}
        self.outgoing: dict[str, list[str]] = {step_id: [] for step_id in definition.steps}
        self.back: dict[str, dict[str, str]] = {step_id: {} for step_id in definition.steps}
        self.back_in: dict[str, list[str]] = {step_id: [] for step_id in definition.steps}
        for link_id in sorted(definition.links):
            link = definition.links[link_id]
            if link.is_back:
                self.back[link.source].setdefault(link.port, link_id)
                self.back_in[link.target].append(link_id)
            else:
                self.incoming[link.target].append(link_id)
                self.outgoing[link.source].append(link_id)

    def expression(self, text: str | None) -> CompiledExpression | None:
        """Compile an optional expression."""
        return None if text is None else compile_expression(text).typed(self.numbers)

    def mapping(self, mapping: Mapping[str, str]) -> CompiledMapping:
        """Compile a mapping; its fields in a fixed order."""
        return tuple(
            (name, compile_expression(mapping[name]).typed(self.numbers))
            for name in sorted(mapping)
        )

    def per_item(self, mapping: Mapping[str, str], items: CompiledExpression) -> CompiledMapping:
        """Compile a mapping that is evaluated for each entry of a list."""
        each: NumberTree = False
        if items.plain is not None:
            listed = numbers_at(self.numbers, items.plain)
            each = listed.get("*", False) if isinstance(listed, dict) else listed
        numbers = {**self.numbers, "item": each}
        return tuple(
            (name, compile_expression(mapping[name], variables=ITEM_VARIABLES).typed(numbers))
            for name in sorted(mapping)
        )

    def step(self, step_id: str, rank: int) -> CompiledStep:
        """Compile one step, with what it reads and writes of what steps share."""
        compiled = self._own(step_id, rank)
        if not self.definition.context:
            return compiled
        writes = self.mapping(writes_of(compiled.step))
        written = tuple(expression for _, expression in writes)
        return replace(
            compiled,
            writes=writes,
            keys=_keys((*expressions_of(compiled), *written)),
            reads=compiled.reads | _reads(written),
        )

    def _own(self, step_id: str, rank: int) -> CompiledStep:
        step, base = self.definition.steps[step_id], self._base(step_id, rank)
        match step:
            case AgentStep() | MapStep() | TeamStep():
                return self._calling(base, step)
            case GateStep():
                return self._gate(base, step)
            case RouterStep():
                routes = tuple(
                    (route, compile_expression(route.when).typed(self.numbers))
                    for route in step.routes
                )
                return replace(base, routes=routes, reads=_reads(when for _, when in routes))
            case JoinStep():
                return replace(base, branches=self._branches(step_id))
            case TransformStep():
                return self._mapped(base, self.mapping(step.output), None)
            case WaitStep() | EmitStep() | WorkflowStep():
                return self._outside(base, step)
            case EndStep():
                return self._end(base, step)
            case StartStep():
                return base

    def _base(self, step_id: str, rank: int) -> CompiledStep:
        """What every step has: its place and its links."""
        by_port: dict[str, list[str]] = {}
        for link_id in self.outgoing[step_id]:
            by_port.setdefault(self.definition.links[link_id].port, []).append(link_id)
        return CompiledStep(
            id=step_id,
            step=self.definition.steps[step_id],
            rank=rank,
            incoming=tuple(self.incoming[step_id]),
            outgoing=tuple(self.outgoing[step_id]),
            by_port={port: tuple(links) for port, links in by_port.items()},
            back=self.back[step_id],
            back_in=tuple(self.back_in[step_id]),
        )

    def _calling(self, base: CompiledStep, step: AgentStep | MapStep | TeamStep) -> CompiledStep:
        match step:
            case AgentStep():
                return self._agent(base, step)
            case MapStep():
                return self._map(base, step)
            case TeamStep():
                return self._team(base, step)

    def _agent(self, base: CompiledStep, step: AgentStep) -> CompiledStep:
        interfaces = tuple(self._interface(base.id, step.name, one) for one in agents_of(step))
        interface = interfaces[0]
        contract = Validator(interface.input_schema, self.catalogue.types)
        return replace(
            self._mapped(base, self.mapping(step.input), contract),
            interfaces=interfaces,
            compensation=self._compensation(step, interfaces),
            output_contract=Validator(interface.output_schema, self.catalogue.types),
        )

    def _map(self, base: CompiledStep, step: MapStep) -> CompiledStep:
        """The list, and what each item's step run is: a step that has no links."""
        items = compile_expression(step.items).typed(self.numbers)
        enough = self.expression(step.enough)
        mapping: CompiledMapping = (("items", items),)
        if enough is not None:
            mapping = (("enough", enough), *mapping)
        return replace(
            base,
            mapping=mapping,
            contract=Validator(ITEMS_CONTRACT if enough is None else ENOUGH_CONTRACT),
            members=(self._item(base, step, self.per_item(step.input, items)),),
            reads=_reads(expression for _, expression in mapping),
        )

    def _item(self, base: CompiledStep, step: MapStep, mapping: CompiledMapping) -> CompiledStep:
        """What is done for one item: an agent is called, or a workflow run to its end."""
        uses = step.uses
        if isinstance(uses, AgentRef):
            return self._member(base, step, uses, mapping)
        interface = self.catalogue.workflows.get((uses.workflow, uses.version))
        if interface is None:
            raise _no_workflow(base.id, step, uses)
        run = WorkflowStep(
            name=step.name, uses=uses, outcomes=dict(interface.kinds), input=step.input
        )
        alone = CompiledStep(
            id=base.id, step=run, rank=base.rank, incoming=(), outgoing=(), by_port={}
        )
        return self._mapped(alone, mapping, Validator(interface.input_schema))

    def _team(self, base: CompiledStep, step: TeamStep) -> CompiledStep:
        """What the team gets, and the members; each judges what it gets by its own contract.

        Members that vote get what the team gets, those that talk are told what to do.
        """
        mapping = self.mapping(step.input)
        own = mapping if step.votes else ()
        members = tuple(self._member(base, step, uses, own) for uses in doers_of(step))
        return replace(self._mapped(base, mapping, None), members=members)

    def _member(
        self, base: CompiledStep, step: MapStep | TeamStep, uses: AgentRef, mapping: CompiledMapping
    ) -> CompiledStep:
        interface = self._interface(base.id, step.name, uses)
        call = AgentStep(
            name=step.name, uses=uses, input=step.input, timeout=step.timeout, retry=step.retry
        )
        return CompiledStep(
            id=base.id,
            step=call,
            rank=base.rank,
            incoming=(),
            outgoing=(),
            by_port={},
            interfaces=(interface,),
            mapping=mapping,
            contract=Validator(interface.input_schema, self.catalogue.types),
            output_contract=Validator(interface.output_schema, self.catalogue.types),
            reads=_reads(expression for _, expression in mapping),
        )

    def _compensation(
        self, step: AgentStep, interfaces: tuple[AgentInterface, ...]
    ) -> CompiledCompensation | None:
        if step.compensation is None:
            return None
        interface = interfaces[-1]  # as in `agents_of`
        contract = Validator(interface.input_schema, self.catalogue.types)
        return CompiledCompensation(interface, self.mapping(step.compensation.input), contract)

    def _interface(self, step_id: str, name: str, called: AgentRef) -> AgentInterface:
        interface = self.catalogue.agents.get((called.agent, called.version))
        if interface is None:
            raise DefinitionError(
                f"'{name}' calls {called.agent} version {called.version}, which does not exist.",
                detail={"step": step_id},
            )
        return interface

    def _gate(self, base: CompiledStep, step: GateStep) -> CompiledStep:
        mapping = self.mapping(step.proposal)
        evidence = tuple(
            CompiledEvidence(
                item,
                compile_expression(item.value).typed(self.numbers),
                self.expression(item.sources),
            )
            for item in step.evidence
        )
        why, title, confidence = (
            self.expression(text) for text in (step.why, step.title, step.confidence)
        )
        proposals = tuple(
            (one, compile_expression(one.value).typed(self.numbers)) for one in step.proposals
        )
        used = [expression for _, expression in (*mapping, *proposals)]
        used += [part for part in (why, title, confidence) if part is not None]
        for item in evidence:
            used += [item.value, *([item.sources] if item.sources is not None else [])]
        return replace(
            base,
            mapping=mapping,
            contract=Validator(step.contract, self.catalogue.types),
            evidence=evidence,
            proposals=proposals,
            why=why,
            title=title,
            confidence=confidence,
            reads=_reads(used),
        )

    def _wait(self, base: CompiledStep, step: WaitStep) -> CompiledStep:
        awaited = step.awaits
        if isinstance(awaited, Moment):
            moment = compile_expression(awaited.at).typed(self.numbers)
            return replace(base, moment=moment, reads=_reads([moment]))
        if isinstance(awaited, EventAwaited):
            key = compile_expression(awaited.key).typed(self.numbers)
            arrival = Validator(awaited.contract, self.catalogue.types)
            return replace(base, key=key, arrival=arrival, reads=_reads([key]))
        return base

    def _outside(
        self, base: CompiledStep, step: WaitStep | EmitStep | WorkflowStep
    ) -> CompiledStep:
        match step:
            case WaitStep():
                return self._wait(base, step)
            case EmitStep():
                return self._emit(base, step)
            case WorkflowStep():
                return self._child(base, step)

    def _emit(self, base: CompiledStep, step: EmitStep) -> CompiledStep:
        contract = None if step.contract is None else Validator(step.contract, self.catalogue.types)
        compiled = self._mapped(base, self.mapping(step.content), contract)
        key = self.expression(step.subject)
        return replace(compiled, key=key, reads=compiled.reads | _reads([key] if key else []))

    def _child(self, base: CompiledStep, step: WorkflowStep) -> CompiledStep:
        interface = interface_run(step, self.definition, self.catalogue)
        if interface is None:
            raise _no_workflow(base.id, step, step.uses)
        takes = Validator(interface.input_schema)
        if step.each is None:
            return self._mapped(base, self.mapping(step.input), takes)
        items = compile_expression(step.each).typed(self.numbers)
        each = self._mapped(base, self.per_item(step.input, items), takes)
        listed = self._mapped(base, (("items", items),), Validator(EACH_CONTRACT))
        return replace(listed, members=(each,), reads=listed.reads | each.reads)

    def _end(self, base: CompiledStep, step: EndStep) -> CompiledStep:
        outcome = self.definition.outcomes.get(step.outcome)
        if outcome is None:
            raise DefinitionError(
                f"'{step.name}' ends in '{step.outcome}', which is not a declared outcome.",
                detail={"step": base.id},
            )
        contract = Validator(outcome.result, self.catalogue.types) if outcome.result else None
        return self._mapped(base, self.mapping(step.result), contract)

    def _mapped(
        self, base: CompiledStep, mapping: CompiledMapping, contract: Validator | None
    ) -> CompiledStep:
        reads = _reads(expression for _, expression in mapping)
        return replace(base, mapping=mapping, contract=contract, reads=reads)

    def _branches(self, step_id: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        branches: dict[str, list[str]] = {}
        for link_id in self.incoming[step_id]:
            branches.setdefault(branch_of(self.definition, link_id), []).append(link_id)
        return tuple((name, tuple(branches[name])) for name in sorted(branches))


def _no_workflow(step_id: str, step: Step, uses: WorkflowRef | Itself) -> DefinitionError:
    said = f"'{step.name}' runs {uses.words}, which does not exist."
    return DefinitionError(said, detail={"step": step_id})


def expressions_of(compiled: CompiledStep) -> Iterator[CompiledExpression]:
    """Every expression that a step evaluates before it ends."""
    for _, expression in (*compiled.mapping, *compiled.routes, *compiled.proposals):
        yield expression
    for item in compiled.evidence:
        yield item.value
        if item.sources is not None:
            yield item.sources
    shown = (compiled.why, compiled.title, compiled.confidence, compiled.moment, compiled.key)
    yield from (one for one in shown if one is not None)
    for member in compiled.members:
        yield from expressions_of(member)


def branch_of(definition: WorkflowDefinition, link_id: str) -> str:
    """The branch of a join that a link belongs to: named, or the source step's id."""
    link = definition.links[link_id]
    return link.branch or link.source


def is_failure(definition: WorkflowDefinition, outcome: str) -> bool:
    """Whether a declared outcome is a failure; one that is not declared counts as a failure."""
    declared = definition.outcomes.get(outcome)
    return declared is None or declared.kind is OutcomeKind.FAILURE


def _reads(expressions: Iterable[CompiledExpression]) -> frozenset[str]:
    """The steps that expressions read; `*` when one of them takes all of them."""
    return frozenset(_step_read(path) for e in expressions for path in e.used if path[0] == "steps")


def _keys(expressions: Iterable[CompiledExpression]) -> frozenset[str]:
    """The shared values that expressions read; `*` when one of them takes all of them."""
    paths = (path for one in expressions for path in one.used if path[0] == "context")
    return frozenset(_step_read(path) for path in paths)


def _shared_key(shared: SharedKey, catalogue: Catalogue) -> CompiledKey:
    """Compile a key; what an initial value may read is the run's input."""
    initial = shared.initial
    read = None if initial is None else compile_expression(initial, variables=("input",))
    return CompiledKey(read, Validator(shared.contract, catalogue.types))


def _step_read(path: Path) -> str:
    return path[1] if len(path) > 1 else "*"
