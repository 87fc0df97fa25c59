"""Envoy configurations that have everything in them, for Envoy's own validation."""

import json
import ssl
from pathlib import Path
from typing import Any

from outgate.envoy.bootstrap import Bootstrap, render
from outgate.host import translating


def static(shown: dict[str, list[dict[str, Any]]], folder: Path) -> str:
    """A bootstrap that has everything in it; paths are ones that exist, namespaces are left out."""
    bootstrap = render(Bootstrap("egress", "egress", str(folder / "xds"), str(folder / "admin")))
    del bootstrap["dynamic_resources"]["lds_config"], bootstrap["dynamic_resources"]["cds_config"]
    # Envoy's validation crashes where a cluster that is there from the start has secrets that come over ADS.
    (folder / "secrets.json").write_text('{"resources": []}')
    secrets = {"path_config_source": {"path": str(folder / "secrets.json")}}
    scopes = {"scoped_route_configurations": shown.get("scoped_routes", [])}
    fixed = bootstrap["static_resources"]
    fixed["clusters"] += shown.get("clusters", []) + shown.get("clusters_on_demand", [])
    fixed["listeners"] = shown["listeners"]
    text = json.dumps({**bootstrap, "static_resources": inlined(fixed, scopes, secrets)})
    ca_file = ssl.get_default_verify_paths().cafile or translating.CA_FILE
    return text.replace(translating.CA_FILE, ca_file).replace(translating.SITE.log, "/dev/null")


def inlined(value: Any, scopes: dict[str, Any], secrets: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [inlined(each, scopes, secrets) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: secrets if key == "sds_config" else inlined(each, scopes, secrets)
        for key, each in value.items()
        if key not in ("network_namespace_filepath", "scoped_rds")
    }
    # Envoy refuses an empty list of scopes.
    if "scoped_rds" in value and scopes["scoped_route_configurations"]:
        kept["scoped_route_configurations_list"] = scopes
    elif "scoped_rds" in value:
        kept["scoped_rds"] = value["scoped_rds"]
    return kept
