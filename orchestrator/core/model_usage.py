"""What calls of language models take: at most before they are made, and as their results say.

Only the model counts tokens exactly. Before a call they are estimated: one for three ASCII
characters, one for two bytes of everything else (UTF-8), so that a text is rather thought too long
than too short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.json import JsonObject, Model
from orchestrator.core.results import BasisKind, StepResult

CORRECTION_TOKENS: Final = 600
"""What is said about one wrong answer takes at most."""
MILLION: Final = 1_000_000


class Usage(Model):
    """Tokens read and written, and what models cost, in minor units of a budget's currency."""

    tokens: int
    money: int


def more(one: Usage | None, other: Usage) -> Usage:
    """Both together."""
    if one is None:
        return other
    return Usage(tokens=one.tokens + other.tokens, money=one.money + other.money)


def less(whole: Usage | None, part: Usage) -> Usage | None:
    """What is left without a part of it; None: nothing."""
    if whole is None:
        return None
    left = Usage(tokens=whole.tokens - part.tokens, money=whole.money - part.money)
    return left if left.tokens or left.money else None


class TokenRates(Model):
    """What a million tokens of a route cost at most, in minor units of a budget's currency."""

    input_minor: int
    output_minor: int

    def cost(self, reads: int, writes: int) -> int:
        """What so many tokens cost, rounded up to a whole minor unit."""
        return whole_minor(reads * self.input_minor + writes * self.output_minor)


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """How an agent asks the models of its route; nothing of it depends on what the route leads to.

    `fixed_tokens`: everything that it says beside the input. An answer takes `output_tokens` at
    most, and up to `repairs` of them are given back as wrong.
    """

    route: str
    fixed_tokens: int
    output_tokens: int
    repairs: int

    def most(self, given: JsonObject) -> tuple[int, int]:
        """The tokens that a call with this input reads and writes at most, untrimmed."""
        prompt = self.fixed_tokens + estimated_tokens(fenced(given))
        more = self.output_tokens + CORRECTION_TOKENS
        times = self.repairs + 1
        return times * prompt + more * (times * (times - 1) // 2), self.output_tokens * times


@dataclass(frozen=True, slots=True)
class Reported:
    """What a call took, as its result says; `cost` in millionths of the currency's minor unit."""

    tokens: int
    cost: int = 0
    currency: str = ""


def estimated_tokens(text: str) -> int:
    """How many tokens a text is, rather too many than too few; the rule stands above."""
    ascii_only = len(text.encode("ascii", "ignore"))
    others = len(text.encode("utf-8", "surrogatepass")) - ascii_only
    return -(-ascii_only // 3) + -(-others // 2)


def fenced(fields: JsonObject) -> str:
    """An input as JSON between marks that no text in it can close."""
    content = canonical_bytes(fields).decode().replace("<", "\\u003c")
    return f"<input>{content}</input>"


def reported(result: StepResult) -> Reported | None:
    """What a call of models took; None: no model was asked, or nobody knows."""
    said = figures_of(result)
    if said is None or said.get("usage_unknown"):
        return None
    return Reported(
        tokens=count(said.get("tokens_in")) + count(said.get("tokens_out")),
        cost=count(said.get("cost_minor_millionths")),
        currency=str(said.get("currency", "")),
    )


def figures_of(result: StepResult) -> Mapping[str, int | str | bool] | None:
    """The figures of a result that came from models; None: none was asked."""
    found = (one.values for one in result.basis if one.kind is BasisKind.MODEL)
    return next(found, None)


def whole_minor(millionths: int) -> int:
    """Millionths of a minor unit as whole minor units, rounded up."""
    return -(-millionths // MILLION)


def count(value: object) -> int:
    """A number that somebody else says; 0 when it is none that counts."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
