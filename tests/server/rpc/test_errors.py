from __future__ import annotations

from collections.abc import Iterator

from server import errors
from server.rpc.errors import CODE_OF


def leaves(base: type[errors.ChajaError]) -> Iterator[type[errors.ChajaError]]:
    for child in base.__subclasses__():
        yield from leaves(child) if child.__subclasses__() else [child]


def test_every_error_of_a_request_has_a_code() -> None:
    of_requests = {error for error in leaves(errors.ChajaError) if not issubclass(error, errors.StartError)}
    unfit = {error for error in of_requests if issubclass(error, errors.UnfitText)}
    assert of_requests - unfit == set(CODE_OF)


def test_the_drawn_tree_names_every_error() -> None:
    assert errors.__doc__ is not None
    for error in leaves(errors.ChajaError):
        assert error.__name__ in errors.__doc__
