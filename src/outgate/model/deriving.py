"""Resources to model: what a resource of each kind declares. A new kind is one line in `declare`.

Internal services need the pods that their selector names, so that the cluster inside keeps working.
"""

import importlib
from collections.abc import Callable, Iterable

from outgate.model.declarations import Declarations, Source
from outgate.model.destinations import Destination, Endpoint, External, Internal, Port
from outgate.model.names import Name
from outgate.model.workloads import Workload
from outgate.resources.kinds import Resource
from outgate.resources.protocols import protocol_of
from outgate.resources.secrets import ConfigMap, Secret
from outgate.resources.services import Service, ServicePort
from outgate.traffic.references import ConfigMapKey, SecretKey


def source_of(resource: Resource) -> Source:
    """Return a resource's identity."""
    metadata = resource.metadata
    return Source(type(resource).__name__, metadata.namespace, metadata.name)


def declare(resource: Resource, workloads: Iterable[Workload] = ()) -> Declarations:
    """Return what a resource declares; Services inside lead to those of `workloads` that they select."""
    match resource:
        case Service():
            return _service(resource, workloads)
        case Secret() | ConfigMap():
            return _materials(resource)
        case _:
            return _later(resource)


def _later(resource: Resource) -> Declarations:
    kind = type(resource).__name__
    if kind not in _LATER:
        # What the Gateway API's declare depends on others: `model.gateway.relations` says it.
        created = resource.metadata.creation_timestamp
        return Declarations(source_of(resource), resource.location, created)
    module, function = _LATER[kind]
    found: Callable[[Resource], Declarations] = getattr(
        importlib.import_module(f"outgate.model.{module}"), function
    )
    return found(resource)


# Loaded where there is something for them: most commands have none, and are to start at once.
_LATER = {
    "ExternalService": ("native", "external_service"),
    "EgressPolicy": ("native", "egress_policy"),
    "ServiceEntry": ("istio", "service_entry"),
    "DestinationRule": ("istio", "destination_rule"),
    "VirtualService": ("istio", "virtual_service"),
    "Sidecar": ("istio", "sidecar"),
}


def _materials(resource: Secret | ConfigMap) -> Declarations:
    kind = SecretKey if isinstance(resource, Secret) else ConfigMapKey
    source = source_of(resource)
    held = tuple(
        (kind(source.namespace, source.name, key), value)
        for key, value in sorted(resource.data.items())
    )
    return Declarations(source, resource.location, materials=held)


def _service(service: Service, workloads: Iterable[Workload]) -> Declarations:
    found = destination(service, workloads)
    return Declarations(
        source=source_of(service),
        location=service.location,
        created=service.metadata.creation_timestamp,
        destinations=(found,) if found else (),
    )


def destination(service: Service, workloads: Iterable[Workload]) -> Destination | None:
    """Return what a Service declares; None where it declares nothing that can be called.

    UDP and SCTP ports are left out: `resources` has warned of them.
    """
    name = Name(service.metadata.namespace, service.metadata.name)
    ports = tuple(port for port in service.ports if port.protocol == "TCP")
    if not ports:
        return None
    declared = tuple(_port(port) for port in ports)
    created = service.metadata.creation_timestamp
    if service.external_name:
        source = str(source_of(service))
        return External(name, service.external_name, declared, created, source=source)
    if not service.selector:
        return None
    chosen = sorted(
        (each for each in workloads if selects(service, each)), key=lambda each: each.name
    )
    endpoints = tuple(_endpoints(port, chosen) for port in ports)
    return Internal(name, declared, endpoints, created)


def selects(service: Service, workload: Workload) -> bool:
    """Whether a Service's selector names a workload: same namespace, and every label equal."""
    return (
        bool(service.selector)
        and service.metadata.namespace == workload.name.namespace
        and all(workload.labels.get(key) == value for key, value in service.selector.items())
    )


def _port(port: ServicePort) -> Port:
    return Port(port.port, protocol_of(port), port.name)


def _endpoints(port: ServicePort, workloads: Iterable[Workload]) -> tuple[Endpoint, ...]:
    # A named targetPort is a container's port name; a pod on one machine has none, so only numbers lead anywhere.
    target = port.target_port if port.target_port is not None else port.port
    if not isinstance(target, int):
        return ()
    return tuple(Endpoint(each.name, each.netns, target) for each in workloads)
