"""A real PostgreSQL and a real Redis in the small internet's namespace, from Debian's packages.

| host | port | what |
|---|---|---|
| postgres.test | 5432 | PostgreSQL, which offers TLS as it does (SSLRequest); user `app`, password `secret` |
| redis.test | 6379, 6380 (TLS) | Redis |
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.outside.control import Outside

from outgate.internet.manager import SmallInternet

POSTGRES, REDIS = "postgres.test", "redis.test"
USER, PASSWORD = "app", "secret"
_SECONDS = 20


@contextlib.contextmanager
def postgres(outside: Outside) -> Iterator[None]:
    """Run PostgreSQL; it answers when this is entered."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    with _folder(outside.internet, "postgres", POSTGRES, outside) as folder:
        data, password = folder / "data", folder / "password"
        password.write_text(PASSWORD)
        shutil.chown(password, "postgres")
        _run(
            _as("postgres"), str(programs / "initdb"), "-D", str(data), "-U", USER, "--no-sync",
            "--auth-host=scram-sha-256", f"--pwfile={password}",
        )  # fmt: skip
        with (data / "pg_hba.conf").open("a") as file:
            file.write("host all all all scram-sha-256\n")
        addresses = _addresses(outside.internet)
        settings = {
            "listen_addresses": ",".join(addresses), "unix_socket_directories": str(folder), "fsync": "off",
            "ssl": "on", "ssl_cert_file": str(folder / "server.pem"), "ssl_key_file": str(folder / "server.key"),
        }  # fmt: skip
        flags = [f"--{key}={value}" for key, value in settings.items()]
        ready = (str(programs / "pg_isready"), "-h", addresses[0])
        with _running(
            outside.internet,
            "postgres",
            [str(programs / "postgres"), "-D", str(data), *flags],
            ready,
        ):
            yield


@contextlib.contextmanager
def redis(outside: Outside) -> Iterator[None]:
    """Run Redis; it answers when this is entered."""
    with _folder(outside.internet, "redis", REDIS, outside) as folder:
        addresses = _addresses(outside.internet)
        command = [
            "redis-server", "--bind", *addresses, "--port", "6379", "--tls-port", "6380", "--tls-auth-clients", "no",
            "--tls-cert-file", str(folder / "server.pem"), "--tls-key-file", str(folder / "server.key"),
            "--dir", str(folder), "--save", "", "--protected-mode", "no",
        ]  # fmt: skip
        ready = ("redis-cli", "-h", addresses[0], "ping")
        with _running(outside.internet, "redis", command, ready):
            yield


def _addresses(internet: SmallInternet) -> list[str]:
    # Shared with a host that does not use these ports.
    records = internet.plan.records()
    return [each for kind in ("A", "AAAA") for each in records.get(("banner.test", kind), ())]


@contextlib.contextmanager
def _folder(internet: SmallInternet, user: str, host: str, outside: Outside) -> Iterator[Path]:
    """Make a folder of the server's user with its certificate, and the name; remove the folder at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"ogs-{user}-", dir="/tmp"))
    try:
        pair = outside.server_certificate(host)
        for source, name in ((pair.certificate, "server.pem"), (pair.key, "server.key")):
            shutil.copy(source, folder / name)
            shutil.chown(folder / name, user)
        shutil.chown(folder, user)
        for kind, sign in (("A", "."), ("AAAA", ":")):
            if found := [each for each in _addresses(internet) if sign in each]:
                internet.set_record(host, kind, found)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _running(
    internet: SmallInternet, user: str, command: Sequence[str], ready: Sequence[str]
) -> Iterator[None]:
    inside = ("nsenter", f"--net={internet.namespace}", *_as(user))
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed below
    with log, subprocess.Popen([*inside, *command], cwd="/", stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + _SECONDS
            while subprocess.run(ready, capture_output=True, check=False).returncode:
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise AssertionError(f"{command[0]} does not start: {log.read()}")
                time.sleep(0.05)
            yield
        finally:
            # SIGINT has PostgreSQL end without waiting for clients, SIGTERM Redis.
            process.terminate() if user == "redis" else process.send_signal(2)


def _as(user: str) -> tuple[str, ...]:
    # It ends with the tests, however those end.
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--pdeathsig=KILL")


def _run(prefix: Sequence[str], *command: str) -> None:
    done = subprocess.run(
        [*prefix, *command], cwd="/", text=True, capture_output=True, check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
