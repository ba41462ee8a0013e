"""The world of these tests: that of accounts."""

from tests.integration.accounts.conftest import sign_in, stock, world

__all__ = ["sign_in", "stock", "world"]
