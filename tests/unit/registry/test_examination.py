"""What is wrong with a manifest, each remark at its place."""

from __future__ import annotations

import json

import pytest

from examples import claims
from orchestrator.core.catalogue import DomainType
from orchestrator.core.contracts import standard_types
from registry.examination import Surroundings, examine, tools_of
from registry.manifest import AgentManifest, Tool

TYPES = standard_types()
AROUND = Surroundings(TYPES, {"register": True, "closed": False})
TAKES = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer"},
        "cause": {"enum": ["hail", "theft"]},
        "name": {"type": "string"},
    },
    "required": ["amount", "name"],
    "additionalProperties": False,
}
GIVES = {
    "type": "object",
    "properties": {"large": {"type": "boolean"}, "note": {"type": "string"}},
    "required": ["large"],
    "additionalProperties": False,
}
TABLE = {
    "id": "size",
    "rows": [{"id": "large", "when": ["input.amount > 1000"], "output": {"large": "true"}}],
    "otherwise": {"output": {"large": "false"}},
}


def remarks(kind="rules", config=TABLE, **more):
    manifest = AgentManifest.model_validate(
        {"kind": kind, "purpose": "p", "input": TAKES, "output": GIVES, "config": config, **more}
    )
    return {(one.severity, one.path): one.reason for one in examine(manifest, AROUND)}


def errors(*args, **more):
    return {path: reason for (severity, path), reason in remarks(*args, **more).items()
            if severity == "error"}  # fmt: skip


def row(**more):
    return {**TABLE, "rows": [{**TABLE["rows"][0], **more}]}


def test_a_table_that_works_has_no_remark():
    assert remarks() == {}


def test_nothing_shipped_has_an_error():
    types = {
        **TYPES,
        **{one["name"]: DomainType(one["name"], 1, one["schema"]) for one in claims.domain_types()},
    }
    shipped = json.loads((claims.HERE / "agents.json").read_text(encoding="utf-8"))
    around = Surroundings(types, {claims.ENDPOINT: True})
    found = [
        (agent["slug"], one)
        for agent in shipped
        for one in examine(AgentManifest.model_validate(agent["manifest"]), around)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("config", "path", "reason"),
    [
        (row(when=["input.amout > 1"]), "/config/rows/0/when/0", "Row large, condition 1: "),
        (row(when=["input.amount > 'x'"]), "/config/rows/0/when/0", "number"),
        (row(when=["input.amount"]), "/config/rows/0/when/0", "must give yes or no"),
        (row(when=["true", "input.("]), "/config/rows/0/when/1", "Row large, condition 2: "),
        (row(output={"large": "'x'"}), "/config/rows/0/output/large", "gives text"),
        (row(output={}), "/config/rows/0/output/large", "the output needs the field 'large'"),
        (row(output={"large": "true", "huge": "1"}), "/config/rows/0/output/huge", "no such field"),
        ({**TABLE, "otherwise": {"output": {"large": "1 +"}}}, "/config/otherwise/output/large", "Otherwise, output large: "),
        ({**TABLE, "values": {"limit": "input.limit"}}, "/config/values/limit", "Figure limit: "),
    ],
)  # fmt: skip
def test_a_mistake_in_a_table_names_row_and_column(config, path, reason):
    assert reason in errors(config=config)[path]


def test_a_value_that_may_be_missing_is_a_warning_only():
    found = remarks(config=row(when=["input.cause == 'hail'"]))
    assert list(found) == [("warning", "/config/rows/0/when/0")]
    assert "may be missing" in found["warning", "/config/rows/0/when/0"]


def test_a_row_that_says_why_not_needs_no_output():
    config = row(result="refused", reason_code="too_large", reason="Too large.", output={})
    assert errors(config=config) == {}


