"""Read a definition from JSON or YAML into a new workflow, or into the draft of one that exists."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from designer import selectors, services
from designer.documents import FORMATS, TextFormat, read_text
from designer.models import WorkflowVersion, WorkflowVersionStatus
from orchestrator.access import Actor
from orchestrator.accounts import selectors as accounts
from orchestrator.accounts.authentication import actor_of_person
from orchestrator.core.definition import WorkflowDefinition
from orchestrator.core.errors import DomainError, InvalidInputError, NotFoundError


class Command(BaseCommand):
    help = "Make a definition the draft of a workflow; the workflow is created when it is new."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a JSON or YAML file, or - for stdin")
        parser.add_argument("--workflow", required=True, help="the workflow's slug")
        parser.add_argument("--workspace", help="slug of the workspace; needed when it is new")
        parser.add_argument(
            "--as", dest="person", required=True, help="who imports: a sign-in name"
        )
        parser.add_argument(
            "--format", choices=FORMATS, help="else by the file's ending; JSON from stdin"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = self._import(options)
            findings = selectors.findings_of(version)
        except DomainError as error:
            raise CommandError(_worded(error)) from None
        problems = [one for one in findings if one.severity != "info"]
        if options["json"]:
            said = {
                "workflow": version.workflow.slug,
                "version": version.number,
                "revision": version.revision,
                "sha256": version.sha256,
                "findings": [one.model_dump(mode="json") for one in problems],
            }
            self.stdout.write(json.dumps(said))
            return
        self.stdout.write(f"{version.workflow.name} v{version.number} is a draft.")
        for one in problems:
            self.stdout.write(f"  {one.severity}: {one.step or ''} {one.message}")

    def _import(self, options: dict[str, Any]) -> WorkflowVersion:
        definition = _definition(options["file"], options["format"])
        actor, now, slug = _actor(options["person"]), timezone.now(), options["workflow"]
        try:
            workflow = selectors.find_workflow(actor, slug)
        except NotFoundError:
            if not options["workspace"]:
                raise InvalidInputError(
                    f"There is no workflow '{slug}' yet; say with --workspace where it belongs."
                ) from None
            workflow = services.create_workflow(
                slug=slug,
                workspace_id=accounts.get_workspace(actor, options["workspace"]).id,
                owner_id=UUID(actor.id),
                definition=definition,
                actor=actor,
                now=now,
            )
            return workflow.versions.get()
        draft = workflow.versions.filter(status=WorkflowVersionStatus.DRAFT).first()
        return services.save_draft(
            slug=slug,
            definition=definition,
            revision=draft.revision if draft else 0,
            actor=actor,
            now=now,
        )


def _actor(username: str) -> Actor:
    person = get_user_model().objects.filter(username=username, is_active=True).first()
    if person is None:
        raise InvalidInputError(f"Nobody can sign in as '{username}'.")
    return actor_of_person(person)


def _definition(path: str, given: TextFormat | None) -> WorkflowDefinition:
    try:
        raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not UTF-8: byte {error.start}.") from None
    is_yaml = Path(path).suffix.lower() in {".yaml", ".yml"}
    return read_text(text, given or ("yaml" if is_yaml else "json"))


def _worded(error: DomainError) -> str:
    violations = error.detail.get("violations")
    if not isinstance(violations, list):
        return error.message
    lines = [
        f"  line {one.get('line', '?')}: {one['path'] or '/'}: {one['reason']}"
        for one in violations[:20]
    ]
    return "\n".join([error.message, *lines])
