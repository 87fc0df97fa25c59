"""Ranges of numbers that several fields have."""

from outgate.resources.schemas import Duration, Number, Size

PORT = Number(1, 65535, "a port")
COUNT = Number(1, 2**31 - 1)
PERCENT = Number(0, 100, "a percentage", whole=False)
WHOLE_PERCENT = Number(0, 100, "a percentage")
STATUS = Number(100, 599, "a status code")
ANSWER_STATUS = Number(200, 599, "a status code")
POSITIVE = Duration("1ms")
WINDOW = Size(65535, 2**31 - 1)
"""RFC 9113, section 6.9."""
