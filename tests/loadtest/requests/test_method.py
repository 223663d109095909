from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.requests.method import Method, find_method
from loadtest.target import Target

NOWHERE = Target(address="127.0.0.1:1")
METHODS = {
    "Search": "SearchService",
    "BatchSearch": "SearchService",
    "Encode": "EncodeService",
    "GetServerInfo": "InfoService",
}


@pytest.mark.parametrize(("name", "service"), METHODS.items())
@pytest.mark.parametrize(
    "form",
    [
        "{name}",
        "{service}/{name}",
        "{service}.{name}",
        "chaja.v1.{service}/{name}",
        "chaja.v1.{service}.{name}",
        "/chaja.v1.{service}/{name}",
    ],
)
async def test_methods_of_chaja_are_found_without_a_server(name: str, service: str, form: str) -> None:
    method = await find_method(form.format(name=name, service=service), target=NOWHERE)
    assert method.path == f"/chaja.v1.{service}/{name}"
    assert (method.input_type, method.output_type) == (f"chaja.v1.{name}Request", f"chaja.v1.{name}Response")
    assert not method.client_streaming
    assert not method.server_streaming


@pytest.mark.parametrize(
    "name", ["Find", "search", "", "SearchService", "InfoService/Search", "chaja.v1.Search", "chaja.v1.X/Y"]
)
async def test_the_error_of_an_unknown_method_lists_the_methods(name: str) -> None:
    with pytest.raises(UsageError, match=f"there is no method {name}; there are: ") as error:
        await find_method(name, target=NOWHERE)
    for known, service in METHODS.items():
        assert f"chaja.v1.{service}/{known}" in str(error.value)


async def test_an_ambiguous_name_is_rejected_until_the_service_is_given(protos: Path) -> None:
    async def find(name: str) -> Method:
        return await find_method(name, target=NOWHERE, proto=protos / "shop.proto")

    with pytest.raises(UsageError, match=r"more than one Find; .*shop\.v1\.Finder/Find.*shop\.v1\.Keeper/Find"):
        await find("Find")
    assert (await find("Keeper/Find")).input_type == "shop.v1.Nothing"
    assert (await find("v1.Finder/Find")).input_type == "shop.v1.FindRequest"


async def test_a_full_service_name_wins_over_a_longer_one_that_ends_in_it(protos: Path) -> None:
    proto = protos / "namesakes_too.proto"
    for name in ("a.S/M", "b.a.S/M"):
        assert (await find_method(name, target=NOWHERE, proto=proto)).path == f"/{name}"
    with pytest.raises(UsageError, match="more than one S/M"):
        await find_method("S/M", target=NOWHERE, proto=proto)


async def test_a_service_without_a_package_is_found(protos: Path) -> None:
    method = await find_method("S.M", target=NOWHERE, proto=protos / "required.proto")
    assert (method.path, method.input_type) == ("/S/M", "Wanted")


async def test_a_file_without_services_has_no_methods(protos: Path) -> None:
    with pytest.raises(UsageError, match="there is no method Find; there are: none"):
        await find_method("Find", target=NOWHERE, proto=protos / "common/item.proto")
