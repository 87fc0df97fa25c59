"""What Istio's kinds declare, in the model of no front end."""

from outgate.model.istio.destination_rules import destination_rule
from outgate.model.istio.service_entries import service_entry
from outgate.model.istio.sidecars import sidecar
from outgate.model.istio.virtual_services import virtual_service

__all__ = ["destination_rule", "service_entry", "sidecar", "virtual_service"]
