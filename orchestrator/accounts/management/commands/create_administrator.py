"""Create the first administrator of an installation, and its first workspace when there is none."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from orchestrator.access import SYSTEM, Role
from orchestrator.accounts import services
from orchestrator.accounts.models import Workspace
from orchestrator.core.errors import DomainError


class Command(BaseCommand):
    help = "Create an administrator and print the first password, which is kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="sign-in name")
        parser.add_argument(
            "--name", default="", help="name that pages show (default: sign-in name)"
        )
        parser.add_argument(
            "--workspace", default="main", help="slug; created when it is not there"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        slug = options["workspace"]
        try:
            with transaction.atomic():
                name = slug.replace("-", " ").capitalize()
                workspace = Workspace.objects.filter(
                    slug=slug
                ).first() or services.create_workspace(slug=slug, name=name, actor=SYSTEM, now=now)
                created = services.create_person(
                    username=options["username"],
                    name=options["name"] or options["username"],
                    actor=SYSTEM,
                    now=now,
                )
                services.grant_membership(
                    person_id=created.person.id,
                    workspace_id=workspace.id,
                    role=Role.ADMINISTRATOR,
                    actor=SYSTEM,
                    now=now,
                )
        except DomainError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{options['username']} is administrator of {workspace}.")
        self.stdout.write(f"First password: {created.password}")
