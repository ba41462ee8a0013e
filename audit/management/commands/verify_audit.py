"""Verify an export of the audit log."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import log_key, verify


class Command(BaseCommand):
    help = (
        "Verify an export of the audit log: exit 0 when it is intact, 1 and the entry's index "
        "otherwise. The key is this installation's unless another one is given."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument("--key", metavar="VKEY", help="the log's public key: name+id+key")
        parser.add_argument("--json", action="store_true", help="print the verdict as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        key = options["key"] or log_key.verifier().vkey
        try:
            verify.parse_key(key)
            with open(options["file"], "rb") as file:
                verdict = verify.verify_file(file, key)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from None
        except verify.Broken as error:
            raise CommandError(str(error), returncode=2) from None
        lines = [verify.as_json(verdict)] if options["json"] else verify.describe(verdict)
        for line in lines:
            self.stdout.write(line)
        if not verdict.ok:
            raise SystemExit(1)
