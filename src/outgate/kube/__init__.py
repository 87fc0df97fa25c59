"""The Kubernetes provider: what the API server has goes in, what proxies are told and what users see comes out.

It may hold no rule about calls: those are in `resources`, `model` and `xds`, which the local mesh uses as well.
"""
