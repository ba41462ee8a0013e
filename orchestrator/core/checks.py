"""Is a definition fit to run? `examine` says everything, and never raises for a bad one.

An *error* stops publication: the workflow cannot run, or some step fails whenever it is reached. A
*warning* is something that fails or surprises for values that the contracts allow. An *info* states
what will happen where the drawing leaves it open, above all what each unlinked port does.

What a step may read is worked out along the links (`core/flow.py`), what that looks like stands in
`core/scope.py`, and how findings can be settled in `core/mendings.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from orchestrator.core.begin_checks import BeginChecks
from orchestrator.core.budgets import Wanted, price_of, spent, wanted_by
from orchestrator.core.catalogue import (
    MAX_NESTING,
    AgentInterface,
    Catalogue,
    DomainType,
    WorkflowInterface,
)
from orchestrator.core.compilation import ITEM_VARIABLES, DefinitionError, branch_of, is_failure
from orchestrator.core.contracts import (
    Fit,
    FitVerdict,
    SchemaError,
    Validator,
    bundle,
    fits,
    may_meet,
)
from orchestrator.core.definition import (
    MAX_ITEMS,
    AgentRef,
    AgentStep,
    BudgetPolicy,
    Compensation,
    EmitStep,
    EndStep,
    EventAwaited,
    EventSource,
    GateStep,
    GateType,
    Itself,
    JoinPolicy,
    JoinStep,
    Link,
    MapStep,
    Moment,
    Pause,
    RouterMode,
    RouterStep,
    ScheduleSource,
    SharedKey,
    StartStep,
    Step,
    TeamMember,
    TeamStep,
    TransformStep,
    Trigger,
    WaitStep,
    WorkflowDefinition,
    WorkflowRef,
    WorkflowStep,
    agents_of,
    doers_of,
    ports_of,
    writes_of,
)
from orchestrator.core.emits import is_reserved
from orchestrator.core.expression_types import (
    ExpressionFinding,
    ExpressionType,
    check_expression,
    entry_of,
    field_names,
    kinds_of,
    kinds_text,
    member,
    union_of,
)
from orchestrator.core.expressions import RUN_VARIABLES, ExpressionError, compile_expression
from orchestrator.core.findings import (
    Examination,
    FieldVerdict,
    Finding,
    LinkVerdict,
    Severity,
    Verdict,
)
from orchestrator.core.flow import Flow, Ports
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.loops import way_around
from orchestrator.core.mendings import Mender
from orchestrator.core.people_checks import people_missing
from orchestrator.core.policies import RetryPolicy, TimeoutPolicy
from orchestrator.core.protocols import roles_of
from orchestrator.core.roles import Role
from orchestrator.core.schedules import ScheduleError, read_cron, read_zone
from orchestrator.core.scope import (
    Shapes,
    closed_object,
    domain_type,
    per_item,
    same_meaning,
    says_nothing,
    succeeding,
    writing_ports,
)
from orchestrator.core.shared_checks import SharedChecks, taken_by, wrong_kind
from orchestrator.core.traffic_checks import TrafficChecks
from orchestrator.core.triggers import own_contract, variables_of

__all__ = ["Finding", "check_definition", "examine", "has_errors"]

_EXPECTED_PORTS = frozenset({"next", "approved", "filled", "adjudicated"})
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
    "adjudicated": "is adjudicated",
    "partial": "cannot do all items",
    "disagreed": "does not agree",
}
_ROLE_HINT = "The messages of each role of a team stand in the description of the step."
_REPAIR_HINT = "It is checked and, where the type knows how, repaired when it runs."
_RANK = {"error": 0, "warning": 1, "info": 2}
_WORST: tuple[Verdict, ...] = ("does_not_fit", "may_not_fit", "cannot_tell", "fits")


def check_definition(definition: WorkflowDefinition, catalogue: Catalogue) -> list[Finding]:
    """Everything that can be said about a definition before it runs, errors first.

    The findings of `examine`, without mendings.
    """
    checker = _Checker(definition, catalogue)
    checker.check()
    return checker.sorted_findings()


def examine(
    definition: WorkflowDefinition, catalogue: Catalogue, step: str | None = None
) -> Examination:
    """The findings with ways to settle them, and a verdict per link.

    For `step`, when the definition has it, also what it may read and what it takes.
    """
    checker = _Checker(definition, catalogue)
    checker.check()
    mender = Mender(definition, checker.shapes, checker.flow, fits_into)
    asked = step if step in definition.steps else None
    return Examination(
        findings=mender.mended(checker.sorted_findings(), asked),
        links=checker.link_verdicts(),
        scope=None if asked is None else mender.scope_of(asked),
        fields=None if asked is None else mender.fields_of(asked),
    )


def has_errors(findings: list[Finding]) -> bool:
    """Whether any finding stops publication."""
    return any(finding.severity == "error" for finding in findings)


def fits_into(given: JsonObject, wanted: JsonObject) -> bool:
    """Whether a value of one schema certainly fits another, in shape and in meaning."""
    if not same_meaning(given, wanted):
        return False
    try:
        return fits(given, wanted).verdict is FitVerdict.FITS
    except SchemaError:
        return False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a finding belongs."""

    step: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class _Judged:
    """The verdict on one mapped field, and what its expression reads: steps, and `input`."""

    verdict: FieldVerdict
    reads: frozenset[str]


_Compared: TypeAlias = "tuple[JsonObject, JsonObject, tuple[Fit, bool] | None]"


