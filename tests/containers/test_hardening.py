"""Nobody's root, nowhere to write, nothing to reach but what the work needs: from outside and from inside."""

from __future__ import annotations

import json

import pytest

from tests.containers.compose import OURS, SERVERS, WORKERS

TRY_TO_WRITE = """
import json, pathlib
folders = ["/", "/etc", "/opt/switchyard/bin", "/var/lib/yard", "/srv", "/run", "/run/secrets/yard", "/tmp"]
def writable(folder):
    try:
        (pathlib.Path(folder) / "written-by-a-test").write_text("x")
    except OSError:
        return False
    return True
print(json.dumps([folder for folder in folders if writable(folder)]))
"""
REACH = """
import json, socket
def reaches(host, port):
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True
print(json.dumps([name for name, host, port in {targets} if reaches(host, port)]))
"""
PROCESS = """
import json, pathlib
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
print(json.dumps(dict(line.split(":\t", 1) for line in lines)))
"""
PORTS = {"redis": 6379, "rabbitmq": 5672, "postgres": 5432, "mail": 25}


def test_every_container_is_locked_down_as_docker_sees_it(fleet):
    containers = fleet.inspect(*OURS, *SERVERS)
    assert len(containers) == len(OURS) + len(SERVERS)
    for name, container in containers.items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert not host["Privileged"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["Memory"] > 0, name
        assert host["NanoCpus"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        assert container["Config"]["User"].split(":")[0] not in ("", "0", "root"), name
        bound = [port["HostIp"] for ports in (host["PortBindings"] or {}).values() for port in ports]
        assert set(bound) <= {"127.0.0.1"}, name


@pytest.mark.parametrize("service", OURS)
def test_a_process_has_no_privilege(fleet, service):
    status = fleet.python(service, PROCESS)
    assert status["Uid"].split() == ["10001"] * 4
    assert status["Gid"].split() == ["10001"] * 4
    assert {status[kind].strip() for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize("service", OURS)
def test_a_process_can_write_to_its_own_folders_only(fleet, service):
    own = {"beat": ["/var/lib/yard"]}.get(service, [])
    assert fleet.python(service, TRY_TO_WRITE) == [*own, "/tmp"]


def test_the_image_has_no_compiler_and_no_installer(fleet):
    fleet.run("beat", "sh", "-c", "! command -v gcc cc make")
    fleet.run("beat", "sh", "-c", "! /opt/switchyard/bin/python -m pip --version")


@pytest.mark.parametrize(
    ("service", "reached"),
    [
        ("email-critical", ["redis", "rabbitmq", "mail"]),
        ("email-bulk", ["redis", "rabbitmq", "mail"]),
        ("file-images", ["redis", "rabbitmq"]),
        ("file-documents", ["redis", "rabbitmq"]),
        ("core-default", ["redis", "rabbitmq", "postgres"]),
        ("core-maintenance", ["redis", "rabbitmq", "postgres"]),
        ("beat", ["redis", "rabbitmq"]),
        ("relay", ["redis", "rabbitmq", "postgres"]),
        ("recorder", ["redis", "rabbitmq", "postgres"]),
        ("api", ["redis", "rabbitmq", "postgres"]),
        ("observer", ["redis", "rabbitmq", "postgres"]),
        ("mail", ["mail"]),
    ],
)
def test_a_service_reaches_what_it_needs_and_nothing_else(fleet, service, reached):
    targets = [
        (name, network["IPAddress"], PORTS[name])
        for name in PORTS
        for container in fleet.inspect(name).values()
        for network in container["NetworkSettings"]["Networks"].values()
    ]
    found = fleet.python(service, REACH.format(targets=targets))
    assert list(dict.fromkeys(found)) == reached


@pytest.mark.parametrize("service", ["file-images", "core-default", "beat"])
def test_there_is_no_way_out_of_the_internal_networks(fleet, service):
    routes = fleet.python(
        service, "import json; print(json.dumps([line.split()[1] for line in open('/proc/net/route')][1:]))"
    )
    assert routes
    assert "00000000" not in routes


def test_secrets_show_nowhere_that_others_look(fleet):
    kept = fleet.compose("run", "--rm", "-T", "--entrypoint", "sh", "secrets", "-c", "cat /secrets/kept/* && echo")
    passwords = [kept[start : start + 48] for start in range(0, len(kept.strip()), 48)]
    assert len(set(passwords)) == len(passwords) > 8
    inspected = json.dumps(fleet.inspect())
    logs = fleet.compose("logs", "--no-color")
    processes = fleet.compose("top")
    for where in (inspected, logs, processes):
        assert where
        assert not [password for password in passwords if password in where]


def test_the_observer_can_change_nothing_in_the_ledger(fleet):
    refused = fleet.python(
        "observer",
        """
import json, psycopg
from shared.settings import load_settings
with psycopg.connect(load_settings().database_url.get_secret_value(), autocommit=True) as connection:
    jobs = connection.execute("SELECT count(*) FROM jobs").fetchone()[0]
    try:
        connection.execute("DELETE FROM jobs")
    except psycopg.errors.InsufficientPrivilege:
        print(json.dumps(jobs >= 0))
""",
    )
    assert refused


@pytest.mark.parametrize("service", WORKERS)
def test_a_worker_has_its_own_secrets_only(fleet, service):
    listed = fleet.run(service, "ls", "/run/secrets/yard").split()
    brokers = {"yard_broker_batch_url", "yard_broker_critical_url", "yard_broker_default_url"}
    own = {"yard_database_url"} if service.startswith("core-") else set()
    assert set(listed) == brokers | {"yard_results_url", "yard_state_url"} | own


def test_a_worker_cannot_take_the_work_or_the_claims_of_another(fleet):
    refused = fleet.python(
        "file-images",
        """
import json, redis
from shared.settings import load_settings
settings = load_settings()
answers = []
client = redis.Redis.from_url(settings.broker_default_url.get_secret_value())
for command in (["RPOP", "core.default"], ["GET", "claim:mail:x"], ["KEYS", "*"], ["CONFIG", "GET", "*"], ["FLUSHALL"]):
    try:
        client.execute_command(*command)
    except redis.exceptions.NoPermissionError:
        answers.append(command[0])
print(json.dumps(answers))
""",
    )
    assert refused == ["RPOP", "GET", "KEYS", "CONFIG", "FLUSHALL"]
