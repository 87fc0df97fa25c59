"""Servers outside that only tests want, in the small internet's own process and namespace.

`control.Outside` loads and starts them; `extension` is what is loaded. It says which hosts there are.
"""
