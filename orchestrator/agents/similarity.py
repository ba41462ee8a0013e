"""How alike two texts are: Dice coefficient over character trigrams of normalised words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from pydantic import Field

from orchestrator.agents.base import (
    AgentContext,
    FunctionAgent,
    ParametersError,
    parameters_failed,
    read_parameters,
)
from orchestrator.core.json import JsonObject, JsonValue, Model
from orchestrator.core.results import Basis, BasisKind, NotFound, StepResult, Uncertain, Value

PPM = 1_000_000
_WORD = re.compile(r"[^\W_]+")

Trigrams = frozenset[str]


def normalised(text: str) -> str:
    """Lower case words without accents and punctuation, one space between."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(_WORD.findall("".join(c for c in plain if not unicodedata.combining(c))))


def trigrams(text: str) -> Trigrams:
    """The set of character trigrams of the normalised text, padded at both ends."""
    padded = f"  {normalised(text)} "
    return frozenset(padded[index : index + 3] for index in range(len(padded) - 2))


def likeness_ppm(first: Trigrams, second: Trigrams) -> int:
    """Dice coefficient of two trigram sets in parts per million."""
    total = len(first) + len(second)
    return 2 * len(first & second) * PPM // total if total else 0


def nearest(wanted: Trigrams, candidates: Iterable[tuple[str, Trigrams]]) -> tuple[str, int] | None:
    """The key of the candidate that is most alike, and how much; the first of equals."""
    best: tuple[str, int] | None = None
    for key, candidate in candidates:
        ppm = likeness_ppm(wanted, candidate)
        if best is None or ppm > best[1]:
            best = (key, ppm)
    return best


class NearestParameters(Model):
    """At least `certain_percent` alike is a match, below `possible_percent` nothing is like it."""

    certain_percent: int = Field(default=80, ge=1, le=100)
    possible_percent: int = Field(default=60, ge=1, le=100)
    entries: dict[str, str] = Field(default_factory=dict, max_length=5_000)
    """Key -> text of a fixed list; used when the input brings no candidates."""


def _nearest(given: JsonObject, context: AgentContext) -> StepResult:
    try:
        parameters = read_parameters(NearestParameters, context)
    except ParametersError as error:
        return parameters_failed(error)
    candidates = _candidates(given.get("candidates")) or parameters.entries
    found = nearest(
        trigrams(str(given.get("text", ""))),
        ((key, trigrams(text)) for key, text in candidates.items()),
    )
    if found is None:
        return NotFound(reason_code="no_candidates", reason="There is nothing to compare with.")
    key, ppm = found
    basis = Basis(
        kind=BasisKind.STATISTIC,
        id="similarity.nearest@1",
        values={
            "likeness_ppm": ppm,
            "certain_ppm": parameters.certain_percent * 10_000,
            "possible_ppm": parameters.possible_percent * 10_000,
            "candidates": len(candidates),
        },
    )
    percent = ppm // 10_000
    output: JsonObject = {"key": key, "text": candidates[key], "likeness_percent": percent}
    if percent >= parameters.certain_percent:
        return Value(output=output, score=ppm / PPM, basis=(basis,))
    if percent >= parameters.possible_percent:
        return Uncertain(
            output=output,
            score=ppm / PPM,
            reason_code="only_similar",
            reason=f"The nearest entry, “{candidates[key][:80]}”, is {percent} % alike; "
            f"{parameters.certain_percent} % are needed to be sure.",
            basis=(basis,),
        )
    return NotFound(
        reason_code="nothing_similar",
        reason=f"None of {len(candidates)} entries is at least "
        f"{parameters.possible_percent} % alike; the nearest is {percent} %.",
        basis=(basis,),
    )


def _candidates(value: JsonValue) -> dict[str, str]:
    if not isinstance(value, list):
        return {}
    return {
        str(item["key"]): str(item["text"])
        for item in value
        if isinstance(item, Mapping) and "key" in item and "text" in item
    }


NEAREST = FunctionAgent(
    name="similarity.nearest",
    title="Most similar text",
    summary="Finds the entry of a list that is most alike, and says when none is alike enough.",
    call=_nearest,
    input_schema={
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": 20_000},
            "candidates": {
                "type": "array",
                "maxItems": 5_000,
                "items": {
                    "type": "object",
                    "properties": {"key": {"type": "string"}, "text": {"type": "string"}},
                    "required": ["key", "text"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["text"],
        "additionalProperties": False,
    },
    output_schema={
        "type": "object",
        "properties": {
            "key": {"type": "string"},
            "text": {"type": "string"},
            "likeness_percent": {"type": "integer", "minimum": 0, "maximum": 100},
        },
        "required": ["key", "text", "likeness_percent"],
        "additionalProperties": False,
    },
    parameters_schema=NearestParameters.model_json_schema(),
)
