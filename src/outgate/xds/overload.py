"""Keeps an Envoy below a heap limit: whoever holds much memory without moving loses it, before all are stopped for it.

Memory goes to connections that are sent more than their other end takes. In the order of pressure: streams that hold
most are reset, timeouts for idle streams shrink from minutes to seconds, nothing new is accepted. Otherwise the kernel
would end the whole process.
"""

from typing import Any

PREFIX = "type.googleapis.com/envoy."
_HEAP, _CONNECTIONS = (
    "envoy.resource_monitors.fixed_heap",
    "envoy.resource_monitors.global_downstream_max_connections",
)
TRACKED_POWER = 12
"""Streams are told apart by what they hold, from 4 KiB in steps of two: the largest of eight kinds are reset first."""
_IDLE = ("HTTP_DOWNSTREAM_STREAM_IDLE", "HTTP_DOWNSTREAM_CONNECTION_IDLE")


def manager(max_connections: int, heap_bytes: int) -> dict[str, Any]:
    """Return the part of a bootstrap that says so, in JSON form."""
    connections = {
        "@type": PREFIX
        + "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": str(max_connections),
    }
    heap = {
        "@type": PREFIX + "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
        "max_heap_size_bytes": str(heap_bytes),
    }
    return {
        # A fast network fills what is left in less than a second.
        "refresh_interval": "0.1s",
        "resource_monitors": [
            {"name": _CONNECTIONS, "typed_config": connections},
            {"name": _HEAP, "typed_config": heap},
        ],
        "actions": [
            _action("shrink_heap", _at(0.8)),
            _action("reset_high_memory_stream", _between(0.6, 0.85)),
            _action("reduce_timeouts", _between(0.6, 0.8), _timers()),
            _action("stop_accepting_requests", _at(0.95)),
            _action("stop_accepting_connections", _at(0.98)),
        ],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": TRACKED_POWER},
    }


def _action(
    name: str, trigger: dict[str, Any], config: dict[str, Any] | None = None
) -> dict[str, Any]:
    found = {"name": f"envoy.overload_actions.{name}", "triggers": [{"name": _HEAP, **trigger}]}
    return found | ({"typed_config": config} if config else {})


def _at(pressure: float) -> dict[str, Any]:
    return {"threshold": {"value": pressure}}


def _between(low: float, high: float) -> dict[str, Any]:
    return {"scaled": {"scaling_threshold": low, "saturation_threshold": high}}


def _timers() -> dict[str, Any]:
    return {
        "@type": PREFIX + "config.overload.v3.ScaleTimersOverloadActionConfig",
        "timer_scale_factors": [{"timer": each, "min_timeout": "2s"} for each in _IDLE],
    }
