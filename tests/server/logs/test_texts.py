from __future__ import annotations

import logging

import pytest

from server.logs.texts import ShowUserTexts, UserText


@pytest.mark.parametrize("shown", [False, True])
def test_texts_of_users_are_logged_only_if_the_operator_allows_it(
    caplog: pytest.LogCaptureFixture, shown: bool
) -> None:
    log = logging.getLogger("test_logs")
    text_filter = ShowUserTexts()
    if shown:
        caplog.handler.addFilter(text_filter)
    try:
        log.error("incident %s with %s", "1a", UserText("비밀번호 1234"))
    finally:
        caplog.handler.removeFilter(text_filter)
    assert caplog.messages == ["incident 1a with " + ("'비밀번호 1234'" if shown else "9 characters, not shown")]
