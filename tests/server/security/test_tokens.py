import contextlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import NotAllowed, NotAuthenticated, SecurityError
from server.security import tokens as tokens_module
from server.security.access import ROLE_OF, Access
from server.security.tokens import MIN_TOKEN_CHARACTERS, ROLES, AccessTokens, read_token, read_tokens

SEARCH, WRITE, ADMIN = ("s" * 16, "w" * 16, "a" * 16)
FILE = f"""# who may do what
search  mobile-app  {SEARCH}  # on the phones

write   importer    {WRITE}
admin   deployment  {ADMIN}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the next call check the file."""
    monkeypatch.setattr("server.security.tokens.CHECK_SECONDS", 0.0)


def replace(path: Path, text: str) -> None:
    other = path.with_name("other")
    other.write_text(text, encoding="utf-8")
    other.replace(path)


def role_of(tokens: AccessTokens, token: str) -> str | None:
    found = tokens.find(token)
    return None if found is None else found.role


def test_tokens_have_the_roles_that_the_file_gives_them(path: Path) -> None:
    tokens = AccessTokens(path)
    assert [role_of(tokens, token) for token in (SEARCH, WRITE, ADMIN)] == ["search", "write", "admin"]
    for unknown in ("", "s", SEARCH[:-1], SEARCH + "s", "mobile-app", "#", "ㄱ" * 16, "\udcff" * 16):
        assert role_of(tokens, unknown) is None


def test_a_name_may_have_two_tokens_during_rotation(path: Path) -> None:
    replace(path, FILE + f"search mobile-app {'n' * 16}\n")
    tokens = AccessTokens(path)
    assert role_of(tokens, SEARCH) == role_of(tokens, "n" * 16) == "search"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("reader app secretsecretsecret", "expected a role (search, write, admin), a name and a token"),
        ("search secretsecretsecret", "expected a role"),
        ("search app secretsecretsecret more", "expected a role"),
        ("Search app secretsecretsecret", "expected a role"),
        ("secretsecretsecret", "expected a role"),
        ("search app secretsecret", f"a token must have {MIN_TOKEN_CHARACTERS} to 4096 characters"),
    ],
)
def test_an_invalid_line_is_named_and_its_token_is_not_shown(path: Path, line: str, message: str) -> None:
    replace(path, f"{FILE}{line}\n")
    with pytest.raises(SecurityError) as raised:
        read_tokens(path)
    assert str(raised.value).startswith(f"{path}:6: ")
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@given(st.text(max_size=60).filter(lambda text: "#" not in text))
def test_any_invalid_file_raises_a_security_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "anything"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(SecurityError):
        roles = read_tokens(path)
        assert {token.role for token in roles} <= set(ROLES)


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\n\n"])
def test_a_file_without_tokens_is_rejected(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SecurityError, match=f"^--tokens: {path} has no tokens: add one, or leave the flag out$"):
        AccessTokens(path)


def test_an_unreadable_file_is_rejected(path: Path) -> None:
    with pytest.raises(SecurityError, match="cannot be read: No such file"):
        AccessTokens(path.with_name("elsewhere"))
    with pytest.raises(SecurityError, match=r"^--http-token-file: .* is not a regular file"):
        AccessTokens(path.parent, read_token, flag="--http-token-file")
    path.write_bytes(b"search app \xff\xfe\n")
    with pytest.raises(SecurityError, match="is not a text in UTF-8"):
        AccessTokens(path)


