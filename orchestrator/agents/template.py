"""Fills a text from named values: `{name}` only, no expressions, no attributes, no code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from orchestrator.agents.money import format_money, money_of
from orchestrator.core.json import JsonObject, JsonValue, Model, Text
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, StepResult, Value, Violation

MAX_FILLED_CHARACTERS = 100_000
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]{0,62})\}|[{}]")


class Template(Model):
    """A text with `{name}` placeholders (`{{`, `}}`: braces); `output` names the result field."""

    text: Annotated[Text, Field(min_length=1, max_length=20_000)]
    media: str = "text/plain"
    output: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = "text"


class TemplateError(ValueError):
    """The text cannot be filled: `missing` names are not given, or `stray` braces stand in it."""

    def __init__(self, missing: tuple[str, ...], stray: bool = False) -> None:
        super().__init__(
            "a brace stands alone in the template"
            if stray
            else "no value for " + ", ".join(f"“{name}”" for name in missing)
        )
        self.missing = missing


def placeholders(text: str) -> tuple[str, ...]:
    """The names that the text asks for, in order, each once.

    Raises:
        TemplateError: a brace stands alone.
    """
    names: dict[str, None] = {}
    for match in _PLACEHOLDER.finditer(text):
        if match[1]:
            names[match[1]] = None
        elif len(match[0]) == 1:
            raise TemplateError((), stray=True)
    return tuple(names)


def fill(text: str, values: Mapping[str, JsonValue]) -> str:
    """Return the text with every placeholder replaced by its value, written for people.

    Raises:
        TemplateError: a value is absent or null, or a brace stands alone.
    """
    missing = tuple(name for name in placeholders(text) if values.get(name) is None)
    if missing:
        raise TemplateError(missing)

    def replaced(match: re.Match[str]) -> str:
        return written(values[match[1]]) if match[1] else match[0][0]

    return _PLACEHOLDER.sub(replaced, text)


def written(value: JsonValue) -> str:
    """A value as people read it: money with its currency, yes and no, lists with commas."""
    money = money_of(value)
    if money is not None:
        return format_money(money)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(written(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {written(item)}" for key, item in value.items())
    return "" if value is None else str(value)


def fill_template(template: Template | JsonObject, given: JsonObject) -> StepResult:
    """Return the filled text as a value, or a contract failure that names the missing values."""
    config = template if isinstance(template, Template) else Template.model_validate(template)
    try:
        text = fill(config.text, given)
    except TemplateError as error:
        return Failed(
            kind=FailureKind.CONTRACT if error.missing else FailureKind.AGENT_ERROR,
            reason_code="template_not_filled",
            reason=f"The text cannot be written: {error}.",
            violations=tuple(
                Violation(path=f"/{name}", rule="required", reason="The template needs this value.")
                for name in error.missing
            ),
            retryable=False,
        )
    if len(text) > MAX_FILLED_CHARACTERS:
        return Failed(
            kind=FailureKind.AGENT_ERROR,
            reason_code="text_too_long",
            reason=f"The text has {len(text)} characters; {MAX_FILLED_CHARACTERS} are allowed.",
            retryable=False,
        )
    return Value(output={config.output: text, "media": config.media}, score=1.0)
