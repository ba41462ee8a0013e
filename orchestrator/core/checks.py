"""Is a definition fit to run? `check_definition` gives findings and never raises for a bad one.

An *error* stops publication: the workflow cannot run, or some step fails whenever it is reached. A
*warning* is something that fails or surprises for values that the contracts allow. An *info* states
what will happen where the drawing leaves it open, above all what each unlinked port does.

What a step may read is worked out along the links (`_facts`): per step, which other steps have
certainly run when it starts, and by which ports they may have left. Only then is a step's output
certain to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.catalogue import AgentInterface, Catalogue
from orchestrator.core.compilation import DefinitionError, branch_of, is_failure, step_order
from orchestrator.core.contracts import FitVerdict, SchemaError, Validator, bundle, fits, may_meet
from orchestrator.core.definition import (
    AgentStep,
    EndStep,
    GateStep,
    GateType,
    JoinPolicy,
    JoinStep,
    Link,
    RouterStep,
    StartStep,
    Step,
    TransformStep,
    WorkflowDefinition,
    ports_of,
)
from orchestrator.core.expression_types import (
    ExpressionType,
    check_expression,
    field_names,
    kinds_of,
    kinds_text,
    member,
)
from orchestrator.core.expressions import ExpressionError, compile_expression
from orchestrator.core.json import JsonObject, JsonValue, Model
from orchestrator.core.schemas import inline

Ports = frozenset[str]
Facts = dict[str, Ports]
"""Steps that have certainly run, each with the ports it may have left by."""

_EXPECTED_PORTS = frozenset({"next", "approved", "filled"})
_OUTPUT_PORTS = frozenset({"next", "uncertain", "approved", "rejected", "returned", "filled"})
_REASON_PORTS = frozenset({"not_found", "uncertain", "refused", "failed", "expired"})
_PORT_WORDS = {
    "next": "ends with a value",
    "not_found": "finds nothing",
    "uncertain": "is not sure enough",
    "refused": "is refused by a policy",
    "failed": "fails",
    "approved": "is approved",
    "rejected": "is rejected",
    "returned": "is returned",
    "expired": "is not decided in time",
    "filled": "is filled in",
}
_REPAIR_HINT = "It is checked and, where the type knows how, repaired when it runs."
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


class Finding(Model):
    """One result of checking a definition. `field` is a mapped field or part of the step."""

    severity: Literal["error", "warning", "info"]
    code: str
    message: str
    hint: str = ""
    step: str | None = None
    link: str | None = None
    field: str | None = None


def check_definition(definition: WorkflowDefinition, catalogue: Catalogue) -> list[Finding]:
    """Everything that can be said about a definition before it runs, errors first."""
    checker = _Checker(definition, catalogue)
    checker.check()
    rank = {"error": 0, "warning": 1, "info": 2}
    return sorted(
        dict.fromkeys(checker.findings),
        key=lambda item: (rank[item.severity], item.step or "", item.field or "", item.code),
    )


def has_errors(findings: list[Finding]) -> bool:
    """Whether any finding stops publication."""
    return any(finding.severity == "error" for finding in findings)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a finding belongs."""

    step: str | None = None
    field: str | None = None


