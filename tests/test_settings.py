"""Settings: read once, strictly, and wrong ones named all together."""

import pytest
from pydantic import ValidationError

from streams.settings import Settings, SettingsError


def test_a_flag_wins_over_the_environment_and_this_over_the_default() -> None:
    """Three sources, in this order; a flag that was not given is no flag."""
    environ = {"TOUCHLINE_GROUP": "from-env", "TOUCHLINE_WEB_PORT": "7000", "HOME": "/root"}
    settings = Settings.load(environ, group="from-flag", web_port=None)
    assert settings.group == "from-flag"
    assert settings.web_port == 7000
    assert settings.broker == Settings().broker


def test_all_wrong_settings_are_named_at_once_with_where_they_were_set() -> None:
    """One message has every problem: the variable or the flag, and what is wrong."""
    environ = {"TOUCHLINE_WEB_PORT": "http", "TOUCHLINE_GRUOP": "x", "TOUCHLINE_GROUP": "a b"}
    with pytest.raises(SettingsError) as error:
        Settings.load(environ, bootstrap="nowhere")
    lines = str(error.value).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "--bootstrap",
        "TOUCHLINE_GROUP",
        "TOUCHLINE_GRUOP",
        "TOUCHLINE_WEB_PORT",
    ]
    assert "TOUCHLINE_GROUP," in next(line for line in lines if "GRUOP" in line)


def test_a_setting_in_the_wrong_form_is_told_the_right_one() -> None:
    """Nobody has to read a regular expression: each setting that has one says what to write."""
    for field, info in Settings.model_fields.items():
        if any(getattr(each, "pattern", None) for each in info.metadata):
            with pytest.raises(SettingsError) as error:
                Settings.load({}, **{field: "not / right"})
            told = str(error.value)
            assert told.startswith(f"--{field.replace('_', '-')}: write "), told
            assert "^" not in told
    with pytest.raises(SettingsError, match="--registry: write a URL, such as http://"):
        Settings.load({}, registry="not-a-url")


def test_settings_cannot_change_while_a_process_runs() -> None:
    """They are one frozen object."""
    with pytest.raises(ValidationError):
        Settings().group = "other"  # type: ignore[misc]


def test_another_process_reads_the_same_settings_from_the_environment() -> None:
    """``to_environ`` and ``load`` are inverse, so that a child is told exactly what we know."""
    settings = Settings(bootstrap="127.0.0.1:1,127.0.0.1:2", clock_margin=0.5, topic_prefix="p-")
    assert Settings.load(settings.to_environ()) == settings


def test_a_password_in_a_setting_is_not_shown() -> None:
    """Neither the text of the settings nor an error has the warehouse's or registry's password."""
    settings = Settings(
        warehouse="clickhouse://u:s3cret@h:9000/d", registry="http://u:s3cret@h:8081"
    )
    assert "s3cret" not in f"{settings!r} {settings}"
    with pytest.raises(SettingsError) as error:
        Settings.load({"TOUCHLINE_WAREHOUSE": "mysql://u:s3cret@h/d"})
    assert "s3cret" not in str(error.value)


def test_copies_need_a_disk() -> None:
    """Copies in memory would be of no use: the cure is named."""
    with pytest.raises(SettingsError, match=r"TOUCHLINE_STANDBYS: .*TOUCHLINE_STORE=rocksdb"):
        Settings.load({"TOUCHLINE_STANDBYS": "1"})
    copies = {"TOUCHLINE_STANDBYS": "1", "TOUCHLINE_STORE": "rocksdb"}
    assert Settings.load(copies).standbys == 1
