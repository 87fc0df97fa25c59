"""What an injected pod's init container runs: the rules that capture the pod's connections."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from outgate.cli.common import say
from outgate.errors import UsageError
from outgate.firewall import iptables, neighbours, nft
from outgate.firewall.apply import apply, choose
from outgate.firewall.rules import CaptureRules
from outgate.inject.annotations import parse_ports
from outgate.model.addresses import RAW_IPV4, RAW_IPV6
from outgate.model.ranges import parse_ranges
from outgate.model.workloads import Network
from outgate.xds import naming

_PORT = click.IntRange(1, 65535)
_RESTORE = ((4, "iptables-restore"), (6, "ip6tables-restore"))


def _rule_options(function: Callable[..., None]) -> Callable[..., None]:
    ports = (
        ("--capture-port", naming.CAPTURE_PORT, "Where captured TCP arrives."),
        ("--raw-port", naming.RAW_PORT, "Where TCP to services with a plain TCP port arrives."),
        ("--dns-port", None, "Where DNS arrives; without it, DNS is as all other UDP and TCP."),
    )
    ranges = (
        ("--include", "The only ranges to capture: CIDRs with commas between; else everything."),
        ("--exclude", "Ranges that are not captured."),
        ("--include-ports", "Ports that are captured outside of --include too."),
        ("--exclude-ports", "Ports that are not captured."),
        ("--exclude-from", "File with such ranges, a range a line; an empty one is an error."),
        (
            "--proxy-from",
            "File with ranges that the proxy itself may call besides; it may be missing.",
        ),
    )
    for flag, text in reversed(ranges):
        function = click.option(flag, default="", help=text)(function)
    text = "The proxy's user: its packets are not captured, and refused where those of others are captured."
    function = click.option("--proxy-uid", type=click.IntRange(1), required=True, help=text)(
        function
    )
    for flag, number, text in reversed(ports):
        function = click.option(flag, type=_PORT, default=number, show_default=True, help=text)(
            function
        )
    return function


def _rules(flags: dict[str, Any]) -> CaptureRules:
    return CaptureRules(
        capture_port=flags["capture_port"],
        raw_port=flags["raw_port"],
        raw_ranges=(RAW_IPV4, RAW_IPV6),
        dns_port=flags["dns_port"],
        resolver_ports=(naming.RESOLVER_PORT, naming.RESOLVER_FORWARD_PORT),
        proxy_uid=flags["proxy_uid"],
        proxy_reach=_from_file(flags["proxy_from"], "--proxy-from", optional=True),
        include=parse_ranges(flags["include"], "--include") or None,
        exclude=(
            *parse_ranges(flags["exclude"], "--exclude"),
            *_from_file(flags["exclude_from"], "--exclude-from"),
        ),
        include_ports=parse_ports(flags["include_ports"], "--include-ports"),
        exclude_ports=parse_ports(flags["exclude_ports"], "--exclude-ports"),
        exempt_local=True,
        on_link=neighbours.here(),
        sealed=True,
    )


def _from_file(name: str, flag: str, *, optional: bool = False) -> tuple[Network, ...]:
    """Read ranges; nothing at all is more likely a mistake than meant, unless it is `optional`."""
    if not name:
        return ()
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if optional:
            return ()
        raise UsageError(f"{flag}: {name} cannot be read: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{flag}: {name} cannot be read: {error}") from error
    found = parse_ranges(",".join(text.split()), f"{flag} {name}")
    if not found and (text.strip() or not optional):
        raise UsageError(f"{flag}: {name} names no range", hint="a CIDR a line")
    return found


@click.group("capture-rules")
def capture_rules_command() -> None:
    """Capture the connections of a network namespace: what an injected pod's init container does."""


@capture_rules_command.command("apply")
@_rule_options
def _apply(**flags: Any) -> None:
    """Put the rules in place in the network namespace that this runs in; doing so again changes nothing."""
    rules, backend = _rules(flags), choose()
    apply(rules, backend=backend)
    say(f"the rules are in place, by {backend}")


@capture_rules_command.command("print")
@click.option(
    "--format", "form", type=click.Choice(["nft", "iptables"]), default="nft", show_default=True
)
@_rule_options
def _print(form: str, **flags: Any) -> None:
    """Show the rules."""
    rules = _rules(flags)
    if form == "nft":
        say(nft.render(rules).rstrip("\n"))
        return
    for version, command in _RESTORE:
        say(f"# {command} --noflush\n{iptables.render(rules, version)}".rstrip("\n"))