def test_gathered_rows_need_not_fit_one_by_one():
    many = {
        "type": "object",
        "properties": {"notes": {"type": "array", "items": {"type": "string"}}},
    }
    config = {"id": "t", "hit": "collect", "rows": [{"id": "a", "output": {"notes": "'x'"}}]}
    assert errors(config=config, output=many) == {}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"input": {"type": "array"}}, "/input"),
        ({"output": {"type": "string"}}, "/output"),
        ({"input": {"type": "object", "properties": {"a": {"$ref": "baton:No"}}}}, "/input/properties/a/$ref"),
        ({"examples": [{"title": "E", "input": {"amount": "x", "name": "n"}}]}, "/examples/0/input/amount"),
        ({"examples": [{"title": "E", "input": {"amount": 1, "name": "n"}, "output": {}}]}, "/examples/0/output/large"),
        ({"tools": [{"name": "the moon", "scopes": ["read"], "side_effect": "read"}]}, "/tools"),
    ],
)  # fmt: skip
def test_contracts_examples_and_tools_are_looked_at(change, path):
    assert path in errors(**change)


def test_a_placeholder_needs_its_field():
    text = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "media": {"type": "string"}},
    }
    config = {"text": "Dear {name}, about {thing} {cause}"}
    found = remarks("template", config, output=text)
    assert found["error", "/config/text"] == "The input contract has no field 'thing'."
    assert "'cause' may be missing" in found["warning", "/config/text"]
    assert "/output" in errors("template", {"text": "Dear {name}"})
    assert "cannot be filled" in errors("template", {"text": "{name"}, output=text)["/config/text"]


def test_a_request_reads_only_fields_that_are_there():
    config = {
        "endpoint": "register",
        "path": "/a/{nobody}",
        "query": {"q": "/amount", "r": "cause"},
        "responses": {"200": {"output": {"big": "large"}}},
    }
    found = remarks("http", config, side_effect="read")
    assert found == {
        ("error", "/config/path"): "The input contract has no field 'nobody'.",
        ("warning", "/config/query/r"): "'cause' may be missing; then the request cannot be made.",
        ("error", "/config/responses/200/output/big"): "The output contract has no field 'big'.",
    }


@pytest.mark.parametrize(("endpoint", "words"), [("nowhere", "no service"), ("closed", "disabled")])
def test_a_service_must_be_there_and_enabled(endpoint, words):
    found = errors("http", {"endpoint": endpoint, "path": "/"}, side_effect="read")
    assert words in found["/config/endpoint"]


@pytest.mark.parametrize(
    ("method", "least"), [("GET", "read"), ("POST", "read"), ("PUT", "write"), ("DELETE", "write")]
)
def test_what_is_reached_sets_the_least_side_effect(method, least):
    config = {"endpoint": "register", "path": "/", "method": method}
    order = ["none", "read", "write", "irreversible"]
    for stated in order:
        is_enough = order.index(stated) >= order.index(least)
        assert ("/side_effect" in errors("http", config, side_effect=stated)) is not is_enough


def test_tools_follow_from_the_configuration():
    def tools(kind, config):
        manifest = {"kind": kind, "purpose": "p", "input": TAKES, "output": GIVES}
        return tools_of(AgentManifest.model_validate({**manifest, "config": config}).config)

    reads = Tool(name="stored files", scopes=("read",), side_effect="read")
    assert tools("function", {"function": "documents.read_fields"}) == (reads,)
    assert tools("function", {"function": "money.compute"}) == ()
    assert tools("rules", TABLE) == ()
    writes = Tool(name="register", scopes=("PUT",), side_effect="write")
    assert tools("http", {"endpoint": "register", "path": "/", "method": "PUT"}) == (writes,)


def test_a_function_must_be_installed_and_get_parameters_that_suit_it():
    assert "There is no function" in errors("function", {"function": "gone"})["/config/function"]
    found = errors("function", {"function": "documents.read_fields", "parameters": {"fields": []}})
    assert "/config/parameters/fields" in found
    assert "at least 'read'" in found["/side_effect"]
