"""Where this machine keeps the certificate authority of its mesh."""

from pathlib import Path

from outgate.host.store import write_atomically
from outgate.serve import authority
from outgate.serve.authority import Authority
from outgate.serve.certificates import now
from outgate.settings import Settings


def authority_at(folder: Path, settings: Settings) -> Authority:
    """Return the authority kept in `folder`, made there at the first start."""
    path = folder / "root.pem"
    if path.exists():
        return authority.load(path.read_bytes(), path, now())
    made = authority.create(now(), settings.trust_domain)
    write_atomically(path, authority.dump(made))
    return made
