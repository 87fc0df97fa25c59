"""Where everything of a benchmark is: one folder, one network, fixed names, so that a later run finds leftovers.

The addresses are from a range for documentation (RFC 5737, TEST-NET-3): public to Outgate's guard, and no host's.
"""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "bench" / "results" / "latest.json"
DOCUMENT = PROJECT / "docs" / "performance.md"

FOLDER = Path("/var/tmp/ogb")  # noqa: S108 - only root may write in it, see `machine.prepared`
"""On a disk, as the store's flushes are part of what is measured."""
MESH = "ogb"
ORIGIN_NETNS, STATIC_NETNS = "ogb-origin", "ogb-static"
LINK, INNER_LINK = "ogb-0", "ogb-0p"
HOST_ADDRESS, ORIGIN, RESOLVER = "203.0.113.1", "203.0.113.2", "203.0.113.3"
PREFIX_LENGTH = 28

DOMAIN = "origin.test"
"""Every name in it has the origin's address."""
HTTP_PORT, TLS_PORT = 80, 443
RAW_PORT, RAW_TLS_PORT = 7080, 7443
"""The same servers on ports that are declared as plain TCP."""
BODY_BYTES = 1024
