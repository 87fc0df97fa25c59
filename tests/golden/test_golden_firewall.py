import subprocess
from typing import Any

import pytest

from outgate.host.translating import Format, render_rules


@pytest.mark.parametrize("form", list(Format))
def test_expected(case: Any, form: Format) -> None:
    case.check(f"rules.{form}", render_rules(case.rules(), form))


def in_new_namespace(command: list[str], text: str) -> subprocess.CompletedProcess[str]:
    words = ["unshare", "--net", *command]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False)


@pytest.mark.root
def test_nft_accepts_it(case: Any) -> None:
    done = in_new_namespace(["nft", "-c", "-f", "-"], render_rules(case.rules(), Format.NFT))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.root
def test_iptables_accepts_it(case: Any) -> None:
    text = render_rules(case.rules(), Format.IPTABLES)
    _, four, six = text.split("# ip")
    for command, part in (("iptables-restore", four), ("ip6tables-restore", six)):
        rules = part.partition("\n")[2]
        done = in_new_namespace([command, "--test", "--noflush"], rules)
        assert (done.returncode, done.stderr) == (0, ""), command
