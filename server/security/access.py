"""Which role a method needs, and whether a call has it.

Health and reflection are not ours to guard: probes of Kubernetes send no tokens.
"""

from collections.abc import Callable, Iterable

from server.errors import NotAllowed, NotAuthenticated
from server.security.tokens import ROLES, AccessTokens, Role

ROLE_OF: dict[str, Role] = {
    "/chaja.v1.SearchService/Search": "search",
    "/chaja.v1.SearchService/BatchSearch": "search",
    "/chaja.v1.SearchService/SearchStream": "search",
    "/chaja.v1.EncodeService/Encode": "search",
    "/chaja.v1.InfoService/GetServerInfo": "search",
    "/chaja.v1.CatalogService/UpsertDocuments": "write",
    "/chaja.v1.CatalogService/DeleteDocuments": "write",
    "/chaja.v1.CatalogService/GetDocument": "write",
    "/chaja.v1.CatalogService/ListDocuments": "write",
    "/chaja.v1.CatalogService/ImportDocuments": "write",
    "/chaja.v1.CatalogService/WatchChanges": "write",
    "/chaja.v1.AdminService/Reload": "admin",
}

SCHEME = "bearer "


class Access:
    """Checks calls against the tokens; without tokens everybody may call everything."""

    def __init__(self, tokens: AccessTokens | None) -> None:
        self._tokens = tokens

    def check(self, path: str, metadata: Callable[[], Iterable[tuple[str, str | bytes]] | None]) -> None:
        """Checks a call of a method; `metadata` gives what the call carries, and is asked only where it matters.

        Raises:
            NotAuthenticated: It carries no known token.
            NotAllowed: Its token has a lower role than the method needs.
        """
        if self._tokens is None:
            return
        role = self._tokens.role_of(_token(metadata() or ()))
        if role is None:
            raise NotAuthenticated
        needed = ROLE_OF[path]
        if ROLES.index(role) < ROLES.index(needed):
            raise NotAllowed(role, needed)


def _token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Returns the bearer token among the metadata (RFC 6750), empty if there is none."""
    for key, value in metadata:
        if key == "authorization" and isinstance(value, str) and value[: len(SCHEME)].lower() == SCHEME:
            return value[len(SCHEME) :].strip()
    return ""
