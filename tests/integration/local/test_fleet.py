from __future__ import annotations

import http.client
import os
import smtplib
import stat
from collections.abc import Iterator

import psutil
import pytest
import redis
from kombu import Connection

from services.core.local.errors import FleetAlreadyRunning, StartFailed
from services.core.local.fleet import LocalFleet
from services.core.local.record import FleetRecord
from services.core.local.state import Phase, ServiceState, is_locked, read_state
from shared.settings import FLEET_ENV_FILE, read_settings
from tests.integration.local import plans
from tests.integration.local.survivors import await_no_process_of, await_true, processes_of

pytestmark = pytest.mark.brokers


@pytest.fixture(scope="module")
def fleet(tmp_path_factory) -> Iterator[LocalFleet]:
    home = tmp_path_factory.mktemp("fleet") / "home"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("YARD_BROKER_DEFAULT_URL", "redis://elsewhere.example:6379/0")
        environment.setenv("YARD_METRICS_PORT", "1")
        with LocalFleet(home, plans.busy) as running:
            yield running
    await_no_process_of(home)


@pytest.mark.parametrize("interrupted", ["__init__", "fleet"])
def test_an_interrupt_beside_the_first_word_leaves_no_fleet_that_seems_to_run(tmp_path, monkeypatch, interrupted):
    say = getattr(FleetRecord, interrupted)

    def say_and_be_interrupted(record, *args):
        say(record, *args)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(FleetRecord, interrupted, say_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt), LocalFleet(tmp_path, plans.quiet):
        pass
    state = read_state(tmp_path)
    assert state is None or state.phase is Phase.STOPPED


def state_of(fleet: LocalFleet, service: str) -> ServiceState:
    state = read_state(fleet.home)
    assert state is not None
    return state.services[service]


def test_the_settings_file_leads_to_brokers_and_mail_and_is_private(fleet):
    env_file = fleet.home / FLEET_ENV_FILE
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    environment = {"YARD_HOME": str(fleet.home), "YARD_LOG_FORMAT": os.environ["YARD_LOG_FORMAT"]}
    settings = read_settings(environment)
    assert fleet.settings == read_settings({"YARD_API_PORT": "0", **environment})
    for url in (settings.broker_default_url, settings.broker_critical_url, settings.results_url, settings.state_url):
        with redis.Redis.from_url(url.get_secret_value()) as client:
            assert client.ping()
    with Connection(settings.broker_batch_url.get_secret_value()) as connection:
        connection.connect()
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port) as mail:
        mail.sendmail("a@example.org", ["b@example.org"], "Subject: kept\n\nhello")
    assert [message.read_text().count("Subject: kept") for message in fleet.mail.folder.glob("*.eml")] == [1]


def test_what_is_set_in_our_environment_does_not_lead_a_fleet_to_other_brokers(fleet):
    assert "127.0.0.1" in fleet.settings.broker_default_url.get_secret_value()
    environment = psutil.Process(fleet.process("sleeper").processes[0].pid).environ()
    assert environment["YARD_HOME"] == str(fleet.home)
    assert not {"YARD_BROKER_DEFAULT_URL", "YARD_METRICS_PORT"} & set(environment)


def test_the_state_file_tells_pids_and_ports_and_no_secret(fleet):
    state = read_state(fleet.home)
    assert state is not None
    assert state.phase is Phase.READY
    assert list(state.services) == ["redis", "rabbitmq", "mail", "sleeper", "server"]
    assert {service.phase for service in state.services.values()} == {Phase.READY}
    assert state.services["redis"].ports == {"redis": fleet.redis.port}
    client = http.client.HTTPConnection("127.0.0.1", state.services["server"].ports["metrics"])
    client.request("HEAD", "/")
    assert client.getresponse().status == http.HTTPStatus.OK
    client.close()
    text = (fleet.home / "fleet.json").read_text()
    for broker in ("redis", "rabbitmq"):
        assert (fleet.home / broker / "password").read_text() not in text
    assert (fleet.home / "logs" / "prepare.log").read_text() == "prepared\n"


@pytest.mark.parametrize("service", ["server", "redis", "rabbitmq"])
def test_what_dies_is_started_again_on_the_same_ports(fleet, service):
    before = state_of(fleet, service)
    leader = before.processes[-1].process()
    assert leader is not None
    leader.kill()
    await_true(lambda: state_of(fleet, service).restarts == before.restarts + 1)
    await_true(lambda: state_of(fleet, service).phase is Phase.READY)
    after = state_of(fleet, service)
    assert after.ports == before.ports
    assert after.processes[-1].process()
    assert after.processes[-1] != before.processes[-1]


def test_a_second_fleet_cannot_have_the_same_home(fleet):
    with pytest.raises(FleetAlreadyRunning, match="yard down"), LocalFleet(fleet.home, plans.quiet):
        pass
    assert is_locked(fleet.home)
    assert state_of(fleet, "sleeper").phase is Phase.READY


def test_two_fleets_with_homes_of_their_own_do_not_meet(fleet, tmp_path):
    home = tmp_path / "a folder with spaces"
    with LocalFleet(home, plans.quiet) as other:
        with (
            redis.Redis.from_url(other.redis.url()) as there,
            redis.Redis.from_url(fleet.redis.url()) as here,
        ):
            there.set("where", "there")
            assert here.get("where") is None
        other_ports = {port for service in (other.redis, other.rabbitmq, other.mail) for port in service.ports.values()}
        our_ports = {port for service in (fleet.redis, fleet.rabbitmq, fleet.mail) for port in service.ports.values()}
        assert not other_ports & our_ports
        assert processes_of(home)
    assert not processes_of(home)
    assert fleet.rabbitmq.is_ready()


def test_a_preparation_that_fails_stops_everything_and_shows_its_output(tmp_path):
    with pytest.raises(StartFailed, match="the ledger is older than this program"), LocalFleet(tmp_path, plans.broken):
        pass
    assert not processes_of(tmp_path)
    state = read_state(tmp_path)
    assert state is not None
    assert state.phase is Phase.FAILED
    assert "migrate failed with exit code 3" in (state.why or "")
    assert not is_locked(tmp_path)
