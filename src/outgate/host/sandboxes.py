"""Makes and removes what a pod consists of on this machine; each step can be repeated, and undone from any point.

Order is what keeps it closed: rules before a link, a link before a process.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

from outgate.envoy.admin import Admin
from outgate.envoy.process import stop_recorded
from outgate.errors import ConflictError, HostError
from outgate.firewall import apply as firewall
from outgate.firewall.rules import CaptureRules
from outgate.host import init, plan
from outgate.host.commands import inside, run
from outgate.host.plan import Layout
from outgate.host.pods import Pod, Process, load
from outgate.host.processes import only_child, start_time
from outgate.host.store import write_atomically
from outgate.model.addresses import RAW_IPV4, RAW_IPV6
from outgate.model.names import Name
from outgate.xds import naming

_log = logging.getLogger(__name__)

LOG_GROUP = 0x6F67
"""The nflog group of refused packets; groups are a namespace's own."""
_IP_FORWARD = (
    Path("/proc/sys/net/ipv4/ip_forward"),
    Path("/proc/sys/net/ipv6/conf/all/forwarding"),
)


def rules(pod: Pod) -> CaptureRules:
    """Return the capture rules of a pod's namespace."""
    workload = pod.workload(Path("/"))
    return CaptureRules(
        capture_port=naming.CAPTURE_PORT,
        raw_port=naming.RAW_PORT,
        raw_ranges=(RAW_IPV4, RAW_IPV6),
        dns_port=naming.DNS_PORT,
        include=workload.include or None,
        sealed=True,
        log_group=LOG_GROUP,
    )


async def make_namespace(pod: Pod, layout: Layout) -> None:
    """Make a pod's network namespace, with the loopback alone: nothing gets anywhere from it."""
    if layout.netns(pod.key).exists():
        hint = "delete it first, or use another --name"
        raise ConflictError(f'pods "{pod.name}" already exists', hint=hint)
    name = layout.netns_name(pod.key)
    await run("ip", "netns", "add", name)
    commands = "link set lo up\n" if pod.include else plan.sealed_commands()
    await run("ip", "-n", name, "-batch", "-", stdin=commands)


async def seal(pod: Pod, layout: Layout) -> int | None:
    """Put the rules in place, and then the link where only some ranges are captured: return its number."""
    await asyncio.to_thread(firewall.apply, rules(pod), layout.netns(pod.key))
    if not pod.include:
        return None
    name = layout.netns_name(pod.key)
    index = await _free_link(layout)
    link = plan.link(index, layout.settings.mesh)
    host, inner = plan.linked_commands(link, name)
    _forwarding(layout, on=True)
    await run("nft", "-f", "-", stdin=plan.masquerade(layout.settings.mesh))
    await run("ip", "-batch", "-", stdin=host)
    await run("ip", "-n", name, "-batch", "-", stdin=inner)
    return index


