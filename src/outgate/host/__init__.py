"""The one-machine provider: sandboxes in network namespaces, the store, the daemon and what talks to it.

May not translate resources itself: `model` and `xds` do. Nothing here is on the path of a packet or a request.
"""
