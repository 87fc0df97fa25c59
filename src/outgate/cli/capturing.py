"""What an injected pod's init container runs: the rules that capture the pod's connections."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from outgate import firewall
from outgate.cli.common import say, warn
from outgate.errors import UsageError
from outgate.firewall import apply as applying
from outgate.firewall import iptables, nft
from outgate.firewall.rules import CaptureRules
from outgate.model.addresses import RAW_IPV4, RAW_IPV6
from outgate.model.ranges import parse_ranges
from outgate.xds import naming
