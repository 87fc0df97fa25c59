"""Both images: what is in them is the same for everybody, harmless, and made again only if it has changed."""

import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.images.conftest import PROJECT, Archive, Checkout, manifest

from outgate import __version__

pytestmark = [pytest.mark.root, pytest.mark.envoy, pytest.mark.timeout(600)]

NAMES = ("outgate.tar", "envoy.tar")


@pytest.fixture(params=["outgate", "envoy"])
def image(request: pytest.FixtureRequest) -> Archive:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Archive)
    return found


def test_nothing_belongs_to_anybody_or_gives_privileges(image: Archive) -> None:
    for each in image.members:
        assert (each.uid, each.gid, each.uname, each.gname, each.mtime) == (0, 0, "", "", 86400)
        assert each.isdir() or each.isreg() or each.issym(), each.name
        if not each.issym():
            assert each.mode in {0o755, 0o644} or (each.isdir() and each.mode == 0o1777), each.name
    assert {each.name for each in image.members if each.mode == 0o1777} == {"tmp", "var/tmp"}


def test_links_lead_to_what_is_there(image: Archive) -> None:
    for each in image.members:
        if each.issym():
            target = os.path.normpath(f"/{Path(each.name).parent}/{each.linkname}")
            inside = target if not each.linkname.startswith("/") else each.linkname
            assert (image.root / inside.lstrip("/")).exists(), each.name


def test_it_says_which_packages_of_debian_are_in_it(image: Archive) -> None:
    folder = image.root / "var/lib/dpkg/status.d"
    assert "Version: 2." in (folder / "libc6").read_text()
    for each in folder.iterdir():
        assert (image.root / "usr/share/doc" / each.name / "copyright").stat().st_size > 0


def test_nothing_tells_of_this_machine(image: Archive, checkout: Checkout) -> None:
    paths = (PROJECT, checkout.folder, sys.base_prefix, Path.home() / ".cache")
    secrets = [str(each).encode() for each in paths]
    for each in image.root.rglob("*"):
        if each.is_file() and not each.is_symlink():
            content = each.read_bytes()
            assert not [secret for secret in secrets if secret in content], each


def test_the_same_bytes_for_everybody(checkout: Checkout, tmp_path: Path) -> None:
    other = Checkout.copy(tmp_path / "of somebody else", checkout.folder)
    other.build(umask=0o077, zone="Asia/Tokyo")
    for name in NAMES:
        assert filecmp.cmp(checkout.output / name, other.output / name, shallow=False), name


def test_what_is_there_already_stays(checkout: Checkout) -> None:
    before = [(checkout.output / name).stat() for name in NAMES]
    start = time.monotonic()
    said = checkout.build()
    print(f"nothing to do: {time.monotonic() - start:.1f} s")  # noqa: T201
    assert said.count("unchanged") == 2
    assert [(checkout.output / name).stat() for name in NAMES] == before


def test_a_change_of_outgate_is_one_small_layer(outgate: Archive, checkout: Checkout) -> None:
    source = checkout.folder / "src/outgate/__init__.py"
    text = source.read_text()
    start = time.monotonic()
    try:
        source.write_text(f"{text}\nCHANGED = 1\n")
        said = checkout.build("--output", "changed")
    finally:
        source.write_text(text)
    print(f"outgate changed: {time.monotonic() - start:.1f} s")  # noqa: T201
    assert "unchanged" not in said
    before, after = (
        outgate.manifest["Layers"],
        manifest(checkout.folder / "changed/outgate.tar")["Layers"],
    )
    assert before[:2] == after[:2]
    assert before[2] != after[2]


def test_names_for_a_registry(checkout: Checkout) -> None:
    checkout.build("--output", "named", "--hub", "registry.example.com/mesh", "--tag", "new")
    found = {name: manifest(checkout.folder / "named" / name)["RepoTags"] for name in NAMES}
    assert found == {
        "outgate.tar": ["registry.example.com/mesh/outgate:new"],
        "envoy.tar": ["registry.example.com/mesh/envoy:v1.40.0"],
    }


@pytest.fixture
def containerd() -> Iterator[list[str]]:
    """Run a containerd of the test's own, and give the start of a command that talks to it."""
    if not all(map(shutil.which, ("containerd", "ctr", "runc"))):
        pytest.skip("needs containerd and runc")
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix="og-ctr-") as folder:
        config = Path(folder, "config.toml")
        config.write_text(
            f"version = 2\nroot = '{folder}/root'\nstate = '{folder}/state'\n"
            f"disabled_plugins = ['io.containerd.grpc.v1.cri']\n[grpc]\naddress = '{folder}/socket'\n"
        )
        with Path(folder, "log").open("w") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "--fork", "--kill-child", "containerd", "-c", config],
                stdout=log,
                stderr=log,
            )
        try:
            _wait_for(Path(folder, "socket"))
            yield ["ctr", "--address", f"{folder}/socket"]
        finally:
            process.kill()
            process.wait()


def _wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(0.05)


def test_containerd_takes_and_runs_them(
    outgate: Archive, envoy: Archive, containerd: list[str]
) -> None:
    def ctr(*words: str | Path) -> str:
        command: list[str | Path] = [*containerd, *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    run = ("run", "--rm", "--read-only", "--snapshotter", "native")
    for image, said in ((outgate, f"outgate, version {__version__}"), (envoy, "/1.40.0/")):
        ctr("images", "import", "--snapshotter", "native", image.path)
        name = image.config["config"]["Entrypoint"][0]
        assert said in ctr(
            *run, image.manifest["RepoTags"][0], f"og-test-{name}", name, "--version"
        )
