"""What the images are called, and what they say of themselves (the annotations of the OCI image specification)."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outgate.inject.options import ENVOY_VERSION

_PREFIX = "org.opencontainers.image"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be built: from which checkout, where to, under which names; `epoch` is the time of all files."""

    project: Path
    output: Path
    hub: str
    tag: str
    epoch: int

    @property
    def outgate(self) -> str:
        """The name of the image for the controller and the init container."""
        return f"{self.hub}/outgate:{self.tag}"

    @property
    def envoy(self) -> str:
        """The name of the image for the proxies."""
        return f"{self.hub}/envoy:{ENVOY_VERSION}"


def version(project: Path) -> str:
    """Return the version of Outgate."""
    return str(_declared(project)["version"])


def outgate(project: Path) -> dict[str, str]:
    """Return the labels of the image `outgate`."""
    declared = _declared(project)
    return {
        f"{_PREFIX}.title": "Outgate",
        f"{_PREFIX}.description": declared["description"],
        f"{_PREFIX}.licenses": declared["license"],
        f"{_PREFIX}.version": declared["version"],
    }


def envoy(number: str) -> dict[str, str]:
    """Return the labels of the stand-in for Envoy's image."""
    return {
        f"{_PREFIX}.title": "Envoy",
        f"{_PREFIX}.licenses": "Apache-2.0",
        f"{_PREFIX}.version": number,
    }


def _declared(project: Path) -> dict[str, Any]:
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    declared: dict[str, Any] = table["project"]
    return declared
