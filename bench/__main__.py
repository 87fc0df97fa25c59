"""`python -m bench`: measures, writes bench/results/latest.json and docs/performance.md, and prints the table.

`python -m bench features` measures only what features and policies cost, and leaves all else as it was.
"""

import json
import sys
from pathlib import Path
from typing import Any

from bench import datapath, features, kubernetes, machine, origin, places, policies, report, scale
from bench.commands import BenchError
from outgate.errors import OutgateError


def main() -> int:
    """Return the exit status: 1 where it could not be measured; a target that is missed is shown, and no failure."""
    try:
        machine.require()
        with machine.prepared() as folder, origin.serving(folder):
            results = _features(folder) if sys.argv[1:] == ["features"] else _all(folder)
    except (BenchError, OutgateError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    results["targets"] = report.targets(results)
    places.RESULTS.parent.mkdir(exist_ok=True)
    places.RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    text = report.tables(results)
    report.update(places.DOCUMENT, text)
    print(text)  # noqa: T201 - a command
    return 0


def _features(folder: Path) -> dict[str, Any]:
    return {
        **json.loads(places.RESULTS.read_text()),
        "features": features.measure(folder),
        "policies": policies.measure(folder),
    }


def _all(folder: Path) -> dict[str, Any]:
    results = {
        "machine": machine.facts(),
        "starting": scale.starting(folder),
        "data_path": datapath.measure(folder),
        "scale": scale.measure(folder),
        "https": scale.https(folder),
        "features": features.measure(folder),
        "policies": policies.measure(folder),
    }
    try:
        results["kubernetes"] = kubernetes.measure(folder)
    except BenchError as error:
        print(f"not measured in Kubernetes: {error}", file=sys.stderr)  # noqa: T201 - a command
    return results


if __name__ == "__main__":
    sys.exit(main())
