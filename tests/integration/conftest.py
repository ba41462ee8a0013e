"""What holds for all integration tests."""

import pytest


@pytest.fixture(autouse=True)
def unhurried(monkeypatch):
    """A walk in this process goes as far as it can; a slow machine must not end its slice sooner."""
    from orchestrator.runs import walker

    monkeypatch.setattr(walker, "SLICE_SECONDS", 60.0)
