"""Opens the tracer that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from server.errors import SettingsError
from server.setting_types import CollectorAddress

if TYPE_CHECKING:
    from server.tracing.tracer import Tracer


def open_tracer(
    endpoint: CollectorAddress | None, *, share: float, on_dropped: Callable[[float], object]
) -> Tracer | None:
    """Returns a tracer that exports to `endpoint`, or None without one. Raises SettingsError.

    `on_dropped` gets the number of spans that could not be exported, in any thread.
    """
    if endpoint is None:
        return None
    try:
        from server.tracing.tracer import Tracer  # noqa: PLC0415  it imports OpenTelemetry
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise SettingsError("--trace-endpoint needs OpenTelemetry: pip install 'chaja-server[otel]'") from None
    return Tracer(endpoint, share=share, on_dropped=on_dropped)
