"""ASGI entry point: pages and API, the live socket, and the lifespan that starts embedded parts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
_pages = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402  Django must be set up first
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402

from orchestrator.files.limits import BodyLimit  # noqa: E402
from orchestrator.runs.routing import websocket_urlpatterns  # noqa: E402

if TYPE_CHECKING:
    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

_router = ProtocolTypeRouter(
    {
        "http": BodyLimit(_pages),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(
                URLRouter(websocket_urlpatterns)  # type: ignore[arg-type]  # stubs know no Django path
            )
        ),
    }
)


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Serve one connection; `lifespan` starts and stops what the embedded profile runs inside."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await _router(scope, receive, send)


async def _lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    from orchestrator import embedded

    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                if settings.EMBEDDED:
                    await embedded.start_parts()
            except Exception as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            if settings.EMBEDDED:
                await embedded.stop_parts()
            await send({"type": "lifespan.shutdown.complete"})
            return
