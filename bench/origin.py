"""The origin: nginx and a DNS server in a network namespace of their own, reached by a veth pair."""

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench import places
from bench.commands import BenchError, run, started
from outgate.internet.certificates import CA_FILE, Authority
from outgate.internet.plan import Certificate

_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type application/octet-stream;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10;
  server {{
    listen {address}:{http}; listen {address}:{raw};
    listen {address}:{tls} ssl; listen {address}:{raw_tls} ssl;
    ssl_certificate {folder}/{domain}.pem;
    ssl_certificate_key {folder}/{domain}.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    root {folder}/www;
  }}
}}
"""


def ca_file(folder: Path) -> Path:
    """Return the CA that the origin's certificate chains to."""
    return folder / "origin" / CA_FILE


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[None]:
    """Have the origin for the time of a `with` block."""
    own = folder / "origin"
    own.mkdir(exist_ok=True)
    _write(own)
    inside = ("ip", "netns", "exec", places.ORIGIN_NETNS)
    nginx = (*inside, "nginx", "-c", str(own / "nginx.conf"), "-p", str(own))
    # The folder is an argument so that a leftover can be told from other processes.
    dns = (*inside, sys.executable, "-m", "bench.resolver", str(own))
    with contextlib.ExitStack() as stack:
        stack.callback(_unlink)
        _link()
        for name, command in (("nginx", nginx), ("dns", dns)):
            settings = {"PYTHONPATH": str(places.PROJECT)}
            process = stack.enter_context(started(command, own / "log", settings=settings))
            (folder / f"{name}.pid").write_text(str(process.pid))
        for address, port in ((places.ORIGIN, places.TLS_PORT), (places.RESOLVER, 53)):
            _wait(address, port, own / "log")
        yield


def _write(own: Path) -> None:
    authority = Authority(own)
    authority.issue(places.DOMAIN, Certificate.TRUSTED)
    (own / "www").mkdir(exist_ok=True)
    (own / "www" / "1k").write_bytes(b"x" * places.BODY_BYTES)
    # nginx's worker is another user.
    for path in (places.FOLDER, own, own / "www"):
        path.chmod(0o711)
    (own / "www" / "1k").chmod(0o644)
    text = _NGINX.format(
        folder=own,
        address=places.ORIGIN,
        http=places.HTTP_PORT,
        raw=places.RAW_PORT,
        tls=places.TLS_PORT,
        raw_tls=places.RAW_TLS_PORT,
        domain=places.DOMAIN,
    )
    (own / "nginx.conf").write_text(text)


def _link() -> None:
    run("ip", "netns", "add", places.ORIGIN_NETNS)
    here = (
        f"link add {places.LINK} type veth peer name {places.INNER_LINK} netns {places.ORIGIN_NETNS}",
        f"address add {places.HOST_ADDRESS}/{places.PREFIX_LENGTH} dev {places.LINK}",
        f"link set {places.LINK} up",
    )
    there = (
        "link set lo up",
        f"address add {places.ORIGIN}/{places.PREFIX_LENGTH} dev {places.INNER_LINK}",
        f"address add {places.RESOLVER}/{places.PREFIX_LENGTH} dev {places.INNER_LINK}",
        f"link set {places.INNER_LINK} up",
    )
    run("ip", "-batch", "-", stdin="\n".join(here) + "\n")
    run("ip", "-n", places.ORIGIN_NETNS, "-batch", "-", stdin="\n".join(there) + "\n")


def _unlink() -> None:
    run("ip", "netns", "delete", places.ORIGIN_NETNS, check=False)
    run("ip", "link", "delete", places.LINK, check=False)


def _wait(address: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((address, port), 1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                said = log.read_text()[-1000:]
                raise BenchError(f"the origin does not serve {address}:{port}: {said}") from error
            time.sleep(0.02)
        else:
            return
