"""Write a workflow's definition as JSON or YAML, to be read, kept in git, or imported elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from designer import selectors
from designer.documents import FORMATS, write_text
from orchestrator.core.errors import DomainError


class Command(BaseCommand):
    help = "Write the definition of a workflow version (the active one, or the newest)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workflow", help="the workflow's slug")
        parser.add_argument(
            "--version-number", type=int, help="another version than the active one"
        )
        parser.add_argument("--output", type=Path, help="a file; without it standard output")
        parser.add_argument("--format", choices=FORMATS, default="json", help="json is usual")
        parser.add_argument("--json", action="store_true", help="say in JSON what was written")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            workflow = selectors.get_workflow(options["workflow"])
            version = selectors.shown_version(workflow, options["version_number"])
        except DomainError as error:
            raise CommandError(error.message) from None
        document = write_text(selectors.definition_of(version), options["format"])
        output: Path | None = options["output"]
        if output is None:
            self.stdout.write(document, ending="")
            return
        try:
            output.write_text(document, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}") from None
        said = {
            "workflow": workflow.slug,
            "version": version.number,
            "status": version.status,
            "sha256": version.sha256,
            "file": str(output),
        }
        words = f"{workflow.name} v{version.number} ({version.status}) is in {output}"
        self.stdout.write(json.dumps(said) if options["json"] else words)
