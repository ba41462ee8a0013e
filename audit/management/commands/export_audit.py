"""Export the audit log to a file."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit import exports, log_key, selectors
from orchestrator.access import Actor
from orchestrator.core.errors import DomainError

FILTERS = {
    "q": "text: a person's name, a case, a word of a reason",
    "group": "a group of actions, such as decisions",
    "action": "one action, such as review.decided",
    "actor": "id of who acted",
    "subject_kind": "kind of what it is about, such as run",
    "subject_id": "id of what it is about",
    "run": "id of a run",
    "workspace": "id of a workspace",
    "from": "first day (2026-11-20), or an instant with a zone",
    "to": "last day (it counts), or an instant with a zone",
}


class Command(BaseCommand):
    help = "Export the audit log. Without a filter the export proves that it is complete."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", required=True, metavar="FILE")
        parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl")
        parser.add_argument("--reason", default="", help="why; recorded with the request")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")
        for name, text in FILTERS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", dest=f"filter_{name}", help=text)

    def handle(self, *_: Any, **options: Any) -> None:
        given = {name: options[f"filter_{name}"] or "" for name in FILTERS}
        output = Path(options["output"])
        temporary = output.with_name(f".{output.name}.{os.getpid()}")
        digest = hashlib.sha256()
        try:
            export = exports.request_export(
                actor=Actor(kind="system", id="command"),
                wanted=selectors.read_filter(given),
                file_format=options["format"],
                reason=options["reason"],
                clock=timezone.now,
            )
            with temporary.open("xb") as file:
                for piece in exports.export_bytes(export, timezone.now):
                    digest.update(piece)
                    file.write(piece)
                    self._show(file.tell(), quiet=options["json"])
            temporary.replace(output)
        except DomainError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}.") from None
        finally:
            temporary.unlink(missing_ok=True)
        self._tell(export, output, digest.hexdigest(), as_json=options["json"])

    def _show(self, written: int, *, quiet: bool) -> None:
        if not quiet and sys.stderr.isatty():
            self.stderr.write(f"\r{written / 1_000_000:.1f} MB", ending="")

    def _tell(self, export: exports.Export, output: Path, digest: str, *, as_json: bool) -> None:
        vkey = log_key.verifier().vkey
        if as_json:
            found = {
                "file": str(output),
                "bytes": output.stat().st_size,
                "size": export.size,
                "sha256": digest,
                "key": vkey,
            }
            self.stdout.write(json.dumps(found))
            return
        self.stdout.write(f"{output}: the log to entry {export.size - 1}, sha256 {digest}")
        if export.format == "csv":
            self.stdout.write(exports.CSV_NOTICE)
        else:
            self.stdout.write(
                f"Verify it anywhere: python3 -I verify.py {output.name} --key {vkey}"
            )
