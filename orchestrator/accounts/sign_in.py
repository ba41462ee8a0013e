"""The sign-in page: allauth's view with the demo's role cards."""

from __future__ import annotations

from typing import Any

from allauth.account.views import LoginView
from typing_extensions import override

from orchestrator.accounts import demo


class SignIn(LoginView):  # type: ignore[misc]  # allauth is untyped
    """Landing page for whoever is not signed in."""

    @override
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return what the page shows."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        context["demo_cards"] = demo.cards(self.request)
        return context
