"""Builds the container images: README.md says what is in them, and how to call this.

May not know how Outgate works inside; the same functions fill the layers with and without a container engine.
"""
