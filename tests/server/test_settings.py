import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import chaja
from server.command_line import misspelt_variables, parse_settings
from server.cpus import usable_cpus
from server.errors import SettingsError
from server.setting_rows import setting_rows
from server.setting_types import Address, parse_address, seconds, whole_number
from server.settings import Settings

REQUIRED = ["--bundle", "b", "--catalogue", "c.jsonl"]
BACKUPS = ["--data", "d", "--backup-directory", "b"]
TLS = ["--tls-certificate", "a.crt", "--tls-key", "a.key"]
HTTP_TLS = ["--http-tls-certificate", "a.crt", "--http-tls-key", "a.key"]
NEEDED = {"--tls-": TLS, "--http-tls-": HTTP_TLS, "--backup-": BACKUPS}
"""Settings that those with a prefix need."""


def test_defaults_are_those_of_the_settings_class() -> None:
    settings = parse_settings(REQUIRED, {})
    assert settings == Settings(bundle=Path("b"), catalogue=Path("c.jsonl"))
    assert settings.listen == Address("127.0.0.1", 50051)


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_settings(["--version"], {})
    assert capsys.readouterr().out == f"chaja {chaja.__version__}\n"


def test_a_flag_wins_over_the_environment_which_wins_over_the_default() -> None:
    environment = {"CHAJA_MAX_LIMIT": "20", "CHAJA_CATALOGUE": "elsewhere"}
    assert parse_settings(REQUIRED, environment).max_limit == 20
    assert parse_settings([*REQUIRED, "--max-limit", "30"], environment).max_limit == 30
    assert parse_settings(["--bundle", "b"], environment).catalogue == Path("elsewhere")


def test_every_setting_can_be_given_by_flag_and_by_environment() -> None:
    for row in setting_rows():
        text = row.default or {"weight": "0.5", "endpoint": "somewhere:4317"}.get(row.name.split("_")[-1], "somewhere")
        more = next((needed for prefix, needed in NEEDED.items() if row.flag.startswith(prefix)), [])
        by_flag = parse_settings([*REQUIRED, *more, row.flag, text], {})
        by_environment = {"CHAJA_BUNDLE": "b", "CHAJA_CATALOGUE": "c.jsonl"} | {row.variable: text}
        pairs = zip(more[::2], more[1::2], strict=True)
        others = [each for flag, value in pairs if flag != row.flag for each in (flag, value)]
        assert parse_settings(others, by_environment) == by_flag


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--bundle is required"),
        ([*REQUIRED, "--listen", "50051"], "--listen: expected host:port"),
        ([*REQUIRED, "--listen", "localhost:70000"], "--listen: expected host:port"),
        ([*REQUIRED, "--listen", "*:0"], "--listen: expected host:port"),
        ([*REQUIRED, "--listen", "a b:0"], "--listen: expected host:port"),
        ([*REQUIRED, "--listen", "dns:///localhost:0"], "--listen: expected host:port"),
        ([*REQUIRED, "--listen", "unix:/a%41b"], "--listen: expected unix: and a path of at most 107 bytes, without %"),
        ([*REQUIRED, "--max-limit", "0"], "--max-limit: expected a whole number from 1"),
        ([*REQUIRED, "--max-limit", "many"], "--max-limit: expected a whole number; got 'many'"),
        ([*REQUIRED, "--max-limit", "3000000000"], "--max-limit: expected a whole number from 1 to 2147483647"),
        ([*REQUIRED, "--encode-workers", "1025"], "--encode-workers: expected a whole number from 0 to 1024"),
        ([*REQUIRED, "--max-lim", "5"], "unrecognized arguments: --max-lim"),
        ([*REQUIRED, "--drain-seconds", "-1"], "--drain-seconds: expected a number of seconds"),
        ([*REQUIRED, "--drain-seconds", "nan"], "--drain-seconds: expected a number of seconds"),
        ([*REQUIRED, "--reflection", "yes"], "--reflection: expected on or off"),
        ([*REQUIRED, "--index-storage", "f64"], "--index-storage: expected f32, f16 or i8; got 'f64'"),
        ([*REQUIRED, "--longest-wait-seconds", "0"], "--longest-wait-seconds: expected a number of seconds, more than"),
        ([*REQUIRED, "--longest-wait-seconds", "inf"], "--longest-wait-seconds: expected a number of seconds"),
        ([*REQUIRED, "--cache-bytes", "-1"], "--cache-bytes: expected a whole number from 0"),
        ([*REQUIRED, "--log-texts", "true"], "--log-texts: expected on or off; got 'true'"),
        ([*REQUIRED, "--watch-seconds", "often"], "expected a number of seconds, 0 or more; got 'often'"),
        ([*REQUIRED, "--tls-certificate", "a"], "--tls-certificate and --tls-key go together: set both or neither"),
        ([*REQUIRED, "--tls-key", "a"], "--tls-certificate and --tls-key go together: set both or neither"),
        (
            [*REQUIRED, "--http-tls-key", "a"],
            "--http-tls-certificate and --http-tls-key go together",
        ),
        ([*REQUIRED, "--tls-client-ca", "a"], "--tls-client-ca needs --tls-certificate and --tls-key"),
        ([*REQUIRED, "--data", "d", "--backup-every-seconds", "9"], "--backup-every-seconds needs --backup-directory"),
        ([*REQUIRED, "--backup-directory", "b", "--backup-every-seconds", "9"], "--backup-directory needs --data"),
        ([*REQUIRED, "--data", "d", "--backup-directory", "d"], "--backup-directory may not be inside --data"),
        ([*REQUIRED, "--data", "d", "--backup-directory", "d/../d/index"], "set it to a directory on another disk, or"),
        ([*REQUIRED, "--backup-keep", "0"], "--backup-keep: expected a whole number from 1"),
        ([*REQUIRED, "--backup-every-seconds", "1d"], "--backup-every-seconds: expected a whole number; got '1d'"),
        ([*REQUIRED, "--no-such-flag"], "unrecognized arguments: --no-such-flag"),
    ],
)
def test_an_invalid_setting_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        parse_settings(arguments, {})


