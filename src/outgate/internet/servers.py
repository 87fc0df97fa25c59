"""The process inside the namespace: `python -m outgate.internet.servers --config FILE`.

It is told what to do by lines of JSON on standard input, and answers each by a line on standard
output: `{"ok": true}` or `{"error": "..."}`. When standard input ends, because its owner closed it
or was killed, it ends too, and with it the namespace and all that is in it.
"""

import argparse
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from outgate.internet import owners
from outgate.internet.canary import Recorder, Watch
from outgate.internet.certificates import Authority
from outgate.internet.plan import Plan
from outgate.internet.services import Closable, Context, Extension, open_server
from outgate.internet.zone import Zone

Command = dict[str, Any]


class Internet:
    """All servers of one plan, and what can be asked of them."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Prepare all that needs no network."""
        self._plan = plan
        self._recorder = Recorder(folder / "canary")
        self._context = Context(self._recorder, Zone(plan.records()), Authority(folder))
        self._servers: dict[str, Callable[[], tuple[Closable, ...]]] = {
            server.name: partial(open_server, server, self._context) for server in plan.servers()
        }
        self._added: dict[str, Callable[[Command], None]] = {}
        self._running: dict[str, tuple[Closable, ...]] = {}
        self._watch: Watch | None = None

    def open(self, _command: Command) -> None:
        """Record packets from now on, and start all servers."""
        self._watch = Watch(self._plan.inner_interface, self._recorder)
        for name in self._servers:
            self.resume({"server": name})

    def pause(self, command: Command) -> None:
        """Stop a server: connections are refused."""
        # cheroot takes its time: together, not one after the other.
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda one: one.close(), self._running.pop(self._known(command), ())))

    def resume(self, command: Command) -> None:
        """Start a server that is stopped."""
        name = self._known(command)
        if name not in self._running:
            self._running[name] = self._servers[name]()

    def record(self, command: Command) -> None:
        """Change the DNS."""
        zone = self._context.zone
        zone.set(command["name"], command["type"], command["values"], command["ttl"])

    def load(self, command: Command) -> None:
        """Have a module add servers, which `resume` starts, and commands."""
        if command["path"] not in sys.path:
            sys.path.append(command["path"])
        extension: Extension = importlib.import_module(command["module"]).extend(
            self._plan, self._context
        )
        if taken := self._servers.keys() & extension.servers.keys():
            raise ValueError(f"there are servers of that name: {', '.join(sorted(taken))}")
        self._servers |= extension.servers
        self._added |= extension.commands

    def tell(self, command: Command) -> None:
        """Obey a command that a module added."""
        if command["what"] not in self._added:
            raise ValueError(f"no module has added {command['what']!r}")
        self._added[command["what"]](command["arguments"])

    def flush(self, _command: Command) -> None:
        """Have all that has arrived in the file of records."""
        if self._watch is not None:
            self._watch.flush()

    def _known(self, command: Command) -> str:
        name = str(command["server"])
        if name not in self._servers:
            raise ValueError(f"no server {name!r}; there are {', '.join(self._servers)}")
        return name


def serve(internet: Internet) -> None:
    """Obey the lines on standard input until it ends."""
    commands: dict[str, Callable[[Command], None]] = {
        "open": internet.open,
        "pause": internet.pause,
        "resume": internet.resume,
        "record": internet.record,
        "load": internet.load,
        "tell": internet.tell,
        "flush": internet.flush,
    }
    # Whatever a library prints belongs into the log, not among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        command = json.loads(line)
        try:
            commands[command["do"]](command)
            answer: dict[str, Any] = {"ok": True}
        except (ImportError, OSError, ValueError) as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main() -> None:
    """Serve until the owner is done, and leave no file behind."""
    parser = argparse.ArgumentParser(description="The servers of a small internet.")
    parser.add_argument("--config", type=Path, required=True)
    config = json.loads(parser.parse_args().config.read_text(encoding="utf-8"))
    folder = Path(config["folder"])
    # The end is at once, and not when the last thread that serves somebody is done.
    try:
        serve(Internet(Plan(config["index"], config["ipv6"]), folder))
    except BaseException:
        # The owner reads the reason in the folder, and then removes it.
        traceback.print_exc()
        os._exit(1)
    owners.forget(folder)
    os._exit(0)


if __name__ == "__main__":
    main()
