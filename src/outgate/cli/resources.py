"""Creating, changing and deleting resources, with kubectl's words."""

import sys
from collections.abc import Callable, Container, Mapping
from pathlib import Path

import click

from outgate.cli import files
from outgate.cli.common import client, namespace_option, say, store, warn
from outgate.cli.programmed import told_by_the_mesh
from outgate.errors import NotFoundError, OutgateError, UnavailableError, UsageError
from outgate.host.store import Change, Key, Store, key_of
from outgate.resources.problems import Location

PODS = ("pod", "pods", "po")


def kind_of(word: str) -> str:
    """Return the kind that a word means, in lower case; UsageError if none is kept here."""
    from outgate.resources import kindnames  # noqa: PLC0415 - reads YAML, which most commands need not

    lower = word.lower()
    if lower in PODS:
        return "pod"
    if lower in kindnames.words():
        return kindnames.words()[lower]
    raise UsageError(
        f"{word!r} is not a kind that Outgate keeps", hint=f"{kindnames.listed()}, pods"
    )


def _file_option(function: Callable[..., None]) -> Callable[..., None]:
    text = "Manifest: a file, a folder, or - for standard input. May be repeated."
    return click.option("-f", "--filename", "names", multiple=True, help=text)(function)


@click.command("apply")
@_file_option
@namespace_option
def apply_command(names: tuple[str, ...], namespace: str) -> None:
    """Create resources, or change them to what the manifests say."""
    _write(names, namespace, create=False)


@click.command("create")
@_file_option
@namespace_option
def create_command(names: tuple[str, ...], namespace: str) -> None:
    """Create resources; one that exists is an error."""
    _write(names, namespace, create=True)


def _write(names: tuple[str, ...], namespace: str, *, create: bool) -> None:
    manifests = files.documents(names)
    documents, problems = files.valid(manifests, namespace)
    for problem in problems:
        warn(str(problem))
    failed = files.has_errors(problems)
    if not documents and not failed and not problems:
        raise UsageError("the manifests hold no resource")
    where = store()
    changed: dict[Key, Location] = {}
    with where.locked():
        edited = where.edited()
        for document in documents:
            key = key_of(document.value, namespace)
            try:
                done = where.write(document.value, namespace, edited, create=create)
            except OutgateError as error:
                warn(f"error: {document.location}: {error}")
                failed = True
                continue
            say(f"{key.reference} {done}")
            if done is not Change.UNCHANGED:
                changed[key] = document.location
    if _program([where.path(key) for key in changed]):
        _warn_of(changed, {(each.resource, each.text) for each in problems})
    if failed:
        sys.exit(1)


def _warn_of(changed: Mapping[Key, Location], said: Container[tuple[str, str]]) -> None:
    """Say what the mesh has against resources for what else there is, or is not: a Secret, a host declared before.

    `said` are resources and what has been said of them, as it was in the manifests alone.
    """
    told = told_by_the_mesh() or {}
    for key, location in changed.items():
        for each in told.get((key.kind, key.namespace, key.name), ()):
            resource, text = f"{key.kind}/{key.name}", each["text"]
            if (resource, text) not in said:
                warn(f"{location}: warning: {resource}: {text}")


def _program(changed: list[Path]) -> bool:
    """Have the running mesh take a change in before the command ends; without one it is taken in at its start.

    Returns whether it was taken in.
    """
    if not changed:
        return False
    try:
        answer = client().call("sync", files=[str(each) for each in changed])
    except UnavailableError as error:
        if error.hint != "outgate up":
            raise
        warn("the local mesh is not up: this takes effect after outgate up")
        return False
    for refused in answer["refused"]:
        warn(f"error: Envoy refused {refused}")
    if answer["refused"]:
        sys.exit(1)
    return True


@click.command("delete")
@click.argument("targets", nargs=-1)
@_file_option
@namespace_option
@click.option("--ignore-not-found", is_flag=True, help="Treat what is not there as deleted.")
def delete_command(
    targets: tuple[str, ...], names: tuple[str, ...], namespace: str, ignore_not_found: bool
) -> None:
    r"""Delete resources by kind and name, or by manifest; access ends at once.

    \b
    outgate delete service externalbin securegoogle
    outgate delete pod sleep
    outgate delete -f externalbin.yaml
    """
    pods, keys = _targets(targets, namespace)
    if names:
        manifests = files.documents(names)
        documents, problems = files.valid(manifests, namespace)
        for problem in problems:
            warn(str(problem))
        keys += [key_of(each.value, namespace) for each in documents]
    if not keys and not pods:
        raise UsageError(
            "nothing to delete is given", hint="outgate delete service NAME, or -f FILE"
        )
    failed = _delete_resources(store(), keys, ignore_not_found=ignore_not_found)
    for pod in pods:
        try:
            client().call("delete", name=pod, namespace=namespace)
            say(f'pod "{pod}" deleted')
        except NotFoundError as error:
            if not ignore_not_found:
                warn(f"error: {error}")
                failed = True
    if failed:
        sys.exit(1)


def _delete_resources(where: Store, keys: list[Key], *, ignore_not_found: bool) -> bool:
    failed = False
    gone: list[Path] = []
    with where.locked():
        edited = where.edited()
        for key in keys:
            try:
                where.delete(key, edited)
            except NotFoundError as error:
                if not ignore_not_found:
                    warn(f"error: {error}")
                    failed = True
            except OutgateError as error:
                warn(f"error: {error}")
                failed = True
            else:
                say(f'{key.qualified} "{key.name}" deleted')
                gone.append(where.path(key))
    _program(gone)
    return failed


def _targets(words: tuple[str, ...], namespace: str) -> tuple[list[str], list[Key]]:
    """Read `KIND NAME...` or `KIND/NAME...`."""
    if not words:
        return [], []
    if "/" in words[0]:
        named = [word.partition("/")[::2] for word in words]
    elif len(words) > 1:
        named = [(words[0], word) for word in words[1:]]
    else:
        raise UsageError(
            f"which {words[0]} is to be deleted?", hint=f"outgate delete {words[0]} NAME"
        )
    kinds = [(kind_of(kind), name) for kind, name in named]
    pods = [name for kind, name in kinds if kind == "pod"]
    return pods, [Key(namespace, kind, name) for kind, name in kinds if kind != "pod"]
