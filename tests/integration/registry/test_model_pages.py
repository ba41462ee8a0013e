"""Models over pages and API, as administrators and others meet them."""

import json
import re

import pytest

from orchestrator.access import Role
from registry.models import ModelProvider, ModelRoute
from tests.integration.accounts.conftest import sign_in, stock

__all__ = ["sign_in", "stock"]

LIST = "/settings/models/"
PROVIDER = {
    "workspace": "claims",
    "name": "local",
    "protocol": "openai",
    "base_url": "https://models.example/v1",
    "key": "sk-test-1",
}
CHOICE = {"provider": "local", "model": "large", "context_tokens": 8_000}
ROUTE = {"workspace": "claims", "name": "strong", "choices": [CHOICE], "reason": "The plan."}


@pytest.fixture
def world(request, db, stock, settings, tmp_path):
    settings.BATON_HOME = tmp_path
    return stock.of(request.fixturenames).world()


@pytest.fixture
def administrator(sign_in):
    return sign_in(Role.ADMINISTRATOR)


def sent(client, path, body, status):
    answer = client.post(path, json.dumps(body), content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def fields(**given):
    return {f"input.{name}": one for name, one in given.items()}


def text_of(client, path):
    return client.get(path).content.decode()


def test_an_administrator_sets_up_models_on_their_pages(administrator, world):
    new = f"{LIST}{world.claims.slug}/"
    assert "Add a provider first" in text_of(administrator, f"{new}routes/new/")
    assert f'{new}routes/new/"' not in text_of(administrator, LIST)
    form = text_of(administrator, f"{new}providers/new/")
    assert re.search('<input [^>]*name="input.base_url"', form)
    about = {"name": "local", "protocol": "Anthropic messages", "base_url": "ftp://models"}
    wrong = administrator.post(f"{new}providers/new/", fields(**about))
    assert wrong.status_code == 422
    assert 'href="#input.base_url"' in wrong.content.decode()
    about["base_url"] = "https://models.example"
    assert administrator.post(f"{new}providers/new/", fields(**about)).status_code == 302
    row = ModelProvider.objects.get()
    assert (row.protocol, row.allow_private, row.sealed_key) == ("anthropic", False, "")
    page = f"{LIST}providers/{row.id}/"
    administrator.post(f"{page}key/", {"key": "sk-test-1", "reason": "Its own."})
    row.refresh_from_db()
    assert row.sealed_key
    assert "sk-test-1" not in text_of(administrator, page)
    route = {
        "name": "strong",
        "choices.0.provider": "local",
        "choices.0.model": "large",
        "choices.0.context_tokens": "8000",
        "reason": "The plan.",
    }
    made = administrator.post(f"{new}routes/new/", fields(**route))
    assert made.status_code == 302, made.content.decode()
    assert "by local, 8,000 tokens" in text_of(administrator, LIST)
    of_route = f"{LIST}routes/{ModelRoute.objects.get().id}/"
    changed = fields(**{**route, "choices.0.context_tokens": "16000"})
    changed.pop("input.name")
    assert administrator.post(of_route, changed).status_code == 302
    assert "16,000 tokens" in text_of(administrator, of_route)
    administrator.post(f"{of_route}end/", {"reason": "Over."})
    administrator.post(f"{page}disable/", {"reason": "Over."})
    row.refresh_from_db()
    assert row.disabled_at
    assert "No route yet" in text_of(administrator, LIST)


def test_the_api_does_the_same_and_never_shows_a_key(administrator, world):
    provider = sent(administrator, "/api/v1/model-providers/", PROVIDER, 201)
    assert provider["has_key"]
    assert "sk-test-1" not in json.dumps(provider)
    route = sent(administrator, "/api/v1/model-routes/", ROUTE, 201)
    assert route["choices"][0]["model"] == "large"
    again = sent(administrator, "/api/v1/model-providers/", PROVIDER, 409)
    assert "exists already" in again["detail"]
    elsewhere = {**ROUTE, "choices": [{**CHOICE, "provider": "nobody"}]}
    refused = sent(administrator, "/api/v1/model-routes/", elsewhere, 422)
    assert refused["violations"][0]["path"] == "/choices/0/provider"
    prices = {
        "input_price": {"minor": 1, "currency": "EUR"},
        "output_price": {"minor": 1, "currency": "USD"},
    }
    mixed = {**ROUTE, "choices": [{**CHOICE, **prices}]}
    refused = sent(administrator, "/api/v1/model-routes/", mixed, 422)
    assert "same currency" in refused["detail"]
    address = f"/api/v1/model-providers/{provider['id']}"
    body = {"key": "", "reason": "Not needed."}
    assert not sent(administrator, f"{address}/key/", body, 200)["has_key"]
    assert sent(administrator, f"{address}/disable/", {"reason": "Over."}, 200)["disabled_at"]
    ended = sent(administrator, f"/api/v1/model-routes/{route['id']}/end/", {"reason": "x"}, 200)
    assert ended["ended_at"]


def test_others_read_and_change_nothing(administrator, sign_in, world):
    sent(administrator, "/api/v1/model-providers/", PROVIDER, 201)
    sent(administrator, "/api/v1/model-routes/", ROUTE, 201)
    reader = sign_in(Role.AGENT_OWNER)
    assert "Administrators of a workspace set its models" in text_of(reader, LIST)
    page = text_of(reader, f"{LIST}providers/{ModelProvider.objects.get().id}/")
    assert 'type="password"' not in page
    assert sent(reader, "/api/v1/model-routes/", ROUTE, 403)["code"] == "permission_denied"


def test_an_agent_owner_fills_in_the_form_of_a_language_model(sign_in, world):
    owner = sign_in(Role.AGENT_OWNER)
    assert "?kind=llm" in text_of(owner, "/agents/new/")
    page = text_of(owner, "/agents/new/?kind=llm")
    for words in ("Model route", "Instructions", "What gives way when the input is too long"):
        assert words in page