@pytest.mark.parametrize("name", ["tokens", "tls_certificate", "tls_key", "tls_client_ca"])
def test_an_empty_environment_variable_unsets_an_optional_setting(name: str) -> None:
    """Manifests of Kubernetes and Compose cannot unset a variable, only set it to an empty string."""
    assert getattr(parse_settings(REQUIRED, {f"CHAJA_{name.upper()}": ""}), name) is None
    assert getattr(parse_settings([*REQUIRED, f"--{name.replace('_', '-')}", ""], {}), name) is None


def test_an_invalid_or_empty_environment_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="CHAJA_MAX_LIMIT: expected a whole number"):
        parse_settings(REQUIRED, {"CHAJA_MAX_LIMIT": "x"})
    for variable in ("CHAJA_MAX_LIMIT", "CHAJA_LISTEN", "CHAJA_LOG_TEXTS", "CHAJA_WATCH_SECONDS"):
        with pytest.raises(SettingsError, match=f"{variable}: expected .*; got ''"):
            parse_settings(REQUIRED, {variable: ""})
    with pytest.raises(SettingsError, match="CHAJA_BUNDLE"):
        parse_settings([], {"CHAJA_BUNDLE": "", "CHAJA_CATALOGUE": "c.jsonl"})


def test_a_catalogue_or_a_store_is_required() -> None:
    with pytest.raises(SettingsError, match=r"set --catalogue .* --data .* or both"):
        parse_settings(["--bundle", "b"], {"CHAJA_CATALOGUE": "", "CHAJA_DATA": ""})
    assert parse_settings(["--bundle", "b", "--data", "d"], {}).catalogue is None
    assert parse_settings([*REQUIRED, "--data", "d"], {}).data == Path("d")


def test_a_contradiction_is_found_across_flags_and_environment() -> None:
    with pytest.raises(SettingsError, match="go together"):
        parse_settings([*REQUIRED, "--tls-key", "a"], {"CHAJA_TLS_CERTIFICATE": ""})
    settings = parse_settings([*REQUIRED, "--tls-key", "a.key"], {"CHAJA_TLS_CERTIFICATE": "a.crt"})
    assert (settings.tls_certificate, settings.tls_key) == (Path("a.crt"), Path("a.key"))
    assert parse_settings([*REQUIRED, *TLS, "--tls-client-ca", "ca"], {}).tls_client_ca == Path("ca")


@pytest.mark.parametrize("directory", ["d/backups", "./d/../d/backups", "elsewhere", "d-backups"])
def test_backups_go_to_another_directory_or_to_the_one_for_them_in_the_store(directory: str) -> None:
    settings = parse_settings([*REQUIRED, "--data", "d", "--backup-directory", directory], {})
    assert (settings.backup_directory, settings.backup_every_seconds, settings.backup_keep) == (Path(directory), 0, 7)


def test_defaults_are_safe_and_log_no_texts() -> None:
    settings = parse_settings(REQUIRED, {})
    assert not settings.log_texts
    assert settings.tokens is settings.tls_certificate is None
    assert settings.longest_wait_seconds == 0.5
    assert settings.max_connection_age_seconds == settings.drain_wait_seconds == 0


def test_there_is_a_worker_for_each_cpu_by_default() -> None:
    assert parse_settings([*REQUIRED, "--encode-workers", "3"], {}).workers == 3
    assert parse_settings(REQUIRED, {}).workers == usable_cpus()


@given(st.sampled_from(["127.0.0.1", "::1", "search.example"]), st.integers(0, 65535))
def test_an_address_is_equal_after_formatting_and_parsing(host: str, port: int) -> None:
    address = Address(host, port)
    assert parse_address(str(address)) == address


def test_misspelt_variables_are_found_and_those_of_others_are_not() -> None:
    environment = {"CHAJA_METRIC": "x", "CHAJA_HTTP_TOKEN": "x", "CHAJA_DATA": "x", "CHAJA_SERVICE_HOST": "x"}
    environment |= {"CHAJA_PORT_50051_TCP_ADDR": "x", "PATH": "x"}
    assert misspelt_variables(environment) == {
        "CHAJA_METRIC": "CHAJA_METRICS",
        "CHAJA_HTTP_TOKEN": "CHAJA_HTTP_TOKEN_FILE",
    }


@pytest.mark.parametrize("text", ["1_0", " 10", "+10", "１０", "1e1", "0x10", ""])
def test_whole_numbers_have_digits_only(text: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number"):
        whole_number(1)(text)


@pytest.mark.parametrize("text", ["1_0", " 60", "nan", "inf", "1e999", "..", "."])
def test_numbers_of_seconds_are_plain_and_finite(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number of seconds"):
        seconds(text)
