"""``compose.yaml`` agrees with the queue table and the image, and keeps what it promises; no engine is needed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from services.core.containers.accounts import PING
from services.core.containers.secrets import GRAFANA, KEPT, POSTGRES
from shared.queues import QUEUES, QueueSpec
from tests.containers.compose import OURS, ROOT, SERVERS, WORKERS, described

COMPOSE = described()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STAYS_UP = {name: service for name, service in SERVICES.items() if name not in ("secrets", "migrate", "yard")}
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()

WITHOUT_A_LIMIT_SECONDS = 60
AFTER_THE_LIMIT_SECONDS = 15


def seconds(duration: str) -> float:
    assert duration.endswith("s"), duration
    return float(duration.removesuffix("s"))


@pytest.mark.parametrize("spec", QUEUES, ids=lambda spec: spec.name)
def test_a_queue_has_a_worker_service_with_the_grace_that_its_time_limit_asks_for(spec: QueueSpec):
    service = SERVICES[spec.name.replace(".", "-")]
    assert service["command"] == ["worker", spec.name]
    limit = spec.time_limit or WITHOUT_A_LIMIT_SECONDS
    assert seconds(service["stop_grace_period"]) == limit + AFTER_THE_LIMIT_SECONDS


def test_there_is_no_service_but_those_that_are_known():
    assert set(STAYS_UP) == {*OURS, *SERVERS, "grafana"}
    assert [name for name, service in SERVICES.items() if service.get("command", [""])[0] == "worker"] == [*WORKERS]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_locked_down(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].partition(":")[0] not in ("0", "root")
    assert {"mem_limit", "cpus", "pids_limit", "restart"} <= set(service)
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not any("PASS" in key and not key.endswith("_FILE") for key in service.get("environment", {}))


@pytest.mark.parametrize("name", STAYS_UP)
def test_a_service_that_stays_up_has_a_health_check_and_comes_back(name):
    service = STAYS_UP[name]
    assert service["restart"] == "unless-stopped"
    assert seconds(service["healthcheck"]["timeout"]) >= 20
    test = " ".join(service["healthcheck"]["test"])
    assert not re.search(r"\b(curl|wget)\b", test)
    if name in OURS and name != "mail":
        assert service["healthcheck"]["test"] == ["CMD", "yard", "health", "ready"]
    if name == "redis":
        assert f"--user {PING} " in test


@pytest.mark.parametrize("name", [*OURS, "secrets", "migrate", "yard"])
def test_a_process_of_ours_runs_the_one_image_below_an_init(name):
    service = SERVICES[name]
    assert service["image"].startswith("switchyard:")
    assert service["build"]["dockerfile"] == "deploy/docker/Dockerfile"
    assert service["init"] is True
    assert service["user"] == re.search(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[1]  # type: ignore[index]


def test_each_network_is_joined_by_its_users_only():
    joined = {
        network: {name for name, s in SERVICES.items() if network in s.get("networks", ())} for network in NETWORKS
    }
    assert joined["ledger"] == {
        "postgres", "migrate", "relay", "recorder", "observer", "api", "core-default", "core-maintenance", "yard",
    }  # fmt: skip
    assert joined["mail"] == {"mail", "email-critical", "email-bulk", "yard"}
    assert joined["published"] == {name for name in SERVICES if SERVICES[name].get("ports")}
    assert joined["metrics"] == {"prometheus", "rabbitmq", "observer", "api", *WORKERS}
    assert joined["brokers"] == {"redis", "rabbitmq", "beat", "relay", "recorder", "observer", "api", "yard", *WORKERS}


NETWORKS = COMPOSE["networks"]


def test_only_mail_and_published_ports_lead_out():
    assert [name for name, network in NETWORKS.items() if not network.get("internal")] == ["mail", "published"]


def test_storage_is_shared_by_files_and_core_only():
    sharing = {name for name, service in SERVICES.items() if "storage:/srv/storage" in service.get("volumes", ())}
    assert sharing == {name for name in SERVICES if name.startswith(("file-", "core-"))} | {"yard", "api"}


def test_each_reader_of_secrets_has_a_volume_of_its_own():
    made = {volume.partition(":")[0]: volume.partition(":")[2] for volume in SERVICES["secrets"]["volumes"]}
    assert set(made) == {volume for volume in COMPOSE["volumes"] if volume.startswith("secrets-")}
    readers: dict[str, set[str]] = {volume: set() for volume in made}
    for name, service in SERVICES.items():
        mounted = [volume for volume in service.get("volumes", ()) if volume.startswith("secrets-")]
        if name == "secrets":
            continue
        assert len(mounted) <= 1
        assert all(":ro" in volume for volume in mounted)
        for volume in mounted:
            readers[volume.partition(":")[0]].add(name)
    assert readers == {
        f"secrets-{KEPT}": set(),
        "secrets-email-worker": {"email-critical", "email-bulk"},
        "secrets-file-worker": {"file-images", "file-documents"},
        "secrets-core": {"core-default", "core-maintenance", "beat", "relay", "recorder", "migrate"},
        "secrets-observer": {"observer"},
        "secrets-yard": {"yard", "api"},
        "secrets-redis": {"redis"},
        "secrets-rabbitmq": {"rabbitmq"},
        f"secrets-{POSTGRES}": {"postgres"},
        f"secrets-{GRAFANA}": {"grafana"},
    }
    # A new volume takes its owner from the folder of the image.
    assert set(re.findall(r"/secrets/\w+", DOCKERFILE)) == set(made.values())


def test_prometheus_looks_for_every_worker_service():
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus" / "containers.yml").read_text())["scrape_configs"]
    (ours,) = (job for job in jobs if job["job_name"] == "celery")
    (found,) = ours["dns_sd_configs"]
    assert found["names"] == [*WORKERS, "observer"]
    assert str(found["port"]) == SERVICES["email-bulk"]["environment"]["YARD_METRICS_PORT"]


def test_chunks_under_way_are_enough_for_four_replicas():
    slots = next(spec.concurrency for spec in QUEUES if spec.name == "email.bulk")
    assert int(SERVICES["core-default"]["environment"]["YARD_CAMPAIGN_WINDOW"]) >= 4 * slots * 2


def test_who_plans_the_time_of_mails_knows_the_settings_of_mail():
    settings = SERVICES["email-bulk"]["env_file"]
    assert [SERVICES[name]["env_file"] for name in ("email-critical", "core-default", "core-maintenance")] == [
        settings
    ] * 3
