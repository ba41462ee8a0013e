"""Where what a step of a run gave has come from: steps, versions, people and values, way back.

Pure: snapshot and compiled definition in, small frozen values out (`core/lineage.py` says which
values are read; here stands what they were in this run).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.core.compilation import CompiledWorkflow
from orchestrator.core.definition import StartStep, Step, doers_of, owner_of
from orchestrator.core.expressions import Path, path_text
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.lineage import Reading, Writers, origins_of
from orchestrator.runs.presentation import (
    Snapshot,
    StepSnapshot,
    icon_of,
    kind_word,
    payload_of,
    stand_in_of,
    step_look,
    version_words,
)
from orchestrator.runs.shared_data import value_seen, writers_behind
from orchestrator.web.templatetags.baton import Look

_TOLD_AS: Final[Mapping[str, str]] = {"result": "result_tag", "score": "score", "reason": "reason"}
"""Names that expressions read of a step -> what they are called in a snapshot."""
NO_NAMES: Final[Mapping[str, str]] = {}
MAX_LEAVES: Final = 4
MAX_TEXT: Final = 160
"""How much of a value is shown: leaves, characters."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value that a step was given: for which field, from where, and what it was.

    `source` is a step's id, empty for the run's input; `value` is None where there was none.
    """

    field: str
    source: str
    source_name: str
    path: str
    value: JsonValue
    text: str


@dataclass(frozen=True, slots=True)
class OriginLine:
    """A step on the way back. `given_by`: the person who gave the result in its agent's place.

    `agents` are `slug@number`, `by` the same in words.
    """

    id: str
    name: str
    icon: str
    kind: str
    look: Look
    iteration: int
    agents: tuple[str, ...]
    by: str
    stand_in: str
    given_by: str
    is_edited: bool
    review: str
    child: str
    given: tuple[Given, ...]

    def as_json(self, hashes: Mapping[str, str]) -> JsonObject:
        """For the API; `hashes` are those of agent versions, by `slug@number`."""
        return {
            "step": self.id,
            "iteration": self.iteration,
            "agents": [
                {"version": label, "sha256": hashes.get(label, "")} for label in self.agents
            ],
            "stand_in": self.stand_in or None,
            "given_by": self.given_by or None,
            "input_edited": self.is_edited,
            "review": self.review or None,
            "child_run": self.child or None,
            "given": [
                {
                    "field": one.field or None,
                    "from_step": one.source or None,
                    "path": one.path,
                    "value": one.value,
                }
                for one in self.given
            ],
        }


def origin_lines(
    run: Snapshot,
    compiled: CompiledWorkflow,
    step_id: str,
    field: str = "",
    *,
    names: Mapping[str, str] = NO_NAMES,
) -> tuple[OriginLine, ...]:
    """The step and all that its output, or one field of it, was made of; the nearest first.

    Steps without a result are left out: they had nothing to do with it in this run. Nothing of a
    step that has none itself. `names` are those of agents by slug, for people.
    """
    steps: Mapping[str, StepSnapshot] = run["steps"]
    if not steps.get(owner_of(step_id), {}).get("result_tag"):
        return ()
    found = origins_of(compiled, owner_of(step_id), field, shared=_writers(run, compiled))
    return tuple(
        _line(run, compiled, one.step, one.readings, names=names)
        for one in found
        if steps.get(one.step, {}).get("result_tag")
    )


def _line(
    run: Snapshot,
    compiled: CompiledWorkflow,
    step_id: str,
    readings: tuple[Reading, ...],
    *,
    names: Mapping[str, str],
) -> OriginLine:
    step, state = compiled.steps[step_id].step, run["steps"].get(step_id, {})
    agents = tuple(dict.fromkeys(f"{one.agent}@{one.version}" for one in _called(step, state)))
    return OriginLine(
        id=step_id,
        name=step.name,
        icon=icon_of(step),
        kind=kind_word(step),
        look=step_look(state),
        iteration=int(state.get("iteration") or 1),
        agents=agents,
        by=", ".join(version_words(one, names) for one in agents),
        stand_in=stand_in_of(step, state, names),
        given_by=str(state.get("given_by") or ""),
        is_edited=bool(state.get("input_edited")),
        review=_decided(state),
        child=str((state.get("child") or {}).get("run") or ""),
        given=_whole_input(run)
        if isinstance(step, StartStep)
        else _telling([_given(run, compiled, step_id, one) for one in _longest(readings)]),
    )


def _longest(readings: Sequence[Reading]) -> Iterator[Reading]:
    """Without those of which another one reads a part, as where a condition asks for the whole."""
    for one in readings:
        depth = len(one.path)
        if not any(
            (other.field, other.source) == (one.field, one.source)
            and len(other.path) > depth
            and other.path[:depth] == one.path
            for other in readings
        ):
            yield one


def _telling(given: Sequence[Given]) -> tuple[Given, ...]:
    """Of a field that could come from several places, those that had a value; else the first."""
    found: dict[str, list[Given]] = {}
    for one in given:
        found.setdefault(one.field, []).append(one)
    return tuple(
        one
        for of_field in found.values()
        for one in [had for had in of_field if had.value is not None] or of_field[:1]
    )


def _decided(state: StepSnapshot) -> str:
    """The review of the step in which a person decided; empty when nobody did."""
    review = state.get("review") or {}
    return str(review["id"]) if review.get("status") == "decided" else ""


def _called(step: Step, state: StepSnapshot) -> tuple[Any, ...]:
    """The agents that may have made the output: those that were called, else those it names."""
    tried = {str(one.get("agent") or "") for one in state.get("attempts") or ()}
    named = doers_of(step)
    return tuple(one for one in named if f"{one.agent}@{one.version}" in tried) or named


def _whole_input(run: Snapshot) -> tuple[Given, ...]:
    value = run.get("input")
    return (Given("", "", "", "input", value, _text_of(value)),)


def _writers(run: Snapshot, compiled: CompiledWorkflow) -> Writers:
    """Who wrote what each step has read of what is shared."""
    return {
        (step_id, key): writers_behind(compiled.definition, run["shared"], key, upto)
        for step_id in compiled.steps
        for key, upto in (run["steps"].get(step_id, {}).get("seen") or {}).items()
        if {key, "*"} & compiled.steps[step_id].keys
    }


def _given(run: Snapshot, compiled: CompiledWorkflow, reader: str, reading: Reading) -> Given:
    if reading.path[:1] == ("context",) and reading.source:
        key, upto = reading.path[1], run["steps"][reader]["seen"].get(reading.path[1], 0)
        shown = value_seen(compiled.definition, run["shared"], key, upto)
        value = _followed(shown, reading.path[2:])
        path = f"{path_text(reading.path)}, version {upto}"
        name = compiled.steps[reading.source].step.name
    elif not reading.source:
        value = _followed(run.get("input"), reading.path)
        path, name = path_text(("input", *reading.path)), ""
    else:
        value = _of_step(run["steps"].get(reading.source, {}), reading.path)
        path, name = path_text(reading.path), compiled.steps[reading.source].step.name
    return Given(reading.field, reading.source, name, path, value, _text_of(value))


def _of_step(state: StepSnapshot, path: Path) -> JsonValue:
    if not path:
        return None
    if path[0] == "output":
        return _followed(state.get("output"), path[1:])
    value: JsonValue = state.get(_TOLD_AS.get(path[0], path[0]))
    return value


def _followed(value: JsonValue, path: Path) -> JsonValue:
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def _text_of(value: JsonValue) -> str:
    """A value in a line: its first leaves, and how many more there are."""
    leaves = payload_of(value).values
    parts = [f"{one.path}: {one.text}" if one.path else one.text for one in leaves[:MAX_LEAVES]]
    text = ", ".join(part for part in parts if part)
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}…"
    left = len(leaves) - MAX_LEAVES
    return f"{text}, and {left} more" if left > 0 else text
