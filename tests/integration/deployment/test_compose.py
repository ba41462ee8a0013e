"""docker-compose.yml is what the documentation says, and each command in it really starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = ("web", "worker-cpu", "worker-io", "scheduler", "migrate")


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_without_privileges_on_a_read_only_file_system(name):
    service = COMPOSE["services"][name]
    assert service["user"] not in {"0", "root"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_no_secret_stands_in_the_file():
    for service in COMPOSE["services"].values():
        for key, value in (service.get("environment") or {}).items():
            if "PASSWORD" in key or "SECRET" in key or "DATABASE_URL" in key:
                assert key.endswith("_FILE"), key
                assert value.startswith("/run/secrets/")


def test_nothing_but_the_web_service_is_reachable_from_outside():
    published = [name for name, service in COMPOSE["services"].items() if service.get("ports")]
    assert published == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["web"]["ports"])


@pytest.mark.postgres
def test_every_command_starts_in_its_environment(committed_db, tmp_path):
    secrets = {
        "secret_key": "x" * 48,
        "database_url": committed_db.env["DATABASE_URL"],
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
    port = free_port()
    children = {}
    try:
        for name in ("migrate", "web", "worker-cpu", "worker-io", "scheduler"):
            service = COMPOSE["services"][name]
            environment = {key: str(value) for key, value in service["environment"].items()}
            for key, value in environment.items():
                environment[key] = value.replace("/run/secrets", str(tmp_path))
            environment |= {
                "BATON_HOME": str(tmp_path / "home"),
                "BATON_URL": f"http://127.0.0.1:{port}",
                "REDIS_URL": committed_db.env["REDIS_URL"],
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "DJANGO_SETTINGS_MODULE": "orchestrator.settings",
            }
            command = [
                word.replace("0.0.0.0", "127.0.0.1") if word != "8000" else str(port)
                for word in service["command"]
            ]
            log = (tmp_path / f"{name}.log").open("wb")
            child = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            if name == "migrate":
                assert child.wait(120) == 0, (tmp_path / "migrate.log").read_text()[-2000:]
            else:
                children[name] = child
        assert _answers(f"http://127.0.0.1:{port}/healthz"), _logs(tmp_path)
        assert _answers(f"http://127.0.0.1:{port}/readyz"), _logs(tmp_path)
        assert {name: child.poll() for name, child in children.items()} == dict.fromkeys(children)
    finally:
        for child in children.values():
            child.send_signal(signal.SIGTERM)
        for child in children.values():
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()


def _answers(url: str) -> bool:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                if answer.status == 200:
                    return True
        except OSError:
            time.sleep(0.2)
    return False


def _logs(folder: Path) -> str:
    return "\n".join(f"{path.name}:\n{path.read_text()[-1500:]}" for path in folder.glob("*.log"))
