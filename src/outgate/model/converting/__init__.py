"""Turns what Istio's resources declare into ExternalServices that declare the same.

It works from the effective destinations, so that a ServiceEntry comes out with all that its DestinationRules and
VirtualServices say. What comes out is read again and compared: nothing is printed that would not do the same.
"""

from outgate.model.converting.converting import Converted, convert

__all__ = ["Converted", "convert"]
