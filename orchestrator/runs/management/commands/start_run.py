"""Start a run from the command line, and follow it when asked to."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orchestrator.access import SYSTEM
from orchestrator.core.errors import DomainError, InvalidInputError
from orchestrator.core.json import parse_json
from orchestrator.core.state import RunStatus, is_terminal
from orchestrator.runs import selectors, services, statements, sweeper, walker
from orchestrator.runs.models import Run

WORKER_SECONDS: Final = 30
LOOK_SECONDS: Final = 0.2


class Command(BaseCommand):
    help = "Start a run of a workflow's active version with the input of a JSON file (- is stdin)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workflow", help="the workflow's slug")
        parser.add_argument("--input", required=True, help="a JSON file, or - for stdin")
        parser.add_argument("--key", help="idempotency key: a repeat finds the same run")
        parser.add_argument("--follow", action="store_true", help="print the journal to the end")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            given = parse_json(_read(options["input"]))
            if not isinstance(given, dict):
                raise InvalidInputError("The input must be a JSON object.")
            run = services.start_run(
                workflow_slug=options["workflow"],
                input=given,
                actor=SYSTEM,
                now=statements.database_now(),
                idempotency_key=options["key"],
            )
        except DomainError as error:
            raise CommandError(_worded(error)) from None
        if not options["json"]:
            self.stdout.write(f"{run.id}  {run.title or options['workflow']}")
        if options["follow"]:
            run = self._follow(run, quiet=options["json"])
        if options["json"]:
            shown = {"id": str(run.id), "status": run.status, "outcome": run.outcome}
            self.stdout.write(json.dumps(shown))
        if options["follow"] and run.status != RunStatus.SUCCEEDED:
            sys.exit(1)

    def _follow(self, run: Run, *, quiet: bool) -> Run:
        """Print the journal until the run has ended or waits for a person.

        Without a live worker this process walks the run, and sweeps for it.
        """
        seen = 0
        own_sweeper: sweeper.Sweeper | None = None
        try:
            while True:
                run.refresh_from_db()
                seen = self._print_journal(run, seen, quiet=quiet)
                if is_terminal(RunStatus(run.status)) or self._waits_for_person(run):
                    return run
                if own_sweeper is not None or not _has_workers():
                    own_sweeper = own_sweeper or sweeper.Sweeper()
                    own_sweeper.sweep_if_holder()
                    walker.walk(run.id)
                time.sleep(LOOK_SECONDS)
        finally:
            if own_sweeper is not None:
                own_sweeper.give_back()
                sweeper.end_boot()

    def _print_journal(self, run: Run, seen: int, *, quiet: bool) -> int:
        events = selectors.run_journal(run.id, after_seq=seen)["events"]
        assert isinstance(events, list)
        for event in events:
            assert isinstance(event, dict)
            seen = int(str(event["seq"]))
            if not quiet:
                self.stdout.write(f"{event['at']}  {event['text']}")
        return seen

    def _waits_for_person(self, run: Run) -> bool:
        waits = run.status in {RunStatus.WAITING, RunStatus.PAUSED}
        return waits and not run.timers.filter(purpose="retry").exists() and run.owner is None


def _has_workers() -> bool:
    since = statements.database_now() - timedelta(seconds=WORKER_SECONDS)
    return selectors.live_workers(since) > 0


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    path = Path(name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None


def _worded(error: DomainError) -> str:
    lines = [error.message]
    violations = error.detail.get("violations")
    if isinstance(violations, list):
        lines += [f"  {one['path'] or '/'}: {one['reason']}" for one in violations]
    return "\n".join(lines)
