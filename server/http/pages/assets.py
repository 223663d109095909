"""The files of the pages: HTML, styles, scripts and the chart library, read from the package."""

from __future__ import annotations

from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = "/pages"
"""Path of the files that the pages load."""

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page_routes(path: str, page: str, files: list[str]) -> list[Route]:
    """Returns the routes of a page and of the files that it loads."""
    return [_route(path, page), *(_route(f"{FOLDER}/{name}", name) for name in files)]


def _route(path: str, name: str) -> Route:
    """Returns the route of one file in `files/`."""
    content = (resources.files(__package__) / "files" / name).read_bytes()
    headers = {"Content-Type": TYPES[name[name.rindex(".") :]]}

    async def answer(_: Request) -> Response:
        return Response(content, headers=headers)

    # `http_app` names the others to those who ask for an unknown path.
    return Route(path, answer, include_in_schema=not path.startswith(FOLDER))