class _Checker:
    def __init__(self, definition: WorkflowDefinition, catalogue: Catalogue) -> None:
        self.definition = definition
        self.catalogue = catalogue
        self.findings: list[Finding] = []
        self.incoming: dict[str, list[Link]] = {step_id: [] for step_id in definition.steps}
        self.outgoing: dict[str, list[Link]] = {step_id: [] for step_id in definition.steps}
        for link_id in sorted(definition.links):
            link = definition.links[link_id]
            self.incoming[link.target].append(link)
            self.outgoing[link.source].append(link)
        self.outputs: dict[str, JsonObject] = {}
        self.ancestors: dict[str, set[str]] = {}

    def add(
        self,
        severity: Literal["error", "warning", "info"],
        code: str,
        message: str,
        *,
        at: _Place | None = None,
        link: str | None = None,
        hint: str = "",
    ) -> None:
        """Note a finding."""
        place = at or _Place()
        self.findings.append(
            Finding(
                severity=severity,
                code=code,
                message=message,
                hint=hint,
                step=place.step,
                link=link,
                field=place.field,
            )
        )

    def name(self, step_id: str) -> str:
        """The step's name in quotes."""
        return f"'{self.definition.steps[step_id].name}'"

    def check(self) -> None:
        """Run all checks; what needs an order of the steps is left out when there is a cycle."""
        self._check_starts_and_ends()
        self._check_links()
        self._check_policies()
        self._check_contracts()
        try:
            order = step_order(self.definition)
        except DefinitionError as error:
            cycle = error.detail.get("cycle")
            first = str(cycle[0]) if isinstance(cycle, list) and cycle else None
            self.add(
                "error",
                "cycle",
                error.message,
                at=_Place(first),
                hint="A step cannot come back to an earlier one.",
            )
            return
        self._check_reach()
        facts = self._facts(order)
        for step_id in order:
            self._check_step(step_id, facts[step_id])
        self._check_run_title()

    # ---- structure -------------------------------------------------------------------------------

    def _check_starts_and_ends(self) -> None:
        steps = self.definition.steps
        starts = sorted(key for key, step in steps.items() if isinstance(step, StartStep))
        if not starts:
            self.add("error", "no_start", "The workflow has no start.", hint="Add a start step.")
        for extra in starts[1:]:
            self.add(
                "error",
                "several_starts",
                f"{self.name(extra)} is a second start; a workflow has exactly one.",
                at=_Place(extra),
            )
        for start in starts:
            for link in self.incoming[start]:
                self.add(
                    "error",
                    "link_into_start",
                    f"{self.name(start)} cannot be the target of a link.",
                    at=_Place(start),
                    link=link.id,
                )
        if not any(isinstance(step, EndStep) for step in steps.values()):
            self.add("error", "no_end", "The workflow has no end.", hint="Add an end step.")

    def _check_links(self) -> None:
        for step_id, step in self.definition.steps.items():
            ports = ports_of(step)
            if len(set(ports)) != len(ports):
                self.add(
                    "error",
                    "port_twice",
                    f"{self.name(step_id)} has two ways out with the same name.",
                    at=_Place(step_id),
                )
            for link in self.outgoing[step_id]:
                if link.port not in ports:
                    known = ", ".join(ports) or "none: it ends the run"
                    self.add(
                        "error",
                        "unknown_port",
                        f"{self.name(step_id)} has no way out '{link.port}'. It has: {known}.",
                        at=_Place(step_id),
                        link=link.id,
                    )
            self._check_unlinked(step_id, step, ports)
            if isinstance(step, JoinStep):
                branches = {branch_of(self.definition, link.id) for link in self.incoming[step_id]}
                if len(branches) < 2:
                    self.add(
                        "error",
                        "join_needs_branches",
                        f"{self.name(step_id)} needs at least two branches to join.",
                        at=_Place(step_id),
                    )

    def _check_unlinked(self, step_id: str, step: Step, ports: tuple[str, ...]) -> None:
        linked = {link.port for link in self.outgoing[step_id]}
        for port in ports:
            if port in linked:
                continue
            if isinstance(step, RouterStep) and port == "default":
                self.add(
                    "error",
                    "router_without_default",
                    f"{self.name(step_id)} needs a link from 'default', for when no rule holds.",
                    at=_Place(step_id, port),
                )
                continue
            is_expected = port in _EXPECTED_PORTS or isinstance(step, RouterStep)
            what = _PORT_WORDS.get(port, f"leaves by '{port}'")
            self.add(
                "warning" if is_expected else "info",
                "unlinked_port",
                f"When {self.name(step_id)} {what}, {self._exception_words()}.",
                at=_Place(step_id, port),
                hint="Link this way out to say what shall happen instead.",
            )

    def _exception_words(self) -> str:
        policy = self.definition.policies.exceptions
        if policy.mode == "end":
            return f"the run ends as '{policy.outcome}'"
        return "the exceptions inbox asks a person to run it again or to end the run"

    def _check_policies(self) -> None:
        policies = self.definition.policies
        for field, outcome in (
            ("policies.exceptions.outcome", policies.exceptions.outcome),
            ("policies.timeout_outcome", policies.timeout_outcome),
        ):
            if outcome not in self.definition.outcomes:
                self.add(
                    "error",
                    "undeclared_outcome",
                    f"'{outcome}' is not a declared outcome.",
                    at=_Place(field=field),
                )
            elif not is_failure(self.definition, outcome):
                self.add(
                    "error",
                    "outcome_is_success",
                    f"'{outcome}' counts as success, but is used for a run that failed.",
                    at=_Place(field=field),
                    hint="Name an outcome of kind failure.",
                )

    def _check_contracts(self) -> None:
        self._usable(self.definition.input, _Place(field="input"))
        for name, outcome in self.definition.outcomes.items():
            if outcome.result is not None:
                self._usable(outcome.result, _Place(field=f"outcomes.{name}.result"))
        for step_id, step in self.definition.steps.items():
            if isinstance(step, GateStep):
                self._usable(step.contract, _Place(step_id, "contract"))

    def _usable(self, schema: JsonObject, place: _Place) -> None:
        try:
            Validator(schema, self.catalogue.types)
        except SchemaError as error:
            self.add("error", "invalid_contract", error.message, at=place)

    def _check_reach(self) -> None:
        steps = self.definition.steps
        starts = [key for key, step in steps.items() if isinstance(step, StartStep)]
        ends = [key for key, step in steps.items() if isinstance(step, EndStep)]
        from_start = _closure(starts, lambda key: [link.target for link in self.outgoing[key]])
        to_end = _closure(ends, lambda key: [link.source for link in self.incoming[key]])
        for step_id in steps:
            if starts and step_id not in from_start:
                self.add(
                    "error",
                    "unreachable_step",
                    f"{self.name(step_id)} can never be reached from the start.",
                    at=_Place(step_id),
                    hint="Link it, or remove it.",
                )
            elif ends and step_id not in to_end:
                self.add(
                    "error",
                    "no_way_to_end",
                    f"From {self.name(step_id)} no end can be reached.",
                    at=_Place(step_id),
                    hint="Link it to a step that leads to an end.",
                )
            self.ancestors[step_id] = _closure(
                [link.source for link in self.incoming[step_id]],
                lambda key: [link.source for link in self.incoming[key]],
            )

    # ---- what a step may read --------------------------------------------------------------

    def _facts(self, order: tuple[str, ...]) -> dict[str, Facts]:
        """Per step, the steps that have certainly run when it starts.

        Over alternatives only what holds on each of them is certain. A join that needs all its
        branches is the opposite: what holds on any branch is certain.
        """
        facts: dict[str, Facts] = {}
        for step_id in order:
            step = self.definition.steps[step_id]
            branches: dict[str, list[Facts]] = {}
            for link in self.incoming[step_id]:
                along = dict(facts[link.source])
                along[link.source] = frozenset({link.port})
                branches.setdefault(branch_of(self.definition, link.id), []).append(along)
            per_branch = [_any_of(alternatives) for alternatives in branches.values()]
            needs_all = isinstance(step, JoinStep) and step.policy is JoinPolicy.ALL
            facts[step_id] = _all_of(per_branch) if needs_all else _any_of(per_branch)
        return facts

    def _scope(self, step_id: str, facts: Facts) -> dict[str, JsonObject]:
        """The schemas of `input` and `steps` as a step sees them."""
        properties: JsonObject = {other: {} for other in self.definition.steps}
        for other in self.ancestors[step_id]:
            properties[other] = self._view_schema(other, facts.get(other))
        return {"input": self._inlined(self.definition.input), "steps": _object(properties)}

    def _view_schema(self, step_id: str, ports: Ports | None) -> JsonObject:
        possible = (
            ports if ports is not None else frozenset(ports_of(self.definition.steps[step_id]))
        )
        properties: JsonObject = {
            "result": {"enum": ["value", "not_found", "uncertain", "refused", "failed"]},
            "reason": {"type": "string"},
            "score": {"type": "number"},
        }
        required: list[JsonValue] = ["result"]
        with_output = possible & _OUTPUT_PORTS if self._is_calling(step_id) else possible
        if with_output or possible & {"not_found", "refused"}:
            properties["output"] = self.outputs.get(step_id, {}) if with_output else {}
            if with_output == possible:
                required.append("output")
        if possible <= _REASON_PORTS:
            required.append("reason")
        return {
            "type": "object",
            "properties": properties,
            "required": required if ports is not None else [],
            "additionalProperties": False,
        }

    def _is_calling(self, step_id: str) -> bool:
        return isinstance(self.definition.steps[step_id], (AgentStep, GateStep, JoinStep))

    def _inlined(self, schema: JsonObject) -> JsonObject:
        try:
            return inline(bundle(schema, self.catalogue.types))
        except SchemaError:
            return {}

    # ---- steps -----------------------------------------------------------------------------------

    def _check_step(self, step_id: str, facts: Facts) -> None:
        step = self.definition.steps[step_id]
        scope = self._scope(step_id, facts)
        match step:
            case StartStep():
                self.outputs[step_id] = self._inlined(self.definition.input)
            case AgentStep():
                self._check_agent(step_id, step, scope)
            case RouterStep():
                for route in step.routes:
                    place = _Place(step_id, f"routes.{route.port}")
                    self._typed(route.when, scope, place, is_condition=True)
                ports: JsonValue = [*(route.port for route in step.routes), "default"]
                self.outputs[step_id] = _object({"port": {"enum": ports}}, ["port"])
            case JoinStep():
                self.outputs[step_id] = _JOINED
            case GateStep():
                self._check_gate(step_id, step, scope)
            case TransformStep():
                self.outputs[step_id] = self._built(step_id, "output", step.output, scope)
            case EndStep():
                self._check_end(step_id, step, scope)

    def _check_agent(self, step_id: str, step: AgentStep, scope: Mapping[str, JsonObject]) -> None:
        interface = self._interface(step_id, step)
        if interface is None:
            self._built(step_id, "input", step.input, scope)
            return
        self.outputs[step_id] = self._inlined(interface.output_schema)
        self._check_mapping(
            step_id, "input", step.input, contract=interface.input_schema, scope=scope
        )

    def _interface(self, step_id: str, step: AgentStep) -> AgentInterface | None:
        uses = step.uses
        interface = self.catalogue.agents.get((uses.agent, uses.version))
        if interface is None:
            versions = sorted(
                number for slug, number in self.catalogue.agents if slug == uses.agent
            )
            hint = f"There are versions {', '.join(map(str, versions))}." if versions else ""
            self.add(
                "error",
                "unknown_agent",
                f"{self.name(step_id)} calls {uses.agent} version {uses.version}, "
                "which does not exist.",
                at=_Place(step_id, "uses"),
                hint=hint,
            )
            return None
        for label, schema in (
            ("input", interface.input_schema),
            ("output", interface.output_schema),
        ):
            self._usable(schema, _Place(step_id, f"uses.{label}"))
        return interface

    def _check_gate(self, step_id: str, step: GateStep, scope: Mapping[str, JsonObject]) -> None:
        self.outputs[step_id] = self._inlined(step.contract)
        if step.type is GateType.FILL:
            self._built(step_id, "proposal", step.proposal, scope)
        else:
            self._check_mapping(
                step_id, "proposal", step.proposal, contract=step.contract, scope=scope
            )
        for part, text, kind in (
            ("why", step.why, "string"),
            ("title", step.title, "string"),
            ("confidence", step.confidence, "number"),
        ):
            if text is not None:
                self._check_shown(_Place(step_id, part), text, kind, scope)
        for index, item in enumerate(step.evidence):
            place = _Place(step_id, f"evidence.{index}")
            self._typed(item.value, scope, place)
            if item.sources is not None:
                self._typed(item.sources, scope, place)

    def _check_end(self, step_id: str, step: EndStep, scope: Mapping[str, JsonObject]) -> None:
        outcome = self.definition.outcomes.get(step.outcome)
        if outcome is None:
            self.add(
                "error",
                "undeclared_outcome",
                f"{self.name(step_id)} ends in '{step.outcome}', which is not a declared outcome.",
                at=_Place(step_id, "outcome"),
                hint=f"Declared are: {', '.join(sorted(self.definition.outcomes))}.",
            )
        if outcome is None or outcome.result is None:
            self._built(step_id, "result", step.result, scope)
        else:
            self._check_mapping(
                step_id, "result", step.result, contract=outcome.result, scope=scope
            )

    def _check_shown(
        self, place: _Place, text: str, kind: str, scope: Mapping[str, JsonObject]
    ) -> None:
        """Check an expression whose value is shown to a person."""
        typed = self._typed(text, scope, place)
        kinds = kinds_of(typed.schema)
        if not typed.has_errors and kinds and kind not in kinds:
            word = "text" if kind == "string" else "a number"
            self.add(
                "error",
                "wrong_kind",
                f"This must give {word}; it gives {kinds_text(typed.schema)}.",
                at=place,
            )

    def _check_run_title(self) -> None:
        title = self.definition.run_title
        if title is None:
            return
        properties: JsonObject = {
            step_id: self._view_schema(step_id, None) for step_id in self.definition.steps
        }
        scope = {"input": self._inlined(self.definition.input), "steps": _object(properties)}
        self._check_shown(_Place(field="run_title"), title, "string", scope)

    # ---- mappings --------------------------------------------------------------------------------

    def _built(
        self, step_id: str, part: str, mapping: Mapping[str, str], scope: Mapping[str, JsonObject]
    ) -> JsonObject:
        """Type a mapping; the schema of the object that it builds."""
        properties: JsonObject = {}
        required: list[str] = []
        for name, text in sorted(mapping.items()):
            typed = self._typed(text, scope, _Place(step_id, f"{part}.{name}"))
            properties[name] = typed.schema
            if not (typed.may_be_absent and _is_plain(text)):
                required.append(name)
        return _object(properties, required)

    def _check_mapping(
        self,
        step_id: str,
        part: str,
        mapping: Mapping[str, str],
        *,
        contract: JsonObject,
        scope: Mapping[str, JsonObject],
    ) -> None:
        """Type a mapping and compare each field with the contract that takes it."""
        wanted = self._inlined(contract)
        stated = wanted.get("required")
        required = [str(name) for name in stated] if isinstance(stated, list) else []
        for name in required:
            if name not in mapping:
                self.add(
                    "error",
                    "missing_field",
                    f"{self.name(step_id)} needs '{name}', and nothing is mapped to it.",
                    at=_Place(step_id, f"{part}.{name}"),
                    hint="Choose a value for this field.",
                )
        for name, text in sorted(mapping.items()):
            place = _Place(step_id, f"{part}.{name}")
            typed = self._typed(text, scope, place)
            if typed.has_errors:
                continue
            found = member(wanted, name)
            if found is None:
                self._unknown_field(place, name, wanted)
                continue
            if name in required and typed.may_be_absent and _is_plain(text):
                self.add(
                    "warning",
                    "may_be_missing",
                    f"{self.name(step_id)} needs '{name}', but '{text}' may have no value here.",
                    at=place,
                    hint="Then the input is refused and a person decides.",
                )
            self._compare(place, text, typed.schema, found[0])

    def _unknown_field(self, place: _Place, name: str, wanted: JsonObject) -> None:
        is_closed = wanted.get("additionalProperties") is False
        known = ", ".join(sorted(field_names(wanted)))
        self.add(
            "error" if is_closed else "warning",
            "unknown_target_field",
            f"'{name}' is not a field of the contract.",
            at=place,
            hint=f"Its fields are: {known}." if known else "",
        )

    def _compare(self, place: _Place, text: str, given: JsonObject, wanted: JsonObject) -> None:
        """Compare what is given with what is wanted, and note where it may not or cannot fit."""
        if not wanted:
            return
        try:
            fit = fits(given, wanted)
            can_meet = fit.verdict is not FitVerdict.DOES_NOT_FIT or may_meet(given, wanted)
        except SchemaError:
            return  # the contract itself has been reported
        if fit.verdict is FitVerdict.FITS:
            return
        if fit.verdict is FitVerdict.CANNOT_TELL or not given:
            self.add(
                "info",
                "cannot_tell",
                f"Whether '{text}' fits is checked when it runs.",
                at=place,
                hint="The two contracts alone do not decide it.",
            )
            return
        verdict = "may not fit" if can_meet else "never fits"
        self.add(
            "warning" if can_meet else "error",
            "may_not_fit" if can_meet else "does_not_fit",
            f"'{text}' {verdict}: {fit.path or 'it'} {fit.reason}.",
            at=place,
            hint=_REPAIR_HINT if can_meet else "",
        )

    def _typed(
        self,
        text: str,
        scope: Mapping[str, JsonObject],
        place: _Place,
        *,
        is_condition: bool = False,
    ) -> ExpressionType:
        """Type an expression and note its findings."""
        if place.step is not None and self._reads_wrong_steps(text, place):
            return ExpressionType(findings=())
        typed = check_expression(text, scope, is_condition=is_condition)
        for finding in typed.findings:
            self.add(finding.severity, finding.code, finding.message, at=place)
        if typed.may_be_absent and not typed.has_errors and not _is_plain(text):
            self.add(
                "warning",
                "may_have_no_value",
                f"'{text}' reads a value that may be missing here; then the step fails.",
                at=place,
                hint="Ask with has(...) first.",
            )
        return typed

    def _reads_wrong_steps(self, text: str, place: _Place) -> bool:
        """Note steps that are read and do not exist or do not come before."""
        found = False
        for other in _steps_read(text):
            if other not in self.definition.steps:
                self.add("error", "unknown_step", f"There is no step '{other}'.", at=place)
                found = True
            elif place.step is not None and other not in self.ancestors[place.step]:
                self.add(
                    "error",
                    "not_upstream",
                    f"{self.name(place.step)} reads {self.name(other)}, which is not before it.",
                    at=place,
                    hint="A step can read only what has run on the way to it.",
                )
                found = True
        return found


