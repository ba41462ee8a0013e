"""W3: 100 branches and a join: light ones, and HTTP calls that each wait 200 ms; beside a chord."""

from __future__ import annotations

import asyncio
import json
import threading
import time

from benchmarks import floor_app
from benchmarks.stand import ROUNDS, Stand, fan_of, median, stand

WIDTH = 100
WAIT_SECONDS = 0.2
ANSWER = b'{"label": "x", "text": "answer"}'


def main() -> None:
    """Three rounds of each."""
    ours, waiting, chords = [], [], []
    with stand() as made:
        serve_slowly(made)
        with made.scheduler(), made.workers(), made.floor_workers():
            light = made.world.publish(fan_of(WIDTH))
            slow = made.world.publish(fan_of(WIDTH, "waiter"))
            for run_id in (*made.start(light, 3), *made.start(slow, 3)):
                made.run_one(run_id)
            for _ in range(ROUNDS):
                ours += [made.run_one(run_id) for run_id in made.start(light, 2)]
                waiting += [made.run_one(run_id) for run_id in made.start(slow, 2)]
                begun = time.perf_counter()
                floor_app.run_chord(WIDTH)
                chords.append(time.perf_counter() - begun)
    out = {
        "milliseconds": median([one * 1000 for one in ours], 1),
        "waiting_200_milliseconds": median([one * 1000 for one in waiting], 1),
        "celery_chord_milliseconds": median([one * 1000 for one in chords], 1),
    }
    out["chord_ratio"] = round(out["milliseconds"] / out["celery_chord_milliseconds"], 3)
    print(json.dumps(out))


def serve_slowly(made: Stand) -> None:
    """A service that answers after 200 ms, and an agent `waiter` that asks it."""
    from orchestrator.access import SYSTEM
    from registry import services as registry
    from tests.fake_agents import INPUT, OUTPUT
    from tests.integration.runs.world import now

    ready = threading.Event()
    ports: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline() not in {b"\r\n", b""}:
            pass
        await asyncio.sleep(WAIT_SECONDS)
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(ANSWER)}\r\n\r\n".encode() + ANSWER)
        await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    ready.wait(10)
    made.environment["BATON_DEMO_HOSTS"] = f"slow.demo=127.0.0.1:{ports[0]}"
    registry.register_endpoint(
        name="slow",
        base_url="http://slow.demo",
        workspace_id=made.world.workspace.id,
        allow_private=True,
        actor=SYSTEM,
        now=now(),
    )
    made.world.register(
        "waiter",
        kind="http",
        input=INPUT,
        output=OUTPUT,
        side_effect="read",
        config={"endpoint": "slow", "path": "/"},
    )


if __name__ == "__main__":
    main()
