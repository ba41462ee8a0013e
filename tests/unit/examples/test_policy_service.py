from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from examples import claims


@pytest.fixture
def get(policy_register):
    with httpx.Client(base_url=policy_register.url, trust_env=False) as client:
        yield client.get


def register_data():
    return json.loads(claims.REGISTER.read_text(encoding="utf-8"))


def number_of(book: str) -> str:
    return next(number for number in register_data()["policies"] if number.startswith(book))


def test_a_known_policy_comes_with_its_terms(get):
    number = number_of("NOR")
    answer = get(f"/policies/{number}")
    assert answer.status_code == 200
    assert answer.json()["policy"]["number"] == number


def test_unknown_malformed_and_other_addresses_are_told_apart(get):
    assert get("/policies/NOR-1999-000001").json() == {"error": "unknown_policy"}
    assert get("/policies/NOR-1999-000001").status_code == 404
    assert get("/policies/nor%201999%20000001").status_code == 400
    other = get("/contracts/NOR-1999-000001")
    assert (other.status_code, other.json()) == (404, {"error": "no_such_address"})


def test_a_book_under_maintenance_answers_503_for_known_and_unknown_policies(get):
    for number in (number_of("VEL"), "VEL-1999-000001"):
        answer = get(f"/policies/{number}")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"


def test_many_callers_are_served_at_once(policy_register):
    number = number_of("HAL")

    def ask(_):
        with httpx.Client(trust_env=False) as client:
            return client.get(f"{policy_register.url}/policies/{number}").status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(40))) == {200}


def test_the_process_says_when_it_is_ready_and_ends_when_told():
    command = [sys.executable, "-m", "examples.claims.policy_service", "--port", "0", "--open-all"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=claims.HERE.parents[1]
    )
    try:
        line = process.stdout.readline().strip()
        assert line.startswith("policy register ready on http://127.0.0.1:")
        url = line.rsplit(" ", 1)[-1]
        answer = httpx.get(f"{url}/policies/{number_of('VEL')}", trust_env=False)
        assert answer.status_code == 200
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()
