import os
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from server.errors import AddressError
from server.rpc.addresses import LOOPBACK, bind, check, resolve
from server.setting_types import Address, UnixSocket

both = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that another server uses on one of localhost's addresses."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as server:
        yield server.getsockname()[1]


@both
@pytest.mark.parametrize("taken", LOOPBACK, indirect=True)
async def test_a_name_is_not_bound_if_one_of_its_addresses_is_in_use(taken: int) -> None:
    with pytest.raises(AddressError, match=f"{taken}: it is in use; choose another with --listen"):
        bind(grpc.aio.server(), await resolve(Address("localhost", taken)), None)


@both
async def test_all_addresses_of_a_name_get_one_port() -> None:
    server = grpc.aio.server()
    port = bind(server, await resolve(Address("localhost", 0)), None)
    for host in LOOPBACK:
        with pytest.raises(AddressError, match="in use"):
            check(Address(host, port))


async def test_the_error_names_the_cause(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match=r"nosuch\.invalid:0: the name does not resolve"):
        await resolve(Address("nosuch.invalid", 0))
    file = tmp_path / "file"
    file.touch()
    causes: dict[Address | UnixSocket, str] = {
        Address("192.0.2.1", 0): "it is not an address of this machine",
        UnixSocket(tmp_path / "none" / "s"): "none is not a directory",
        UnixSocket(file): "it is not a socket",
    }
    if os.geteuid():
        causes[UnixSocket(Path("/proc/s"))] = "/proc is not writable"
    for address, cause in causes.items():
        with pytest.raises(AddressError, match=cause):
            bind(grpc.aio.server(), await resolve(address), None)
