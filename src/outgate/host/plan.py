"""What a sandbox consists of, as names and texts, before anything on the machine is touched."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from outgate.model.names import Name
from outgate.settings import Settings

NETNS_DIR = Path("/run/netns")
"""Where iproute2 keeps named network namespaces, so that `ip netns` shows ours."""
RESOLVER = "127.0.0.1"
"""Every query to port 53 is redirected, whatever its address; this one needs no route."""

LINKS = ipaddress.IPv4Network("100.127.0.0/16")
"""Point-to-point links of pods with --includeIPRanges, in the shared address space (RFC 6598)."""
LINKS6 = ipaddress.IPv6Network("fd6f:6700::/48")

KEPT_CAPABILITIES = (
    "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "net_bind_service", "sys_chroot", "setfcap",
)  # fmt: skip
"""What root keeps inside: what a build needs, and nothing that reaches the network's configuration, raw packets,
devices, mounts or other processes."""


@dataclass(frozen=True, slots=True)
class Link:
    """A veth pair from a pod to the host; `device` is the host's end."""

    device: str
    host: ipaddress.IPv4Interface
    pod: ipaddress.IPv4Interface
    host6: ipaddress.IPv6Interface
    pod6: ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one local mesh."""

    settings: Settings

    @property
    def run(self) -> Path:
        """Everything that is gone after a restart of the machine."""
        return self.settings.run_dir

    @property
    def api(self) -> Path:
        """The daemon's own socket."""
        return self.run / "api.sock"

    @property
    def lock(self) -> Path:
        """Held by the daemon while it lives."""
        return self.run / "daemon.lock"

    @property
    def xds(self) -> Path:
        """The control plane's socket."""
        return self.run / "xds.sock"

    @property
    def tunnel(self) -> Path:
        """The egress Envoy's socket, where sidecars' tunnels arrive."""
        return self.run / "tunnel.sock"

    @property
    def pods(self) -> Path:
        """A folder for each pod."""
        return self.run / "pods"

    def pod(self, name: Name) -> Path:
        """Return a pod's folder."""
        return self.pods / f"{name.namespace}.{name.name}"

    @property
    def manifests(self) -> Path:
        """The resources."""
        return self.settings.state_dir / "manifests"

    @property
    def authority(self) -> Path:
        """The certificate authority's key and certificate."""
        return self.settings.state_dir / "authority"

    @property
    def egress_log(self) -> Path:
        """One JSON line for each call, allowed or denied."""
        return self.settings.log_dir / "egress.log"

    def pod_log(self, name: Name) -> Path:
        """Return where a pod's output goes."""
        return self.settings.log_dir / "pods" / f"{name.namespace}.{name.name}.log"

    def netns_name(self, name: Name) -> str:
        """Return a pod's network namespace as `ip netns` shows it."""
        return f"{self.settings.mesh}.{name.namespace}.{name.name}"

    def netns(self, name: Name) -> Path:
        """Return the path of a pod's network namespace."""
        return NETNS_DIR / self.netns_name(name)


def sealed_commands() -> str:
    """Return the `ip -batch` lines for a namespace from which nothing can leave: every address is local."""
    return "\n".join(
        (
            "link set lo up",
            "route add local 0.0.0.0/0 dev lo",
            "route add local ::/0 dev lo",
            "",
        )
    )


def link(index: int, mesh: str) -> Link:
    """Return link number `index`, 0 to 16383."""
    base, base6 = LINKS[index * 4], LINKS6[index * 4]
    return Link(
        f"og{index}-{mesh}"[:15],
        ipaddress.IPv4Interface(f"{base + 1}/30"),
        ipaddress.IPv4Interface(f"{base + 2}/30"),
        ipaddress.IPv6Interface(f"{base6 + 1}/126"),
        ipaddress.IPv6Interface(f"{base6 + 2}/126"),
    )


