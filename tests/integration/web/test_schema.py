"""The API's own description is valid OpenAPI 3.1 and complete."""

import json

from django.core.management import call_command


def test_the_description_is_valid_and_generated_without_a_warning(tmp_path):
    file = tmp_path / "openapi.json"
    call_command(
        "spectacular",
        "--validate",
        "--fail-on-warn",
        "--format",
        "openapi-json",
        "--file",
        str(file),
    )
    described = json.loads(file.read_text())
    assert described["openapi"].startswith("3.1")
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
