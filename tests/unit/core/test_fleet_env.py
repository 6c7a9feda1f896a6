"""A fleet on one machine knows the settings that its processes will read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.core.local.fleet_env import FleetEnv
from services.core.local.plan import switchyard_plan
from shared.secret import SecretStr
from shared.settings import ENVIRONMENT_PREFIX, child_environment, read_settings


@pytest.fixture
def fleet_env(tmp_path, monkeypatch):
    for name in set(child_environment()) - set(child_environment(without=(ENVIRONMENT_PREFIX,))):
        monkeypatch.delenv(name)
    redis: Any = SimpleNamespace(port=7001, url="redis://:secret@127.0.0.1:7001/{}".format)
    rabbitmq: Any = SimpleNamespace(
        port=7002, url="amqp://yard:secret@127.0.0.1:7002//", management_url="http://yard:secret@127.0.0.1:7003"
    )
    mail: Any = SimpleNamespace(port=7004)
    return FleetEnv(tmp_path, redis, rabbitmq, mail, through=lambda port: port + 1000)


def test_what_is_written_is_what_is_told(fleet_env, tmp_path):
    fleet_env.write()
    told = fleet_env.settings()
    assert read_settings({"YARD_HOME": str(tmp_path), "YARD_API_PORT": "0"}) == told
    assert told.state_url == SecretStr("redis://:secret@127.0.0.1:8001/3")
    assert (told.smtp_host, told.smtp_port) == ("127.0.0.1", 7004)


def test_the_brokers_are_its_own_and_all_else_is_as_our_environment_says(fleet_env, tmp_path, monkeypatch):
    (tmp_path / "yard_database_url").write_text("postgresql://yard@db/ledger\n")
    monkeypatch.setenv("YARD_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("YARD_STATE_URL", "redis://elsewhere:6379/3")
    monkeypatch.setenv("YARD_METRICS_PORT", "1")
    monkeypatch.setenv("YARD_CAMPAIGN_WINDOW", "2")
    told = fleet_env.settings()
    assert "127.0.0.1" in told.state_url.get_secret_value()
    assert told.database_url == SecretStr("postgresql://yard@db/ledger")
    assert (told.home, told.metrics_port, told.campaign_window) == (tmp_path, None, 2)


@pytest.mark.parametrize("asked", ["8080", "9090"])
def test_its_api_has_a_free_port_unless_one_is_asked_for(fleet_env, monkeypatch, asked):
    assert api_port(fleet_env) not in (0, int(asked))
    monkeypatch.setenv("YARD_API_PORT", asked)
    assert api_port(fleet_env) == int(asked)


def api_port(fleet_env: FleetEnv) -> int | None:
    (api,) = (spec for spec in switchyard_plan(fleet_env.settings()).processes if spec.name == "api")
    assert api.argv[-2:] == ("--port", str(api.http_port))
    return api.http_port