async def _free_link(layout: Layout) -> int:
    """Return the first link number that no interface and no route of this machine has."""
    taken = await run("ip", "-o", "address")
    for index in range(plan.LINKS.num_addresses // 4):
        link = plan.link(index, layout.settings.mesh)
        if f" {link.host.ip}/" not in taken and f" {link.device} " not in taken:
            return index
    raise HostError("no link address is left", hint="stop pods that have --includeIPRanges")


def _forwarding(layout: Layout, *, on: bool) -> None:
    """Switch forwarding on for linked pods, and back to what it was after the last of them."""
    note = layout.run / "forwarding"
    if on and not note.exists():
        before = [path.read_text().strip() for path in _IP_FORWARD]
        write_atomically(note, "\n".join(before).encode())
        for path in _IP_FORWARD:
            path.write_text("1")
    elif not on and note.exists():
        for path, value in zip(_IP_FORWARD, note.read_text().split(), strict=True):
            path.write_text(value)
        note.unlink()


async def start_init(pod: Pod, layout: Layout) -> Pod:
    """Start the sandbox's first process, which makes its mounts; it may be entered when this returns."""
    folder = layout.pod(pod.key)
    settings = layout.settings
    hidden = tuple(
        path.resolve()
        for path in (settings.run_dir, settings.state_dir, settings.log_dir)
        if path.is_dir() and not path.resolve().is_relative_to("/run")
    )
    first, second = plan.mounts(hidden)
    texts = {
        "resolv.conf": plan.resolv_conf(pod.namespace, settings.trust_domain),
        "hosts": plan.hosts(pod.name),
        "fstab": first,
        "fstab.second": second,
    }
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in texts.items():
        (folder / name).write_text(text)
    process = await asyncio.create_subprocess_exec(
        *inside(layout.netns(pod.key), ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]),
        "--propagation", "private", sys.executable, "-I", "-S", init.__file__, "setup", str(folder), pod.name,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        start_new_session=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, cwd="/",
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - asked for above
    line = await process.stdout.readline()
    if line.strip() != b"ready":
        said = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
        raise HostError(f"pod {pod.name} did not start: {said[-1] if said else 'no reason given'}")
    child = only_child(process.pid)
    started = start_time(child) if child else None
    if child is None or started is None:
        raise HostError(f"pod {pod.name} ended while it started")
    return replace(pod, init=Process(child, started))


def save(pod: Pod, layout: Layout) -> None:
    """Write down what is known of a pod."""
    write_atomically(layout.pod(pod.key) / "pod.json", pod.dump())


def saved(layout: Layout) -> list[Pod]:
    """Return the pods that an earlier daemon wrote down."""
    found = []
    for path in sorted(layout.pods.glob("*/pod.json")):
        try:
            found.append(load(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be read, its pod is removed: %s", path, error)
    return found


def is_alive(process: Process | None) -> bool:
    """Whether a process still is the one that was started."""
    return process is not None and start_time(process.pid) == process.started


def stop(process: Process | None, sent: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process if it still is the one that was started."""
    if process is not None and is_alive(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, sent)


async def remove(pod: Pod, layout: Layout) -> None:
    """Remove all of a pod; what is not there is passed over."""
    stop(pod.main)
    stop(pod.init)
    record = layout.pod(pod.key) / "envoy.pid.json"
    await stop_recorded(record, Admin(record.with_name("envoy-admin.sock")), 0)
    await remove_namespace(layout.netns_name(pod.key))
    shutil.rmtree(layout.pod(pod.key), ignore_errors=True)


async def remove_namespace(name: str) -> None:
    """Remove a named network namespace, and the link in it; what still runs there keeps no way out."""
    if not (plan.NETNS_DIR / name).exists():
        return
    with contextlib.suppress(HostError):
        await run("ip", "-n", name, "link", "delete", "eth0", check=False)
    await run("ip", "netns", "delete", name, check=False)


async def remove_links(layout: Layout) -> None:
    """Take back what linked pods changed on the host, after the last of them."""
    if not (layout.run / "forwarding").exists():
        return
    table = f"outgate_links_{layout.settings.mesh.replace('-', '_')}"
    await run("nft", "delete", "table", "inet", table, check=False)
    _forwarding(layout, on=False)


def namespaces(layout: Layout) -> list[str]:
    """Return all network namespaces of this mesh."""
    if not plan.NETNS_DIR.is_dir():
        return []
    prefix = f"{layout.settings.mesh}."
    return sorted(path.name for path in plan.NETNS_DIR.iterdir() if path.name.startswith(prefix))


def name_of(namespace: str) -> Name:
    """Return the pod behind a network namespace's name."""
    _, kubernetes_namespace, pod = namespace.split(".", 2)
    return Name(kubernetes_namespace, pod)


async def answering(init_pid: int, seconds: float = 5.0) -> None:
    """Wait until a pod's listeners take connections: that Envoy accepted their configuration is not yet that."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not _listening(init_pid):
        if asyncio.get_running_loop().time() > deadline:
            raise HostError("Envoy does not listen in the pod", hint="outgate status")
        await asyncio.sleep(0.002)


def _listening(init_pid: int) -> bool:
    """Look the listeners up in the kernel's tables of the process's network namespace (proc(5), net/tcp)."""
    tables = (
        ("tcp", naming.CAPTURE_PORT, "0A"),  # LISTEN
        ("tcp", naming.RAW_PORT, "0A"),
        ("udp", naming.DNS_PORT, "07"),  # an unconnected socket
    )
    for table, port, state in tables:
        lines = Path(f"/proc/{init_pid}/net/{table}").read_text().splitlines()[1:]
        fields = (each.split() for each in lines)
        if not any(each[1].endswith(f":{port:04X}") and each[3] == state for each in fields):
            return False
    return True
