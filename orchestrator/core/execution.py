"""What ready steps do: each kind of step, up to the call or the question that needs the world.

Pure steps (start, router, join, transform, end) run to their end here; an agent step is handed its
input and leased; a gate's question is put together; a wait begins (`core/waits.py`), an event is
told (`core/emits.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, assert_never

from orchestrator.core.children import Children
from orchestrator.core.commands import (
    InvokeAgent,
    OpenReview,
)
from orchestrator.core.compilation import (
    CompiledStep,
    is_failure,
)
from orchestrator.core.context import (
    audited_values,
    build,
    evidence_of,
    expression_failed,
    input_refused,
    text_or_none,
    value_or_none,
)
from orchestrator.core.conversations import Conversations
from orchestrator.core.definition import (
    CALLING,
    PARTIAL,
    AgentRef,
    AgentStep,
    EmitStep,
    EndStep,
    GateStep,
    GateType,
    JoinPolicy,
    JoinStep,
    Losers,
    MapStep,
    RouterStep,
    StartStep,
    TeamStep,
    TransformStep,
    WaitStep,
    WorkflowStep,
    member_of,
    owner_of,
)
from orchestrator.core.events import (
    AttemptLeased,
    HandoffMade,
    RouteChosen,
)
from orchestrator.core.fallbacks import agent_called, key_of_call
from orchestrator.core.gates import proposals_of
from orchestrator.core.json import JsonObject
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import changed, reason_of
from orchestrator.core.results import (
    Basis,
    BasisKind,
    Failed,
    Value,
    Violation,
)
from orchestrator.core.routing import given, routed
from orchestrator.core.spending import MOST_PUT_OFF, Spending
from orchestrator.core.state import (
    LinkStatus,
    RunStatus,
    StepStatus,
    is_terminal,
)

_CALL = InvokeAgent(
    step="",
    uses=AgentRef(agent="agent", version=1),
    iteration=0,
    attempt=0,
    input={},
    timeout_seconds=0,
    idempotency_key="",
)
"""What all calls have in common; making one of it costs a third of making it anew."""


class Execution(Conversations, Children, Spending):
    """Steps 2 to 4 of the theory of operation in `core/planner.py`."""

    def advance(self) -> None:
        """Execute and prepare what is ready; lease what may run."""
        self._do_ready()
        if self.workflow.limited and self.prepared:
            self.is_leasing = True  # what is prepared ends the time of other steps
            self._do_ready()
        if not is_terminal(self.status):
            for step_id in self.prepared:
                self._lease(step_id)

    def _do_ready(self) -> None:
        while not is_terminal(self.status) and self.status is not RunStatus.PAUSED:
            self._let_go_on()
            step_id = self._next_ready()
            if step_id is None:
                return
            if self.definition.context:
                self._look(step_id)
            self._execute(step_id)

    def _next_ready(self) -> str | None:
        """Pure steps by rank, then gates, then agent steps while there are free places."""
        ready, agents = self.open.ready, self.open.ready_agents
        if ready:
            return min(ready, key=self._turn)
        places = self.definition.policies.max_parallel - self.open.running - len(self.prepared)
        if places <= 0 or len(agents) == len(self.prepared):
            return None
        left = agents.difference(self.prepared, self.put_off)
        if len(self.put_off) >= MOST_PUT_OFF:
            left = {one for one in left if not self._asks_models(one)}
        return min(left, key=self._turn, default=None)

    def _turn(self, step_id: str) -> tuple[bool, int, int, str]:
        compiled, member = self.workflow.steps[owner_of(step_id)], member_of(step_id)
        return isinstance(compiled.step, GateStep), compiled.rank, len(member), member

    def _execute(self, step_id: str) -> None:
        compiled = self.workflow.step(step_id)
        if compiled.is_limited and not self._may_begin(compiled):
            return
        match compiled.step:
            case StartStep():
                self._begin_run(step_id)
            case AgentStep() | MapStep() | TeamStep():
                self._prepare(compiled, compiled.step)
            case RouterStep():
                self._route(compiled, compiled.step)
            case JoinStep():
                self._join(compiled, compiled.step)
            case GateStep():
                self._open_gate(compiled, compiled.step)
            case TransformStep() | EmitStep() | WorkflowStep():
                self._make(compiled, compiled.step)
            case WaitStep():
                self._begin_wait(compiled, compiled.step)
            case EndStep():
                self._end(compiled, compiled.step)
            case _:
                assert_never(compiled.step)

    def _prepare(self, compiled: CompiledStep, step: AgentStep | MapStep | TeamStep) -> None:
        """Hand its input to a step that calls; what is refused has ended the step."""
        step_id = compiled.id
        if isinstance(step, (MapStep, TeamStep)) and not self._has_members(step_id):
            self.steps[step_id] = changed(self.steps[step_id], input=None)
        if not self._hand_over(compiled):
            return
        if isinstance(step, (MapStep, TeamStep)):
            self._begin_members(step_id)
        else:
            self._admit(step_id)

    def _hand_over(self, compiled: CompiledStep) -> bool:
        """Map a step's input and let its contract judge it; False when that failed the step."""
        step_id = compiled.id
        run = self.steps[step_id]
        if run.input is not None:
            return True  # a further attempt with the input that was accepted before
        payload, failed = self._built(compiled, run.input_override)
        if failed is not None:
            self._keep_input(step_id, payload)
            self._record_handoff(compiled, "refused", failed.violations)
            self._leave(step_id, failed)
            return False
        if compiled.contract is None:
            self._keep_input(step_id, payload)
            self._record_handoff(compiled, "fits")
            return True
        accepted = compiled.contract.accept(payload)
        given = accepted.payload if isinstance(accepted.payload, dict) else payload
        self._keep_input(step_id, given)
        self._record_handoff(compiled, accepted.verdict, accepted.violations, accepted.repairs)
        if accepted.verdict == "refused":
            self._leave(step_id, input_refused(compiled.step.name, accepted.violations))
            return False
        return True

    def _built(
        self, compiled: CompiledStep, override: JsonObject | None
    ) -> tuple[JsonObject, Failed | None]:
        if override is not None:
            return override, None
        built, violations = build(compiled.mapping, self._scope(compiled))
        return built, expression_failed(compiled.step.name, violations) if violations else None

    def _keep_input(self, step_id: str, payload: JsonObject) -> None:
        self.steps[step_id] = changed(self.steps[step_id], input=payload)

    def _record_handoff(
        self,
        compiled: CompiledStep,
        verdict: Literal["fits", "repaired", "refused"],
        violations: tuple[Violation, ...] = (),
        repairs: tuple[str, ...] = (),
    ) -> None:
        came_back = [key for key in compiled.back_in if self.links[key] is LinkStatus.TAKEN]
        taken = tuple(
            came_back or [key for key in compiled.incoming if self.links[key] is LinkStatus.TAKEN]
        )
        self.events.append(
            HandoffMade(
                step=compiled.id,
                iteration=self.steps[compiled.id].iteration,
                links=taken,
                verdict=verdict,
                violations=violations,
                repairs=repairs,
            )
        )

    def _lease(self, step_id: str) -> None:
        step = self.workflow.step(step_id).step
        assert isinstance(step, AgentStep)
        run = self.steps[step_id]
        run = self._step_moves(
            step_id,
            "attempt_leased",
            attempt=run.attempt + 1,
            started_at=run.started_at or self.now,
        )
        if self.definition.policies.budget is not None and not run.undo:
            self._count_call(step_id)
        self.events.append(
            AttemptLeased(step=step_id, iteration=run.iteration, attempt=run.attempt)
        )
        self.commands.append(
            changed(
                _CALL,
                step=step_id,
                iteration=run.iteration,
                attempt=run.attempt,
                uses=agent_called(step, run),
                input=run.input or {},
                timeout_seconds=step.timeout.attempt_seconds,
                idempotency_key=key_of_call(self.before.run_id, step_id, run),
            )
        )

    def _route(self, compiled: CompiledStep, step: RouterStep) -> None:
        by_hand = given(step, self.steps[compiled.id].input_override)
        found = by_hand or routed(compiled, step, self._scope(compiled))
        if found.violation is not None:
            self._leave(compiled.id, expression_failed(step.name, (found.violation,)))
            return
        self.events.append(
            RouteChosen(
                step=compiled.id,
                port=found.ports[0],
                ports=found.ports if len(found.ports) > 1 else (),
                when=" | ".join(found.when) or None,
                tested=found.tested,
            )
        )
        basis = Basis(
            kind=BasisKind.RULE,
            id=compiled.id,
            row=", ".join(found.ports)[:120],
            values=audited_values(found.tested),
        )
        result = Value.model_construct(basis=(basis,), output=found.output(step))
        self._leave_by(compiled.id, result, found.ports)

    def _join(self, compiled: CompiledStep, step: JoinStep) -> None:
        found = self._arrivals(compiled)
        is_overridden = self.steps[compiled.id].input_override is not None
        if step.policy in PARTIAL and step.losers is Losers.CANCEL:
            self._drop_losers(compiled.private)
        if found.is_enough(step) or (is_overridden and found.arrived):
            self._leave(compiled.id, Value.model_construct(output=found.output(step)))
            return
        wanted = f" needs {step.n} branches and" if step.policy is JoinPolicy.N_OF_M else ""
        failed = Failed(
            kind=FailureKind.UNAVAILABLE,
            reason_code="branch_missing",
            reason=f"'{step.name}'{wanted} is missing: {found.words()}."[:2_000],
            retryable=False,
        )
        self._leave(compiled.id, failed)

    def _make(self, compiled: CompiledStep, step: TransformStep | EmitStep | WorkflowStep) -> None:
        if isinstance(step, TransformStep):
            self._transform(compiled)
        elif self._hand_over(compiled):
            if isinstance(step, EmitStep):
                self._publish(compiled, step)
            else:
                self._begin_child(compiled, step)

    def _transform(self, compiled: CompiledStep) -> None:
        output, failed = self._built(compiled, self.steps[compiled.id].input_override)
        if failed is not None:
            self._keep_input(compiled.id, output)
            self._leave(compiled.id, failed)
        else:
            self._leave(compiled.id, Value.model_construct(output=output))

    def _end(self, compiled: CompiledStep, step: EndStep) -> None:
        if not self._hand_over(compiled):
            return
        result = self.steps[compiled.id].input or {}
        self._end_step(compiled.id, Value.model_construct(output=result), None)
        if is_failure(self.definition, step.outcome):
            blamed = self._blame(compiled)
            self._end_run(
                "run_failed",
                step.outcome,
                step=blamed,
                result=result,
                reason=reason_of(self.steps[blamed].result),
            )
        else:
            self._end_run("run_succeeded", step.outcome, result=result)

    def _blame(self, end: CompiledStep) -> str:
        """The step that a failure end is put down to.

        Going back along taken links: the nearest failed step, else the nearest agent or gate.
        """
        nearest: str | None = None
        layer, seen = [end.id], {end.id}
        while layer:
            sources = sorted(
                {
                    self.definition.links[link_id].source
                    for step_id in layer
                    for link_id in self.workflow.steps[step_id].incoming
                    if self.links[link_id] is LinkStatus.TAKEN
                }
                - seen,
                key=self._rank,
            )
            for step_id in sources:
                if self.steps[step_id].status is StepStatus.FAILED:
                    return step_id
                if isinstance(
                    self.workflow.steps[step_id].step, (*CALLING, GateStep, WorkflowStep)
                ):
                    nearest = nearest or step_id
            seen.update(sources)
            layer = sources
        return nearest or end.id

    # ---- gates ---------------------------------------------------------------------------------

    def _open_gate(self, compiled: CompiledStep, step: GateStep) -> None:
        if step.type is GateType.FILL:
            proposal, failed = self._built(compiled, self.steps[compiled.id].input_override)
            self._keep_input(compiled.id, proposal)
            if failed is not None:
                self._leave(compiled.id, failed)
                return
            self._record_handoff(compiled, "fits")
        elif step.type is GateType.ADJUDICATE:
            self._keep_input(compiled.id, proposals_of(compiled, self._scope(compiled)))
            self._record_handoff(compiled, "fits")
        elif not self._hand_over(compiled):
            return
        scope = self._scope(compiled)
        why, title = text_or_none(compiled.why, scope), text_or_none(compiled.title, scope)
        confidence = value_or_none(compiled.confidence, scope)
        run = self.steps[compiled.id]
        is_number = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
        self._await_person(
            compiled.id,
            due_at=self.now + timedelta(seconds=step.due_seconds),
            waiting_for="review",
            reason=why,
            command=OpenReview.model_construct(
                step=compiled.id,
                iteration=run.iteration,
                review="gate",
                question=step.question,
                title=title,
                why=why,
                proposal=run.input or {},
                evidence=evidence_of(compiled, scope),
                confidence=float(confidence) if is_number else None,  # type: ignore[arg-type]  # is_number
                assign_role=step.assign_role,
                due_at=self.now + timedelta(seconds=step.due_seconds),
            ),
        )
