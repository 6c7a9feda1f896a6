"""Settings are read from the environment, checked by name and value, and hide their secrets."""

from __future__ import annotations

import pytest

from shared.errors import InvalidSettings
from shared.settings import FLEET_ENV_FILE, load_settings


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.setenv("YARD_HOME", str(tmp_path))
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def test_the_environment_wins_over_the_file_of_the_fleet(monkeypatch, tmp_path):
    (tmp_path / FLEET_ENV_FILE).write_text("YARD_SMTP_PORT=2525\nYARD_SMTP_HOST=relay.example.org\n")
    monkeypatch.setenv("YARD_SMTP_PORT", "2626")
    settings = load_settings()
    assert (settings.smtp_host, settings.smtp_port) == ("relay.example.org", 2626)


def test_a_misspelt_variable_is_refused_with_the_right_spelling(monkeypatch):
    monkeypatch.setenv("YARD_SMTP_PROT", "25")
    with pytest.raises(InvalidSettings, match="YARD_SMTP_PORT"):
        load_settings()


def test_a_bad_value_is_refused_without_being_shown(monkeypatch):
    monkeypatch.setenv("YARD_SMTP_PORT", "open-sesame")
    with pytest.raises(InvalidSettings, match="YARD_SMTP_PORT") as caught:
        load_settings()
    assert "open-sesame" not in str(caught.value)


@pytest.mark.parametrize("proxies", ["*", "proxy.example.org", "10.0.0.1/8"])
def test_whoever_may_say_where_a_client_is_has_an_address(monkeypatch, proxies):
    monkeypatch.setenv("YARD_API_FORWARDED_ALLOW_IPS", proxies)
    with pytest.raises(InvalidSettings, match="YARD_API_FORWARDED_ALLOW_IPS"):
        load_settings()


def test_secrets_are_hidden(monkeypatch):
    monkeypatch.setenv("YARD_SMTP_PASSWORD", "open-sesame")
    monkeypatch.setenv("YARD_STATE_URL", "redis://:open-sesame@127.0.0.1/3")
    assert "open-sesame" not in repr(load_settings())


@pytest.fixture
def secrets(monkeypatch, tmp_path):
    """The folder of secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("YARD_SECRETS_DIR", str(folder))
    return folder


def test_a_setting_is_read_from_its_file_in_the_folder_of_secrets(secrets):
    (secrets / "yard_smtp_password").write_text("open-sesame\n")
    (secrets / "somebody-elses").write_text("left alone")
    password = load_settings().smtp_password
    assert password is not None
    assert password.get_secret_value() == "open-sesame"


def test_the_environment_wins_over_the_file_of_a_secret(secrets, monkeypatch):
    (secrets / "yard_smtp_port").write_text("2525")
    monkeypatch.setenv("YARD_SMTP_PORT", "2626")
    assert load_settings().smtp_port == 2626


def test_a_misspelt_secret_is_refused_with_the_right_spelling(secrets):
    (secrets / "yard_smtp_pasword").write_text("open-sesame")
    with pytest.raises(InvalidSettings, match="yard_smtp_password") as caught:
        load_settings()
    assert "open-sesame" not in str(caught.value)


def test_a_bad_secret_is_refused_without_being_shown(secrets):
    (secrets / "yard_smtp_port").write_text("open-sesame")
    with pytest.raises(InvalidSettings, match="YARD_SMTP_PORT") as caught:
        load_settings()
    assert "open-sesame" not in str(caught.value)


def test_a_folder_of_secrets_that_is_not_there_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("YARD_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(InvalidSettings, match=r"YARD_SECRETS_DIR.*nowhere"):
        load_settings()
