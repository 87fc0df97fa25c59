import ipaddress

from outgate.kube import places, ranges


def slice_(kind: str, *endpoints: tuple[str, bool | None]) -> dict[str, object]:
    return {
        "addressType": kind,
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": ready}} for address, ready in endpoints
        ],
    }


def test_tunnels_lead_to_egresses_that_are_ready() -> None:
    found = places.chosen(
        [
            slice_("IPv4", ("10.0.0.2", True), ("10.0.0.1", None), ("10.0.0.3", False)),
            slice_("IPv6", ("fd00::1", True)),
            {"addressType": "IPv4", "endpoints": None},
        ]
    )
    assert found == ("10.0.0.1:15008", "10.0.0.2:15008", "[fd00::1]:15008")


def test_where_none_is_ready_all_are_tried() -> None:
    found = places.chosen([slice_("IPv4", ("10.0.0.2", False), ("10.0.0.1", False))])
    assert found == ("10.0.0.1:15008", "10.0.0.2:15008")


def leaving(address: str, *, serving: bool) -> dict[str, object]:
    conditions = {"ready": False, "serving": serving, "terminating": True}
    return {"addresses": [address], "conditions": conditions}


def test_those_that_are_to_end_are_used_only_where_no_other_is_ready() -> None:
    ending = [leaving("10.0.0.1", serving=True), leaving("10.0.0.2", serving=False)]
    starting = {"addresses": ["10.0.0.3"], "conditions": {"ready": False, "serving": False}}
    group = {"addressType": "IPv4", "endpoints": [*ending, starting]}
    assert places.chosen([group]) == ("10.0.0.1:15008",)
    assert places.chosen([group, slice_("IPv4", ("10.0.0.4", True))]) == ("10.0.0.4:15008",)


def test_ranges_are_those_that_the_cluster_names() -> None:
    services = ranges.services([{"spec": {"cidrs": ["10.96.0.0/16", "fd00:96::/112"]}}])
    pods = ranges.pods(
        [{"spec": {"podCIDRs": ["10.244.0.0/24"]}}, {"spec": {"podCIDRs": ["10.244.1.0/24"]}}, {}]
    )
    assert ranges.written(services | pods) == "10.96.0.0/16\n10.244.0.0/23\nfd00:96::/112\n"


def test_no_ranges_are_no_text() -> None:
    assert ranges.written(()) == ""
    assert ranges.written([ipaddress.ip_network("::/0")]) == "::/0\n"


def test_a_sidecar_may_reach_what_later_nodes_will_have() -> None:
    pods = ranges.pods([{"spec": {"podCIDRs": ["10.244.0.0/24", "fd00:10::/64", "2600:1::/64"]}}])
    # Only private ranges: among public ones a later node's cannot be told from all else.
    assert ranges.written(ranges.around(pods)) == "10.0.0.0/8\nfc00::/7\n"
    assert ranges.around(ranges.pods([{"spec": {"podCIDRs": ["11.0.0.0/24"]}}])) == set()
