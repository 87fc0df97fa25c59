"""Limits of the rate-limit service that people run, in its own words."""

# One count for an hour, so that no test is at its border for long.
LIMITS = """
domain: outgate
descriptors:
- {key: tier, value: gold, rate_limit: {unit: hour, requests_per_unit: 4}}
- {key: tier, value: silver, rate_limit: {unit: hour, requests_per_unit: 1}}
"""
