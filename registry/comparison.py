"""Two versions of an agent side by side: what differs in words; whether one can replace the other.

Pure. Each version is first told as labelled lines (`lines_of`); a difference is a line that only
one side has, or that reads differently. Whether a newer version can stand where the older one is
called is decided by the contracts: it must take everything that the older one took, and give
nothing that the older one did not allow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.agents.llm import LlmConfig
from orchestrator.agents.money import format_money
from orchestrator.core.contracts import Fit, FitVerdict, fits
from orchestrator.core.json import JsonObject, JsonValue
from registry import presentation
from registry.manifest import (
    AgentConfig,
    AgentManifest,
    FunctionConfig,
    HttpConfig,
    RulesConfig,
    TemplateConfig,
)

Line = tuple[str, str]
"""Section and label of a line."""


@dataclass(frozen=True, slots=True)
class Side:
    """A version as it is compared; `takes` and `gives` are its contracts, closed over its types."""

    manifest: AgentManifest
    types: Mapping[str, int]
    takes: JsonObject
    gives: JsonObject


@dataclass(frozen=True, slots=True)
class Difference:
    """One line that differs; None on the side that does not have it."""

    section: str
    label: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True, slots=True)
class Swap:
    """Whether the newer version can replace the older one, side by side."""

    takes: Fit
    gives: Fit

    @property
    def verdict(self) -> FitVerdict:
        """Fits when both sides do; one that does not fit decides."""
        verdicts = {self.takes.verdict, self.gives.verdict}
        for one in (FitVerdict.DOES_NOT_FIT, FitVerdict.CANNOT_TELL):
            if one in verdicts:
                return one
        return FitVerdict.FITS


def differences(before: Side, after: Side) -> list[Difference]:
    """Every line that differs, in the order in which the page of an agent tells them."""
    old, new = lines_of(before), lines_of(after)
    order = list(dict.fromkeys([*old, *new]))
    sections = list(dict.fromkeys(section for section, _ in order))
    found = [
        Difference(*line, before=old.get(line), after=new.get(line))
        for line in order
        if old.get(line) != new.get(line)
    ]
    return sorted(found, key=lambda one: sections.index(one.section))


def swap_of(before: Side, after: Side) -> Swap:
    """Whether `after` takes all that `before` took and gives nothing that `before` did not allow.

    Raises:
        SchemaError: a contract is not usable.
    """
    return Swap(takes=fits(before.takes, after.takes), gives=fits(after.gives, before.gives))


def lines_of(side: Side) -> dict[Line, str]:
    """The version as labelled lines."""
    return dict(_lines(side))


def _lines(side: Side) -> Iterator[tuple[Line, str]]:
    manifest = side.manifest
    yield ("What it does", "Kind"), presentation.KIND_WORDS[manifest.kind]
    yield ("What it does", "Purpose"), manifest.purpose
    for limit in manifest.limits:
        yield ("What it does not do", limit), limit
    for capability in manifest.capabilities:
        yield ("Can do", capability), capability
    yield ("Effects", "Side effect"), presentation.SIDE_EFFECTS[manifest.side_effect][2]
    yield ("Effects", "Repeating"), presentation.EFFECTS[manifest.effect]
    for tool in manifest.tools:
        yield ("Effects", f"Tool {tool.name}"), f"{', '.join(tool.scopes)}: {tool.side_effect}"
    if manifest.price_of_call is not None:
        yield ("Effects", "Price of a call"), format_money(manifest.price_of_call)
    if manifest.worker is not None:
        yield ("Effects", "Only on workers with the label"), manifest.worker
    yield ("Effects", "Largest output"), f"{manifest.max_output_bytes:,} bytes"
    yield from _contract_lines("Takes", manifest.input)
    yield from _contract_lines("Gives", manifest.output)
    for name, number in sorted(side.types.items()):
        yield ("Shared types", name), f"version {number}"
    yield from _config_lines(manifest.config)
    for example in manifest.examples:
        shown: JsonValue = {"input": example.input, "output": example.output}
        note = f"{example.note}\n" if example.note else ""
        yield ("Examples", example.title), f"{note}{presentation.pretty(shown)}"


def _contract_lines(section: str, schema: JsonObject) -> Iterator[tuple[Line, str]]:
    for one in presentation.fields_of(schema):
        parts = [one.words, "must be given" if one.is_required else "may be missing"]
        parts += [f"class {one.data_class}"] if one.data_class else []
        parts += [one.text] if one.text else []
        yield (section, one.path), "; ".join(parts)


def _config_lines(config: AgentConfig) -> Iterator[tuple[Line, str]]:
    section = "How it works"
    match config:
        case RulesConfig():
            yield from _table_lines(section, config)
        case TemplateConfig(text=text, media=media, output=output):
            yield (section, "Text"), text
            yield (section, "Kind of text"), f"{media}, as '{output}'"
        case FunctionConfig(function=name, parameters=parameters):
            yield (section, "Function"), name
            for key, value in parameters.items():
                yield (section, key), _text(value)
        case HttpConfig():
            yield from _http_lines(section, config)
        case LlmConfig():
            yield from _llm_lines(section, config)


def _table_lines(section: str, table: RulesConfig) -> Iterator[tuple[Line, str]]:
    yield (section, "Table"), f"{table.id}, version {table.version}, {table.hit}"
    yield (section, "Order of the rows"), ", ".join(row.id for row in table.rows)
    for row in table.rows:
        shown = row.model_dump(mode="json", exclude_defaults=True, exclude={"id"})
        yield (section, f"Row {row.id}"), presentation.pretty(shown)
    if table.otherwise is not None:
        shown = table.otherwise.model_dump(mode="json", exclude_defaults=True)
        yield (section, "Otherwise"), presentation.pretty(shown)
    for name, text in table.values.items():
        yield (section, f"Figure {name}"), text


def _http_lines(section: str, config: HttpConfig) -> Iterator[tuple[Line, str]]:
    yield (section, "Request"), f"{config.method} {config.path} of {config.endpoint}"
    for name, ref in config.query.items():
        yield (section, f"Query {name}"), ref
    yield (section, "Body"), _text(config.body)
    for status, answer in config.responses.items():
        shown = answer.model_dump(mode="json", exclude_defaults=True)
        yield (section, f"Answer {status}"), presentation.pretty(shown)


def _llm_lines(section: str, config: LlmConfig) -> Iterator[tuple[Line, str]]:
    yield (section, "Model"), f"the route {config.route}"
    yield (section, "Instructions"), config.instructions
    yield (section, "Longest answer"), f"{config.max_output_tokens:,} tokens"
    yield (section, "Answers given back"), f"at most {config.max_repairs}"
    if config.temperature is not None:
        yield (section, "Temperature"), f"{config.temperature:g}"
    for place, one in enumerate(config.trim, 1):
        yield (section, f"Gives way {place}"), f"{one.field}: {one.how}"


def _text(value: JsonValue | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
