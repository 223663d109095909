"""Fixtures of the tests of `deploy/`."""

from tests.deploy.monitored import monitored

__all__ = ["monitored"]
