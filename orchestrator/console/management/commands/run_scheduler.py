"""Run the sweeper and the audit sequencer until stopped."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from audit.sequencer import run_sequencer
from orchestrator.runs.sweeper import run_sweeper


class Command(BaseCommand):
    help = "Run sweeper and audit sequencer. A second one stands by until the first is gone."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        threads = [
            threading.Thread(target=target, args=(stop,), name=target.__name__)
            for target in (run_sweeper, run_sequencer)
        ]
        for thread in threads:
            thread.start()
        self.stdout.write("scheduler: sweeper and sequencer are running")
        stop.wait()
        for thread in threads:
            thread.join(10)
