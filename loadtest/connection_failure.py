"""Why a connection failed, from gRPC's long message, and what to do about it."""

from urllib.parse import unquote

PERHAPS_TLS = "if the server expects TLS, add --tls or --ca FILE"
_NOISE = ("failed to connect to all addresses; last error: ", "UNKNOWN: ", "UNAVAILABLE: ")
_ADVICE_WITH_TLS = {
    "CERTIFICATE_VERIFY_FAILED": "trust its certificate with --ca FILE, or any certificate with --insecure-skip-verify",
    "Hostname Verification Check failed": "name the host in its certificate with --authority NAME",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS: remove the flags for it",
}
_ADVICE = {
    "Socket closed": PERHAPS_TLS,
    "Connection reset by peer": PERHAPS_TLS,
    "http1.x server": "this is a port for HTTP/1 instead of gRPC",
}


def reason_and_advice(message: str, *, tls: bool) -> str:
    """Returns the reason in gRPC's message, in parentheses, and advice if the reason is a common mistake."""
    reason = unquote(message)  # gRPC writes the brackets of an IPv6 address as %5B and %5D.
    for noise in _NOISE:
        reason = reason.removeprefix(noise)
    known = _ADVICE_WITH_TLS if tls else _ADVICE
    advice = next((f": {advice}" for mark, advice in known.items() if mark in reason), "")
    return f"({reason}){advice}"
