"""Renders capture rules for `iptables-restore --noflush` and `ip6tables-restore --noflush`, where there is no nft.

All rules are in chains of our own, which a text empties and fills in one step for each table; what others wrote stays.
The filter table comes first: until the redirection is there too, everything is refused.
"""

from collections.abc import Iterable, Iterator

from outgate.firewall.rules import (
    LOG_PREFIX,
    NEIGHBOURS,
    ON_LINK,
    CaptureRules,
    Network,
    collapsed,
    of_version,
)

CHAIN, DENIED, ENTERING = "OUTGATE_OUTPUT", "OUTGATE_DENIED", "OUTGATE_INPUT"
_LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}
_PROHIBITED = {4: "icmp-admin-prohibited", 6: "icmp6-adm-prohibited"}
_JUMPS = (("OUTPUT", CHAIN), ("INPUT", ENTERING))


def render(rules: CaptureRules, version: int, existing: str = "") -> str:
    """Return the text for one IP version.

    `existing` is what `iptables-save` says (empty: nothing is there): jumps to our chains that are in it are replaced.
    """
    sealed = rules.sealed
    entering = rules.closed
    filters = (
        [*_add(CHAIN, _refuse(rules, version)), *_add(DENIED, _denied(rules, version))]
        if sealed
        else []
    )
    if entering:
        filters += _add(ENTERING, ["! -i lo -m conntrack --ctstate NEW -j DROP"])
    jumps = [_JUMPS[0]] * sealed + [_JUMPS[1]] * entering
    parts = _table("filter", (CHAIN, DENIED, ENTERING), jumps, filters, existing)
    parts += _table("nat", (CHAIN,), _JUMPS[:1], _add(CHAIN, _redirect(rules, version)), existing)
    return "\n".join((*parts, ""))


def remove(existing: str) -> str:
    """Return the text that takes our chains away, empty if `existing`, from `iptables-save`, has none."""
    parts: list[str] = []
    for table in ("filter", "nat"):
        lines = _lines(existing, table)
        chains = [each for each in (CHAIN, DENIED, ENTERING) if f":{each} " in "\n".join(lines)]
        if chains:
            flushed = [f"-F {each}" for each in chains]
            gone = [f"-X {each}" for each in chains]
            parts += [f"*{table}", *_unhooked(lines), *flushed, *gone, "COMMIT"]
    return "\n".join((*parts, "")) if parts else ""


def _table(
    name: str,
    chains: Iterable[str],
    jumps: Iterable[tuple[str, str]],
    rules: Iterable[str],
    existing: str,
) -> list[str]:
    # A chain that is declared is emptied, whether it was there or not.
    declared = [f":{chain} - [0:0]" for chain in chains]
    hooked = [f"-I {hook} 1 -j {chain}" for hook, chain in jumps]
    old = _unhooked(_lines(existing, name))
    return [f"*{name}", *declared, *old, *rules, *hooked, "COMMIT"]


def _lines(existing: str, table: str) -> list[str]:
    """Return the lines of one table of `iptables-save`."""
    _, _, rest = f"\n{existing}".partition(f"\n*{table}\n")
    return rest.partition("\nCOMMIT")[0].splitlines()


def _unhooked(lines: Iterable[str]) -> list[str]:
    ours = {f"-A {hook} -j {chain}" for hook, chain in _JUMPS}
    return [f"-D{line[2:]}" for line in lines if line in ours]


def _add(chain: str, rules: Iterable[str]) -> list[str]:
    return [f"-A {chain} {rule}" for rule in rules]


def _to(networks: tuple[Network, ...], version: int, rest: str) -> Iterator[str]:
    for network in collapsed(of_version(networks, version)):
        yield f"-d {network} {rest}"


def _redirect(rules: CaptureRules, version: int) -> Iterator[str]:
    if rules.proxy_uid is not None:
        yield f"-m owner --uid-owner {rules.proxy_uid} -j RETURN"
    for protocol, ports in rules.dns():
        for port in ports:
            match = f"-p {protocol} -m {protocol} --dport {port}"
            yield f"{match} -j REDIRECT --to-ports {rules.dns_port}"
    yield f"-d {_LOOPBACK[version]} -j RETURN"
    yield from _to(rules.raw_ranges, version, f"-p tcp -j REDIRECT --to-ports {rules.raw_port}")
    yield from _to(rules.always(), version, f"-p tcp -j REDIRECT --to-ports {rules.capture_port}")
    if rules.exempt_local:
        yield "-m addrtype --dst-type LOCAL -j RETURN"
    yield from _to(rules.exclude, version, "-j RETURN")
    for port in sorted(set(rules.exclude_ports)):
        yield f"-p tcp -m tcp --dport {port} -j RETURN"
    target = f"-j REDIRECT --to-ports {rules.capture_port}"
    for port in sorted(set(rules.include_ports)):
        yield f"-p tcp -m tcp --dport {port} {target}"
    captured = rules.captured()
    if captured is None:
        yield f"-p tcp {target}"
    else:
        yield from _to(captured, version, f"-p tcp {target}")


def _refuse(rules: CaptureRules, version: int) -> Iterator[str]:
    yield f"-d {_LOOPBACK[version]} -j RETURN"
    yield "-m conntrack --ctdir REPLY -j RETURN"
    if rules.exempt_local:
        for each in NEIGHBOURS:
            match = f"-p ipv6-icmp -m icmp6 --icmpv6-type {each} -j RETURN"
            yield from _to((*ON_LINK, *rules.on_link), version, match)
        yield "-m addrtype --dst-type LOCAL -j RETURN"
    yield from _to(rules.exclude, version, "-j RETURN")
    if rules.proxy_uid is not None:
        owned = f"-m owner --uid-owner {rules.proxy_uid} -j RETURN"
        yield from _to(rules.proxy_reach, version, owned)
    for port in sorted(set(rules.exclude_ports)):
        yield f"-p tcp -m tcp --dport {port} -j RETURN"
    captured = rules.captured()
    if captured is not None:
        for port in sorted(set(rules.include_ports)):
            yield f"-p tcp -m tcp --dport {port} -j {DENIED}"
        yield from _to(captured, version, f"-j {DENIED}")
        return
    if rules.closed:
        yield "! -o lo -j DROP"
    yield f"-j {DENIED}"


def _denied(rules: CaptureRules, version: int) -> Iterator[str]:
    if rules.log_group is not None:
        limit = "-m limit --limit 20/second --limit-burst 50"
        log = f"--nflog-prefix {LOG_PREFIX} --nflog-group {rules.log_group} --nflog-size 128"
        yield f"{limit} -j NFLOG {log}"
    yield "-p tcp -j REJECT --reject-with tcp-reset"
    yield f"-j REJECT --reject-with {_PROHIBITED[version]}"
