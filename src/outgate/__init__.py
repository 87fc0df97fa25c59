"""Outgate: egress control for services, with Envoy as its data plane.

Data flows one way: `resources` -> `model` -> `xds` and `firewall` -> `serve`, `envoy` and `host`. Each arrow is a pure
function of frozen values; input and output live at the edges. `docs/how-it-works.md` has the whole picture.
"""

__version__ = "0.1.0"
