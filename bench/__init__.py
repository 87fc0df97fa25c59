"""Measures Outgate beside an Envoy with a configuration written by hand: `python -m bench`.

May not know how Outgate works inside: it starts the commands that users start. What it makes on the machine is called
`ogb...`, and is gone afterwards.
"""