class _Checker:
    def __init__(self, definition: WorkflowDefinition, catalogue: Catalogue) -> None:
        self.definition = definition
        self.catalogue = catalogue
        self.flow = Flow(definition)
        self.shapes = Shapes(definition, catalogue, self.flow)
        self.findings: list[Finding] = []
        self.judged: dict[str, list[_Judged]] = {}
        self.unusable: dict[int, str] = {}
        self.read_keys: dict[str, set[str | None]] = {}
        self.compared: dict[tuple[int, int], _Compared] = {}

    def sorted_findings(self) -> list[Finding]:
        """The findings in their order, each once."""
        once = {
            (one.severity, one.code, one.message, one.step, one.link, one.field): one
            for one in reversed(self.findings)
        }
        return sorted(
            once.values(),
            key=lambda one: (_RANK[one.severity], one.step or "", one.field or "", one.code),
        )

    def add(
        self,
        severity: Severity,
        code: str,
        message: str,
        *,
        at: _Place | None = None,
        link: str | None = None,
        hint: str = "",
        counter_example: JsonValue = None,
    ) -> None:
        """Note a finding."""
        place = at or _Place()
        self.findings.append(
            Finding.model_construct(
                severity=severity,
                code=code,
                message=message,
                hint=hint,
                step=place.step,
                link=link,
                field=place.field,
                counter_example=counter_example,
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
        self._check_lacks()
        self._check_triggers()
        if self.flow.cycle is not None:
            self._note_cycle(self.flow.cycle)
            self.shapes.outputs = {key: self.shapes.output_of(key) for key in self.flow.incoming}
            return
        self._check_reach()
        for link in self.flow.back:
            self._check_back_link(link)
        for step_id, step in self.definition.steps.items():
            if not isinstance(step, (TransformStep, EndStep)):
                self.shapes.outputs[step_id] = self.shapes.output_of(step_id)
        for step_id in self.flow.order:
            self._check_step(step_id)
        self._check_run_title()
        self.findings += BeginChecks(self.definition, self.flow).findings()
        self.findings += TrafficChecks(self.definition, self.flow).findings()
        self.findings += people_missing(self.definition, self.flow, self.catalogue)
        if self.definition.context or any(map(writes_of, self.definition.steps.values())):
            self._check_shared()

    def link_verdicts(self) -> dict[str, LinkVerdict]:
        """Per link, how well the target's fields fit that read the link's source.

        A source that only steers (a router, a join) hands on what was made before it: then all
        fields of the target count.
        """
        return {
            link.id: self._link_verdict(link.source, link.target)
            for link in self.definition.links.values()
        }

    def _link_verdict(self, source: str, target: str) -> LinkVerdict:
        read = "input" if isinstance(self.definition.steps[source], StartStep) else source
        judged = self.judged.get(target, ())
        own = [one.verdict for one in judged if read in one.reads or source in one.reads]
        found = tuple(own or (one.verdict for one in judged))
        if not found:
            return _NO_VERDICT
        verdicts = {one.verdict for one in found}
        worst = next(one for one in _WORST if one in verdicts)
        return LinkVerdict.model_construct(verdict=worst, fields=found)

    # ---- structure -------------------------------------------------------------------------------

    def _note_cycle(self, error: DefinitionError) -> None:
        cycle = error.detail.get("cycle")
        names = [str(key) for key in cycle] if isinstance(cycle, list) else []
        closing = self.flow.closing_link(names)
        self.add(
            "error",
            "cycle",
            error.message,
            at=_Place(names[0] if names else None),
            link=closing.id if closing else None,
            hint="Only a link back may lead to an earlier step: say how often it may be taken.",
        )

    def _check_back_link(self, link: Link) -> None:
        """A loop has one way in: its target lies on every way to its source."""
        source, target = self.name(link.source), self.name(link.target)
        around = way_around(self.definition, link)
        if around and not isinstance(self.definition.steps[link.target], StartStep):
            names = " → ".join(self.name(key) for key in around)
            self.add(
                "error",
                "back_link_passed_by",
                f"{source} cannot lead back to {target}: {source} is also reached without it, "
                f"by {names}.",
                at=_Place(link.source, link.port),
                link=link.id,
                hint=f"Lead back to a step that every way to {source} passes.",
            )
        others = [one for one in self.flow.outgoing[link.source] if one.port == link.port]
        if len(others) > 1:
            self.add(
                "error",
                "back_link_not_alone",
                f"{source} leads back by '{link.port}' and somewhere else as well.",
                at=_Place(link.source, link.port),
                link=link.id,
                hint="A way out that leads back leads nowhere else.",
            )
        self.add(
            "info",
            "back_link_used_up",
            f"When {source} has led back to {target} {_times(link)}, "
            f"{self._exception_words(link.source)}.",
            at=_Place(link.source, link.port),
            link=link.id,
        )

    def _check_starts_and_ends(self) -> None:
        steps = self.definition.steps
        starts = sorted(key for key, step in steps.items() if isinstance(step, StartStep))
        if not starts:
            self.add(
                "error",
                "no_start",
                "The workflow has no start.",
                at=_Place(field="steps"),
                hint="Add a start step.",
            )
        for extra in starts[1:]:
            self.add(
                "error",
                "several_starts",
                f"{self.name(extra)} is a second start; a workflow has exactly one.",
                at=_Place(extra),
            )
        for start in starts:
            for link in self.flow.incoming[start]:
                self.add(
                    "error",
                    "link_into_start",
                    f"{self.name(start)} cannot be the target of a link.",
                    at=_Place(start),
                    link=link.id,
                )
        if not any(isinstance(step, EndStep) for step in steps.values()):
            self.add(
                "error",
                "no_end",
                "The workflow has no end.",
                at=_Place(field="steps"),
                hint="Add an end step.",
            )

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
            for link in self.flow.outgoing[step_id]:
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
                branches = {
                    branch_of(self.definition, link.id) for link in self.flow.forward[step_id]
                }
                if len(branches) < 2:
                    self.add(
                        "error",
                        "join_needs_branches",
                        f"{self.name(step_id)} needs at least two branches to join.",
                        at=_Place(step_id),
                    )
                self._check_number(step_id, step, len(branches))
            if isinstance(step, RouterStep) and step.mode is RouterMode.ALL:
                self._check_several(step_id, ports)

    def _check_number(self, step_id: str, step: JoinStep, branches: int) -> None:
        """A join that waits for n of its branches says how many."""
        if step.policy is JoinPolicy.N_OF_M and not 1 <= (step.n or 0) <= branches:
            asked = "does not say how many" if step.n is None else f"needs {step.n}"
            self.add(
                "error",
                "join_number",
                f"{self.name(step_id)} {asked} of its {branches} branches it waits for.",
                at=_Place(step_id, "n"),
                hint=f"Give a number from 1 to {branches}.",
            )

    def _check_several(self, step_id: str, ports: tuple[str, ...]) -> None:
        """Where several ways are taken at once, each leads onwards and none back."""
        leading = {link.port: link for link in self.flow.outgoing[step_id]}
        for port in ports:
            if port not in leading:
                self.add(
                    "error",
                    "route_leads_nowhere",
                    f"{self.name(step_id)} takes every way whose rule holds, and '{port}' leads "
                    "nowhere.",
                    at=_Place(step_id, port),
                    hint="Link each way out.",
                )
            elif leading[port].is_back:
                self.add(
                    "error",
                    "route_leads_back",
                    f"{self.name(step_id)} takes every way whose rule holds; none of them may "
                    "lead back.",
                    at=_Place(step_id, port),
                    link=leading[port].id,
                    hint="Let a router that takes the first way lead back.",
                )

    def _check_unlinked(self, step_id: str, step: Step, ports: tuple[str, ...]) -> None:
        linked = {link.port for link in self.flow.outgoing[step_id]}
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
            is_expected = port in _EXPECTED_PORTS or port in _own_ports(step)
            what = _PORT_WORDS.get(port, f"leaves by '{port}'")
            if port in _own_ports(step):
                what = f"leaves by '{port}'"
            if isinstance(step, WaitStep) and port == "expired":
                what = "hears nothing in time"
            self.add(
                "warning" if is_expected else "info",
                "unlinked_port",
                f"When {self.name(step_id)} {what}, {self._exception_words(step_id)}.",
                at=_Place(step_id, port),
                hint="Link this way out to say what shall happen instead.",
            )

    def _exception_words(self, step_id: str) -> str:
        policy = self.definition.policies.exceptions
        if policy.mode == "end":
            return f"the run ends as '{policy.outcome}'"
        is_call = isinstance(self.definition.steps[step_id], AgentStep)
        leads_on = any(link.port == "next" for link in self.flow.outgoing[step_id])
        ways = "run it again, to give its result" if is_call and leads_on else "run it again"
        return f"the exceptions inbox asks a person to {ways} or to end the run"

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

        self._check_budget()

    def _check_budget(self) -> None:
        budget = self.definition.policies.budget
        callers = sum(1 for step in self.definition.steps.values() if doers_of(step))
        if budget is None:
            return
        self._check_prices(budget)
        self._check_tokens(budget)
        if budget.calls is not None and budget.calls < callers:
            self.add(
                "warning",
                "budget_below_steps",
                f"{callers} steps call agents, and the budget of a run allows {budget.calls:,}.",
                at=_Place(field="policies.budget.calls"),
                hint="Allow at least one call for each step on the longest way.",
            )

    def _check_prices(self, budget: BudgetPolicy) -> None:
        """A step of which one call costs more than a whole run may can never be done."""
        for step_id, step in self.definition.steps.items():
            for called in agents_of(step):
                interface = self.catalogue.agents.get((called.agent, called.version))
                if interface is None or not spent(budget, 0, Wanted(price_of(budget, interface))):
                    continue
                self.add(
                    "warning",
                    "price_above_budget",
                    f"A call of {interface.name} by {self.name(step_id)} costs more than the "
                    "budget of a whole run allows.",
                    at=_Place(step_id),
                    hint="Allow a run at least what each of its agents costs once.",
                )

    def _check_tokens(self, budget: BudgetPolicy) -> None:
        """A step whose call may take more tokens than a whole run has is never called."""
        if budget.tokens is None:
            return
        asks_models = False
        for step_id, step in self.definition.steps.items():
            for called in doers_of(step):
                interface = self.catalogue.agents.get((called.agent, called.version))
                if interface is None or interface.models is None:
                    continue
                asks_models = True
                wanted = wanted_by(budget, interface, {}, {})
                if spent(budget, 0, Wanted(models=wanted.models)):
                    self.add(
                        "warning",
                        "tokens_above_budget",
                        f"A call of {interface.name} by {self.name(step_id)} may take "
                        f"{wanted.tokens:,} tokens and more, and the budget of a run allows "
                        f"{budget.tokens:,}: it is never made.",
                        at=_Place(step_id),
                        hint="Allow more tokens, or let the agent answer in fewer.",
                    )
        if not asks_models:
            self.add(
                "warning",
                "budget_without_models",
                "The budget limits tokens, and no step calls an agent that asks language models.",
                at=_Place(field="policies.budget.tokens"),
                hint="Runs that this workflow starts have their own budgets.",
            )

    def _check_lacks(self) -> None:
        """Every agent can be called as things stand."""
        for step_id, step in self.definition.steps.items():
            for called in agents_of(step):
                interface = self.catalogue.agents.get((called.agent, called.version))
                if interface is not None and interface.lacks:
                    self.add(
                        "warning",
                        "agent_lacks_model",
                        f"{interface.name} cannot be called by {self.name(step_id)} yet. "
                        f"{interface.lacks}",
                        at=_Place(step_id, field="uses"),
                        hint="Until then the step fails and says why.",
                    )

    def _check_contracts(self) -> None:
        self._usable(self.definition.input, _Place(field="input"))
        for name, outcome in self.definition.outcomes.items():
            if outcome.result is not None:
                self._usable(outcome.result, _Place(field=f"outcomes.{name}.result"))
        for key, one in self.definition.context.items():
            self._usable(one.contract, _Place(field=f"context.{key}.contract"))
        for step_id, step in self.definition.steps.items():
            if isinstance(step, GateStep):
                self._usable(step.contract, _Place(step_id, "contract"))
            elif isinstance(step, WaitStep) and isinstance(step.awaits, EventAwaited):
                self._usable(step.awaits.contract, _Place(step_id, "awaits.contract"))
            elif isinstance(step, EmitStep) and step.contract is not None:
                self._usable(step.contract, _Place(step_id, "contract"))

    def _usable(self, schema: JsonObject, place: _Place) -> None:
        if id(schema) not in self.unusable:
            self.unusable[id(schema)] = _why_unusable(schema, self.catalogue.types)
        if said := self.unusable[id(schema)]:
            self.add("error", "invalid_contract", said, at=place)

    # ---- triggers --------------------------------------------------------------------------------

    def _check_triggers(self) -> None:
        wanted = self.shapes.inlined(self.definition.input)
        for trigger_id, trigger in sorted(self.definition.triggers.items()):
            spot = f"triggers.{trigger_id}"
            self._check_source(spot, trigger)
            if trigger.contract is not None:
                self._usable(trigger.contract, _Place(field=f"{spot}.contract"))
            scope = self._trigger_scope(trigger)
            event = {"event": scope["event"]}
            if trigger.filter is not None:
                place = _Place(field=f"{spot}.filter")
                self._typed_in(trigger.filter, place, event, is_condition=True)
            if trigger.deduplicate is not None:
                place = _Place(field=f"{spot}.deduplicate.key")
                self._typed_in(trigger.deduplicate.key, place, event)
            self._check_trigger_input(spot, trigger, scope, wanted)

    def _check_source(self, spot: str, trigger: Trigger) -> None:
        source = trigger.source
        if not isinstance(source, ScheduleSource):
            return
        for part, read, text in (
            ("cron", read_cron, source.cron),
            ("zone", read_zone, source.zone),
        ):
            try:
                read(text)
            except ScheduleError as error:
                place = _Place(field=f"{spot}.source.{part}")
                self.add("error", "invalid_schedule", error.message, at=place)

    def _trigger_scope(self, trigger: Trigger) -> dict[str, JsonObject]:
        source = trigger.source
        known = own_contract(source.event) if isinstance(source, EventSource) else None
        contract = trigger.contract if trigger.contract is not None else known
        is_usable = contract is not None and not self.unusable.get(id(contract))
        content = self.shapes.inlined(contract) if contract is not None and is_usable else {}
        text: JsonObject = {"type": "string"}
        properties: JsonObject = dict.fromkeys(("type", "source", "id", "key"), text)
        properties |= {"at": {"type": "string", "format": "date-time"}, "data": content}
        event = closed_object(properties)
        events: JsonObject = {"type": "array", "items": event}
        return (
            {"event": event, "events": events}
            if "events" in variables_of(trigger)
            else {"event": event}
        )

    def _check_trigger_input(
        self, spot: str, trigger: Trigger, scope: Mapping[str, JsonObject], wanted: JsonObject
    ) -> None:
        self._check_required(
            wanted,
            trigger.input,
            _Place(field=f"{spot}.input"),
            says=(f"The trigger '{trigger.name}' gives no", "a run needs it"),
            code="trigger_leaves_out",
        )
        for name, text in sorted(trigger.input.items()):
            place = _Place(field=f"{spot}.input.{name}")
            typed = self._typed_in(text, place, scope)
            found = member(wanted, name)
            if found is not None and not typed.has_errors:
                self._compare(place, text, typed.schema, found[0])
            elif found is None:
                self._unknown_field(place, name, wanted)

    def _typed_in(
        self,
        text: str,
        place: _Place,
        scope: Mapping[str, JsonObject],
        *,
        is_condition: bool = False,
    ) -> ExpressionType:
        typed = check_expression(text, scope, is_condition=is_condition)
        for finding in typed.findings:
            self.add(finding.severity, finding.code, finding.message, at=place)
        return typed

    def _check_reach(self) -> None:
        steps = self.definition.steps
        has_start = any(isinstance(step, StartStep) for step in steps.values())
        has_end = any(isinstance(step, EndStep) for step in steps.values())
        from_start, to_end = self.flow.reached_from_start(), self.flow.leading_to_end()
        for step_id in steps:
            if has_start and step_id not in from_start:
                self.add(
                    "error",
                    "unreachable_step",
                    f"{self.name(step_id)} can never be reached from the start.",
                    at=_Place(step_id),
                    hint="Link it, or remove it.",
                )
            elif has_end and step_id not in to_end:
                self.add(
                    "error",
                    "no_way_to_end",
                    f"From {self.name(step_id)} no end can be reached.",
                    at=_Place(step_id),
                    hint="Link it to a step that leads to an end.",
                )

    # ---- steps -----------------------------------------------------------------------------------

    def _check_step(self, step_id: str) -> None:
        step = self.definition.steps[step_id]
        self.shapes.outputs[step_id] = self.shapes.output_of(step_id)
        match step:
            case StartStep() | JoinStep():
                return
            case AgentStep() | MapStep() | TeamStep():
                self._check_calling(step_id, step)
            case RouterStep():
                for route in step.routes:
                    place = _Place(step_id, f"routes.{route.port}")
                    self._typed(route.when, place, is_condition=True)
            case GateStep():
                self._check_gate(step_id, step)
            case TransformStep():
                self.shapes.outputs[step_id] = self._built(step_id, "output", step.output)
            case WaitStep() | EmitStep() | WorkflowStep():
                self._check_outside(step_id, step)
            case EndStep():
                self._check_end(step_id, step)

    def _check_calling(self, step_id: str, step: AgentStep | MapStep | TeamStep) -> None:
        if isinstance(step, TeamStep):
            self._check_team(step_id, step)
            return
        if isinstance(step, MapStep):
            self._check_items(step_id, "items", step.items)
            self._check_enough(step_id, step)
            if isinstance(step.uses, WorkflowRef):
                self._check_item_run(step_id, step, step.uses)
                return
        self._check_agent(step_id, step)

    def _check_items(self, step_id: str, field: str, text: str) -> None:
        """The list of a step: it must be one; its entries are what the step's mapping sees."""
        place = _Place(step_id, field)
        typed = self._typed(text, place)
        kinds = kinds_of(typed.schema)
        if typed.has_errors:
            return
        if "array" not in kinds:
            self.add(
                "error",
                "not_a_list",
                f"{self.name(step_id)} needs a list; '{text}' gives {kinds_text(typed.schema)}.",
                at=place,
                hint="Choose a value that is a list.",
            )
        elif typed.may_be_absent and _is_plain(text):
            self._note_absence(place, field, text, _Fit("fits"))
        self.shapes.items[step_id] = entry_of(typed.schema)

    def _check_enough(self, step_id: str, step: MapStep) -> None:
        """How many items must succeed: a number from 1 to as many as the list may have."""
        if step.enough is None:
            return
        place = _Place(step_id, "enough")
        self._check_shown(place, step.enough, "number")
        most, listed = MAX_ITEMS, _constant(step.items)
        if isinstance(listed, list):
            most = len(listed)
        number = _constant(step.enough)
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if is_number and not (isinstance(number, int) and 1 <= number <= most):
            self.add(
                "error",
                "enough_out_of_range",
                f"{self.name(step_id)} needs {number} items to succeed, of at most {most}.",
                at=place,
                hint=f"Give a whole number from 1 to {most}." if most else "The list is empty.",
            )

    def _check_team(self, step_id: str, step: TeamStep) -> None:
        if step.votes:
            self._check_voters(step_id, step)
        else:
            self._check_talk(step_id, step)

    def _check_talk(self, step_id: str, step: TeamStep) -> None:
        """Members are told apart by their agents; each can say what its role has to say."""
        task = self._built(step_id, "input", step.input)
        seen: set[str] = set()
        for index, one in enumerate(step.members):
            place = _Place(step_id, f"members.{index}")
            interface = self.catalogue.agents.get((one.uses.agent, one.uses.version))
            if interface is None:
                self._unknown_agent(step_id, one.uses, place)
            elif one.uses.agent in seen:
                self.add(
                    "error",
                    "repeated_member",
                    f"{self.name(step_id)} has two members that are called {one.uses.agent}.",
                    at=place,
                    hint="Choose another agent, or remove one of them.",
                )
            else:
                self._usable(interface.input_schema, place)
                self._usable(interface.output_schema, place)
            seen.add(one.uses.agent)
            self._check_passes(place, step, one)
        ballots = [self.shapes.ballot_of(step, index) for index in range(len(step.members))]
        proposal = union_of(*(one or {} for one in ballots))
        for field, uses, role in roles_of(step, proposal):
            self._check_role(_Place(step_id, field), uses, role, task)

    def _check_passes(self, place: _Place, step: TeamStep, one: TeamMember) -> None:
        """To whom a member may pass the work: other members, and only where work is passed on."""
        names = {other.uses.agent for other in step.members} - {one.uses.agent}
        for name in one.passes_to or ():
            if name not in names:
                self.add(
                    "error",
                    "unknown_member",
                    f"{one.uses.agent} may pass the work to {name}, which is no other member.",
                    at=_Place(place.step, f"{place.field}.passes_to"),
                    hint=f"There are {', '.join(sorted(names))}.",
                )

    def _check_role(self, place: _Place, uses: AgentRef, role: Role, task: JsonObject) -> None:
        """An agent takes what its role is asked, and can answer it."""
        interface = self.catalogue.agents.get((uses.agent, uses.version))
        if interface is None:
            if not (place.field or "").startswith("members."):  # members have been looked at
                self._unknown_agent(place.step or "", uses, place)
            return
        takes = self.shapes.inlined(interface.input_schema)
        gives = self.shapes.inlined(interface.output_schema)
        absent = [name for name in role.must if member(gives, name) is None]
        if absent:
            named = ", ".join(sorted(field_names(gives)))
            self.add(
                "error",
                "role_does_not_fit",
                f"{interface.name} gives no {' and no '.join(absent)}, so that it cannot be "
                f"{role.title}.",
                at=place,
                hint=f"It gives: {named}." if named else _ROLE_HINT,
            )
            return
        for word, given, wanted in (
            ("take what", role.request(task), takes),
            ("answer as", gives, role.gives),
        ):
            compared = self._compared(given, wanted)
            if compared is None or compared[0].verdict is not FitVerdict.DOES_NOT_FIT:
                continue  # what cannot be told is judged at every call
            fit, can_meet = compared
            self.add(
                "warning" if can_meet else "error",
                "role_may_not_fit" if can_meet else "role_does_not_fit",
                f"{interface.name} {'may not' if can_meet else 'cannot'} {word} {role.title} "
                f"{'is asked' if word == 'take what' else 'has to'}: {fit.path or '/'} "
                f"{fit.reason}.",
                at=place,
                hint=_ROLE_HINT,
                counter_example=fit.counter_example,
            )

    def _check_voters(self, step_id: str, step: TeamStep) -> None:
        """Each member exists, takes what all get, and has the field that is counted as its vote."""
        known = 0
        for index, one in enumerate(step.members):
            place = _Place(step_id, f"members.{index}")
            interface = self.catalogue.agents.get((one.uses.agent, one.uses.version))
            if interface is None:
                self._unknown_agent(step_id, one.uses, place)
                continue
            known += 1
            self._usable(interface.input_schema, place)
            self._usable(interface.output_schema, place)
            self._check_mapping(step_id, "input", step.input, contract=interface.input_schema)
            if self.shapes.ballot_of(step, index) is None:
                named = ", ".join(sorted(field_names(self.shapes.inlined(interface.output_schema))))
                self.add(
                    "error",
                    "no_ballot",
                    f"{interface.name} gives no '{step.ballot}', so {self.name(step_id)} cannot "
                    "count its vote.",
                    at=place,
                    hint=f"It gives: {named}." if named else "",
                )
        if not known:
            self._built(step_id, "input", step.input)

    def _check_agent(self, step_id: str, step: AgentStep | MapStep) -> None:
        interface = self._interface(step_id, step)
        if interface is None:
            self._built(step_id, "input", step.input)
            return
        self._note_empty_contract(step_id, "uses.input", interface.input_schema)
        self._check_mapping(step_id, "input", step.input, contract=interface.input_schema)
        if isinstance(step, AgentStep):
            self._check_fallbacks(step_id, step, interface)
            if step.compensation is not None:
                self._check_compensation(step_id, step.compensation)

    def _check_compensation(self, step_id: str, undoes: Compensation) -> None:
        """The agent that undoes the step exists and gets what it needs."""
        called, place = undoes.uses, _Place(step_id, "compensation.uses")
        interface = self.catalogue.agents.get((called.agent, called.version))
        if interface is None:
            self._unknown_agent(step_id, called, place)
            return
        wanted = self.shapes.inlined(interface.input_schema)
        self._check_required(
            wanted,
            undoes.input,
            _Place(step_id, "compensation.input"),
            says=(f"Undoing {self.name(step_id)} needs", "nothing is mapped to it"),
        )
        for name, text in sorted(undoes.input.items()):
            self._check_undo_field(step_id, name, text, wanted)

    def _check_undo_field(self, step_id: str, name: str, text: str, wanted: JsonObject) -> None:
        """An expression that may also read what the step itself gave."""
        place = _Place(step_id, f"compensation.input.{name}")
        typed = self._typed_own(text, place, frozenset({"next"}))
        takes = None if typed is None else member(wanted, name)
        if typed is None or takes is None or not typed.schema:
            return
        fit = fits(typed.schema, takes[0], self.catalogue.types)
        if fit.verdict is FitVerdict.DOES_NOT_FIT:
            self.add(
                "error",
                "does_not_fit",
                f"What undoing {self.name(step_id)} gets as '{name}' does not fit: {fit.reason}.",
                at=place,
            )

    def _typed_own(self, text: str, place: _Place, ports: Ports) -> ExpressionType | None:
        """Type an expression that also reads what its own step gave, having left by these ports.

        None: something is wrong with it, and was noted.
        """
        step_id = place.step or ""
        read = [one for one in _steps_read(text, self.definition, RUN_VARIABLES) if one != step_id]
        if self._reads_wrong_steps(read, place):
            return None
        self._note_keys(text, place, RUN_VARIABLES)
        scope = self.shapes.variables(step_id, read)
        steps, own = scope["steps"], self.shapes.view(step_id, ports)
        known = steps.get("properties")
        others = known if isinstance(known, dict) else {}
        typed = self._typed_in(
            text, place, {**scope, "steps": closed_object({**others, step_id: own})}
        )
        return None if typed.has_errors else typed

    def _check_fallbacks(self, step_id: str, step: AgentStep, own: AgentInterface) -> None:
        """Each fallback agent exists, is another one, and can stand in for the step's own."""
        for number, called in enumerate(step.fallbacks):
            place = _Place(step_id, f"fallbacks.{number}")
            if called in doers_of(step)[: number + 1]:
                self.add(
                    "error",
                    "repeated_fallback",
                    f"{self.name(step_id)} would turn to {called.agent} version {called.version} "
                    "a second time.",
                    at=place,
                    hint="Choose another agent, or remove it.",
                )
                continue
            interface = self.catalogue.agents.get((called.agent, called.version))
            if interface is None:
                self._unknown_agent(step_id, called, place)
                continue
            self._check_stand_in(step_id, place, own, interface)

    def _check_stand_in(
        self, step_id: str, place: _Place, own: AgentInterface, other: AgentInterface
    ) -> None:
        """What the own agent takes the other takes too; what the other gives the own may give."""
        for part, word, producer, consumer in (
            ("input", "take what", own.input_schema, other.input_schema),
            ("output", "answer as", other.output_schema, own.output_schema),
        ):
            try:
                fit = fits(producer, consumer, self.catalogue.types)
            except SchemaError:
                continue  # the contract itself is reported where it stands
            if fit.verdict is FitVerdict.FITS:
                continue
            where = fit.path or "/"
            is_wrong = fit.verdict is FitVerdict.DOES_NOT_FIT
            self.add(
                "error" if is_wrong else "warning",
                f"fallback_{part}" if is_wrong else f"fallback_{part}_unproven",
                f"{other.name} {'cannot' if is_wrong else 'may not'} {word} {own.name} "
                f"{'takes' if part == 'input' else 'does'} in {self.name(step_id)}: "
                f"{where} {fit.reason}.",
                at=place,
                hint="Choose an agent with the same contracts."
                if is_wrong
                else "It is checked at every call.",
            )

    def _unknown_agent(self, step_id: str, called: AgentRef, place: _Place) -> None:
        versions = sorted(number for slug, number in self.catalogue.agents if slug == called.agent)
        self.add(
            "error",
            "unknown_agent",
            f"{self.name(step_id)} calls {called.agent} version {called.version}, "
            "which does not exist.",
            at=place,
            hint=f"There are versions {', '.join(map(str, versions))}." if versions else "",
        )

    def _interface(self, step_id: str, step: AgentStep | MapStep) -> AgentInterface | None:
        interface = self.shapes.interface(step)
        if interface is None:
            (called,) = doers_of(step)[:1]
            self._unknown_agent(step_id, called, _Place(step_id, "uses"))
            return None
        for label, schema in (
            ("input", interface.input_schema),
            ("output", interface.output_schema),
        ):
            self._usable(schema, _Place(step_id, f"uses.{label}"))
        return interface

    def _note_empty_contract(self, step_id: str, field: str, contract: JsonObject) -> None:
        if says_nothing(contract):
            incoming = self.flow.incoming[step_id]
            self.add(
                "warning",
                "missing_contract",
                f"{self.name(step_id)} takes anything: its contract names no field, so nothing "
                "that is handed over is checked.",
                at=_Place(step_id, field),
                link=incoming[0].id if incoming else None,
                hint="Say in the contract which fields are expected.",
            )

    def _check_gate(self, step_id: str, step: GateStep) -> None:
        self._note_empty_contract(step_id, "contract", step.contract)
        self._check_asked(step_id, step)
        if step.type in {GateType.FILL, GateType.ADJUDICATE}:
            self._built(step_id, "proposal", step.proposal)
        else:
            self._check_mapping(step_id, "proposal", step.proposal, contract=step.contract)
        for part, text, kind in (
            ("why", step.why, "string"),
            ("title", step.title, "string"),
            ("confidence", step.confidence, "number"),
        ):
            if text is not None:
                self._check_shown(_Place(step_id, part), text, kind)
        for index, item in enumerate(step.evidence):
            place = _Place(step_id, f"evidence.{index}")
            self._typed(item.value, place)
            if item.sources is not None:
                self._typed(item.sources, place)

    def _check_wait(self, step_id: str, step: WaitStep) -> None:
        awaited, seconds, part = step.awaits, 0, "seconds"
        match awaited:
            case Pause():
                seconds = awaited.seconds
            case Moment():
                self._check_shown(_Place(step_id, "awaits.at"), awaited.at, "string")
            case EventAwaited():
                self._note_empty_contract(step_id, "awaits.contract", awaited.contract)
                self._check_shown(_Place(step_id, "awaits.key"), awaited.key, "string")
                seconds, part = awaited.deadline_seconds, "deadline_seconds"
        if seconds >= self.definition.policies.run_timeout_seconds:
            self.add(
                "warning",
                "wait_outlives_run",
                f"{self.name(step_id)} may wait longer than a run may take.",
                at=_Place(step_id, f"awaits.{part}"),
                hint="Let it wait less, or give the run more time.",
            )

    def _check_outside(self, step_id: str, step: WaitStep | EmitStep | WorkflowStep) -> None:
        match step:
            case WaitStep():
                self._check_wait(step_id, step)
            case EmitStep():
                self._check_emit(step_id, step)
            case WorkflowStep():
                self._check_child(step_id, step)

    def _check_child(self, step_id: str, step: WorkflowStep) -> None:
        """The workflow exists, ends as the step says, runs not this one, and gets what it takes."""
        place, uses = _Place(step_id, "uses"), step.uses
        self._check_each(step_id, step)
        child = self.shapes.child(step)
        if child is None:
            assert isinstance(uses, WorkflowRef), "a workflow knows itself"
            self._unknown_workflow(step_id, uses)
            self._built(step_id, "input", step.input)
            return
        if dict(child.kinds) != step.outcomes:
            known = ", ".join(child.kinds)
            self.add(
                "error",
                "outcomes_differ",
                f"{_named(child)} ends otherwise than {self.name(step_id)} says: {known}.",
                at=place,
                hint="Choose it again; then its ways out are those.",
            )
        if isinstance(uses, Itself) and not self.flow.ends_without(self._own_runs()):
            self.add(
                "error",
                "always_recurs",
                f"{self.name(step_id)} runs this workflow again, and no way leads to an end "
                "without that.",
                at=place,
                hint="Lead a way past it, for when there is nothing more to do.",
            )
        self._check_nesting(step_id, uses, child)
        self._check_mapping(step_id, "input", step.input, contract=child.input_schema)

    def _check_nesting(
        self, step_id: str, uses: WorkflowRef | Itself, child: WorkflowInterface
    ) -> None:
        """What is run by name runs not this workflow in turn, and not too many in one another."""
        place, own = _Place(step_id, "uses"), self.catalogue.own
        if isinstance(uses, WorkflowRef) and own and own in {child.slug, *child.reaches}:
            self.add(
                "error",
                "runs_itself",
                f"{self.name(step_id)} runs {child.name}, which is or runs this workflow.",
                at=place,
                hint="Let it run this workflow itself, or use a link that leads back."
                if isinstance(self.definition.steps[step_id], WorkflowStep)
                else "Choose another workflow.",
            )
        if child.depth >= MAX_NESTING:
            self.add(
                "error",
                "nested_too_deep",
                f"{child.name} runs workflows that run others; with this one they are more than "
                f"{MAX_NESTING} deep.",
                at=place,
            )

    def _check_item_run(self, step_id: str, step: MapStep, uses: WorkflowRef) -> None:
        """The workflow that is run for each item exists and gets what it takes."""
        if (step.timeout, step.retry) != (TimeoutPolicy(), RetryPolicy()):
            self.add(
                "error",
                "limits_of_calls",
                f"{self.name(step_id)} runs a workflow for each item, and its time limit and tries "
                "are those of calls.",
                at=_Place(step_id, "timeout"),
                hint="Leave them as they are by themselves: a run has those of its own workflow.",
            )
        child = self.shapes.item_run(step)
        if child is None:
            self._unknown_workflow(step_id, uses)
            self._built(step_id, "input", step.input)
            return
        self._check_nesting(step_id, uses, child)
        self._check_mapping(step_id, "input", step.input, contract=child.input_schema)

    def _check_each(self, step_id: str, step: WorkflowStep) -> None:
        """A run for each item of a list: of another workflow, and nobody waits for them."""
        if step.each is None:
            return
        self._check_items(step_id, "each", step.each)
        place = _Place(step_id, "each")
        if not step.detached:
            self.add(
                "error",
                "each_waits",
                f"{self.name(step_id)} starts a run for each item, and cannot wait for them.",
                at=place,
                hint="Let it go on without waiting, or use a map, which waits.",
            )
        if isinstance(step.uses, Itself):
            self.add(
                "error",
                "each_multiplies",
                f"{self.name(step_id)} would start this workflow again for each item, and each of "
                "those runs again.",
                at=place,
                hint="Let another workflow do what is done for each item.",
            )

    def _own_runs(self) -> set[str]:
        """The steps that run the workflow itself."""
        return {
            key
            for key, step in self.definition.steps.items()
            if isinstance(step, WorkflowStep) and isinstance(step.uses, Itself)
        }

    def _unknown_workflow(self, step_id: str, uses: WorkflowRef) -> None:
        numbers = sorted(
            number for slug, number in self.catalogue.workflows if slug == uses.workflow
        )
        self.add(
            "error",
            "unknown_workflow",
            f"{self.name(step_id)} runs {uses.workflow} version {uses.version}, which does not "
            "exist here, or is not signed off.",
            at=_Place(step_id, "uses"),
            hint=f"There are versions {', '.join(map(str, numbers))}." if numbers else "",
        )

    def _check_emit(self, step_id: str, step: EmitStep) -> None:
        if is_reserved(step.event):
            self.add(
                "error",
                "reserved_event",
                f"{self.name(step_id)} would tell '{step.event}', which only Baton itself tells.",
                at=_Place(step_id, "event"),
                hint="Choose another type, such as com.example.order.paid.",
            )
        if step.subject is not None:
            self._check_shown(_Place(step_id, "subject"), step.subject, "string")
        else:
            self.add(
                "info",
                "event_without_subject",
                f"The event of {self.name(step_id)} has no key: triggers hear it, and no step "
                "can wait for it.",
                at=_Place(step_id, "subject"),
            )
        if step.contract is None:
            self._built(step_id, "content", step.content)
        else:
            self._check_mapping(step_id, "content", step.content, contract=step.contract)

    def _check_asked(self, step_id: str, step: GateStep) -> None:
        """What only some types of gates have: choices, and proposals under the contract."""
        least = {GateType.CHOOSE: ("choices", len(step.choices), "ways to choose from")}
        least[GateType.ADJUDICATE] = ("proposals", len(step.proposals), "proposals to adjudicate")
        field, count, words = least.get(step.type, ("", 2, ""))
        if count < 2:
            self.add(
                "error",
                "gate_needs_several",
                f"{self.name(step_id)} needs at least two {words}; it has {count}.",
                at=_Place(step_id, field),
            )
        wanted = self.shapes.inlined(step.contract)
        for index, one in enumerate(step.proposals if step.type is GateType.ADJUDICATE else ()):
            place = _Place(step_id, f"proposals.{index}")
            typed = self._typed(one.value, place)
            if not typed.has_errors:
                self._compare(place, one.value, typed.schema, wanted)

    def _check_end(self, step_id: str, step: EndStep) -> None:
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
            self._built(step_id, "result", step.result)
        else:
            self._check_mapping(step_id, "result", step.result, contract=outcome.result)

    def _check_shown(self, place: _Place, text: str, kind: str) -> None:
        """Check an expression whose value is shown to a person."""
        typed = self._typed(text, place)
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
        if title is not None:
            self._check_shown(_Place(field="run_title"), title, "string")

    # ---- what steps share ------------------------------------------------------------------------

    def _check_shared(self) -> None:
        """The keys, what they begin with, and what steps write to them."""
        contracts = {
            key: self.shapes.inlined(one.contract) for key, one in self.definition.context.items()
        }
        for key, one in self.definition.context.items():
            if one.initial is not None:
                place = _Place(field=f"context.{key}.initial")
                scope = {"input": self.shapes.inlined(self.definition.input)}
                typed = self._typed_in(one.initial, place, scope)
                if not typed.has_errors:
                    self._compare(place, one.initial, typed.schema, contracts[key])
        for step_id, step in self.definition.steps.items():
            for key, text in sorted(writes_of(step).items()):
                place = _Place(step_id, f"writes.{key}")
                given = self._typed_own(text, place, writing_ports(step))
                shared = self.definition.context.get(key)
                if shared is not None and given is not None:
                    self._check_written(step_id, key, shared, given)
        self.findings += SharedChecks(
            self.definition, self.flow, contracts, self.read_keys
        ).findings()

    def _check_written(
        self, step_id: str, key: str, shared: SharedKey, typed: ExpressionType
    ) -> None:
        """What is written fits the key, as its rule takes it."""
        place = _Place(step_id, f"writes.{key}")
        text = writes_of(self.definition.steps[step_id])[key]
        if wanted := wrong_kind(shared, typed.schema):
            self.add(
                "error",
                "wrong_kind",
                f"'{shared.label}' takes {wanted}; '{text}' gives {kinds_text(typed.schema)}.",
                at=place,
            )
        else:
            contract = self.shapes.inlined(shared.contract)
            self._compare(place, text, typed.schema, taken_by(shared, contract))

    # ---- mappings --------------------------------------------------------------------------------

    def _built(self, step_id: str, part: str, mapping: Mapping[str, str]) -> JsonObject:
        """Type a mapping; the schema of the object that it builds."""
        properties: JsonObject = {}
        required: list[str] = []
        for name, text in sorted(mapping.items()):
            typed = self._typed(text, _Place(step_id, f"{part}.{name}"))
            properties[name] = typed.schema
            if not (typed.may_be_absent and _is_plain(text)):
                required.append(name)
        return closed_object(properties, required)

    def _check_mapping(
        self, step_id: str, part: str, mapping: Mapping[str, str], *, contract: JsonObject
    ) -> None:
        """Type a mapping and compare each field with the contract that takes it."""
        wanted = self.shapes.inlined(contract)
        required = self._check_required(
            wanted,
            mapping,
            _Place(step_id, part),
            says=(f"{self.name(step_id)} needs", "nothing is mapped to it"),
        )
        judged = self.judged.setdefault(step_id, [])
        for name, text in sorted(mapping.items()):
            place = _Place(step_id, f"{part}.{name}")
            verdict = self._judge_field(place, name, text, wanted, is_required=name in required)
            judged.append(_Judged(verdict, _read_by(text, self._names(place))))

    def _check_required(
        self,
        wanted: JsonObject,
        mapping: Mapping[str, str],
        at: _Place,
        *,
        says: tuple[str, str],
        code: str = "missing_field",
    ) -> frozenset[str]:
        """The fields that a contract requires; a finding for each that nothing is mapped to.

        `says` is what stands before the field's name in the finding, and what after it.
        """
        stated = wanted.get("required")
        required = [str(name) for name in stated] if isinstance(stated, list) else []
        for name in required:
            if name not in mapping:
                self.add(
                    "error",
                    code,
                    f"{says[0]} '{name}', and {says[1]}.",
                    at=_Place(at.step, f"{at.field}.{name}"),
                    hint="Choose a value for this field.",
                )
        return frozenset(required)

    def _judge_field(
        self, place: _Place, name: str, text: str, wanted: JsonObject, *, is_required: bool
    ) -> FieldVerdict:
        known = len(self.findings)
        typed = self._typed(text, place)
        found = None if typed.has_errors else member(wanted, name)
        if typed.has_errors:
            said = next((one.message for one in self.findings[known:]), "cannot be read")
            fit = _Fit("does_not_fit", reason=said)
        elif found is None:
            self._unknown_field(place, name, wanted)
            is_closed = wanted.get("additionalProperties") is False
            reason = "is not a field of the contract"
            fit = _Fit("does_not_fit" if is_closed else "cannot_tell", reason=reason)
        else:
            fit = self._compare(place, text, typed.schema, found[0])
            if is_required and typed.may_be_absent and _is_plain(text, self._names(place)):
                fit = self._note_absence(place, name, text, fit)
        return FieldVerdict.model_construct(
            step=place.step or "",
            field=name,
            expression=text,
            verdict=fit.verdict,
            path=fit.path,
            reason=fit.reason,
            counter_example=fit.counter_example,
        )

    def _note_absence(self, place: _Place, name: str, text: str, fit: _Fit) -> _Fit:
        self.add(
            "warning",
            "may_be_missing",
            f"{self.name(place.step or '')} needs '{name}', but '{text}' may have no value here.",
            at=place,
            hint="Then the input is refused and a person decides.",
        )
        if fit.verdict == "fits":
            return _Fit("may_not_fit", reason="may have no value here, and is required")
        return fit

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

    def _compare(self, place: _Place, text: str, given: JsonObject, wanted: JsonObject) -> _Fit:
        """Compare what is given with what is wanted, and note where it may not or cannot fit."""
        if not wanted:
            return _Fit("fits")
        compared = self._compared(given, wanted)
        if compared is None:
            return _Fit("cannot_tell", reason="the contract cannot be used")  # it was reported
        fit, can_meet = compared
        if fit.verdict is FitVerdict.FITS:
            return self._compare_meaning(place, text, given, wanted)
        if fit.verdict is FitVerdict.CANNOT_TELL or not given:
            self.add(
                "info",
                "cannot_tell",
                f"Whether '{text}' fits is checked when it runs.",
                at=place,
                hint="The two contracts alone do not decide it.",
            )
            return _Fit("cannot_tell", reason="is checked when it runs")
        verdict = "may not fit" if can_meet else "never fits"
        self.add(
            "warning" if can_meet else "error",
            "may_not_fit" if can_meet else "does_not_fit",
            f"'{text}' {verdict}: {fit.path or 'it'} {fit.reason}.",
            at=place,
            hint=_REPAIR_HINT if can_meet else "",
            counter_example=fit.counter_example,
        )
        worse: Verdict = "may_not_fit" if can_meet else "does_not_fit"
        return _Fit(worse, fit.path, fit.reason, fit.counter_example)

    def _compared(self, given: JsonObject, wanted: JsonObject) -> tuple[Fit, bool] | None:
        """How two schemas compare and whether they can meet; the same two are compared once."""
        key = (id(given), id(wanted))
        if key not in self.compared:
            answer: tuple[Fit, bool] | None = None
            with suppress(SchemaError):
                fit = fits(given, wanted)
                answer = fit, fit.verdict is not FitVerdict.DOES_NOT_FIT or may_meet(given, wanted)
            self.compared[key] = (given, wanted, answer)  # kept alive, so that the ids stay theirs
        return self.compared[key][2]

    def _compare_meaning(
        self, place: _Place, text: str, given: JsonObject, wanted: JsonObject
    ) -> _Fit:
        """A value of the right shape that stands for something else is most likely a slip."""
        if same_meaning(given, wanted):
            return _Fit("fits")
        reason = f"is a {domain_type(given)}, and a {domain_type(wanted)} is asked for"
        self.add(
            "warning",
            "other_meaning",
            f"'{text}' {reason}; the form is the same.",
            at=place,
            hint="Choose a value that means what is asked for.",
        )
        return _Fit("may_not_fit", reason=reason)

    def _typed(self, text: str, place: _Place, *, is_condition: bool = False) -> ExpressionType:
        """Type an expression and note its findings."""
        names = self._names(place)
        read = list(_steps_read(text, self.definition, names))
        if self._reads_wrong_steps(read, place):
            return ExpressionType(findings=(_WRONG_STEP,))
        self._note_keys(text, place, names)
        scope = self.shapes.variables(place.step, read, per_item=names == ITEM_VARIABLES)
        typed = check_expression(text, scope, is_condition=is_condition)
        for finding in typed.findings:
            self.add(finding.severity, finding.code, finding.message, at=place)
        if typed.may_be_absent and not typed.has_errors and not _is_plain(text, names):
            self.add(
                "warning",
                "may_have_no_value",
                f"'{text}' reads a value that may be missing here; then the step fails.",
                at=place,
                hint="Ask with has(...) first.",
            )
        return typed

    def _note_keys(self, text: str, place: _Place, names: tuple[str, ...]) -> None:
        """Note who reads what is shared, and what nobody can have written by then."""
        known = self.definition.context
        for key in _keys_read(text, names) if known else ():
            for one in [key] if key in known else known if key == "*" else ():
                self.read_keys.setdefault(one, set()).add(place.step)
            step_id = place.step
            if key in known and step_id and not self.shapes.may_be_written(key, step_id):
                self.add(
                    "error",
                    "not_written_before",
                    f"{self.name(step_id)} reads '{known[key].label}', which nothing "
                    "writes before it.",
                    at=place,
                    hint="Give it an initial value, or let a step before this one write it.",
                )

    def _names(self, place: _Place) -> tuple[str, ...]:
        """The variables that an expression may use: those of an item inside a map."""
        step = self.definition.steps.get(place.step or "")
        is_per_item = per_item(step) and (place.field or "").startswith("input.")
        return ITEM_VARIABLES if is_per_item else RUN_VARIABLES

    def _reads_wrong_steps(self, read: list[str], place: _Place) -> bool:
        """Note steps that are read and do not exist or do not come before."""
        found = False
        for other in read:
            if other not in self.definition.steps:
                self.add("error", "unknown_step", f"There is no step '{other}'.", at=place)
                found = True
            elif place.step is not None and not self.shapes.may_read(other, place.step):
                self.add(
                    "error",
                    "not_upstream",
                    f"{self.name(place.step)} reads {self.name(other)}, which is not before it.",
                    at=place,
                    hint="A step can read only what has run on the way to it, or in a loop.",
                )
                found = True
        return found


@dataclass(frozen=True, slots=True)
class _Fit:
    """The verdict on one field. `path` lies inside its value."""

    verdict: Verdict
    path: str = ""
    reason: str = ""
    counter_example: JsonValue = None


_NO_VERDICT = LinkVerdict(verdict="none")
_WRONG_STEP = ExpressionFinding("error", "wrong_step", "reads a step that is not before it")


def _steps_read(text: str, definition: WorkflowDefinition, names: tuple[str, ...]) -> Iterator[str]:
    """The steps that an expression reads; all of them when it takes `steps` as a whole."""
    try:
        paths = compile_expression(text, variables=names).used
    except ExpressionError:
        return
    if ("steps",) in paths:
        yield from definition.steps
        return
    yield from dict.fromkeys(path[1] for path in paths if path[0] == "steps")


def _keys_read(text: str, names: tuple[str, ...]) -> Iterator[str]:
    """The shared values that an expression reads; `*` when it takes all of them."""
    with suppress(ExpressionError):
        paths = compile_expression(text, variables=names).used
        shared = (path for path in paths if path[0] == "context")
        yield from dict.fromkeys(path[1] if len(path) > 1 else "*" for path in shared)


def _read_by(text: str, names: tuple[str, ...]) -> frozenset[str]:
    try:
        paths = compile_expression(text, variables=names).used
    except ExpressionError:
        return frozenset()
    return frozenset(path[1] if path[0] == "steps" and len(path) > 1 else path[0] for path in paths)


def _named(child: WorkflowInterface) -> str:
    return f"{child.name} version {child.version}" if child.version else "This workflow itself"


def _own_ports(step: Step) -> frozenset[str]:
    """The ports that a step names itself, so that each is meant to lead somewhere."""
    if isinstance(step, RouterStep):
        return frozenset(ports_of(step))
    if isinstance(step, GateStep) and step.type is GateType.CHOOSE:
        return frozenset(choice.port for choice in step.choices)
    if isinstance(step, WorkflowStep) and not step.detached:
        return succeeding(step)
    return frozenset()


def _times(link: Link) -> str:
    return "once" if link.max_rounds == 1 else f"{link.max_rounds} times"


def _constant(text: str) -> JsonValue:
    """The value of an expression that reads nothing; None when it reads something, or has none."""
    try:
        expression = compile_expression(text)
        return None if expression.used else expression.evaluate({"input": {}, "steps": {}})
    except ExpressionError:
        return None  # it is reported where the expression is typed


def _is_plain(text: str, names: tuple[str, ...] = RUN_VARIABLES) -> bool:
    try:
        return compile_expression(text, variables=names).plain is not None
    except ExpressionError:
        return False


def _why_unusable(schema: JsonObject, types: Mapping[str, DomainType]) -> str:
    """Why a contract cannot be used; empty when it can."""
    try:
        closed = bundle(schema, types)
    except SchemaError as error:
        return error.message
    return _why_not_compiled(json.dumps(closed))


@lru_cache(maxsize=2_048)
def _why_not_compiled(contract: str) -> str:
    try:
        Validator(json.loads(contract))
    except SchemaError as error:
        return error.message
    return ""
