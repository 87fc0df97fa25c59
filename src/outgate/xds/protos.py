"""The one place that imports the discovery protocol's protobufs; `extensions` has those of the configuration."""

from envoy.service.discovery.v3 import ads_pb2_grpc as ads
from envoy.service.discovery.v3 import discovery_pb2 as discovery

__all__ = ["ads", "discovery"]
