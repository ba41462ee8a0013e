"""The API's own description is valid OpenAPI 3.1 and complete."""

import json
from pathlib import Path

import jsonschema_rs
from django.core.management import call_command
from drf_spectacular import validation


def test_the_description_is_valid_and_generated_without_a_warning(tmp_path):
    file = tmp_path / "openapi.json"
    call_command(
        "spectacular",
        "--fail-on-warn",
        "--format",
        "openapi-json",
        "--file",
        str(file),
    )
    described = json.loads(file.read_text())
    assert described["openapi"].startswith("3.1")
    # What the command's own check does, by a validator that needs no ten seconds.
    specification = Path(validation.__file__).with_name("openapi_3_1_schema.json")
    rules = jsonschema_rs.validator_for(json.loads(specification.read_text()))
    assert [error.message for error in rules.iter_errors(described)] == []
    described_wrongly = {**described, "paths": {"/": {"get": {"responses": []}}}}
    assert not rules.is_valid(described_wrongly)
    for path, item in described["paths"].items():
        for method, operation in item.items():
            if method in {"get", "post", "patch", "put", "delete"}:
                assert {"401", "403", "429"} <= set(operation["responses"]), (path, method)


def test_the_documentation_page_has_no_inline_style_or_script(sign_in):
    from orchestrator.access import Role

    answer = sign_in(Role.OPERATOR).get("/api/docs/")
    html = answer.content.decode()
    assert "<style" not in html
    assert "<script>" not in html
    assert "unsafe" not in answer["Content-Security-Policy"]
