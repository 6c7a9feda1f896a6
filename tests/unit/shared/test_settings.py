"""Settings are read from the environment, checked by name and value, and hide their secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import fields

from shared.errors import InvalidSettings
from shared.secret import SecretStr
from shared.settings import FLEET_ENV_FILE, VARIABLES, FleetSettings, load_settings, read_settings


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


def test_every_bad_value_is_named_in_one_message_and_none_is_shown():
    given = {"YARD_SMTP_PORT": "70000", "YARD_LOG_FORMAT": "open-sesame", "YARD_TASK_EVENTS": "open-sesame"}
    with pytest.raises(InvalidSettings) as caught:
        read_settings(given)
    assert str(caught.value) == (
        "YARD_TASK_EVENTS: write true or false; "
        "YARD_SMTP_PORT: write a whole number of at least 0 and of at most 65535; "
        "YARD_LOG_FORMAT: write one of auto, json, text."
    )


def test_nothing_that_stands_in_a_traceback_shows_a_bad_value():
    with pytest.raises(InvalidSettings) as caught:
        read_settings({"YARD_SMTP_PORT": "open-sesame"})
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("on", "off"), [("1", "0"), ("true", "false"), ("yes", "no"), ("on", "off"), ("t", "f"), ("y", "n")]
)
def test_a_switch_is_written_in_many_ways(on, off):
    for spelt in (str.lower, str.upper, str.title):
        settings = read_settings({"YARD_TASK_EVENTS": spelt(off), "YARD_MAIL_CHECK_DELIVERABILITY": spelt(on)})
        assert (settings.task_events, settings.mail_check_deliverability) == (False, True)


@pytest.mark.parametrize("text", ["2525", " 2525 ", "+2525", "2_525", "2525.0", "2525\n"])
def test_a_whole_number_is_written_in_many_ways(text):
    port = read_settings({"YARD_SMTP_PORT": text}).smtp_port
    assert (type(port), port) == (int, 2525)


@pytest.mark.parametrize("text", ["25.5", "0x19", "twenty", "null", "inf", "nan", "9" * 5000])
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(InvalidSettings, match="YARD_METRICS_PORT: write a whole number"):
        read_settings({"YARD_METRICS_PORT": text})


@pytest.mark.parametrize(
    ("variable", "least", "below"),
    [
        ("YARD_SMTP_PORT", "0", "-1"),
        ("YARD_METRICS_PORT", "0", "-1"),
        ("YARD_RESULTS_EXPIRE_SECONDS", "0", "-1"),
        ("YARD_CHORD_DEADLINE_SECONDS", "1", "0"),
        ("YARD_SMTP_TIMEOUT_SECONDS", "0.001", "0"),
        ("YARD_API_REQUESTS_PER_SECOND", "0.001", "nan"),
    ],
)
def test_a_number_below_its_least_is_refused(variable, least, below):
    read_settings({variable: least})
    with pytest.raises(InvalidSettings, match=rf"^{variable}: write a (whole )?number (of at least|above) 0"):
        read_settings({variable: below})


@pytest.mark.parametrize(
    ("variable", "most", "beyond"),
    [
        ("YARD_METRICS_PORT", "65535", "65536"),
        ("YARD_CAMPAIGN_WINDOW", "1000", "1001"),
        ("YARD_MESSAGE_MAX_BYTES", "16777216", "1" + "0" * 30),
    ],
)
def test_a_number_beyond_its_most_is_refused(variable, most, beyond):
    read_settings({variable: most})
    with pytest.raises(InvalidSettings, match=rf"^{variable}: .* of at most {most}\.$"):
        read_settings({variable: beyond})


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("smtp_host", ""),
        ("smtp_username", ""),
        ("smtp_password", SecretStr("")),
        ("storage_root", Path()),
        ("api_forwarded_allow_ips", ""),
    ],
)
def test_an_empty_text_path_or_list_is_taken_as_it_is(name, read):
    assert getattr(read_settings({VARIABLES[name]: ""}), name) == read


@pytest.mark.parametrize("variable", ["YARD_SMTP_PORT", "YARD_METRICS_PORT", "YARD_TASK_EVENTS", "YARD_LOG_FORMAT"])
def test_an_empty_number_switch_or_choice_is_refused(variable):
    with pytest.raises(InvalidSettings, match=f"^{variable}: write "):
        read_settings({variable: ""})


def test_an_empty_url_of_the_ledger_is_none():
    assert read_settings({"YARD_DATABASE_URL": ""}).ledger_url == FleetSettings().ledger_url


def test_no_word_means_nothing():
    assert read_settings({"YARD_SMTP_USERNAME": "null"}).smtp_username == "null"
    assert read_settings({"YARD_RUN_DIR": "None"}).run_dir == Path("None")


def test_networks_are_written_as_networks():
    given = {"YARD_API_FORWARDED_ALLOW_IPS": "10.0.0.1, 192.168.0.0/16, ::1,"}
    assert read_settings(given).api_forwarded_allow_ips == "10.0.0.1/32,192.168.0.0/16,::1/128"


def test_every_default_is_one_that_could_be_given():
    written = {
        VARIABLES[field.name]: value.get_secret_value() if isinstance(value := field.default, SecretStr) else str(value)
        for field in fields(FleetSettings)
        if field.default is not None
    }
    assert read_settings(written) == FleetSettings()


def test_settings_do_not_change():
    with pytest.raises(AttributeError):
        load_settings().smtp_port = 26  # type: ignore[misc]


@pytest.mark.parametrize("proxies", ["*", "proxy.example.org", "10.0.0.1/8"])
def test_whoever_may_say_where_a_client_is_has_an_address(monkeypatch, proxies):
    monkeypatch.setenv("YARD_API_FORWARDED_ALLOW_IPS", proxies)
    with pytest.raises(InvalidSettings, match="YARD_API_FORWARDED_ALLOW_IPS"):
        load_settings()


def test_secrets_are_hidden(monkeypatch):
    monkeypatch.setenv("YARD_SMTP_PASSWORD", "open-sesame")
    monkeypatch.setenv("YARD_STATE_URL", "redis://:open-sesame@127.0.0.1/3")
    assert "open-sesame" not in repr(load_settings())


def test_without_a_home_of_ones_own_the_file_of_the_fleet_is_looked_for_below_var(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert read_settings({}) == FleetSettings()
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / FLEET_ENV_FILE).write_text("YARD_SMTP_PORT=2525\n")
    assert read_settings({}).smtp_port == 2525


def test_a_home_that_is_not_there_yet_has_no_file(tmp_path):
    assert read_settings({"YARD_HOME": str(tmp_path / "new")}) == FleetSettings(home=tmp_path / "new")
    (tmp_path / "file").touch()
    assert read_settings({"YARD_HOME": str(tmp_path / "file")}).smtp_port == 25


@pytest.fixture
def fleet_env(tmp_path):
    """Write the file of the fleet, and read the settings with it."""

    def read(text: str | bytes) -> FleetSettings:
        (tmp_path / FLEET_ENV_FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_settings({"YARD_HOME": str(tmp_path)})

    return read


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("relay", "relay"),
        (" relay \r", "relay"),
        ('"relay"', "relay"),
        ("'relay'", "relay"),
        ("' relay # 1 '  # the new one", " relay # 1 "),
        ("relay # the new one", "relay"),
        (" # none", ""),
        ("", ""),
        ("relay#1", "relay#1"),
        ("a=b", "a=b"),
        ("it's", "it's"),
        ("$HOME", "$HOME"),
        ("a\\nb", "a\\nb"),
    ],
)
def test_a_value_in_the_file_of_the_fleet_may_stand_in_quotes(fleet_env, written, host):
    assert fleet_env(f"YARD_SMTP_HOST={written}\n").smtp_host == host


def test_a_url_in_the_file_of_the_fleet_is_taken_as_it_stands(fleet_env):
    url = "amqps://user:p%40ss$word@relay:5671/%2F?heartbeat=5&cacertfile=/a#b"
    assert fleet_env(f"YARD_BROKER_BATCH_URL={url}\n").broker_batch_url == SecretStr(url)


def test_the_file_of_the_fleet_may_have_comments_and_blank_lines(fleet_env):
    settings = fleet_env("# ours\n\n  # YARD_SMTP_PORT=1\n export YARD_SMTP_PORT = 2525\nYARD_SMTP_HOST=relay")
    assert (settings.smtp_host, settings.smtp_port) == ("relay", 2525)


@pytest.mark.parametrize(
    "line", ["open-sesame", "redis://:open-sesame@host/?a=b", "YARD_SMTP_HOST='open-sesame", "=open-sesame"]
)
def test_a_line_of_another_form_is_refused_without_being_shown(fleet_env, line):
    with pytest.raises(InvalidSettings, match=rf"{FLEET_ENV_FILE}, line 2: write NAME=value") as caught:
        fleet_env(f"YARD_SMTP_PORT=25\n{line}\n")
    assert "open-sesame" not in str(caught.value)


@pytest.mark.parametrize("name", ["YARD_SMTP_PROT", "SMTP_PORT"])
def test_a_misspelt_name_in_the_file_of_the_fleet_is_refused_with_the_right_spelling(fleet_env, name):
    with pytest.raises(InvalidSettings, match=f"{name}.*YARD_SMTP_PORT"):
        fleet_env(f"{name}=25\n")


def test_a_bad_value_in_the_file_of_the_fleet_is_refused_without_being_shown(fleet_env):
    with pytest.raises(InvalidSettings, match="YARD_SMTP_PORT") as caught:
        fleet_env("YARD_SMTP_PORT=open-sesame\n")
    assert "open-sesame" not in str(caught.value)


def test_a_file_of_the_fleet_that_cannot_be_read_is_refused(fleet_env, tmp_path):
    with pytest.raises(InvalidSettings, match=rf"{FLEET_ENV_FILE}.*UTF-8"):
        fleet_env(b"YARD_SMTP_HOST=\xff\n")
    (tmp_path / FLEET_ENV_FILE).unlink()
    (tmp_path / FLEET_ENV_FILE).mkdir()
    with pytest.raises(InvalidSettings, match=rf"{FLEET_ENV_FILE}.*directory"):
        load_settings()


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


def test_the_file_of_the_fleet_wins_over_the_file_of_a_secret(secrets, tmp_path):
    (secrets / "yard_smtp_port").write_text("2525")
    (tmp_path / FLEET_ENV_FILE).write_text("YARD_SMTP_PORT=2626\n")
    assert load_settings().smtp_port == 2626


def test_a_file_of_a_secret_may_be_a_link_to_elsewhere(secrets, tmp_path):
    (tmp_path / "password").write_text("open-sesame")
    (secrets / "YARD_SMTP_PASSWORD").symlink_to(tmp_path / "password")
    assert load_settings().smtp_password == SecretStr("open-sesame")


def test_a_file_of_a_secret_that_cannot_be_read_is_refused(secrets):
    (secrets / "yard_smtp_password").mkdir()
    with pytest.raises(InvalidSettings, match=r"YARD_SECRETS_DIR.*yard_smtp_password.*directory"):
        load_settings()
    (secrets / "yard_smtp_password").rmdir()
    (secrets / "yard_smtp_password").write_bytes(b"\xff")
    with pytest.raises(InvalidSettings, match=r"YARD_SECRETS_DIR.*yard_smtp_password.*UTF-8"):
        load_settings()
