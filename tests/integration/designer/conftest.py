"""The world of these tests: that of the registry."""

from tests.integration.registry.conftest import other, stock, world

__all__ = ["other", "stock", "world"]
