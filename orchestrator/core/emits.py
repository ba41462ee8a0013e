"""Steps of the kind emit: the run tells its workspace that something has happened.

Theory of operation
-------------------
The step ends at once, and its event is stored in the transaction that records its result: either
both are there or neither. The event's id names run, step and iteration, so that whoever plans the
step again after a crash tells the same event, which counts once; a further round, or another
iteration after a person let the step run again, is another event.

Runs that tell events which start runs could keep each other going for ever. So every event says how
many runs led to it, one by the event of another: a run has the depth of the event that started it,
or of the deepest that one of its waits heard, and what it tells is one deeper. An event beyond
`MAX_DEPTH` is kept for people to see, nobody hears it, and its step fails.
"""

from __future__ import annotations

from typing import Final

from orchestrator.core.commands import PublishEvent
from orchestrator.core.compilation import CompiledStep
from orchestrator.core.context import expression_failed
from orchestrator.core.definition import EmitStep
from orchestrator.core.events import EventTold
from orchestrator.core.json import JsonObject
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import changed
from orchestrator.core.results import Failed, Value, Violation
from orchestrator.core.triggers import MAX_DEPTH
from orchestrator.core.waits import MAX_KEY, Waits

RESERVED: Final = ("run.", "review.", "baton.")
"""How the types of events begin that the installation tells itself."""
TOO_LONG: Final = f"It ends a chain of more than {MAX_DEPTH} runs that led to one another."


def is_reserved(event_type: str) -> bool:
    """Whether only the installation itself tells events of this type."""
    return event_type.lower().startswith(RESERVED)


def published_id(run_id: str, step: str, iteration: int) -> str:
    """The id of the event that a step tells in one of its iterations."""
    return f"{run_id}/{step}/{iteration}"


class Emits(Waits):
    """Tells events within one application of the planner."""

    def _publish(self, compiled: CompiledStep, step: EmitStep) -> None:
        """Tell the event of a step whose data are handed over, and end the step."""
        subject, failed = self._subject(compiled, step)
        if failed is not None:
            self._leave(compiled.id, failed)
            return
        run = self.steps[compiled.id]
        depth = int(self.changes.get("depth", self.before.depth)) + 1
        refused = TOO_LONG if depth > MAX_DEPTH else ""
        event = PublishEvent(
            step=compiled.id,
            iteration=run.iteration,
            id=published_id(self.before.run_id, compiled.id, run.iteration),
            event=step.event,
            subject=subject,
            dataschema=step.dataschema or "",
            content=run.input or {},
            depth=depth,
            refused=refused,
        )
        self.commands.append(event)
        self.events.append(
            EventTold(
                step=compiled.id,
                iteration=run.iteration,
                event=step.event,
                subject=subject,
                refused=refused,
            )
        )
        if refused:
            self._leave(compiled.id, _refused(step, refused))
            return
        self.steps[compiled.id] = changed(run, called_before=True)
        output: JsonObject = {"id": event.id, "type": event.event, "subject": subject}
        output["at"] = self.now.isoformat()
        self._leave(compiled.id, Value.model_construct(output=output))

    def _subject(self, compiled: CompiledStep, step: EmitStep) -> tuple[str, Failed | None]:
        if compiled.key is None:
            return "", None
        key, failed = self._read(compiled, compiled.key, "/subject")
        if failed is None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY):
            reason = f"'{step.subject}' must give a text of 1 to {MAX_KEY} characters"
            violation = Violation(path="/subject", rule="key", reason=reason[:1_000])
            failed = expression_failed(step.name, (violation,))
        return ("" if failed else str(key)), failed


def _refused(step: EmitStep, because: str) -> Failed:
    return Failed(
        kind=FailureKind.UNAVAILABLE,
        reason_code="chain_too_long",
        reason=f"The event of '{step.name}' was not told. {because}",
        retryable=False,
    )
