"""A DNS server that gives every name in the origin's domain the origin's address: `python -m bench.resolver`."""

import threading

from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import DNSHandler, DNSServer

from bench import places

TTL_SECONDS = 60


class Origin:
    """What dnslib asks for answers."""

    def resolve(self, request: DNSRecord, _handler: DNSHandler) -> DNSRecord:
        """Return the address, or that there is no such name."""
        reply = request.reply()
        name = str(request.q.qname).rstrip(".").lower()
        if name != places.DOMAIN and not name.endswith(f".{places.DOMAIN}"):
            reply.header.rcode = RCODE.NXDOMAIN
        elif QTYPE[request.q.qtype] == "A":
            reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(places.ORIGIN), ttl=TTL_SECONDS))
        return reply


def main() -> None:
    """Serve UDP and TCP on port 53, until ended."""
    for tcp in (False, True):
        DNSServer(Origin(), address=places.RESOLVER, port=53, tcp=tcp).start_thread()
    threading.Event().wait()


if __name__ == "__main__":
    main()
