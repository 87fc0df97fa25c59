"""Adds capture to the workloads of a manifest: text in, text out.

May not do I/O, and may not know the firewall: the init container asks for its rules by flags (`CAPTURE_COMMAND`).
"""
