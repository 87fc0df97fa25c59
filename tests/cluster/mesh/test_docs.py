"""Every command that docs/kubernetes.md shows works, in the order in which it stands there."""

import re

from tests.cluster.mesh.conftest import PROJECT, Mesh


def test_commands(empty: Mesh) -> None:
    text = (PROJECT / "docs/kubernetes.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) > 4
    # Who types takes longer than it takes until Events are there.
    typed = "\n".join(blocks).replace("kubectl describe", "sleep 5; kubectl describe")
    said = empty.shell(typed, seconds=290)
    assert '"Host": "httpbin.org"' in said
    assert (
        '"url": "https://www.httpbin.org/get"' in said
        or '"url": "http://www.httpbin.org/get"' in said
    )
    assert "outgate: denied: pod sleep-" in said
    assert "kubectl apply -f - in a cluster" in said
    assert '"decision":"allowed"' in said
    assert '"decision":"denied"' in said
    # What is said of what does not work.
    for each in ("Accepted", "Programmed", "no resource declares httpbin.org", "acknowledged"):
        assert each in said
    assert re.search(r"^default +sleep-.* synced", said, re.MULTILINE)
    assert re.search(r"^decision: +direct", said, re.MULTILINE)
    assert re.search(r"^ScopedRouteConfiguration +externalbin.default", said, re.MULTILINE)
    assert "ok       injection: the API server reaches the webhook" in said
    assert 'namespace "outgate-system" deleted' in said
    assert 'release "outgate" uninstalled' in said
