"""Load the demo data and start its example runs; safe to call again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from orchestrator.console import demo


class Command(BaseCommand):
    help = "Load the demo: people in every role, the claims workflow, a run per shipped claim."

    def handle(self, *args: Any, **options: Any) -> None:
        if demo.ensure_demo(say=self.stdout.write):
            demo.run_examples()
            self.stdout.write("example runs are started; workers will execute them")
