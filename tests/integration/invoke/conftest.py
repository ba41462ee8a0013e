import pytest

from tests.integration.registry.conftest import stock

__all__ = ["stock"]


@pytest.fixture
def world(request, db, stock):
    from orchestrator.runs import invoke

    invoke.forget_status()
    yield stock.of(request.fixturenames).world()
    invoke.forget_status()