def linked_commands(to: Link, netns: str) -> tuple[str, str]:
    """Return the `ip -batch` lines of a link for the host, and then for the namespace."""
    host = (
        f"link add {to.device} type veth peer name eth0 netns {netns}",
        f"address add {to.host} dev {to.device}",
        f"address add {to.host6} dev {to.device} nodad",
        f"link set {to.device} up",
        "",
    )
    pod = (
        f"address add {to.pod} dev eth0",
        f"address add {to.pod6} dev eth0 nodad",
        "link set eth0 up",
        f"route add default via {to.host.ip}",
        f"route add default via {to.host6.ip}",
        # Virtual addresses never leave: redirected, they arrive on the loopback.
        "route add local 240.240.0.0/16 dev lo",
        "route add local 2001:2::/48 dev lo",
        "",
    )
    return "\n".join(host), "\n".join(pod)


def masquerade(mesh: str) -> str:
    """Return the `nft -f` text that lets linked pods out under the host's address."""
    table = f"outgate_links_{mesh.replace('-', '_')}"
    return (
        f"table inet {table}\n"
        f"delete table inet {table}\n"
        f"table inet {table} {{\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority srcnat; policy accept;\n"
        f"    ip saddr {LINKS} ip daddr != {LINKS} masquerade\n"
        f"    ip6 saddr {LINKS6} ip6 daddr != {LINKS6} masquerade\n"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy accept;\n"
        f"    ip saddr {LINKS} ip daddr {LINKS} drop\n"
        f"    ip6 saddr {LINKS6} ip6 daddr {LINKS6} drop\n"
        "  }\n"
        "}\n"
    )


def resolv_conf(namespace: str, domain: str) -> str:
    """Return a pod's resolv.conf; the search domains are Kubernetes's, and complete short names."""
    search = f"{namespace}.svc.{domain} svc.{domain} {domain}"
    return f"nameserver {RESOLVER}\nsearch {search}\noptions ndots:5 timeout:1 attempts:3\n"


def hosts(pod: str) -> str:
    """Return a pod's /etc/hosts, without what the machine's own says."""
    return f"127.0.0.1 localhost {pod}\n::1 localhost ip6-localhost ip6-loopback {pod}\n"


def mounts(hidden: tuple[Path, ...]) -> tuple[str, str]:
    """Return a sandbox's two fstabs, for `mount -a`: `hidden` are folders that are empty inside.

    Sockets under /run lead out of any namespace (a container engine's, systemd's), /proc/sys and the cgroup file
    systems lead to code on the host, device nodes to its disks: root inside must meet none of them.
    """
    made = "mode=755,nosuid,X-mount.mkdir"
    first = [
        "outgate-proc /proc proc nosuid,nodev,noexec",
        "outgate-sys /sys sysfs ro,nosuid,nodev,noexec",
        "outgate-run /run tmpfs mode=755,size=64m,nosuid,nodev",
        *(f"outgate-hidden {path} tmpfs mode=700,size=4k,nosuid,nodev" for path in hidden),
        f"outgate-stage /run/.outgate tmpfs {made},size=64k",
        f"outgate-dev /run/.outgate/dev tmpfs {made},size=64k,noexec",
        "outgate-pts /run/.outgate/dev/pts devpts ptmxmode=0666,mode=620,noexec,nosuid,X-mount.mkdir",
        "outgate-shm /run/.outgate/dev/shm tmpfs mode=1777,nosuid,nodev,X-mount.mkdir",
    ]
    second = ["/proc/sys /proc/sys none bind,ro"]
    return tuple("".join(f"{line} 0 0\n" for line in part) for part in (first, second))  # type: ignore[return-value]


def enter_command(init: int, directory: str, user: tuple[int, int] | None) -> list[str]:
    """Return the words before a command that is to run in the sandbox whose first process is `init`.

    The command has no capability that could undo the capture, and no set-user-ID program gives it one.
    """
    kept = ",".join(("-all", *(f"+{name}" for name in KEPT_CAPABILITIES)))
    identity = ["--reuid", str(user[0]), "--regid", str(user[1]), "--clear-groups"] if user else []
    return [
        "nsenter", f"--target={init}", "--net", "--mount", "--pid", "--ipc", "--uts", f"--wdns={directory}", "--",
        "setpriv", f"--bounding-set={kept}", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", *identity,
        "--",
    ]  # fmt: skip
