"""What the workloads of the engine share: servers, an installation, workers, and their CPU time.

A `Stand` is a private PostgreSQL and Redis with a migrated database, one workspace with people and
agents, and processes as in production: Celery workers with one prefork child each, and the
scheduler (sweeper and audit sequencer). CPU is read from /proc and summed over all of them.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psutil
import psycopg

from tests.servers import Servers

if TYPE_CHECKING:
    from tests.integration.runs.world import World

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 3
TEXT = "x" * 160
"""With names and labels around it a step passes about 200 bytes on."""
OVER = ("succeeded", "failed", "cancelled")


class Stand:
    """Servers and an installation in a folder that goes with it. Make it with `stand()`."""

    def __init__(self, folder: Path, servers: Servers) -> None:
        self.folder = folder
        self.servers = servers
        self.environment = {
            **os.environ,
            "BATON_HOME": str(folder / "home"),
            "BATON_ALLOW_LOCAL_KEYS": "1",
            "BATON_TESTING": "1",
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": f"{servers.redis_url}/0",
            "DJANGO_SETTINGS_MODULE": "orchestrator.settings",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "fake_dist"))),
        }
        self.world: World
        self._watcher: psycopg.Connection[Any] | None = None

    def install(self) -> None:
        """Migrate, and fill in a workspace with people and a light agent."""
        (self.folder / "home").mkdir()
        os.environ.update(self.environment)
        sys.path.insert(0, str(ROOT / "tests" / "fake_dist"))
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        from tests.integration.runs.world import World

        World.make()
        self.world = World()
        for slug in ("light", "pause", "compute"):
            self.world.register(slug, config={"function": f"fake.{slug}"})

    # ---- processes -------------------------------------------------------------------------------

    @contextmanager
    def processes(self, *commands: Sequence[str]) -> Iterator[list[psutil.Process]]:
        """Python processes of the installation, stopped at the end."""
        begun = [
            subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if "-q" in sys.argv else None,
            )
            for command in commands
        ]
        try:
            yield [psutil.Process(one.pid) for one in begun]
        finally:
            for one in begun:
                one.terminate()
            for one in begun:
                try:
                    one.wait(15)
                except subprocess.TimeoutExpired:
                    one.kill()
                    one.wait()

    @contextmanager
    def workers(self, count: int = 2) -> Iterator[list[psutil.Process]]:
        """Celery workers that walk runs, ready for their first."""
        from orchestrator.runs.models import Worker

        before = set(Worker.objects.values_list("id", flat=True))
        with self.processes(*(worker_command(number) for number in range(count))) as begun:
            wait_until(lambda: Worker.objects.exclude(id__in=before).count() >= count, 60)
            yield begun

    @contextmanager
    def scheduler(self) -> Iterator[psutil.Process]:
        """The sweeper and the audit sequencer, in one process."""
        with self.processes(("manage.py", "run_scheduler")) as (one,):
            yield one

    @contextmanager
    def floor_workers(self) -> Iterator[list[psutil.Process]]:
        """Two plain Celery workers of one prefork child each, on a Redis database of their own."""
        from benchmarks import floor_app

        os.environ["FLOOR_REDIS"] = f"{self.servers.redis_url}/5"
        self.environment["FLOOR_REDIS"] = os.environ["FLOOR_REDIS"]
        floor_app.app.conf.update(
            broker_url=os.environ["FLOOR_REDIS"], result_backend=os.environ["FLOOR_REDIS"]
        )
        commands = [worker_command(number, app="benchmarks.floor_app") for number in (7, 8)]
        with self.processes(*commands) as begun:
            for _ in range(8):
                floor_app.noop.delay("x").get(timeout=60)
            yield begun

    def run_one(self, run_id: UUID, seconds: float = 30) -> float:
        """Ring for a run and wait for its end; returns the seconds that took.

        Looks every millisecond, by a prepared statement of its own: the ORM's would take a core.
        """
        if self._watcher is None:
            self._watcher = psycopg.connect(
                self.servers.database_url, autocommit=True, prepare_threshold=1
            )
        watcher, question = self._watcher, "SELECT status FROM runs_run WHERE id = %s"

        def is_over() -> bool:
            found = watcher.execute(question, (run_id,)).fetchone()
            return found is not None and found[0] in OVER

        begun = time.perf_counter()
        self.ring([run_id])
        wait_until(is_over, seconds, every=0.001)
        return time.perf_counter() - begun

    # ---- CPU -------------------------------------------------------------------------------------

    def server_cpu(self) -> dict[str, float]:
        """Seconds of CPU that PostgreSQL and Redis have used so far, ended backends included."""
        pid = self.servers.postgres.get_pid()
        assert pid is not None
        postmaster = psutil.Process(pid)
        redis = psutil.Process(self.servers.redis_process.pid)
        return {"postgres": cpu_of(postmaster), "redis": cpu_of(redis)}

    # ---- runs ------------------------------------------------------------------------------------

    def start(self, slug: str, count: int = 1) -> list[UUID]:
        """Start runs and ring for nobody; returns their ids."""
        with self.silence():
            return [
                self.world.start(slug, text=f"{number:04d}{TEXT}").id for number in range(count)
            ]

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Inside, nobody is rung for by this process."""
        from orchestrator.runs import services

        ring, services.ring = services.ring, lambda _, **__: None
        try:
            yield
        finally:
            services.ring = ring

    def ring(self, runs: Sequence[UUID]) -> None:
        """Ring for runs that were started before."""
        from orchestrator.runs import services

        for run_id in runs:
            services.ring(run_id)

    def ring_decided(self, runs: Sequence[UUID]) -> None:
        """Ring for runs as whoever puts a decision into their inboxes, who knows the workflow."""
        from orchestrator.runs import services
        from orchestrator.runs.models import Run

        workflow = Run.objects.values_list("workflow_id", flat=True).get(id=runs[0])
        for run_id in runs:
            services.ring(run_id, workflow_id=workflow, first=True)

    def await_end(self, runs: Sequence[UUID], seconds: float = 120, every: float = 0.05) -> None:
        """Wait until all of these runs have ended well."""
        from orchestrator.runs.models import Run

        mine = Run.objects.filter(id__in=runs)
        going_on = mine.exclude(status__in=OVER).order_by()
        wait_until(lambda: not going_on.exists(), seconds, every)
        assert mine.filter(status="succeeded").count() == len(runs)

    def await_sequencer(self, seconds: float = 60) -> None:
        """Wait until every audit entry has its place."""
        from audit.models import AuditEntry, AuditOutbox

        total = AuditOutbox.objects.count()
        wait_until(lambda: AuditEntry.objects.count() >= total, seconds)


