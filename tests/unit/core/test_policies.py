"""Retry pauses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.policies import RetryPolicy, retry_delay_seconds


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 6), (3, 18), (4, 20), (9, 20)])
def test_pauses_grow_up_to_their_limit(attempt, seconds):
    policy = RetryPolicy(backoff_seconds=2, backoff_factor=3, max_backoff_seconds=20, jitter=0)
    assert retry_delay_seconds(policy, attempt=attempt, seed="s") == seconds


@given(st.text(max_size=20), st.integers(1, 20), st.floats(0, 1))
def test_jitter_spreads_within_its_share_and_is_the_same_every_time(seed, attempt, jitter):
    policy = RetryPolicy(jitter=jitter)
    plain = retry_delay_seconds(RetryPolicy(jitter=0), attempt=attempt, seed=seed)
    delay = retry_delay_seconds(policy, attempt=attempt, seed=seed)
    assert plain * (1 - jitter) - 1e-9 <= delay <= plain * (1 + jitter) + 1e-9
    assert delay == retry_delay_seconds(policy, attempt=attempt, seed=seed)


def test_what_the_service_asks_for_is_waited_for_at_least_and_spread_only_later():
    policy = RetryPolicy(backoff_seconds=1, max_backoff_seconds=5, jitter=0.5)
    delays = [
        retry_delay_seconds(policy, attempt=1, seed=f"run-{n}", asked_seconds=20) for n in range(50)
    ]
    assert 20 <= min(delays) < max(delays) <= 30
    long = RetryPolicy(backoff_seconds=60, jitter=0)
    assert retry_delay_seconds(long, attempt=1, seed="s", asked_seconds=20) == 60


def test_different_runs_pause_differently():
    policy = RetryPolicy(jitter=0.5)
    assert len({retry_delay_seconds(policy, attempt=1, seed=f"run-{n}") for n in range(50)}) == 50
