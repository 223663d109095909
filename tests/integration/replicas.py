"""Runs several servers over one database under one name, as Kubernetes does with a headless Service."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import dns.message
import dns.rdataclass
import dns.rdatatype
import dns.rrset

import chaja
from sample.server_process import ServerProcess, running_server
from server.catalogue.location import DatabaseUrl, text_of
from tests.conftest import SAMPLE_CATALOGUE, server_flags
from tests.integration.scraping import HANDLED, scrape, total

NAME = "chaja-replicas.search.svc"


class Names(socketserver.UDPServer):
    """A DNS server on loopback that answers every question for an IPv4 address with those of the ready pods."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Question)
        self.ready: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class Question(socketserver.BaseRequestHandler):
    """Answers one question."""

    def handle(self) -> None:
        assert isinstance(self.server, Names)
        data, socket = self.request
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question, recursion_available=True)
        (asked,) = question.question
        if asked.rdtype == dns.rdatatype.A:
            found = list(self.server.ready)
            answer.answer.append(dns.rrset.from_text_list(asked.name, 1, dns.rdataclass.IN, asked.rdtype, found))
        socket.sendto(answer.to_wire(), self.client_address)


class Replica:
    """One of the servers.

    Attributes:
        host: Its address, which no other has.
        server: Its process.
        client: A client of this server alone.
    """

    def __init__(self, host: str, server: ServerProcess, client: chaja.Client) -> None:
        self.host = host
        self.server = server
        self.client = client

    def calls(self, method: str = "Search") -> int:
        """Returns the number of calls of a method that it has answered."""
        return int(total(scrape(self.server.metrics_url), HANDLED, grpc_method=method, grpc_code="OK"))


class Replicas:
    """Servers over one database: each has a separate address, and all have the same port."""

    def __init__(self, bundle: Path, url: DatabaseUrl, *flags: str) -> None:
        self._bundle = bundle
        self._flags = ("--data", text_of(url), "--watch-seconds", "0", *flags)
        self._names = Names()
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._names.close)
        self._port = 0
        self._all: list[Replica] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        assert not [line for each in self._all for line in each.server.lines if "Traceback" in line]

    def __iter__(self) -> Iterator[Replica]:
        """Yields the replicas that are ready."""
        return (each for each in self._all if each.host in self._names.ready)

    @property
    def target(self) -> str:
        """The name of all replicas, for gRPC."""
        return f"dns://127.0.0.1:{self._names.server_address[1]}/{NAME}:{self._port}"

    @property
    def addresses(self) -> list[str]:
        """The addresses of the replicas that are ready."""
        return [each.server.address for each in self]

    def add(self) -> Replica:
        """Starts a server, and makes it known once it is ready."""
        host = f"127.0.0.{len(self._all) + 1}"
        flags = server_flags(self._bundle, SAMPLE_CATALOGUE, *self._flags, "--listen", f"{host}:{self._port}")
        server = self._stack.enter_context(running_server(flags))
        self._port = int(server.address.rpartition(":")[2])
        client = self._stack.enter_context(chaja.connect(server.address))
        self._all.append(Replica(host, server, client))
        self._names.ready.append(host)
        return self._all[-1]

    def remove(self, replica: Replica) -> None:
        """Takes an address away, and stops the server, as Kubernetes does."""
        self._names.ready.remove(replica.host)
        assert replica.server.stop() == 0


@contextlib.contextmanager
def three_replicas(bundle: Path, url: DatabaseUrl, *flags: str) -> Iterator[Replicas]:
    with Replicas(bundle, url, *flags) as replicas:
        for _ in range(3):
            replicas.add()
        yield replicas
