"""The role that each method needs, and the check of a call's role.

Health and reflection need no role: Kubernetes probes send no tokens.
"""

from collections.abc import Iterable

from server.errors import NotAllowed, NotAuthenticated
from server.security.tokens import ROLES, AccessTokens, Role

ROLE_OF: dict[str, Role] = {
    "/chaja.v1.SearchService/Search": "search",
    "/chaja.v1.SearchService/BatchSearch": "search",
    "/chaja.v1.SearchService/SearchStream": "search",
    "/chaja.v1.SuggestService/Suggest": "search",
    "/chaja.v1.EncodeService/Encode": "search",
    "/chaja.v1.InfoService/GetServerInfo": "search",
    "/chaja.v1.CatalogService/UpsertDocuments": "write",
    "/chaja.v1.CatalogService/DeleteDocuments": "write",
    "/chaja.v1.CatalogService/GetDocument": "write",
    "/chaja.v1.CatalogService/ListDocuments": "write",
    "/chaja.v1.CatalogService/ImportDocuments": "write",
    "/chaja.v1.CatalogService/WatchChanges": "write",
    "/chaja.v1.SynonymService/ChangeSynonyms": "write",
    "/chaja.v1.SynonymService/ListSynonyms": "search",
    "/chaja.v1.MerchandisingService/PutRules": "write",
    "/chaja.v1.MerchandisingService/DeleteRules": "write",
    "/chaja.v1.MerchandisingService/ListRules": "search",
    "/chaja.v1.FeedbackService/RecordFeedback": "search",
    "/chaja.v1.FeedbackService/EraseFeedback": "write",
    "/chaja.v1.FeedbackService/ListPromotions": "write",
    "/chaja.v1.FeedbackService/Learn": "admin",
    "/chaja.v1.AdminService/Reload": "admin",
}

SCHEME = "bearer "


class Access:
    """Checks the tokens of calls. If the server has no token file, every call is allowed."""

    def __init__(self, tokens: AccessTokens | None) -> None:
        self._tokens = tokens
        self._seen = 0

    def changed(self) -> bool:
        """Returns whether the tokens have changed since the last time."""
        if self._tokens is None:
            return False
        before, self._seen = self._seen, self._tokens.generation()
        return before != self._seen

    def check(self, path: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Raises NotAuthenticated if a call carries no known token, NotAllowed if the method needs a higher role."""
        if self._tokens is None:
            return
        sent = _token(metadata)
        token = self._tokens.find(sent)
        if token is None:
            raise NotAuthenticated(token_sent=bool(sent))
        needed = ROLE_OF[path]
        if ROLES.index(token.role) < ROLES.index(needed):
            raise NotAllowed(token.role, needed)

    def name_of(self, metadata: Iterable[tuple[str, str | bytes]]) -> str:
        """Returns the name of a caller's token, or an empty string if it is unknown."""
        token = self._tokens.find(_token(metadata)) if self._tokens is not None else None
        return "" if token is None else token.name


def _token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Returns the bearer token in the metadata (RFC 6750), or an empty string if there is none."""
    for key, value in metadata:
        if key == "authorization" and isinstance(value, str) and value[: len(SCHEME)].lower() == SCHEME:
            return value[len(SCHEME) :].strip()
    return ""
