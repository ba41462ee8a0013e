"""The embedded profile: web server, Celery worker, sweeper and sequencer in one process.

Theory of operation. `python -m orchestrator.embedded` prepares the data folder (migrations, demo
data), starts the demo's policy register as a child process, and runs uvicorn in the main thread.
At lifespan start (`start_parts`) three daemon threads begin: the Celery worker with the in-memory
broker, the sweeper, and the audit sequencer; a ping task must come back or start-up fails. At stop
(`stop_parts`) the worker is told to stop, gets at most three seconds, own claims are freed, and
the process ends with `os._exit(0)`, because a call in flight could hold it for as long as its
deadline.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery.worker import WorkController
    from uvicorn import Server

STOP_SECONDS = 3.0
SELF_TEST_SECONDS = 10.0
WORKER_THREADS = 4


class Parts:
    """The threads of the embedded profile; one instance per process."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.threads: list[threading.Thread] = []
        self.worker: EmbeddedWorker | None = None

    def start_thread(self, name: str, target: Callable[[threading.Event], None]) -> None:
        """Run `target(stop)` in a daemon thread."""
        thread = threading.Thread(target=target, args=(self.stop,), name=name, daemon=True)
        thread.start()
        self.threads.append(thread)


class EmbeddedWorker:
    """Celery worker (pool of threads, in-memory broker) and sweeper inside this process."""

    def __init__(self) -> None:
        self._controller: WorkController | None = None
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start both and wait until a ping task comes back.

        Raises:
            RuntimeError: it did not come back in time.
        """
        from celery.worker import WorkController

        from orchestrator.celery import app
        from orchestrator.runs import boots
        from orchestrator.runs.sweeper import run_sweeper

        app.set_default()
        app.set_current()  # without it this process's worker drops every task without a word
        boots.current()
        answered = threading.Event()

        @app.task(name="embedded.ping", shared=False)
        def ping() -> None:
            answered.set()

        def work() -> None:
            app.set_current()
            self._controller = WorkController(
                app=app,
                pool="threads",
                concurrency=WORKER_THREADS,
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
                loglevel="WARNING",
            )
            self._controller.start()

        for target, arguments in ((work, ()), (run_sweeper, (self._stop,))):
            thread = threading.Thread(
                target=target, args=arguments, name=target.__name__, daemon=True
            )
            thread.start()
            self._threads.append(thread)
        ping.apply_async()
        if not answered.wait(SELF_TEST_SECONDS):
            raise RuntimeError("the worker thread did not answer its self-test")

    def stop(self, seconds: float) -> None:
        """Tell both to stop, wait at most `seconds`, free this process's claims."""
        from celery.worker import state

        from orchestrator.runs.sweeper import end_boot

        self._stop.set()
        state.should_stop = 0  # type: ignore[assignment]  # the exit status; None means go on
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        end_boot()


_parts = Parts()


async def start_parts() -> None:
    """Start worker, sweeper and sequencer.

    Raises:
        RuntimeError: the worker did not answer its self-test.
    """
    from audit.sequencer import run_sequencer
    from orchestrator import live

    live.bind_loop(asyncio.get_running_loop())
    _parts.worker = EmbeddedWorker()
    await asyncio.to_thread(_parts.worker.start)
    _parts.start_thread("sequencer", run_sequencer)
    if os.environ.get("BATON_DEMO_RUNS") == "1":
        from orchestrator.console.demo import run_examples

        _parts.start_thread("demo-runs", run_examples)


async def stop_parts() -> None:
    """Stop what `start_parts` started; takes at most `STOP_SECONDS`."""
    _parts.stop.set()
    if _parts.worker is not None:
        await asyncio.to_thread(_parts.worker.stop, STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    for thread in _parts.threads:
        await asyncio.to_thread(thread.join, max(0.0, deadline - time.monotonic()))


def main(argv: list[str] | None = None) -> int:
    """Set up the data folder and serve until Ctrl+C. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="make run", description="Run Baton in one process.")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
    os.environ.setdefault("BATON_URL", f"http://127.0.0.1:{options.port}")
    register = _start_policy_register()
    try:
        _prepare()
        return _serve(options.port)
    finally:
        _stop_child(register)


def _say(text: str) -> None:
    sys.stdout.write(f"\033[2m[baton]\033[0m {text}\n")
    sys.stdout.flush()


def _start_policy_register() -> subprocess.Popen[str] | None:
    """Start the demo's policy register on a free port and let the egress guard know where it is."""
    if os.environ.get("BATON_DEMO", "1") != "1":
        return None
    child = subprocess.Popen(
        [sys.executable, "-m", "examples.claims.policy_service", "--port", "0"],
        cwd=Path(__file__).resolve().parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline().strip()
    port = line.rsplit(":", 1)[-1].rstrip("/ ")
    if not port.isdigit():
        raise SystemExit(f"The demo's policy register did not start: {line!r}")
    os.environ["BATON_DEMO_HOSTS"] = f"policy-register.demo=127.0.0.1:{port}"
    return child


def _stop_child(child: subprocess.Popen[str] | None) -> None:
    if child is None or child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(2)
    except subprocess.TimeoutExpired:
        child.kill()


def _prepare() -> None:
    """Migrate and seed; the second start finds nothing to do."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        _say(f"preparing the database ({len(plan)} steps)")
        call_command("migrate", verbosity=0, interactive=False)
    if settings.DEMO:
        from orchestrator.console.demo import ensure_demo

        fresh = ensure_demo(say=_say)
        if fresh:
            os.environ["BATON_DEMO_RUNS"] = "1"


def _serve(port: int) -> int:
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            "orchestrator.asgi:application",
            host="127.0.0.1",
            port=port,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            log_level="warning",
            lifespan="on",
            timeout_graceful_shutdown=2,
            proxy_headers=False,
            server_header=False,
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        # A background process has SIGINT ignored; uvicorn puts its own handler on top while it
        # serves and raises the signal again at its end, when it must do nothing more.
        signal.signal(number, lambda *_: None)
    announce = threading.Thread(target=_announce, args=(server, port), daemon=True)
    announce.start()
    server.run()
    return 0 if server.started else 1


def _announce(server: Server, port: int) -> None:
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.02)
    from django.conf import settings

    _say(f"ready: http://127.0.0.1:{port}/")
    sign_ins = settings.BATON_HOME / "sign-ins.txt"
    if settings.DEMO and sign_ins.exists():
        _say(f"sign-ins, one per role (also in {sign_ins}):")
        sys.stdout.write(sign_ins.read_text(encoding="utf-8"))
        sys.stdout.flush()
    _say("Ctrl+C stops everything")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
