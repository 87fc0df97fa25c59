"""The demo's commands in order, each with what a user should see; a value, so that the docs show the same."""

from collections.abc import Callable
from dataclasses import dataclass

EXTERNALBIN = """\
outgate create -f - <<END
apiVersion: v1
kind: Service
metadata:
  name: externalbin
spec:
  type: ExternalName
  externalName: httpbin.org
  ports:
  - port: 80
    name: http
END"""
SECUREGOOGLE = """\
outgate create -f - <<END
apiVersion: v1
kind: Service
metadata:
  name: securegoogle
spec:
  type: ExternalName
  externalName: www.google.com
  ports:
  - port: 443
    name: https
END"""

_IN_POD = "outgate exec $SOURCE_POD -c sleep -- curl -sS -m 10"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command printed on both of its outputs, and its exit status."""

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the task; `expected` says in words what `holds` checks.

    With `keep`, the command's output becomes that variable for those that follow.
    """

    title: str
    command: str
    expected: str
    holds: Callable[[Result], bool]
    keep: str = ""


def _says(text: str) -> Callable[[Result], bool]:
    return lambda result: result.status == 0 and text.lower() in result.output.lower()


def _does_not_resolve(result: Result) -> bool:
    return "curl: (6)" in result.output


def _fails(result: Result) -> bool:
    # curl's own words: that the command could not be run at all would prove nothing.
    return result.status != 0 and "curl: (" in result.output


def _is_denied(result: Result) -> bool:
    return "outgate: denied: pod sleep" in result.output and "ExternalName" in result.output


def steps(undeclared: str) -> tuple[Step, ...]:
    """Return the task; `undeclared` is the address of a web server that nothing declares."""
    return (
        Step("Start the mesh", "outgate up", "it is up", _says("the local mesh is up")),
        Step(
            "Start the test source",
            "outgate run -d --name sleep -l app=sleep -- sleep infinity",
            "pod/sleep created",
            _says("pod/sleep created"),
        ),
        Step(
            "Register an external HTTP service",
            EXTERNALBIN,
            "created",
            _says("service/externalbin created"),
        ),
        Step(
            "Register an external HTTPS service",
            SECUREGOOGLE,
            "created",
            _says("service/securegoogle created"),
        ),
        Step(
            "Find the test source",
            "outgate get pod -l app=sleep -o jsonpath={.items..metadata.name}",
            "its name",
            _says("sleep"),
            keep="SOURCE_POD",
        ),
        Step(
            "Call the HTTP service",
            f"{_IN_POD} http://externalbin/headers",
            "httpbin.org's answer",
            _says('"Host": "httpbin.org"'),
        ),
        Step(
            "Call the HTTPS service: plain HTTP here, verified TLS outside",
            f"{_IN_POD} http://securegoogle:443 | head -c 300",
            "Google's page",
            _says("google"),
        ),
        Step(
            "Call a name that nothing declares",
            f"{_IN_POD} http://httpbin.org/headers",
            "the name does not resolve",
            _does_not_resolve,
        ),
        Step(
            "Call an address that nothing declares",
            f"{_IN_POD} http://{undeclared}/",
            "denied, with the reason",
            _is_denied,
        ),
        Step(
            "See what was called and what was denied",
            "sleep 0.5; outgate logs --egress sleep | tail -n 3",
            "a line for each call",
            _says('"decision":"denied"'),
        ),
        Step(
            "Ask why",
            "outgate explain sleep http://httpbin.org/headers",
            "no resource declares it",
            _says("denied"),
        ),
        Step(
            "Capture only some ranges, so that other calls go straight out",
            "outgate run --includeIPRanges=10.0.0.1/24 -- curl -sS -m 10 http://httpbin.org/headers",
            "httpbin.org's answer",
            _says('"Host": "httpbin.org"'),
        ),
        Step(
            "Remove the services",
            "outgate delete service externalbin securegoogle",
            "both deleted",
            _says('service "securegoogle" deleted'),
        ),
        Step(
            "Call the HTTP service again",
            f"{_IN_POD} -f http://externalbin/headers",
            "it fails",
            _fails,
        ),
        Step(
            "Call the HTTPS service again",
            f"{_IN_POD} -f http://securegoogle:443",
            "it fails",
            _fails,
        ),
        Step(
            "Remove the test source",
            "outgate delete pod sleep",
            "deleted",
            _says('pod "sleep" deleted'),
        ),
        Step("Stop the mesh", "outgate down", "it is down", _says("the local mesh is down")),
    )
