"""Calls that only workers with a label make, and runs that wait for such a worker.

Theory of operation. An agent version may ask for a label (`worker` in its manifest); a worker says
its labels when it starts (`BATON_WORKER_LABELS`). A walker that comes to a call whose label it does
not have sets it down, planned and not begun, as calls that find no place are (`placing`), and goes
on with everything else. When nothing else is left the run is handed over: in one statement the
claim is given up and the run asks for a walker with the label (`Run.needs`); its doorbell goes
into the label's own queue, to which workers with the label listen beside the lanes. Who claims the
run takes up what was set down, and the demand is gone.

Any worker may claim such a run meanwhile, for it may have been cancelled; it hands it over again.
The sweeper rings only while a worker with the label is alive, so that a demand that nobody meets
costs nothing; it is shown with the run and the list of runs, and goes on by itself when one comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from orchestrator.core.commands import InvokeAgent
from orchestrator.core.errors import DomainError
from orchestrator.runs import selectors
from orchestrator.runs.placing import set_down
from orchestrator.runs.recording import types_of
from registry import selectors as registry

if TYPE_CHECKING:
    from orchestrator.runs.recording import AttemptKey, Recording


class Elsewhere:
    """The calls of one claim that only other workers can make."""

    def __init__(self, recording: Recording, owner: UUID, fence: int) -> None:
        self._recording = recording
        self._owner = owner
        self._fence = fence
        self._types = types_of(recording.facts.binding)
        self._waiting: dict[AttemptKey, str] = {}

    @property
    def has_waiting(self) -> bool:
        """Whether a call waits for another worker."""
        return bool(self._waiting)

    @property
    def label(self) -> str:
        """The label of the worker that the run needs next; empty: any worker will do.

        Of several one that a living worker has.
        """
        labels = sorted(set(self._waiting.values()))
        if len(labels) > 1:
            alive = selectors.labels_alive()
            labels.sort(key=lambda label: label not in alive)
        return labels[0] if labels else ""

    def concerns(self, call: InvokeAgent) -> bool:
        """Whether another worker must make the call."""
        label = self._label_of(call)
        return bool(label) and label not in settings.WORKER_LABELS

    def kept(self, calls: list[InvokeAgent]) -> list[InvokeAgent]:
        """The calls that this worker can make; the others are set down and wait."""
        others = {_key(call): self._label_of(call) for call in calls if self.concerns(call)}
        if not others:
            return calls
        self._waiting |= others
        set_down(self._recording, self._owner, self._fence, others)
        return [call for call in calls if _key(call) not in others]

    def forget(self, key: AttemptKey) -> None:
        """The planner wants a call no more."""
        self._waiting.pop(key, None)

    def _label_of(self, call: InvokeAgent) -> str:
        facts = self._recording.facts
        try:
            version = registry.registered_version(facts.agent_of(call.uses)[0], self._types)
        except (DomainError, ValueError):  # the call itself says what is wrong with it
            return ""
        return version.manifest.worker or ""


def _key(call: InvokeAgent) -> AttemptKey:
    return call.step, call.iteration, call.attempt
