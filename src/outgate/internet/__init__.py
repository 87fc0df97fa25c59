"""A small internet in a network namespace of its own, for `outgate demo` and the tests.

It stands in for what is outside, and nothing in Outgate knows of it: the address of its resolver
and its CA file are given to Outgate as settings. It may not import any other part of Outgate but
the errors.
"""
