"""The resolver's manifests; what it answers is tested in tests/cluster/mesh/test_names.py."""

import re
from pathlib import Path

from click.testing import CliRunner
from tests.unit.kube.installing import install, one

from outgate.cli.main import cli
from outgate.inject import options
from outgate.kube import resolving

SOURCES = Path(__file__).parents[2] / "cluster" / "go" / "coredns"


def test_the_domain_is_the_clusters() -> None:
    found = install("--trust-domain=corp.example")
    text = one(found, "ConfigMap", "outgate-dns")["data"]["Corefile"]
    assert "corp.example:15353 corp.example:15354 {" in text
    assert "cluster.local" not in text


def test_pods_are_made_anew_where_the_configuration_is_another_one() -> None:
    before, after = (
        one(install(*words), "Deployment", "outgate-egress")["spec"]["template"]["metadata"]
        for words in ((), ("--trust-domain=corp.example",))
    )
    assert before["annotations"] != after["annotations"]
    assert before["labels"] == after["labels"]


def shared(text: str, name: str) -> str:
    found = re.search(rf"^\({name}\) \{{\n((?:  .*\n)*)\}}", text, re.MULTILINE)
    assert found
    return found[1]


def test_only_one_port_asks_for_names_outside() -> None:
    text = resolving.corefile("cluster.local")
    blocks = dict(re.findall(r"^(\S+) \{\n((?:  .*\n)*)\}", text, re.MULTILINE))
    assert "import declared" in blocks[".:15353"]
    assert "resolv.conf" not in blocks[".:15353"] + shared(text, "declared") + shared(
        text, "common"
    )
    assert "forward . /etc/resolv.conf" in blocks[".:15354"]


def test_dns_capture_can_be_switched_off_for_the_webhook() -> None:
    args = [
        one(install(*words), "Deployment", "outgate-controller")["spec"]["template"]["spec"][
            "containers"
        ][0]["args"]
        for words in ((), ("--dnsCapture=false",))
    ]
    assert ["--dnsCapture=false" in each for each in args] == [False, True]
    help_text = CliRunner().invoke(cli, ["controller", "--help"]).stdout
    assert "--dnsCapture" in help_text


def test_what_is_installed_is_what_was_tested() -> None:
    found = re.search(r"coredns/coredns v(\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    assert found
    assert found[1] == options.COREDNS_VERSION
    used = set(re.findall(r"^  ([a-z]+)\b", resolving.corefile("x"), re.MULTILINE)) - {"import"}
    assert used <= set(re.findall(r"coredns/plugin/(\w+)", (SOURCES / "main.go").read_text()))
