"""The one place that reads and changes the process's environment."""

import os

from outgate.settings import PREFIX, Settings


def settings() -> Settings:
    """Return the settings that the environment makes; an unknown or invalid one is a UsageError."""
    return Settings.load(os.environ)


def override(name: str, value: str) -> None:
    """Set a setting for this process and those it starts: what a flag says wins over the environment."""
    os.environ[PREFIX + name.upper()] = value


def pod() -> tuple[str, str]:
    """Return the name and the uid of the pod that this runs in, as `outgate install` has them told; else empty."""
    return os.environ.get("POD_NAME", ""), os.environ.get("POD_UID", "")


def inherited() -> dict[str, str]:
    """Return the environment for a process of ours, settings included."""
    return dict(os.environ)


def for_workloads() -> dict[str, str]:
    """Return the environment that a captured command gets: all but our own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def sudo_user() -> str:
    """Return who called sudo; empty where nobody did."""
    return os.environ.get("SUDO_USER", "")


def kubeconfig() -> str:
    """Return which files say how to reach a cluster, as kubectl's users name them; empty where nobody did."""
    return os.environ.get("KUBECONFIG", "")
