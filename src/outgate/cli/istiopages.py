"""Makes the page that says what becomes of each field of Istio's kinds, from the tables by which they are checked."""

from outgate.resources.istio.fields import Said, rows
from outgate.resources.istio.tables import TABLES


def page(note: str) -> str:
    """Return docs/istio-fields.md."""
    parts = ["# Istio's fields", "", note, ""]
    parts += [
        "Every field below `spec` of the four kinds, as Istio 1.32 has them (`networking.istio.io/v1`, and the same in",
        "`v1beta1` and `v1alpha3`). How to move over: [Istio's resources](istio.md).",
        "",
        "- **yes**: does what Istio says, or what stands beside it.",
        "- **warned**: left out with a warning; the rest keeps its meaning without it.",
        "- **refused**: the resource is not used, as without the field it would do something else, or more.",
        "",
    ]
    for kind, fields in TABLES.items():
        parts += [f"## {kind}", "", "| field | | |", "|---|---|---|"]
        for path, state in rows(fields):
            shown = path.replace(".*", ".NAME")
            parts.append(f"| `{shown}` | {_state(state)} | {_text(state)} |")
        parts.append("")
    return "\n".join(parts)


def _state(state: Said | str) -> str:
    if isinstance(state, Said):
        return "refused" if state.refused else "warned"
    return "yes"


def _text(state: Said | str) -> str:
    if isinstance(state, str):
        return state
    return f"{state.message} ({state.hint})" if state.hint else state.message
