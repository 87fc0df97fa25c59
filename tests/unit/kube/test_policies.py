"""What network policies say; whether they hold is shown on a cluster that enforces them."""

import asyncio
import functools
import ipaddress
from typing import Any

import pytest

from outgate.firewall import guard
from outgate.kube import policies, policing
from outgate.kube.policies import Held
from outgate.kube.policing import OWN, Policies
from outgate.model.names import Name
from outgate.settings import Settings

NAMESPACE_TOOLS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tools"}}}
INSIDE = tuple(map(ipaddress.ip_network, ("10.96.0.0/16", "203.0.113.0/24", "2001:db8::/64")))


def cidrs(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [place["ipBlock"] for rule in rules for place in rule["to"] if "ipBlock" in place]


def allowed(spec: dict[str, Any], address: str) -> bool:
    found = ipaddress.ip_address(address)
    return any(
        found in ipaddress.ip_network(block["cidr"])
        and not any(found in ipaddress.ip_network(each) for each in block.get("except", ()))
        for block in cidrs(spec["egress"])
    )


class TestEgress:
    @pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
    def test_it_reaches_the_outside(self, address: str) -> None:
        assert allowed(policies.egress(Settings(), INSIDE), address)

    def test_it_reaches_nothing_that_the_guard_refuses(self) -> None:
        spec = policies.egress(Settings(), INSIDE)
        for network in guard.REFUSED:
            if network.version == 4 or not network.network_address.ipv4_mapped:
                assert not allowed(spec, str(network[0]))
                assert not allowed(spec, str(network[-1]))

    @pytest.mark.parametrize("address", ["10.96.0.1", "203.0.113.7", "2001:db8::7"])
    def test_nor_the_inside_where_that_has_public_addresses(self, address: str) -> None:
        assert not allowed(policies.egress(Settings(), INSIDE), address)

    def test_what_is_allowed_is(self) -> None:
        settings = Settings(guard_allow=("10.1.0.0/16",), resolvers=("192.168.0.53",))
        spec = policies.egress(settings, INSIDE)
        assert allowed(spec, "10.1.2.3")
        assert not allowed(spec, "10.2.2.3")
        (rule,) = (
            each for each in spec["egress"] if cidrs([each]) == [{"cidr": "192.168.0.53/32"}]
        )
        assert [each["port"] for each in rule["ports"]] == [53, 53]

    @pytest.mark.parametrize(
        ("place", "added"),
        [
            ("limits.tools.svc.cluster.local:8081", [NAMESPACE_TOOLS]),
            ("limits.tools.svc:8081", [NAMESPACE_TOOLS]),
            ("10.1.2.3:8081", [{"ipBlock": {"cidr": "10.1.2.3/32"}}]),
            ("[fd00::1]:8081", [{"ipBlock": {"cidr": "fd00::1/128"}}]),
            ("limits.example.com:8081", []),
        ],
    )
    def test_it_reaches_the_rate_limit_service(
        self, place: str, added: list[dict[str, Any]]
    ) -> None:
        before = policies.egress(Settings(), INSIDE)["egress"]
        rules = policies.egress(Settings(rate_limit_service=place), INSIDE)["egress"]
        assert [to for each in rules if each not in before for to in each["to"]] == added

    def test_every_exception_is_inside_of_what_it_is_taken_from(self) -> None:
        """Else the API server refuses the policy."""
        for block in cidrs(policies.egress(Settings(), INSIDE)["egress"]):
            for each in block.get("except", ()):
                part, whole = ipaddress.ip_network(each), ipaddress.ip_network(block["cidr"])
                assert part.version == whole.version
                assert part[0] in whole
                assert part[-1] in whole


class TestCaptured:
    def test_all_pods_of_a_labelled_namespace_and_injected_ones_of_others(self) -> None:
        for every, chosen in (
            (True, {}),
            (False, {"matchLabels": {"outgate.dev/captured": "true"}}),
        ):
            spec = policies.captured(Held.CLUSTER, Settings(), INSIDE, every=every)
            assert spec["podSelector"] == chosen
            assert spec["policyTypes"] == ["Egress"]

    def test_the_cluster_is_reached_and_nothing_else(self) -> None:
        servers = [("172.18.0.2", 6443)]
        spec = policies.captured(Held.CLUSTER, Settings(), INSIDE, servers, every=True)
        assert allowed(spec, "10.96.0.1")
        for address in ("8.8.8.8", "10.97.0.1", "2606:4700::1111", "169.254.169.254"):
            assert not allowed(spec, address)
        (rule,) = (each for each in spec["egress"] if cidrs([each]) == [{"cidr": "172.18.0.2/32"}])
        assert rule["ports"] == [{"protocol": "TCP", "port": 6443}]

    def test_strictly_only_the_egress_the_controller_and_dns(self) -> None:
        spec = policies.captured(Held.STRICT, Settings(), INSIDE, every=True)
        assert cidrs(spec["egress"]) == []
        ports = [port["port"] for rule in spec["egress"] for port in rule["ports"]]
        assert ports == [53, 53, 15008, 15353, 15353, 15354, 15354, 15012]
        assert all("podSelector" in place for rule in spec["egress"] for place in rule["to"])

    def test_dns_servers_that_are_no_pods(self) -> None:
        settings = Settings(cluster_dns=("169.254.20.10/32",))
        spec = policies.captured(Held.STRICT, settings, INSIDE, every=True)
        assert allowed(spec, "169.254.20.10")


class Written:
    """Where policies go; `trouble` is raised instead, once."""

    def __init__(self) -> None:
        self.policies: dict[Name, dict[str, Any]] = {}
        self.owners = set[str]()
        self.trouble: Exception | None = None
        self.calls = 0

    async def apply(self, policy: Any, **_: Any) -> None:
        self.calls += 1
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble
        name = Name(policy["metadata"]["namespace"], policy["metadata"]["name"])
        self.policies[name] = policy["spec"]
        self.owners |= {each["uid"] for each in policy["metadata"]["ownerReferences"]}


def namespace(name: str, **labels: str) -> dict[Name, Any]:
    metadata = {
        "name": name,
        "uid": f"uid of {name}",
        "labels": {key.replace("_", "."): each for key, each in labels.items()},
    }
    return {Name("", name): {"metadata": metadata, "status": {"phase": "Active"}}}


ENABLED = {"outgate_dev/inject": "enabled"}


async def settle(kept: Policies, *changes: Any) -> None:
    complete = asyncio.Event()
    complete.set()
    task = asyncio.create_task(kept.run(complete))
    for _ in range(5):
        await asyncio.sleep(0)
    for change in changes:
        change()
        for _ in range(5):
            await asyncio.sleep(0)
    task.cancel()


def made(held: Held) -> tuple[Policies, Written]:
    written = Written()
    kept = Policies(written, Settings(), held)  # type: ignore[arg-type]
    kept.namespaces(namespace("outgate-system"))
    kept.namespaces(namespace("plain") | namespace("captured", **ENABLED))
    kept.inside(INSIDE)
    return kept, written


async def test_unasked_there_is_one_for_our_own_pods_alone() -> None:
    kept, written = made(Held.NONE)
    await settle(kept)
    assert list(written.policies) == [OWN]


async def test_they_go_with_our_own_namespace() -> None:
    kept, written = made(Held.CLUSTER)
    await settle(kept)
    assert written.owners == {"uid of outgate-system"}


async def test_each_namespace_has_one_and_a_label_changes_it() -> None:
    kept, written = made(Held.CLUSTER)
    plain, captured = Name("plain", "outgate"), Name("captured", "outgate")
    await settle(kept)
    assert written.policies.keys() == {OWN, plain, captured}
    assert written.policies[captured]["podSelector"] == {}
    assert written.policies[plain]["podSelector"] != {}
    await settle(kept, lambda: kept.namespaces(namespace("plain", **ENABLED)))
    assert written.policies[plain]["podSelector"] == {}


async def test_a_change_costs_what_it_touches() -> None:
    kept, written = made(Held.CLUSTER)
    await settle(kept)
    before = written.calls
    await settle(kept, lambda: kept.namespaces(namespace("plain")))
    assert written.calls == before
    await settle(kept, lambda: kept.namespaces(namespace("third")))
    assert written.calls == before + 1


async def test_what_somebody_changes_or_removes_is_written_again() -> None:
    kept, written = made(Held.CLUSTER)
    await settle(kept)
    name = Name("captured", "outgate")
    changed: tuple[Any, ...] = (None, {"spec": {"podSelector": {}}})
    for item in changed:
        before = written.calls
        await settle(kept, functools.partial(kept.policies, {name: item}))
        assert written.calls == before + 1


async def test_what_is_there_already_is_left_and_what_is_going_gets_none() -> None:
    kept, written = made(Held.CLUSTER)
    spec = policies.captured(Held.CLUSTER, Settings(), INSIDE, every=True)
    kept.policies({Name("captured", "outgate"): {"spec": spec}})
    going = namespace("plain")
    going[Name("", "plain")]["status"]["phase"] = "Terminating"
    kept.namespaces(going)
    await settle(kept)
    assert list(written.policies) == [OWN]


async def test_trouble_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policing, "_RETRY_SECONDS", 0.0)
    kept, written = made(Held.NONE)
    written.trouble = OSError("gone")
    await settle(kept)
    assert list(written.policies) == [OWN]


async def test_the_api_server_moves() -> None:
    kept, written = made(Held.CLUSTER)
    slice_ = {
        "endpoints": [{"addresses": ["172.18.0.2"]}],
        "ports": [{"name": "https", "port": 6443}],
    }
    await settle(kept, lambda: kept.servers({Name("default", "kubernetes"): slice_}))
    assert allowed(written.policies[Name("captured", "outgate")], "172.18.0.2")
    moved = slice_ | {"endpoints": [{"addresses": ["172.18.0.3"]}]}
    await settle(kept, lambda: kept.servers({Name("default", "kubernetes"): moved}))
    spec = written.policies[Name("captured", "outgate")]
    assert allowed(spec, "172.18.0.3")
    assert not allowed(spec, "172.18.0.2")