def test_a_file_that_never_ends_is_refused(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    for endless in (path, Path("/dev/zero")):
        with pytest.raises(SecurityError, match="is not a regular file"):
            AccessTokens(endless)
    path.unlink()
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(SecurityError, match="at most 1048576 are allowed"):
        AccessTokens(path)


def test_a_token_has_a_length_that_headers_can_have(path: Path) -> None:
    for length in (15, 4097):
        path.write_text(f"search app {'x' * length}\n", encoding="utf-8")
        with pytest.raises(SecurityError, match="a token must have 16 to 4096 characters"):
            AccessTokens(path)
    path.write_text(f"\ufeffsearch app {'x' * 4096}\n", encoding="utf-8")
    assert AccessTokens(path).find("x" * 4096)


def test_a_token_is_not_valid_once_more_after_its_file_was_removed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = AccessTokens(path)
    path.unlink()
    monkeypatch.setattr(tokens_module, "MISSING_SECONDS", 0.1)
    monkeypatch.setattr(tokens_module, "CHECK_SECONDS", 0.1)
    time.sleep(0.2)  # No call asks meanwhile.
    assert tokens.find(ADMIN) is None


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("bad", ["search app short\n", None])
def test_an_invalid_change_keeps_the_old_tokens_valid(
    path: Path, bad: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = AccessTokens(path)
    if bad is None:
        path.unlink()
    else:
        replace(path, bad)
    for _ in range(2):
        assert role_of(tokens, ADMIN) == "admin"
    (record,) = caplog.records
    assert "the previous tokens stay valid" in record.getMessage()
    assert not any(token in caplog.text for token in (SEARCH, WRITE, ADMIN))
    replace(path, f"search app {'n' * 16}\n")
    assert role_of(tokens, "n" * 16) == "search"
    assert role_of(tokens, ADMIN) is None


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("content", ["", " \n\t\n", "# none\n"])
def test_an_emptied_file_means_that_no_token_is_valid(
    path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = AccessTokens(path)
    path.write_text(content, encoding="utf-8")
    for _ in range(2):
        assert [role_of(tokens, each) for each in (SEARCH, WRITE, ADMIN)] == [None] * 3
    (record,) = caplog.records
    assert "has no tokens: no token is valid" in record.getMessage()
    replace(path, FILE)
    assert role_of(tokens, ADMIN) == "admin"


@pytest.mark.usefixtures("at_once")
def test_a_file_that_stays_missing_means_that_no_token_is_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "MISSING_SECONDS", 0.2)
    tokens, generation = AccessTokens(path), 0
    for seconds, role in ((0.0, "admin"), (0.3, None)):
        path.unlink(missing_ok=True)
        assert role_of(tokens, ADMIN) == "admin"
        time.sleep(seconds)
        assert role_of(tokens, ADMIN) == role
        replace(path, FILE)
        assert role_of(tokens, ADMIN) == "admin"
        assert tokens.generation() > generation
        generation = tokens.generation()


@pytest.mark.usefixtures("at_once")
def test_a_change_is_noticed_once(path: Path) -> None:
    access = Access(AccessTokens(path))
    assert not access.changed()
    replace(path, FILE + "# the same\n")
    assert [access.changed() for _ in range(3)] == [True, False, False]
    assert not Access(None).changed()


def test_the_file_is_not_checked_with_every_call(path: Path) -> None:
    tokens = AccessTokens(path)
    replace(path, f"search app {'n' * 16}\n")
    assert role_of(tokens, ADMIN) == "admin", "the file is checked at most once a second"


def bearer(token: str) -> tuple[tuple[str, str | bytes], ...]:
    return (("x-other", b"\x00"), ("authorization", f"Bearer {token}"))


@pytest.mark.parametrize("path_", ROLE_OF)
def test_a_role_includes_the_roles_below_it(path: Path, path_: str) -> None:
    access = Access(AccessTokens(path))
    for role, token in zip(ROLES, (SEARCH, WRITE, ADMIN), strict=True):
        if ROLES.index(role) >= ROLES.index(ROLE_OF[path_]):
            access.check(path_, bearer(token))
            continue
        with pytest.raises(NotAllowed, match=f"the token's role is {role}; this method needs {ROLE_OF[path_]}"):
            access.check(path_, bearer(token))


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", SEARCH),),
        (("authorization", f"Basic {SEARCH}"),),
        (("authorization", f"Bearer {SEARCH}".encode()),),
        (("authorization", "Bearer "),),
        (("authorization", f"Bearer {SEARCH}x"),),
        (("x-authorization", f"Bearer {SEARCH}"),),
    ],
)
def test_a_call_without_a_known_token_is_rejected(path: Path, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
    with pytest.raises(NotAuthenticated) as raised:
        Access(AccessTokens(path)).check("/chaja.v1.SearchService/Search", metadata)
    assert SEARCH not in str(raised.value)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_case_insensitive(path: Path, scheme: str) -> None:
    metadata = (("authorization", f"{scheme}  {SEARCH} "),)
    Access(AccessTokens(path)).check("/chaja.v1.SearchService/Search", metadata)


def test_without_a_token_file_every_call_is_allowed() -> None:
    for each in ROLE_OF:
        Access(None).check(each, ())


def test_a_file_may_hold_one_token_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("  one-long-enough-token\n", encoding="utf-8")
    assert AccessTokens(path, read_token).find("one-long-enough-token") is not None
    assert AccessTokens(path, read_token).find("") is None
    for text, message in (
        ("", "has no tokens"),
        ("short", "16 to 4096 characters"),
        ("아주-긴-비밀-토큰-스물네-글자-이상", "must be ASCII"),
        ("search app one-long-enough-token", "expected one token and nothing else"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SecurityError, match=message) as raised:
            AccessTokens(path, read_token)
        assert "long-enough" not in str(raised.value)
