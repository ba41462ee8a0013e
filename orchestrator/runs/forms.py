"""Forms made from a contract: a run's input, and a step's input that an operator mends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from orchestrator.access import Actor
from orchestrator.core.contracts import Validator
from orchestrator.core.errors import DomainError, InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue, parse_json
from orchestrator.core.results import Violation
from orchestrator.files import selectors as files
from orchestrator.files import services as file_services
from orchestrator.ids import new_id
from orchestrator.web import schema_forms

PREFIX: Final = "input"
RAW: Final = "input_json"


@dataclass(frozen=True, slots=True)
class InputForm:
    """One contract with a value in it. As JSON it is one text; `raw` is what was typed there."""

    contract: Validator
    value: JsonValue
    violations: tuple[Violation, ...] = ()
    is_json: bool = False
    raw: str | None = None

    @property
    def fields(self) -> SafeString:
        """The fields as HTML, errors beside them."""
        return schema_forms.render(self.contract.schema, self.value, self.violations, PREFIX)

    @property
    def asked(self) -> tuple[str, ...]:
        """The fields that the contract asks for; none when it asks nothing."""
        properties = self.contract.schema.get("properties")
        return tuple(properties) if isinstance(properties, dict) else ()

    @property
    def summary(self) -> SafeString:
        """The error summary; empty when nothing is wrong."""
        if not self.violations or self.is_json:
            return SafeString("")
        return schema_forms.render_summary(self.violations, PREFIX, schema=self.contract.schema)

    @property
    def text(self) -> str:
        """The value as JSON text, or what was typed."""
        if self.raw is not None:
            return self.raw
        return json.dumps(self.value, indent=2, ensure_ascii=False)

    def with_error(self, error: DomainError) -> InputForm:
        """The same form with what a service said about the input."""
        given = cast("list[Mapping[str, Any]]", error.detail.get("violations") or [])
        found = tuple(Violation.model_validate(one) for one in given)
        whole = Violation(path="", rule="refused", reason=error.message)
        return replace(self, violations=schema_forms.merge(self.violations, found or (whole,)))


def read_input(
    request: HttpRequest, form: InputForm, *, actor: Actor, workspace_id: UUID
) -> tuple[InputForm, JsonObject | None]:
    """Read the form back: as it was filled in, and the input when it can be used.

    Uploaded files are stored, so that nobody has to choose them again after a mistake elsewhere.
    """
    if form.is_json:
        return _read_text(form, request.POST.get(RAW, ""))

    def upload(file: UploadedFile[Any]) -> JsonObject:
        artefact = file_services.upload_artefact(
            workspace_id=workspace_id,
            name=file.name or "file",
            chunks=file.chunks(),
            actor=actor,
            now=timezone.now(),
        )
        return files.value_of(artefact, file.name or artefact.name)

    value, read = schema_forms.parse(
        form.contract.schema,
        request.POST,
        request.FILES,
        prefix=PREFIX,
        uploader=upload,
        base=form.value,
    )
    accepted = form.contract.accept(value)
    checked = accepted.violations if accepted.verdict == "refused" else ()
    filled = replace(form, value=value, violations=schema_forms.merge(read, checked))
    if filled.violations or not isinstance(value, dict):
        return filled, None
    return filled, value


def new_key() -> str:
    """A key that makes a form that is sent twice start one run."""
    return str(new_id())


def _read_text(form: InputForm, text: str) -> tuple[InputForm, JsonObject | None]:
    try:
        value = parse_json(text)
    except InvalidInputError as error:
        return replace(form, raw=text, violations=(_whole(error.message),)), None
    if not isinstance(value, dict):
        return replace(form, raw=text, violations=(_whole("The input must be an object."),)), None
    accepted = form.contract.accept(value)
    found = accepted.violations if accepted.verdict == "refused" else ()
    filled = replace(form, raw=text, value=value, violations=tuple(found))
    return filled, None if found else value


def _whole(reason: str) -> Violation:
    return Violation(path="", rule="json", reason=reason)
