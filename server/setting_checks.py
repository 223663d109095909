"""Checks that settings fit each other."""

from pathlib import Path

from server.catalogue.database import BACKUPS
from server.catalogue.location import DatabaseUrl, Location
from server.errors import SettingsError
from server.settings import Settings


def check_settings(settings: Settings) -> None:
    """Raises SettingsError if settings contradict each other."""
    if settings.catalogue is None and settings.data is None:
        raise SettingsError(
            "there is nothing to serve: set --catalogue (a file), --data (a directory or database) or both; see --help"
        )
    if settings.backup_every_seconds and settings.backup_directory is None:
        raise SettingsError("--backup-every-seconds needs --backup-directory")
    if settings.backup_directory is not None:
        _check_backups(settings.data, settings.backup_directory)
    if settings.learn_every_seconds and (settings.data is None or not settings.feedback_days):
        raise SettingsError("--learn-every-seconds needs feedback: set --data, and --feedback-days above 0")
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise SettingsError("--tls-certificate and --tls-key go together: set both or neither")
    if (settings.http_tls_certificate is None) != (settings.http_tls_key is None):
        raise SettingsError("--http-tls-certificate and --http-tls-key go together: set both or neither")
    if settings.tls_client_ca is not None and settings.tls_certificate is None:
        raise SettingsError("--tls-client-ca needs --tls-certificate and --tls-key")
    if settings.search_page and not settings.metrics.is_loopback and settings.http_token_file is None:
        raise SettingsError(
            f"--search-page on would show documents to all who reach {settings.metrics}: set --http-token-file, or a "
            "loopback address such as 127.0.0.1:9464 in --metrics"
        )


def _check_backups(data: Location | None, directory: Path) -> None:
    if data is None:
        raise SettingsError("--backup-directory needs --data: without it there is no store to back up")
    if isinstance(data, DatabaseUrl):
        raise SettingsError("--backup-directory needs a directory in --data: back PostgreSQL up with pg_dump")
    if directory.resolve().is_relative_to(data.resolve()) and directory.resolve() != data.resolve() / BACKUPS:
        raise SettingsError(
            f"--backup-directory may not be inside --data: set it to a directory on another disk, or to "
            f"{data / BACKUPS}"
        )
