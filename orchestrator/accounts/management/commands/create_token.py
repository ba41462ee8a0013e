"""Make a bearer token for a person: `manage.py create_token USER --scope runs:write`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from typing_extensions import override

from orchestrator.access import SCOPES, SYSTEM
from orchestrator.accounts import services
from orchestrator.accounts.models import User
from orchestrator.core.errors import DomainError


class Command(BaseCommand):
    help = "Make a bearer token that acts as a person. It is shown once and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="user name of the person")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            dest="scopes",
            metavar="SCOPE",
            help=f"may be given several times; one of {', '.join(SCOPES).replace('%', '%%')}",
        )
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument("--days", type=int, default=90, help="how long it works; 0: no end")
        parser.add_argument("--json", action="store_true", help='print {"token": ...}')

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(username=options["user"]).first()
        if person is None:
            raise CommandError(f"There is no person with the user name '{options['user']}'.")
        scopes = [part for given in options["scopes"] for part in given.split(",") if part]
        now = timezone.now()
        try:
            made = services.create_token(
                name=options["name"],
                scopes=scopes,
                person_id=person.id,
                expires_at=now + timedelta(days=options["days"]) if options["days"] else None,
                actor=SYSTEM,
                now=now,
            )
        except DomainError as error:
            raise CommandError(error.message) from None
        if options["json"]:
            answer = {
                "token": made.text,
                "id": str(made.row.id),
                "scopes": made.row.scopes,
                "expires_at": made.row.expires_at.isoformat() if made.row.expires_at else None,
            }
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write(made.text)
