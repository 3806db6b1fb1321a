"""What the environment sets, what it only seems to, and what it misspells."""

from pathlib import Path

import pytest

from ragwatch.config.environment import passed_over
from ragwatch.config.loading import load_config
from ragwatch.errors import ConfigError

FILE = """\
collection = "docs"

[[sources]]
name = "docs"
path = "docs"
"""

BESIDE_A_SERVICE = {
    "RAGWATCH_SERVICE_HOST": "10.96.0.12",
    "RAGWATCH_SERVICE_PORT": "9464",
    "RAGWATCH_SERVICE_PORT_HTTP": "9464",
    "RAGWATCH_PORT": "tcp://10.96.0.12:9464",
    "RAGWATCH_PORT_9464_TCP": "tcp://10.96.0.12:9464",
    "RAGWATCH_PORT_9464_TCP_PROTO": "tcp",
    "RAGWATCH_PORT_9464_TCP_PORT": "9464",
    "RAGWATCH_PORT_9464_TCP_ADDR": "10.96.0.12",
}
BESIDE_A_LINK = {
    "RAGWATCH_NAME": "/web/ragwatch",
    "RAGWATCH_ENV_PATH": "/usr/bin",
    "RAGWATCH_PORT_9464_UDP": "udp://172.17.0.2:9464",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ragwatch.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.mark.parametrize("service", ["RAGWATCH", "RAGWATCH_DAEMON", "RAGWATCH_STORE", "RAGWATCH_A__B", "RAGWATCH_2"])
def test_what_a_cluster_says_of_a_service_is_no_setting(file: Path, service: str) -> None:
    told = {name.replace("RAGWATCH", service, 1): value for name, value in (BESIDE_A_SERVICE | BESIDE_A_LINK).items()}
    assert load_config(file, told) == load_config(file, {})
    assert passed_over(told) == []


def test_a_key_that_looks_like_a_service_is_still_a_key(file: Path) -> None:
    assert load_config(file, {"RAGWATCH_SOURCES__0__NAME": "handbook"}).sources[0].name == "handbook"
    with pytest.raises(ConfigError, match=r"RAGWATCH_SOURCES__0__NAME: sources\.0\.name"):
        load_config(file, {"RAGWATCH_SOURCES__0__NAME": "/handbook"})


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        ("RAGWATCH_STORE_URL", "RAGWATCH_STORE__URL"),
        ("RAGWATCH_STROE__URL", "RAGWATCH_STORE__URL"),
        ("RAGWATCH_COLECTION", "RAGWATCH_COLLECTION"),
        ("RAGWATCH_DAEMON_LISTEN", "RAGWATCH_DAEMON__LISTEN"),
        ("RAGWATCH_SOURCES_0_PATH", "RAGWATCH_SOURCES__0__PATH"),
        ("RAGWATCH_STORE_API_KEY_ENV", "RAGWATCH_STORE__API_KEY_ENV"),
    ],
)
def test_what_resembles_a_key_is_refused_and_the_key_is_named(file: Path, variable: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{variable} names no setting; did you mean {key}\?"):
        load_config(file, {variable: "x"})


@pytest.mark.parametrize("variable", ["RAGWATCH_PORT", "RAGWATCH_STATUS", "RAGWATCH_VERSION", "RAGWATCH_DATA_DIR"])
def test_what_means_nothing_changes_nothing_and_is_named(file: Path, variable: str) -> None:
    assert load_config(file, {variable: "8080"}) == load_config(file, {})
    assert passed_over({variable: "8080", "RAGWATCH_CONFIG": "x", "RAGWATCH_TEST_X": "y", "PATH": "z"}) == [variable]
