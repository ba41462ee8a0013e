"""The commands that a production installation begins with."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.models import Workspace


def create(*arguments: str) -> str:
    said = io.StringIO()
    call_command("create_administrator", *arguments, stdout=said)
    return said.getvalue()


@pytest.mark.django_db
def test_the_first_administrator_can_sign_in_and_manage_people(rf):
    said = create("sofia", "--name", "Sofia Keller")
    password = said.split("First password: ")[1].strip()
    person = authenticate(rf.post("/"), username="sofia", password=password)
    assert person is not None
    actor = Actor(kind="user", id=str(person.pk))
    assert access.can(actor, "people.manage", Workspace.objects.get(slug="main").id)


@pytest.mark.django_db
def test_a_name_that_is_taken_is_refused_and_nothing_is_left_behind():
    create("sofia")
    with pytest.raises(CommandError, match="already"):
        create("sofia", "--workspace", "second")
    assert not Workspace.objects.filter(slug="second").exists()