@contextmanager
def stand() -> Iterator[Stand]:
    """A fresh installation on servers of its own, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="baton-bench-"))
    (folder / "servers").mkdir()
    servers = Servers.start(folder / "servers")
    try:
        made = Stand(folder, servers)
        made.install()
        yield made
    finally:
        from django.db import connections

        connections.close_all()
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


def worker_command(number: int, app: str = "orchestrator.celery") -> tuple[str, ...]:
    """A worker as `make stack` starts it."""
    return (
        *("-m", "celery", "-A", app, "worker", "--pool", "prefork"),
        *("--concurrency", "1", "--without-gossip", "--without-mingle"),
        *("--loglevel", "error", "-n", f"worker{number}@bench"),
    )


def cpu_of(*processes: psutil.Process) -> float:
    """Seconds of CPU of processes and all of their children, also those that have ended."""
    total = 0.0
    for process in processes:
        for one in (process, *process.children(recursive=True)):
            try:
                times = one.cpu_times()
            except psutil.NoSuchProcess:
                continue  # it ended just now, and counts among its parent's children
            total += times.user + times.system + times.children_user + times.children_system
    return total


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.05) -> None:
    """Wait for something that has to come.

    Raises:
        TimeoutError: it did not.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"did not come within {seconds} s")
        time.sleep(every)


def step(name: str, uses: str = "light") -> dict[str, Any]:
    """An agent step; a light one costs nothing itself."""
    from tests.integration.runs.world import agent

    return agent(name, uses=uses)


def chain_of(steps: int, uses: str = "light") -> dict[str, Any]:
    """start, so many steps one after another, done."""
    from itertools import pairwise

    from tests.integration.runs.world import definition

    names = [f"s{number}" for number in range(1, steps + 1)]
    links = [f"{a}.next-{b}" for a, b in pairwise(["start", *names, "done"])]
    return definition({name: step(name, uses) for name in names}, links)


def fan_of(width: int, uses: str = "light") -> dict[str, Any]:
    """start, so many steps side by side, a join, done."""
    from tests.integration.runs.world import definition

    steps = {f"s{number}": step(f"s{number}", uses) for number in range(1, width + 1)}
    links = [f"start.next-{name}" for name in steps]
    links += [f"{name}.next-collect" for name in steps]
    collect = {"kind": "join", "name": "Collect", "policy": "all"}
    return definition(
        {**steps, "collect": collect}, [*links, "collect.next-done"], max_parallel=width
    )


def median(values: Sequence[float], digits: int = 3) -> float:
    """The median, rounded for the report."""
    return round(statistics.median(values), digits)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