def _steps_read(text: str) -> Iterator[str]:
    try:
        paths = compile_expression(text).used
    except ExpressionError:
        return
    yield from dict.fromkeys(path[1] for path in paths if path[0] == "steps" and len(path) > 1)


def _is_plain(text: str) -> bool:
    try:
        return compile_expression(text).plain is not None
    except ExpressionError:
        return False


def _object(properties: JsonObject, required: list[str] | None = None) -> JsonObject:
    """A closed object; by default every field is there."""
    names: JsonValue = [*(properties if required is None else required)]
    return {
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": False,
    }


def _any_of(alternatives: list[Facts]) -> Facts:
    """What is certain when one of the alternatives holds."""
    if not alternatives:
        return {}
    common = set(alternatives[0]).intersection(*alternatives[1:])
    return {key: frozenset().union(*(facts[key] for facts in alternatives)) for key in common}


def _all_of(together: list[Facts]) -> Facts:
    """What is certain when all of them hold."""
    merged: Facts = {}
    for facts in together:
        for key, ports in facts.items():
            merged[key] = (merged[key] & ports or ports) if key in merged else ports
    return merged


def _closure(start: list[str], following: Callable[[str], list[str]]) -> set[str]:
    seen: set[str] = set()
    stack = list(start)
    while stack:
        key = stack.pop()
        if key not in seen:
            seen.add(key)
            stack.extend(following(key))
    return seen
