"""How a finding can be settled: for each code the changes that a click may apply.

`_MENDERS` names per code what is offered. Each change gives a document of the right shape in which
the finding is gone; others may come in its place (a removed step may have been read elsewhere).
Values are offered only when they certainly fit. Mending costs time, so that only the first findings
get it, errors before warnings; what merely informs gets it for the step that was asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from orchestrator.core.definition import (
    USUAL_ROUNDS,
    EndStep,
    GateStep,
    Link,
    OutcomeKind,
    RouterStep,
    StartStep,
    TeamStep,
    WorkflowDefinition,
    doers_of,
    ports_of,
)
from orchestrator.core.expression_types import field_names, member
from orchestrator.core.findings import (
    Finding,
    Mending,
    PatchStep,
    ScopeField,
    TargetField,
)
from orchestrator.core.flow import Flow, closure
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.loops import way_around
from orchestrator.core.schemas import pointer, referring
from orchestrator.core.scope import (
    LIKELY,
    OUTPUT_PORTS,
    Readable,
    Shapes,
    best,
    domain_type,
    label_of,
    type_word,
)

MAX_MENDED = 100
MAX_OFFERS = 3
MAX_CANDIDATES = 8
_MAPPED_PARTS = frozenset({"input", "proposal", "result", "output", "content"})
_FREE_PARTS = frozenset({"why", "title", "confidence", "subject"})

Patch: TypeAlias = tuple[PatchStep, ...]
CanTake: TypeAlias = Callable[[JsonObject, JsonObject], bool]
"""Whether a value of the first schema certainly fits the second."""


class Mender:
    """Works out mendings for one definition that has been checked."""

    def __init__(
        self, definition: WorkflowDefinition, shapes: Shapes, flow: Flow, can_take: CanTake
    ) -> None:
        self.definition = definition
        self.shapes = shapes
        self.flow = flow
        self.can_take = can_take
        self._readable: dict[str, list[Readable]] = {}
        self._missing: dict[str, list[str]] = {}

    def mended(self, findings: Iterable[Finding], asked: str | None) -> tuple[Finding, ...]:
        """The findings with what can be done about each."""
        listed = tuple(findings)
        for one in listed:
            if one.code == "missing_field" and one.step and one.field:
                self._missing.setdefault(one.step, []).append(one.field.partition(".")[2])
        left = MAX_MENDED
        result: list[Finding] = []
        for one in listed:
            mender = _MENDERS.get(one.code)
            if (one.field or "").startswith("triggers."):
                mender = None  # what is offered is mapped to steps
            wanted = one.severity != "info" or (one.step is not None and one.step == asked)
            if mender is None or not wanted or left == 0:
                result.append(one)
                continue
            left -= 1
            result.append(one.model_copy(update={"mendings": tuple(mender(self, one))}))
        return tuple(result)

    def scope_of(self, step_id: str) -> tuple[ScopeField, ...]:
        """What the step may read, for people to pick from."""
        return tuple(
            ScopeField.model_construct(
                expression=one.expression,
                step=one.step,
                label=one.label,
                type=type_word(one.schema),
                domain_type=one.domain,
                schema_=one.schema,
                certain=one.certain,
                sample=one.sample,
            )
            for one in self._readables(step_id)
        )

    def fields_of(self, step_id: str) -> tuple[TargetField, ...] | None:
        """What the step takes, each field with the values that fit; None when it takes anything."""
        target = self.shapes.target_of(step_id)
        step = self.definition.steps[step_id]
        contract = target.contract if target else None
        if contract is None and isinstance(step, GateStep):
            contract = {**step.contract, "required": []}
        if contract is None:
            return None
        wanted = self.shapes.inlined(contract)
        stated = wanted.get("required")
        required = stated if isinstance(stated, list) else []
        return tuple(
            self._target_field(step_id, name, wanted, is_required=name in required)
            for name in _names(wanted)
        )

    def _target_field(
        self, step_id: str, name: str, wanted: JsonObject, *, is_required: bool
    ) -> TargetField:
        found = member(wanted, name)
        schema = found[0] if found else {}
        description = schema.get("description")
        fitting = self._fitting(step_id, name, schema, limit=MAX_CANDIDATES)
        return TargetField.model_construct(
            name=name,
            label=label_of(name, schema),
            type=type_word(schema),
            domain_type=domain_type(schema),
            required=is_required,
            schema_=schema,
            description=description if isinstance(description, str) else "",
            candidates=tuple(one.expression for one in fitting),
        )

    # ---- mappings --------------------------------------------------------------------------------

    def missing_field(self, finding: Finding) -> Iterator[Mending]:
        """Map what fits best, or ask for it when a run starts; for several fields all at once."""
        step_id, part, name = _place(finding)
        likely = self._likely(step_id, part, name)
        yield from (self._map(step_id, part, name, one) for one in likely)
        yield self._asking(step_id, part, [name], f"Ask for '{name}' when a run starts")
        missing = self._missing.get(step_id, [])
        if len(missing) > 1 and name == missing[0]:
            yield from self._all_at_once(step_id, part, missing)

    def other_value(self, finding: Finding) -> Iterator[Mending]:
        """Map another value that fits, or, where the field may be left out, nothing."""
        step_id, part, name = _place(finding)
        if part not in _MAPPED_PARTS:
            if part in _FREE_PARTS:
                path = pointer(("steps", step_id, part))
                yield _mending("unmap", f"Leave '{part}' out", _set(path, None))
            return
        present = self._mapped(step_id).get(name)
        likely = [one for one in self._likely(step_id, part, name) if one.expression != present]
        yield from (self._map(step_id, part, name, one) for one in likely)
        if name not in self._required(step_id):
            yield from self.unmapped(finding)

    def unmapped(self, finding: Finding) -> Iterator[Mending]:
        """Map nothing to the field."""
        step_id, part, name = _place(finding)
        yield _mending(
            "unmap",
            f"Map nothing to '{name}'",
            PatchStep(op="remove", path=pointer(("steps", step_id, part, name))),
        )

    def may_be_missing(self, finding: Finding) -> Iterator[Mending]:
        """Let the ways on which the value is missing lead elsewhere, when they are the reason."""
        step_id, _, name = _place(finding)
        read = self._mapped(step_id).get(name, "").split(".")
        source = read[1] if read[0] == "steps" and len(read) > 1 else ""
        ports = self.flow.facts.get(step_id, {}).get(source, frozenset())
        empty = ports - OUTPUT_PORTS
        guilty = [link for link in self._links_from(source) if link.port in empty]
        end = next((key for key in self._ends(OutcomeKind.FAILURE) if key != step_id), None)
        if end is None or not guilty or ports == empty:
            return
        patch = [
            change
            for link in guilty
            if link.target != end
            for change in (_unlink(link), _link(link.source, link.port, end))
        ]
        ways = " and ".join(f"'{link.port}'" for link in guilty)
        title = f"Let {ways} of {self._name(source)} lead to {self._name(end)}"
        yield _mending("link", title, *patch)

    def _map(self, step_id: str, part: str, name: str, one: Readable) -> Mending:
        origin = "the run's input" if one.step is None else self._name(one.step)
        return _mending(
            "map",
            f"Map '{one.label}' from {origin}",
            _set(pointer(("steps", step_id, part, name)), one.expression),
        )

    def _all_at_once(self, step_id: str, part: str, names: list[str]) -> Iterator[Mending]:
        chosen = {name: self._likely(step_id, part, name) for name in names}
        mapped = {name: found[0] for name, found in chosen.items() if found}
        rest = [name for name in names if name not in mapped]
        patch = [
            _set(pointer(("steps", step_id, part, name)), one.expression)
            for name, one in mapped.items()
        ]
        if mapped:
            count = "1 field" if len(mapped) == 1 else f"{len(mapped)} fields"
            yield _mending("map_all", f"Map everything that fits ({count})", *patch)
        if rest:
            title = "Map what fits and ask for the rest" if mapped else "Ask for all of them"
            asked = self._asking(step_id, part, rest, title)
            yield _mending("map_and_ask", f"{title} when a run starts", *patch, *asked.patch)

    def _asking(self, step_id: str, part: str, names: list[str], title: str) -> Mending:
        """Add fields to the input contract, in the terms of who takes them, and map them."""
        target = self.shapes.target_of(step_id)
        contract = target.contract if target and target.contract else {}
        present = self.definition.input.get("properties")
        taken = dict(present) if isinstance(present, dict) else {}
        added: dict[str, JsonValue] = {}
        mapping: list[PatchStep] = []
        for name in names:
            schema = self._asked_schema(contract, name)
            own = name if taken.get(name, schema) == schema else f"{step_id}_{name}"[:63]
            if own not in taken:
                added[own] = schema
            mapping.append(_set(pointer(("steps", step_id, part, name)), f"input.{own}"))
        return _mending("ask", title, *self._grown_input(added), *mapping)

    def _asked_schema(self, contract: JsonObject, name: str) -> JsonValue:
        found = member(self.shapes.inlined(contract), name)
        schema = found[0] if found else {}
        if "x-type" not in schema and "title" not in schema:
            schema = {**schema, "title": label_of(name, schema)}
        return referring(schema)

    def _grown_input(self, added: Mapping[str, JsonValue]) -> Iterator[PatchStep]:
        present = self.definition.input
        stated, properties = present.get("required"), present.get("properties")
        required = [*(stated if isinstance(stated, list) else ()), *added]
        if not isinstance(properties, dict):
            whole = {"type": "object", "additionalProperties": False, **present}
            yield _set("/input", {**whole, "properties": dict(added), "required": required})
            return
        for name, schema in added.items():
            yield _set(pointer(("input", "properties", name)), schema)
        if added:
            yield _set("/input/required", required)

    # ---- links and steps -------------------------------------------------------------------------

    def unlinked_port(self, finding: Finding) -> Iterator[Mending]:
        """Link the way out to where it most likely leads."""
        step_id, port = finding.step or "", finding.field or ""
        step = self.definition.steps[step_id]
        if port == "default" and isinstance(step, RouterStep):
            following = [link.target for link in self.flow.outgoing[step_id]]
            targets = [*self._ends(), *following]
        elif finding.severity == "info":
            targets = self._ends(OutcomeKind.FAILURE)
        else:
            targets = [*self._loose(step_id), *self._ends()]
        yield from self._linking(step_id, port, targets)

    def unreachable_step(self, finding: Finding) -> Iterator[Mending]:
        """Link the step where the way ends now, or remove it."""
        step_id = finding.step or ""
        reached = self.flow.reached_from_start()
        for source in reversed(self.flow.order):
            if source in reached and not self._would_close(source, step_id):
                for port in self._open_ports(source):
                    title = f"Link {self._name(source)} to {self._name(step_id)}"
                    yield _mending("link", title, _link(source, port, step_id))
                    break
                else:
                    continue
                break
        yield self._removing(step_id)

    def no_way_to_end(self, finding: Finding) -> Iterator[Mending]:
        """Link the step to an end."""
        step_id = finding.step or ""
        ports = self._open_ports(step_id) or list(ports_of(self.definition.steps[step_id]))
        yield from self._linking(step_id, ports[0], self._ends())

    def no_end(self, _finding: Finding) -> Iterator[Mending]:
        """Add an end in the first outcome that counts as success."""
        outcomes = self.definition.outcomes
        outcome = next(
            (key for key, one in outcomes.items() if one.kind is OutcomeKind.SUCCESS),
            next(iter(outcomes)),
        )
        title = outcomes[outcome].title
        end: JsonObject = {
            "kind": "end",
            "name": title,
            "summary": "",
            "outcome": outcome,
            "result": {},
        }
        yield _mending("add", f"Add the end '{title}'", *self._added("done", end, after=True))

    def no_start(self, _finding: Finding) -> Iterator[Mending]:
        """Add a start."""
        start: JsonObject = {"kind": "start", "name": "Start"}
        yield _mending("add", "Add a start", *self._added("start", start, after=False))

    def removed_step(self, finding: Finding) -> Iterator[Mending]:
        """Remove the step."""
        yield self._removing(finding.step or "")

    def removed_join(self, finding: Finding) -> Iterator[Mending]:
        """Remove the join; what led to it leads to what follows it."""
        step_id = finding.step or ""
        following = [link.target for link in self.flow.outgoing[step_id] if link.port == "next"]
        bridges = [
            _link(link.source, link.port, target)
            for link in self.flow.forward[step_id]
            for target in following
        ]
        gone = self._removing(step_id)
        yield _mending("remove", gone.title, *gone.patch, *bridges)

    def led_back(self, finding: Finding) -> Iterator[Mending]:
        """Make the link that closes a cycle one that leads back a few times, or remove it."""
        link = self.definition.links.get(finding.link or "")
        if link is not None and not way_around(self.definition, link):
            title = (
                f"Let {self._name(link.source)} lead back to {self._name(link.target)}, "
                f"at most {USUAL_ROUNDS} times"
            )
            path = pointer(("links", link.id, "max_rounds"))
            yield _mending("link", title, _set(path, USUAL_ROUNDS))
        yield from self.removed_link(finding)

    def removed_link(self, finding: Finding) -> Iterator[Mending]:
        """Remove the link."""
        link = self.definition.links.get(finding.link or "")
        if link is not None:
            title = f"Remove the link from {self._name(link.source)} to {self._name(link.target)}"
            yield _mending("unlink", title, _unlink(link))

    def _linking(self, step_id: str, port: str, targets: Iterable[str]) -> Iterator[Mending]:
        offered = [
            key
            for key in dict.fromkeys(targets)
            if key != step_id and not self._would_close(step_id, key)
        ]
        for target in offered[:MAX_OFFERS]:
            title = f"Link '{port}' to {self._name(target)}"
            yield _mending("link", title, _link(step_id, port, target))

    def _removing(self, step_id: str) -> Mending:
        links = [*self.flow.incoming[step_id], *self.flow.outgoing[step_id]]
        gone = [_unlink(link) for link in {link.id: link for link in links}.values()]
        parts = [("steps", step_id), ("positions", step_id)]
        gone += [PatchStep(op="remove", path=pointer(part)) for part in parts]
        return _mending("remove", f"Remove {self._name(step_id)}", *gone)

    def _added(self, wish: str, step: JsonObject, *, after: bool) -> Iterator[PatchStep]:
        """A new step beside all others, linked to what is open."""
        step_id, number = wish, 2
        while step_id in self.definition.steps:
            step_id, number = f"{wish}_{number}", number + 1
        yield _set(pointer(("steps", step_id)), step)
        places = self.definition.positions.values()
        if places:
            x = max(one.x for one in places) + 280 if after else min(one.x for one in places) - 280
            y = min(one.y for one in places)
            yield _set(pointer(("positions", step_id)), {"x": x, "y": y})
        if not after:
            first = next((key for key in self.flow.order if not self.flow.incoming[key]), None)
            if first is not None:
                yield _link(step_id, "next", first)
            return
        for source in reversed(self.flow.order):
            if ports := self._open_ports(source):
                yield _link(source, ports[0], step_id)
                return

    # ---- outcomes and agents ---------------------------------------------------------------------

    def undeclared_outcome(self, finding: Finding) -> Iterator[Mending]:
        """Declare the outcome, or choose one that is declared."""
        outcomes = self.definition.outcomes
        if finding.step is not None:
            step = self.definition.steps[finding.step]
            assert isinstance(step, EndStep)
            path, missing, kind = f"/steps/{finding.step}/outcome", step.outcome, "success"
            fitting = list(outcomes)
        else:
            path, missing = self._policy_outcome(finding)
            kind = "failure"
            fitting = [key for key, one in outcomes.items() if one.kind is OutcomeKind.FAILURE]
        title = missing.replace("_", " ").capitalize()
        declared: JsonObject = {"kind": kind, "title": title, "summary": "", "result": None}
        yield _mending(
            "add",
            f"Declare the outcome '{missing}'",
            _set(pointer(("outcomes", missing)), declared),
        )
        for key in fitting[:MAX_OFFERS]:
            yield _mending("choose", f"Use '{outcomes[key].title}' instead", _set(path, key))

    def outcome_is_success(self, finding: Finding) -> Iterator[Mending]:
        """Choose an outcome that counts as failure, or count this one so."""
        path, present = self._policy_outcome(finding)
        outcomes = self.definition.outcomes
        failures = [key for key, one in outcomes.items() if one.kind is OutcomeKind.FAILURE]
        for key in failures[:MAX_OFFERS]:
            yield _mending("choose", f"Use '{outcomes[key].title}' instead", _set(path, key))
        if not failures:
            yield _mending(
                "choose",
                f"Count '{outcomes[present].title}' as a failure",
                _set(pointer(("outcomes", present, "kind")), "failure"),
            )

    def unknown_agent(self, finding: Finding) -> Iterator[Mending]:
        """Use the newest version that there is."""
        step = self.definition.steps[finding.step or ""]
        part, _, index = (finding.field or "").partition(".")
        place: tuple[str, ...] = ("uses",)
        if isinstance(step, TeamStep) and part == "protocol":
            assert step.lead is not None
            uses, place = step.lead, (part, index)
        elif isinstance(step, TeamStep):
            uses, place = step.members[int(index)].uses, (part, index, "uses")
        else:
            uses = doers_of(step)[0]
        numbers = [key[1] for key in self.shapes.catalogue.agents if key[0] == uses.agent]
        if numbers:
            path = pointer(("steps", finding.step or "", *place, "version"))
            yield _mending("choose", f"Use version {max(numbers)}", _set(path, max(numbers)))

    def not_a_list(self, finding: Finding) -> Iterator[Mending]:
        """Choose a value that is a list."""
        step_id = finding.step or ""
        lists = [
            one
            for one in self._readables(step_id)
            if one.kinds == {"array"} and one.path[0] != "item"
        ]
        for one in lists[:MAX_OFFERS]:
            path = pointer(("steps", step_id, "items"))
            yield _mending("choose", f"Go through '{one.label}'", _set(path, one.expression))

    def _policy_outcome(self, finding: Finding) -> tuple[str, str]:
        """Where a policy names an outcome, and which."""
        policies = self.definition.policies
        if finding.field == "policies.timeout_outcome":
            return "/policies/timeout_outcome", policies.timeout_outcome
        return "/policies/exceptions/outcome", policies.exceptions.outcome

    # ---- what is there ---------------------------------------------------------------------------

    def _readables(self, step_id: str) -> list[Readable]:
        if step_id not in self._readable:
            self._readable[step_id] = self.shapes.readables(step_id)
        return self._readable[step_id]

    def _likely(self, step_id: str, part: str, name: str) -> list[Readable]:
        """Values that are most likely meant for a field and certainly fit it."""
        if part == "output":
            return []
        return self._fitting(
            step_id, name, self._wanted(step_id, name), limit=MAX_OFFERS, least=LIKELY
        )

    def _fitting(
        self,
        step_id: str,
        name: str,
        schema: JsonObject,
        *,
        limit: int,
        least: float = float("-inf"),
    ) -> list[Readable]:
        return best(
            self._readables(step_id),
            name,
            schema,
            lambda given: self.can_take(given, schema),
            limit=limit,
            least=least,
        )

    def _wanted(self, step_id: str, name: str) -> JsonObject:
        target = self.shapes.target_of(step_id)
        if target is None or target.contract is None:
            return {}
        found = member(self.shapes.inlined(target.contract), name)
        return found[0] if found else {}

    def _required(self, step_id: str) -> list[JsonValue]:
        target = self.shapes.target_of(step_id)
        contract = self.shapes.inlined(target.contract) if target and target.contract else {}
        stated = contract.get("required")
        return stated if isinstance(stated, list) else []

    def _mapped(self, step_id: str) -> Mapping[str, str]:
        target = self.shapes.target_of(step_id)
        return target.mapping if target else {}

    def _links_from(self, step_id: str) -> list[Link]:
        return self.flow.outgoing.get(step_id, [])

    def _ends(self, kind: OutcomeKind | None = None) -> list[str]:
        """The ends in the order of the outcomes: those that count as success first."""
        outcomes = self.definition.outcomes
        ends = [
            (outcomes[step.outcome].kind is OutcomeKind.FAILURE, place, key)
            for place, (key, step) in enumerate(self.definition.steps.items())
            if isinstance(step, EndStep)
            and step.outcome in outcomes
            and kind in {None, outcomes[step.outcome].kind}
        ]
        return [key for _, _, key in sorted(ends)]

    def _loose(self, step_id: str) -> list[str]:
        """Steps that nothing leads to, and which the step could lead to."""
        return [
            key
            for key in self.flow.order
            if not self.flow.incoming[key]
            and not isinstance(self.definition.steps[key], StartStep)
            and key != step_id
        ]

    def _open_ports(self, step_id: str) -> list[str]:
        """The ways on from a step that lead nowhere yet, those of a good result first."""
        step = self.definition.steps[step_id]
        linked = {link.port for link in self.flow.outgoing[step_id]}
        ports = ports_of(step)
        if not isinstance(step, RouterStep):
            ports = tuple(port for port in ports if port in {"next", "approved", "filled"})
        return [port for port in ports if port not in linked]

    def _would_close(self, source: str, target: str) -> bool:
        """Whether a link would close a cycle."""
        if self.flow.order:
            return source == target or self.flow.is_before(target, source)
        return source in closure(
            [target], lambda key: [link.target for link in self.flow.outgoing[key]]
        )

    def _name(self, step_id: str) -> str:
        return f"'{self.definition.steps[step_id].name}'"


_MENDERS: Mapping[str, Callable[[Mender, Finding], Iterator[Mending]]] = {
    "missing_field": Mender.missing_field,
    "does_not_fit": Mender.other_value,
    "may_not_fit": Mender.other_value,
    "other_meaning": Mender.other_value,
    "not_upstream": Mender.other_value,
    "unknown_step": Mender.other_value,
    "unknown_field": Mender.other_value,
    "unknown_target_field": Mender.unmapped,
    "may_be_missing": Mender.may_be_missing,
    "router_without_default": Mender.unlinked_port,
    "unlinked_port": Mender.unlinked_port,
    "unreachable_step": Mender.unreachable_step,
    "no_way_to_end": Mender.no_way_to_end,
    "no_end": Mender.no_end,
    "no_start": Mender.no_start,
    "several_starts": Mender.removed_step,
    "join_needs_branches": Mender.removed_join,
    "cycle": Mender.led_back,
    "back_link_passed_by": Mender.removed_link,
    "back_link_not_alone": Mender.removed_link,
    "link_into_start": Mender.removed_link,
    "unknown_port": Mender.removed_link,
    "undeclared_outcome": Mender.undeclared_outcome,
    "outcome_is_success": Mender.outcome_is_success,
    "unknown_agent": Mender.unknown_agent,
    "not_a_list": Mender.not_a_list,
}


def _place(finding: Finding) -> tuple[str, str, str]:
    """The step, the part of it, and the field in that part that a finding is about."""
    part, _, name = (finding.field or "").partition(".")
    return finding.step or "", part, name


def _mending(kind: str, title: str, *patch: PatchStep) -> Mending:
    return Mending.model_validate({"kind": kind, "title": title, "patch": patch})


def _set(path: str, value: JsonValue) -> PatchStep:
    return PatchStep(op="set", path=path, value=value)


def _link(source: str, port: str, target: str) -> PatchStep:
    link = Link(source=source, port=port, target=target)
    return _set(pointer(("links", link.id)), link.model_dump(mode="json"))


def _unlink(link: Link) -> PatchStep:
    return PatchStep(op="remove", path=pointer(("links", link.id)))


def _names(schema: JsonObject) -> list[str]:
    properties = schema.get("properties")
    own = list(properties) if isinstance(properties, dict) else []
    return [*own, *sorted(field_names(schema) - set(own))]
