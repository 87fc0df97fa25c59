"""Policies as the egress Envoy enforces them: who may call what, how, how much, and with which credential.

All of it is in resources that listeners refer to by name (ECDS), so that a policy changes no listener, no route and no
cluster; and all of it is found by the caller's namespace first, so that others' policies cost a call nothing.
"""
