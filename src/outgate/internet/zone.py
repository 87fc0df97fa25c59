"""What the DNS server answers: a table of records that can change at any time.

A name `*.example` stands for all names below `example` that are not there themselves (RFC 4592).
"""

import threading
from collections.abc import Iterator, Mapping, Sequence

from dnslib import QTYPE, RCODE, RR, DNSRecord

from outgate.internet.plan import TTL, Records

Kept = Mapping[tuple[str, str], tuple[tuple[str, ...], int]]

_CHAIN = 8
# How long "there is no such name" may be remembered is the last number (RFC 2308).
_SOA = ". 0 IN SOA ns.test. hostmaster.test. 1 60 60 60 0"


class Zone:
    """Answers with authority for every name there is; safe to use from many threads."""

    def __init__(self, records: Records) -> None:
        """Begin with `records`, each valid for `plan.TTL` seconds."""
        self._lock = threading.Lock()
        self._records = {key: (tuple(values), TTL) for key, values in records.items()}

    def set(self, name: str, kind: str, values: Sequence[str], ttl: int) -> None:
        """Replace the records of one name and type; ValueError if a value is not of the type.

        Values are as in a zone file. With none the records are removed, and with the last of a name
        the name.
        """
        key = _canonical(name), kind.upper()
        try:
            for value in values:
                trial = DNSRecord.question(name).reply()
                trial.add_answer(*RR.fromZone(_line(*key, value, ttl)))
                trial.pack()
        except Exception as error:  # The library raises whatever its parts raise.
            raise ValueError(f"{name} {kind} {value!r}: {error}") from error
        with self._lock:
            if values:
                self._records[key] = (tuple(values), ttl)
            else:
                self._records.pop(key, None)

    def answer(self, request: DNSRecord) -> DNSRecord:
        """Return the reply: the records, no records, or NXDOMAIN."""
        reply = request.reply(aa=1, ra=0)
        name, kind = _canonical(str(request.q.qname)), QTYPE[request.q.qtype]
        with self._lock:
            records = dict(self._records)
        for line in _lookup(records, name, kind):
            reply.add_answer(*RR.fromZone(line))
        if not reply.rr:
            reply.add_auth(*RR.fromZone(_SOA))
            if _owner(records, name) is None:
                reply.header.rcode = RCODE.NXDOMAIN
        return reply


def _canonical(name: str) -> str:
    return name.rstrip(".").lower()


def _line(name: str, kind: str, value: str, ttl: int) -> str:
    return f"{name}. {ttl} IN {kind} {value}"


def _owner(records: Kept, name: str) -> str | None:
    """Return the name in the table that answers for `name`."""
    names = {known for known, _ in records}
    if name in names:
        return name
    labels = name.split(".")
    above = (".".join(("*", *labels[n:])) for n in range(1, len(labels)))
    return next((wildcard for wildcard in above if wildcard in names), None)


def _lookup(records: Kept, name: str, kind: str) -> Iterator[str]:
    """Yield the answer's records, aliases followed, each as a line of a zone file."""
    for _ in range(_CHAIN):
        owner = _owner(records, name) or name
        values, ttl = records.get((owner, kind), ((), 0))
        for value in values:
            yield _line(name, kind, value, ttl)
        aliases, ttl = records.get((owner, "CNAME"), ((), 0))
        if kind == "CNAME" or not aliases:
            return
        yield _line(name, "CNAME", aliases[0], ttl)
        name = _canonical(aliases[0])
