"""The secrets of the fleet in containers: made once, a folder for each reader, no password where a hash will do."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.core.cli.main import app
from services.core.containers.secrets import make_secrets
from shared.errors import ConfigurationError
from shared.settings import read_settings

READERS = (
    "email_worker", "file_worker", "core", "observer", "yard", "redis", "rabbitmq", "postgres", "grafana", "kept"
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for reader in READERS:
        (tmp_path / reader).mkdir()
    return tmp_path


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_second_time_changes_nothing(root):
    assert make_secrets(root)
    before = contents(root)
    assert not make_secrets(root)
    assert contents(root) == before


def test_what_is_missing_is_made_anew_from_what_was_kept(root):
    make_secrets(root)
    before = contents(root)
    (root / "redis" / "users.acl").unlink()
    make_secrets(root)
    assert contents(root) == before


def test_every_password_is_its_own_and_long(root):
    make_secrets(root)
    passwords = [path.read_text() for path in (root / "kept").iterdir()]
    assert len(set(passwords)) == len(passwords)
    assert min(map(len, passwords)) == 48


def test_nobody_but_owner_and_group_can_read_a_file(root):
    make_secrets(root)
    assert {oct(path.stat().st_mode & 0o777) for path in root.rglob("*") if path.is_file()} == {"0o440"}


def test_no_reader_has_the_password_of_another(root):
    make_secrets(root)
    found = contents(root)
    mail = "".join(text for path, text in found.items() if path.startswith("email_worker/"))
    others = [path.read_text() for path in (root / "kept").iterdir() if path.name != "email_worker"]
    assert not [password for password in others if password in mail]


def test_servers_are_given_hashes(root):
    make_secrets(root)
    passwords = {path.name: path.read_text() for path in (root / "kept").iterdir()}
    acl = (root / "redis" / "users.acl").read_text()
    definitions = (root / "rabbitmq" / "definitions.json").read_text()
    assert not [password for password in passwords.values() if password in acl or password in definitions]
    assert f"user core on #{hashlib.sha256(passwords['core'].encode()).hexdigest()} " in acl
    (core,) = (user for user in json.loads(definitions)["users"] if user["name"] == "core")
    salted = base64.b64decode(core["password_hash"])
    assert salted[4:] == hashlib.sha256(salted[:4] + passwords["core"].encode()).digest()


@pytest.mark.parametrize("reader", ["email_worker", "file_worker", "core", "observer", "yard"])
def test_a_process_finds_its_settings_there(root, reader):
    make_secrets(root)
    settings = read_settings({"YARD_HOME": str(root), "YARD_SECRETS_DIR": str(root / reader)})
    assert f"://{reader}:" in settings.broker_batch_url.get_secret_value()
    assert (settings.database_url is not None) == (reader in ("core", "observer", "yard"))
    if settings.database_url is not None:
        role = "observer" if reader == "observer" else "switchyard"
        assert settings.database_url.get_secret_value().startswith(f"postgresql://{role}:")


def test_the_password_of_a_relay_is_kept_for_the_mail_workers(root):
    done = CliRunner().invoke(app, ["secrets", "--folder", str(root), "--relay-password"], input="open-sesame\n")
    assert done.exit_code == 0, done.output
    assert "open-sesame" not in done.output
    holding = [path for path, text in contents(root).items() if "open-sesame" in text]
    assert holding == ["email_worker/yard_smtp_password"]
    make_secrets(root)
    assert (root / "email_worker" / "yard_smtp_password").read_text() == "open-sesame"


def test_an_empty_password_of_a_relay_is_refused(root):
    done = CliRunner().invoke(app, ["secrets", "--folder", str(root), "--relay-password"], input="\n")
    assert done.exit_code != 0
    assert not (root / "email_worker" / "yard_smtp_password").exists()


def test_outside_the_containers_it_says_where_it_belongs(tmp_path):
    with pytest.raises(ConfigurationError, match="docker compose up"):
        make_secrets(tmp_path / "nowhere")
