"""The Celery app. Celery is the doorbell only: see `runs/services.py` and `runs/walker.py`.

Every setting here serves latency and tidiness; a message that is lost, doubled or forged changes
nothing, whatever they are.
"""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")

from django.conf import settings
from kombu import Queue

from orchestrator.runs import lanes

LONGEST_CALL_SECONDS = 86_400
"""The longest time limit that a definition can give to one attempt."""

DRAIN_SECONDS = 10.0
"""How long a worker that is told to stop waits for the calls it is making."""

GARBAGE_THRESHOLDS = (20_000, 20, 50)

app = Celery("baton")
app.conf.update(
    broker_url=settings.REDIS_URL or "memory://",
    broker_connection_retry_on_startup=True,
    # A Redis that refuses something, because it is out of memory: no reason to end.
    broker_channel_error_retry=True,
    broker_transport_options={
        # Doorbells that a dead worker took are not kept in Redis, to come back some day: the
        # sweeper rings again, and keeping them is a third of what a doorbell costs. One that stops
        # puts back what it has not answered.
        "ack_emulation": False,
        "priority_steps": [lanes.FIRST, lanes.LATER],
        "socket_timeout": 2,
        "socket_connect_timeout": 2,
        "health_check_interval": 25,
        # A doorbell that cannot be rung must not keep its ringer: the sweeper rings again.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    }
    if settings.REDIS_URL
    else {"polling_interval": 0.01},
    accept_content=["json"],
    task_serializer="json",
    task_queues=[
        *(Queue(name) for name in lanes.NAMES),
        *(Queue(lanes.lane_for(label)) for label in settings.WORKER_LABELS),
    ],
    task_default_queue=lanes.NAMES[0],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_time_limit=LONGEST_CALL_SECONDS + 3_600,
    task_track_started=False,
    task_send_sent_event=False,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_soft_shutdown_timeout=20.0,
    worker_max_memory_per_child=600_000,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    imports=("orchestrator.runs.tasks",),
)
# Celery's Django part closes the connection around every task otherwise: 5.0 s instead of 2.2 s
# for 1,000 tasks when measured. A walk closes its connection itself when it breaks.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000_000
app.set_default()


@signals.worker_process_init.connect
def _begin_in_child(**_: Any) -> None:
    """A child of the prefork pool is a boot of its own, and says so before its first run.

    In a thread: the pool gives a child four seconds to start, and a database may be slow.
    """
    threading.Thread(target=_begin_boot, name="begin-boot", daemon=True).start()
    # What was loaded until now stays: looking through it for garbage cost 4 % of a step.
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@signals.worker_process_shutdown.connect
def _end_in_child(**_: Any) -> None:
    from orchestrator.runs import sweeper

    sweeper.end_boot()


@signals.worker_ready.connect
def _begin_in_worker(sender: Any, **_: Any) -> None:
    """With threads the worker process itself is the boot, and stands by as sweeper.

    A prefork parent does neither: it forks while it lives, and forks and threads do not mix.
    """
    if _is_prefork(sender) or settings.EMBEDDED:
        return
    from orchestrator.runs.sweeper import run_sweeper

    _begin_boot()
    threading.Thread(target=run_sweeper, args=(_stopping,), name="sweeper", daemon=True).start()


@signals.worker_shutting_down.connect
def _drain(**_: Any) -> None:
    """Told to stop, a worker with threads hands its runs on; Celery waits for its tasks."""
    threading.Thread(target=_drain_and_end, name="drain", daemon=True).start()


@signals.worker_shutdown.connect
def _end_in_worker(**_: Any) -> None:
    from orchestrator.runs import sweeper

    _stopping.set()
    sweeper.end_boot()


def _drain_and_end() -> None:
    from orchestrator.runs import boots, sweeper

    _stopping.set()
    boots.drain(DRAIN_SECONDS)
    sweeper.end_boot()  # a call that is still under way is given up, and made again elsewhere


_stopping = threading.Event()


def _begin_boot() -> None:
    from orchestrator.runs import boots

    try:
        boots.current()
    except boots.BootFailedError:
        # The first doorbell tries again; a worker that is up before its database is no error.
        return


def _is_prefork(consumer: Any) -> bool:
    pool = getattr(getattr(consumer, "controller", consumer), "pool_cls", "")
    name = pool if isinstance(pool, str) else pool.__module__
    return "prefork" in name
