"""What the local mesh would program for manifests, offline: by the functions that the daemon uses, with fixed paths.

Without I/O, and the same on every machine: what depends on one is a constant here.
"""

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from outgate.firewall import iptables, nft
from outgate.firewall.rules import CaptureRules
from outgate.host import sandboxes
from outgate.host.mesh import Mesh
from outgate.host.plan import Layout
from outgate.host.pods import Pod
from outgate.model import rendering as model_rendering
from outgate.model.workloads import Capture, Network, Workload
from outgate.resources.documents import Document
from outgate.resources.manifests import Manifests
from outgate.resources.problems import Problem
from outgate.resources.writing import to_yaml
from outgate.settings import Settings
from outgate.xds import rendering as xds_rendering
from outgate.xds import sidecars
from outgate.xds.clusters import Upstream
from outgate.xds.egress import Delta, Site
from outgate.xds.snapshot import Snapshot

LAYOUT = Layout(Settings())
"""The paths of a mesh with default settings."""
CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
RESOLVERS = ("192.0.2.53",)
"""Stands for the machine's own resolvers where the settings name none (RFC 5737)."""
SITE = Site(str(LAYOUT.egress_log), str(LAYOUT.tunnel), 15353, 15354)
"""The ports stand for those that the kernel gives."""
POD = "sleep"
"""The workload that is shown, the sample application's name; its one label is `app: sleep`."""


class Format(enum.StrEnum):
    """What firewall rules are written for."""

    NFT = "nft"
    IPTABLES = "iptables"


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen: the namespace of documents that name none, and of the workload; how that is captured."""

    namespace: str = "default"
    capture: Capture = Capture.NODE
    include: tuple[Network, ...] = ()
    settings: Settings = field(default_factory=Settings)

    def pod(self) -> Pod:
        """Return the workload that is shown, as the daemon knows it."""
        return Pod(
            self.namespace,
            POD,
            MappingProxyType({"app": POD}),
            include=tuple(str(each) for each in self.include),
            capture=self.capture.value,
        )

    def workload(self) -> Workload:
        """Return it as the model knows it."""
        pod = self.pod()
        return pod.workload(LAYOUT.netns(pod.key))


@dataclass(frozen=True, slots=True)
class Translated:
    """The mesh after everything was taken in, and the snapshots of both kinds of proxies."""

    mesh: Mesh
    egress: Snapshot
    sidecar: Snapshot | None


def translate(documents: Iterable[Document], options: Options) -> Translated:
    """Program the documents, and one workload; those that are invalid are left out."""
    resolvers = options.settings.resolvers or RESOLVERS
    site = replace(SITE, forward_resolvers=resolvers)
    mesh = Mesh(site, Upstream(options.settings, CA_FILE, resolvers))
    manifests = Manifests(tuple(_placed(each, options.namespace) for each in documents), ())
    snapshot = Snapshot()
    for delta in (
        mesh.start(),
        mesh.update_files([("", manifests)]),
        mesh.add_workload(options.workload()),
    ):
        snapshot = _after(snapshot, delta)
    sidecar = None
    if options.capture is Capture.SIDECAR:
        sidecar = Snapshot().replace(sidecars.resources((site.tunnel,), options.settings))
    return Translated(mesh, snapshot, sidecar)


def together(documents: Iterable[Document], options: Options) -> tuple[Problem, ...]:
    """Return what is wrong with valid documents because of each other, sorted."""
    mesh = translate(documents, options).mesh
    found = (*mesh.assembly.found.values(), *mesh.relations.found.values())
    every = (each for problems in found for each in problems)
    return tuple(sorted(every, key=lambda each: (each.location, each.path, each.message)))


def _after(snapshot: Snapshot, delta: Delta) -> Snapshot:
    return snapshot.replace(delta.changed, delta.removed)


def _placed(document: Document, namespace: str) -> Document:
    """Return a document that names its namespace, as a command that stores it makes it do."""
    metadata = document.value.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("namespace"):
        return document
    value = {**document.value, "metadata": {**metadata, "namespace": namespace}}
    return replace(document, value=value)


def model(documents: Iterable[Document], options: Options) -> dict[str, Any]:
    """Return the model of the documents, as JSON's types."""
    programmed = translate(documents, options).mesh.programmed
    domain = options.settings.trust_domain
    return model_rendering.render(programmed.destinations, programmed.allocation, domain)


def xds(documents: Iterable[Document], options: Options) -> dict[str, Any]:
    """Return what each kind of proxy is given, as JSON's types; secrets are not shown."""
    translated = translate(documents, options)
    shown: dict[str, Any] = {"egress": xds_rendering.render(translated.egress)}
    if translated.sidecar is not None:
        shown["sidecar"] = xds_rendering.render(translated.sidecar)
    return shown


def firewall(options: Options, form: Format) -> str:
    """Return the rules in the workload's network namespace, as the tool `form` reads them."""
    return render_rules(sandboxes.rules(options.pod()), form)


def render_rules(rules: CaptureRules, form: Format) -> str:
    """Return rules as text; of iptables' two texts each says which command reads it."""
    if form is Format.NFT:
        return nft.render(rules)
    texts = (
        (f"# {command} --noflush\n", iptables.render(rules, version))
        for version, command in _RESTORE
    )
    return "".join(part for text in texts for part in text)


_RESTORE = ((4, "iptables-restore"), (6, "ip6tables-restore"))


def write(value: Mapping[str, Any], form: str) -> str:
    """Write what a stage returned as `json` or `yaml`, keys sorted."""
    if form == "json":
        return json.dumps(value, indent=2, sort_keys=True) + "\n"
    return to_yaml(value, sort_keys=True)
