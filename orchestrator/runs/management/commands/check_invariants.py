"""Count the violations of the eleven invariants; exit 1 when there is any."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from orchestrator.runs import statements
from orchestrator.runs.invariants import check_invariants


class Command(BaseCommand):
    help = "Check the eleven invariants over the whole database. Exits 1 when one is violated."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        found = check_invariants(statements.database_now())
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        one.code: {
                            "title": one.title,
                            "violations": one.violations,
                            "examined": one.examined,
                        }
                        for one in found
                    }
                )
            )
        else:
            for one in found:
                self.stdout.write(
                    f"{one.code:>3}  {one.violations:>6} violations  {one.examined:>8} rows  "
                    f"{one.title}"
                )
        if any(one.violations for one in found):
            sys.exit(1)
