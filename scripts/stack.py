"""`make stack`: the production shape on this machine, from servers that come as wheels.

PostgreSQL (socket), Redis (loopback), web, two Celery workers and the scheduler, each a process of
its own, data under `$BATON_HOME/stack` (default `./var/stack`). Ctrl+C stops all of it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.servers import Servers  # noqa: E402  the same servers as the tests use

PYTHON = [sys.executable]


def main() -> int:
    """Start everything in order, wait, stop everything in reverse order."""
    parser = argparse.ArgumentParser(prog="make stack", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    home = Path(os.environ.get("BATON_HOME", ROOT / "var")) / "stack"
    home.mkdir(parents=True, exist_ok=True)
    servers = Servers.start(home / "servers")
    children: list[subprocess.Popen[bytes]] = []
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopping.append(received))
    try:
        environment = {
            **os.environ,
            "BATON_HOME": str(home),
            "BATON_URL": f"http://127.0.0.1:{options.port}",
            "BATON_ALLOW_LOCAL_KEYS": "1",
            "BATON_DEMO": "1",
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": f"{servers.redis_url}/0",
            "DJANGO_SETTINGS_MODULE": "orchestrator.settings",
        }

        def spawn(*command: str) -> subprocess.Popen[bytes]:
            child = subprocess.Popen([*PYTHON, *command], cwd=ROOT, env=environment)
            children.append(child)
            return child

        register = subprocess.Popen(
            [*PYTHON, "-m", "examples.claims.policy_service", "--port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        children.append(register)  # type: ignore[arg-type]  # text or bytes makes no difference here
        assert register.stdout is not None
        port = register.stdout.readline().strip().rsplit(":", 1)[-1].strip("/ ")
        environment["BATON_DEMO_HOSTS"] = f"policy-register.demo=127.0.0.1:{port}"
        for command in (("migrate", "-v0"), ("create_demo",)):
            subprocess.run([*PYTHON, "manage.py", *command], cwd=ROOT, env=environment, check=True)
        worker = ["-A", "orchestrator.celery", "worker", "--pool", "prefork", "--concurrency", "1"]
        quiet = ["--without-gossip", "--without-mingle", "--loglevel", "warning"]
        for index in range(options.workers):
            spawn("-m", "celery", *worker, *quiet, "-n", f"worker{index}@%h")
        spawn("manage.py", "run_scheduler")
        serve = f"orchestrator.asgi:application --host 127.0.0.1 --port {options.port}".split()
        spawn("-m", "uvicorn", *serve, "--ws", "websockets-sansio", "--log-level", "warning")
        sys.stdout.write(f"stack: http://127.0.0.1:{options.port}/  (Ctrl+C stops all of it)\n")
        sys.stdout.flush()
        while not stopping and all(child.poll() is None for child in children):
            time.sleep(0.3)
        return 0 if stopping else 1
    finally:
        for child in reversed(children):
            if child.poll() is None:
                child.terminate()
        for child in reversed(children):
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
        servers.stop_processes()


if __name__ == "__main__":
    sys.exit(main())
