import pytest

from outgate.resources.scalars import Scalar, resolve

# As sigs.k8s.io/yaml v1.6.0, which kubectl uses, converts them to JSON.
KUBECTL: dict[str, Scalar] = {
    "": None,
    "~": None,
    "null": None,
    "NULL": None,
    "nULL": "nULL",
    "true": True,
    "yes": True,
    "On": True,
    "y": True,
    "no": False,
    "OFF": False,
    "n": False,
    "oFF": "oFF",
    "0": 0,
    "-0": 0,
    "+1": 1,
    "1_000": 1000,
    "_1": "_1",
    "010": 8,
    "08": 8,
    "0o17": 15,
    "0x1F": 31,
    "-0x1": -1,
    "0b11": 3,
    "0b2": "0b2",
    "0x": "0x",
    "1.5": 1.5,
    ".5": 0.5,
    "5.": 5,
    "80.0": 80,
    "1e3": 1000,
    "1e-3": 0.001,
    "1e": "1e",
    "1e400": "1e400",
    "inf": "inf",
    "127.1": 127.1,
    "1.2.3.4": "1.2.3.4",
    "0x7f.1": "0x7f.1",
    "1:30": "1:30",
    "190:20:30": "190:20:30",
    "2001-01-01": "2001-01-01",
    "2001-12-14t21:59:43.10-05:00": "2001-12-14t21:59:43.10-05:00",
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63),
    "18446744073709551615": 2**64 - 1,
    "http": "http",
    "=": "=",
    ".": ".",
    "--": "--",
}


@pytest.mark.parametrize(("text", "value"), KUBECTL.items())
def test_unquoted_text_means_what_it_means_to_kubectl(text: str, value: Scalar) -> None:
    found = resolve(text, plain=True)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["yes", "80", "null", ""])
def test_quoted_text_is_text(text: str) -> None:
    assert resolve(text, plain=False) == text


@pytest.mark.parametrize(
    ("text", "tag", "value"),
    [
        ("80", "tag:yaml.org,2002:str", "80"),
        ("yes", "!", "yes"),
        ("80", "tag:yaml.org,2002:int", 80),
        ("1", "tag:yaml.org,2002:float", 1),
        ("yes", "tag:yaml.org,2002:bool", True),
        ("", "tag:yaml.org,2002:null", None),
    ],
)
def test_tags_of_json_types(text: str, tag: str | None, value: Scalar) -> None:
    assert resolve(text, plain=False, tag=tag) == value


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        (".nan", None),
        (".NaN", None),
        (".inf", None),
        ("-.INF", None),
        ("18446744073709551616", None),
        ("-9223372036854775809", None),
        ("0x1FFFFFFFFFFFFFFFF", None),
        ("9" * 1_000_000, None),
        ("1.5", "tag:yaml.org,2002:int"),
        ("x", "tag:yaml.org,2002:bool"),
        ("aGVsbG8=", "tag:yaml.org,2002:binary"),
        ("2001-01-01", "tag:yaml.org,2002:timestamp"),
        ("x", "tag:yaml.org,2002:python/name:os.system"),
        ("x", "!custom"),
    ],
)
def test_what_json_cannot_say_is_refused(text: str, tag: str | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        resolve(text, plain=True, tag=tag)
