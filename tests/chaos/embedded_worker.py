"""A process with the embedded profile's worker and sweeper, without web server."""

from __future__ import annotations

import signal
import threading


def main() -> None:
    """Work until SIGTERM."""
    import django

    django.setup()
    from orchestrator.embedded import EmbeddedWorker

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = EmbeddedWorker()
    worker.start()
    stop.wait()
    worker.stop(3.0)


if __name__ == "__main__":
    main()
