"""Renders capture rules for `nft -f`: one table, replaced in one transaction, never half in place."""

from collections.abc import Iterator

from outgate.firewall.rules import (
    LOG_PREFIX,
    NEIGHBOURS,
    ON_LINK,
    CaptureRules,
    Network,
    collapsed,
    of_version,
)

TABLE = "outgate"
_FAMILIES = ((4, "ip"), (6, "ip6"))


def render(rules: CaptureRules) -> str:
    """Return the text for `nft -f`; applying it again changes nothing."""
    parts = [
        f"table inet {TABLE}",
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
        *_chain("captured", "type nat hook output priority -100; policy accept;", _redirect(rules)),
    ]
    if rules.sealed:
        parts += ["  chain denied {", *(f"    {rule}" for rule in _denied(rules)), "  }"]
        hook = "type filter hook output priority 0; policy accept;"
        parts += _chain("sealed", hook, _refuse(rules))
        if rules.closed:
            hook = "type filter hook input priority 0; policy accept;"
            parts += _chain("entering", hook, ['iifname != "lo" ct state new drop'])
    return "\n".join((*parts, "}", ""))


def remove() -> str:
    """Return the text that takes the rules away, whether they are there or not."""
    return f"table inet {TABLE}\ndelete table inet {TABLE}\n"


def _chain(name: str, hook: str, rules: Iterator[str] | list[str]) -> list[str]:
    return [f"  chain {name} {{", f"    {hook}", *(f"    {rule}" for rule in rules), "  }"]


def _set(networks: tuple[Network, ...]) -> str:
    return "{ " + ", ".join(str(each) for each in collapsed(networks)) + " }"


def _ports(ports: tuple[int, ...]) -> str:
    return "{ " + ", ".join(str(each) for each in sorted(set(ports))) + " }"


def _match(networks: tuple[Network, ...], rest: str) -> Iterator[str]:
    """Yield a rule for each family that has networks."""
    for version, name in _FAMILIES:
        if chosen := of_version(networks, version):
            yield f"{name} daddr {_set(chosen)} {rest}"


def _redirect(rules: CaptureRules) -> Iterator[str]:
    if rules.proxy_uid is not None:
        yield f"meta skuid {rules.proxy_uid} accept"
    for protocol, ports in rules.dns():
        one = str(ports[0]) if len(ports) == 1 else _ports(ports)
        yield f"{protocol} dport {one} redirect to :{rules.dns_port}"
    yield "ip daddr 127.0.0.0/8 accept"
    yield "ip6 daddr ::1 accept"
    yield from _match(rules.raw_ranges, f"meta l4proto tcp redirect to :{rules.raw_port}")
    yield from _match(rules.always(), f"meta l4proto tcp redirect to :{rules.capture_port}")
    if rules.exempt_local:
        yield "fib daddr type local accept"
    yield from _match(rules.exclude, "accept")
    if rules.exclude_ports:
        yield f"tcp dport {_ports(rules.exclude_ports)} accept"
    if rules.include_ports:
        yield f"tcp dport {_ports(rules.include_ports)} redirect to :{rules.capture_port}"
    captured = rules.captured()
    target = f"meta l4proto tcp redirect to :{rules.capture_port}"
    if captured is None:
        yield target
    else:
        yield from _match(captured, target)


def _refuse(rules: CaptureRules) -> Iterator[str]:
    # Redirected packets have a loopback destination by now; answers belong to something that was let through.
    # Those of the proxy have not been redirected: what is refused here is refused to whoever has its user id.
    yield "ip daddr 127.0.0.0/8 accept"
    yield "ip6 daddr ::1 accept"
    yield "ct direction reply accept"
    if rules.exempt_local:
        yield from _match((*ON_LINK, *rules.on_link), f"icmpv6 type {_ports(NEIGHBOURS)} accept")
        yield "fib daddr type local accept"
    yield from _match(rules.exclude, "accept")
    if rules.proxy_uid is not None:
        yield from _match(rules.proxy_reach, f"meta skuid {rules.proxy_uid} accept")
    if rules.exclude_ports:
        yield f"tcp dport {_ports(rules.exclude_ports)} accept"
    captured = rules.captured()
    if captured is not None:
        if rules.include_ports:
            yield f"tcp dport {_ports(rules.include_ports)} goto denied"
        yield from _match(captured, "goto denied")
        return
    if rules.closed:
        yield 'oifname != "lo" drop'
    yield "goto denied"


def _denied(rules: CaptureRules) -> Iterator[str]:
    if rules.log_group is not None:
        # A flood must not become a flood of log lines.
        yield (
            f'limit rate 20/second burst 50 packets log prefix "{LOG_PREFIX}" group {rules.log_group} snaplen 128'
        )
    yield "meta l4proto tcp reject with tcp reset"
    yield "reject with icmpx admin-prohibited"
