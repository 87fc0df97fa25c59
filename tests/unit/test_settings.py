from dataclasses import fields
from pathlib import Path

import pytest

from outgate.errors import UsageError
from outgate.settings import Settings


def test_nothing_set_is_the_defaults() -> None:
    assert Settings.load({}) == Settings()
    assert Settings.load({"HOME": "/root", "OUTGATE_MESH": ""}) == Settings()


def test_each_kind_of_value() -> None:
    found = Settings.load(
        {
            "OUTGATE_MESH": "ci-1",
            "OUTGATE_RUN_DIR": "/tmp/x",  # noqa: S108 - only a path
            "OUTGATE_CAPTURE": "sidecar",
            "OUTGATE_RESOLVERS": "192.0.2.1, 2001:db8::1",
            "OUTGATE_GUARD_ALLOW": "10.1.2.3/8",
            "OUTGATE_EAGER_SERVICES": "0",
            "OUTGATE_CONNECT_TIMEOUT": "0.5",
        }
    )
    assert found == Settings(
        mesh="ci-1",
        run_dir=Path("/tmp/x"),  # noqa: S108 - only a path
        capture="sidecar",
        resolvers=("192.0.2.1", "2001:db8::1"),
        guard_allow=("10.0.0.0/8",),
        eager_services=0,
        connect_timeout=0.5,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MESH", "has_underscore"),
        ("MESH", "-a"),
        ("MESH", "sixteen-letters-"),
        ("CAPTURE", "both"),
        ("RESOLVERS", "dns.example.com"),
        ("GUARD_ALLOW", "10.0.0.0/33"),
        ("EAGER_SERVICES", "-1"),
        ("EAGER_SERVICES", "many"),
        ("CONNECT_TIMEOUT", "0"),
        ("CONNECT_TIMEOUT", "nan"),
        ("CERTIFICATE_HOURS", "inf"),
    ],
)
def test_what_is_wrong_names_the_variable_and_its_value(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"^OUTGATE_{name}='{value}': "):
        Settings.load({f"OUTGATE_{name}": value})


@pytest.mark.parametrize("name", ["EAGER_SERVICES", "CONNECT_TIMEOUT"])
def test_what_is_no_number_is_told_which_there_may_be(name: str) -> None:
    with pytest.raises(UsageError, match=r"'many': expected a (whole )?number from [0-9.]+ to"):
        Settings.load({f"OUTGATE_{name}": "many"})


def test_a_misspelt_setting_is_not_passed_over() -> None:
    with pytest.raises(UsageError, match="OUTGATE_RUNDIR: unknown setting"):
        Settings.load({"OUTGATE_RUNDIR": "/x"})


def test_those_of_tests_are() -> None:
    assert Settings.load({"OUTGATE_TEST_X": "1"}) == Settings()


def test_every_setting_says_what_it_is_for() -> None:
    for setting in fields(Settings):
        assert setting.metadata["doc"].endswith(".")
