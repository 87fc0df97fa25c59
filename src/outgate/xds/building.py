"""Small helpers that turn messages into the serialised resources a snapshot holds."""

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf import any_pb2, duration_pb2, json_format
from google.protobuf.message import Message

from outgate.xds import extensions as ext
from outgate.xds.snapshot import Resource

M = TypeVar("M", bound=Message)

ADS = {"ads": {}, "resource_api_version": "V3"}
"""A source of configuration: the stream that all of it comes by."""
PREFIX = "type.googleapis.com/"
LISTENER = PREFIX + "envoy.config.listener.v3.Listener"
CLUSTER = PREFIX + "envoy.config.cluster.v3.Cluster"
ROUTE = PREFIX + "envoy.config.route.v3.RouteConfiguration"
EXTENSION = PREFIX + "envoy.config.core.v3.TypedExtensionConfig"
SCOPED_ROUTE = PREFIX + "envoy.config.route.v3.ScopedRouteConfiguration"


def typed(name: str, **fields: Any) -> dict[str, Any]:
    """Return the JSON form of an Any that holds an `envoy.` message of type `name`."""
    return {"@type": f"{PREFIX}envoy.{name}", **fields}


def seconds(value: float) -> str:
    """Write a duration as protobuf's JSON form does."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def duration(message: duration_pb2.Duration, value: float) -> None:
    """Set a duration in seconds."""
    message.FromNanoseconds(round(value * 1e9))


def pack(message: Message) -> any_pb2.Any:
    """Wrap a message, deterministically, so that equal input gives equal bytes."""
    wrapped = any_pb2.Any()
    wrapped.Pack(message, deterministic=True)
    return wrapped


def parse(form: Mapping[str, Any], message: M) -> M:
    """Fill `message` from its JSON form, which must have no unknown field."""
    json_format.ParseDict(dict(form), message)
    return message


def resource(type_url: str, name: str, message: Message, *, on_demand: bool = False) -> Resource:
    """Serialise a message once; its version is a hash of the bytes, so that equal content is never sent again."""
    value = message.SerializeToString(deterministic=True)
    version = hashlib.blake2b(value, digest_size=8).hexdigest()
    return Resource(type_url, name, version, value, on_demand)


def listener(form: Mapping[str, Any]) -> Resource:
    """Make a listener resource from its JSON form."""
    return resource(LISTENER, form["name"], parse(form, ext.listener.Listener()))


def cluster(message: ext.cluster.Cluster, *, on_demand: bool = False) -> Resource:
    """Make a cluster resource."""
    return resource(CLUSTER, message.name, message, on_demand=on_demand)


def any_cluster(form: Mapping[str, Any]) -> Resource:
    """Make a cluster resource from its JSON form."""
    return cluster(parse(form, ext.cluster.Cluster()))
