"""A page's form made from a contract: read it, run a service with it, show what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.utils.safestring import SafeString

from orchestrator.core.contracts import Validator, standard_types
from orchestrator.core.errors import DomainError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.web import schema_forms
from orchestrator.web.schema_forms import Errors, Types, Uploader

PREFIX: Final = "input"


@dataclass(frozen=True, slots=True)
class ShownForm:
    """A form as `web/form/form.html` draws it: error summary, fields, and whether it has errors."""

    summary: SafeString
    fields: SafeString
    has_errors: bool

    @property
    def status(self) -> int:
        """The HTTP status of the page around it."""
        return 422 if self.has_errors else 200


def show(
    schema: JsonObject,
    value: JsonValue = None,
    errors: Errors = (),
    prefix: str = PREFIX,
    *,
    types: Types = None,
) -> ShownForm:
    """Return a form for a template."""
    return ShownForm(
        summary=schema_forms.render_summary(errors, prefix, schema=schema, types=types),
        fields=schema_forms.render(schema, value, errors, prefix, types=types),
        has_errors=bool(errors),
    )


def submit(
    request: HttpRequest,
    schema: JsonObject,
    carry_out: Callable[[dict[str, Any]], object],
    *,
    prefix: str = PREFIX,
    types: Types = None,
    uploader: Uploader | None = None,
) -> ShownForm | None:
    """Read a sent form and carry it out; None when that went well, else the form with its errors.

    What the service refuses with violations is shown at the fields; other refusals are raised.
    """
    value, read = schema_forms.parse(
        schema, request.POST, request.FILES, prefix=prefix, types=types, uploader=uploader
    )
    checked = Validator(schema, standard_types() if types is None else types).check(value)
    errors: Errors = schema_forms.merge(read, checked)
    if not errors:
        try:
            assert isinstance(value, dict)
            carry_out(value)
        except DomainError as error:
            found = error.detail.get("violations")
            if not isinstance(found, list) or not found:
                raise
            errors = found
        else:
            return None
    return show(schema, value, errors, prefix, types=types)
