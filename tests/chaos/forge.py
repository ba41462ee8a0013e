"""Processes of the product that begin with its libraries loaded: each is forked from one that waits for it.

Theory of operation. Three of the four seconds that a worker takes to start go into loading libraries and
the pure core, which read neither settings nor environment. A fork server (that of the standard library)
does it once. What it forks gets its own environment, session and module `__main__`, and loads all that
depends on settings by itself, as a process that was started from the command line does.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    *(
        "celery.bin.celery",
        "celery.worker",
        "celery.concurrency.prefork",
        "celery.concurrency.thread",
    ),
    *(
        "celery.apps.worker",
        "celery.fixups.django",
        "kombu.transport.redis",
        "kombu.transport.memory",
    ),
    *("django", "psycopg", "redis", "httpx", "channels_redis.pubsub", "pydantic", "jsonschema_rs"),
    *("orchestrator.core.checks", "orchestrator.core.planner", "orchestrator.core.simulation"),
)


class Forged:
    """A process, with what tests need of the interface of `subprocess.Popen`."""

    def __init__(self, process):
        self._process = process
        self.pid = process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        """How it ended, as `Popen` says it; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds=None):
        """Wait until it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, seconds)
        return self._process.exitcode


def forge(command, environ):
    """Start `python` with these words in this environment, in a session of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    process = context.Process(target=_become, args=(command, environ), name=" ".join(command))
    process.start()
    return Forged(process)


def _become(command, environ):
    os.setsid()
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environ)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1) if "BATON_TEST_LOUD" in environ else (0, 1, 2):
        os.dup2(quiet, stream)
    sys.path[:0] = environ["PYTHONPATH"].split(os.pathsep)
    if command[0] == "-m":
        sys.argv = list(command[1:])
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(command)
        runpy.run_path(command[0], run_name="__main__")
