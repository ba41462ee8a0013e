"""Worker processes of both profiles, started, killed and cleaned up by tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from tests import fake_agents
from tests.chaos.forge import forge
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A web process that serves at `address`, which is host and port."""

    address: str
    process: subprocess.Popen[bytes]


class Workers:
    """Worker processes that share one committed database; `end` kills whatever is left."""

    def __init__(self, database, profile):
        self.database = database
        self.profile = profile
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *, fault="", marker=None, pool="threads", concurrency=4, **environ):
        """Start one worker process and wait until it has registered itself.

        On PostgreSQL and Redis it is a Celery worker as in production; on SQLite it is a process with
        the embedded worker. `fault` arms a point at which it kills itself, `environ` is put on top.
        """
        from orchestrator.runs.models import Worker

        known = set(Worker.objects.values_list("id", flat=True))
        if fault:
            environ |= {"BATON_FAULT": fault, "BATON_FAULT_MARKER": str(marker)}
        process = self.launch(pool=pool, concurrency=concurrency, **environ)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if Worker.objects.exclude(id__in=known).filter(ended_at__isnull=True).exists():
                return process
            assert process.poll() is None, f"the worker ended at start: {process.returncode}"
            time.sleep(0.05)
        raise AssertionError("the worker did not register itself")

    def launch(self, *, pool="threads", concurrency=4, **environ):
        """Start one worker process and do not wait for it."""
        return self._launch(self._command(pool, concurrency), environ)

    def launch_scheduler(self, **environ):
        """Start sweeper and audit sequencer in a process of their own, as in production."""
        return self._launch(["manage.py", "run_scheduler"], environ)

    def serve(self):
        """Start a web process; returns its address once it answers."""
        address = f"127.0.0.1:{free_port()}"
        port = address.rpartition(":")[2]
        command = ["-m", "uvicorn", "orchestrator.asgi:application", "--port", port]
        process = self._launch(
            [*command, "--ws", "websockets-sansio", "--log-level", "warning"], {}
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, f"the server ended at start: {process.returncode}"
            with suppress(OSError), urlopen(f"http://{address}/healthz", timeout=5) as answer:
                if answer.status == 200:
                    return Server(address, process)
            time.sleep(0.05)
        raise AssertionError("the server did not answer")

    def _launch(self, command, environ):
        environ = {
            **os.environ,
            **self.database.env,
            "PYTHONPATH": os.pathsep.join([str(fake_agents.DIST), str(ROOT)]),
            "CELERY_SKIP_CHECKS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "BATON_DEMO": "0",
            **environ,
        }
        # What is to be loaded before Python cannot be given to a process that has begun.
        process = spawn(command, environ) if "LD_PRELOAD" in environ else forge(command, environ)
        self.started.append(process)
        return process

    def _command(self, pool, concurrency):
        if self.profile == "sqlite":
            return ["-m", "tests.chaos.embedded_worker"]
        name = f"test{len(self.started)}@%h"
        worker = ["worker", "--pool", pool, "--concurrency", str(concurrency), "-n", name]
        quiet = ["--without-gossip", "--without-mingle", "--loglevel", "warning"]
        return ["-m", "celery", "-A", "orchestrator.celery", *worker, *quiet]

    def end(self):
        """Kill every process group that was started here."""
        for process in self.started:
            kill(process)


def spawn(command, environ):
    """Start `python` with these words in this environment, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environ,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=None if "BATON_TEST_LOUD" in environ else subprocess.DEVNULL,
    )


def kill(process):
    """End a worker and its children as a power cut would."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:  # it may not have begun its session yet
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
