"""A hook of mkdocs: the pages and files of the documentation site, at the same relative paths as in the repository."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from tools.proto_reference import compile_protos, reference

REPOSITORY = Path(__file__).parent.parent
LINK = re.compile(r"\]\(([^)\s#:]+)")

PYTHON_PAGE = "# Python client\n\n::: chaja\n\n## The channel\n\n::: chaja.channel\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Moves the pages of `docs` into a folder `docs`; adds the root's pages, linked files and generated pages."""
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
    for path in [*REPOSITORY.glob("*.md"), *filter(Path.is_file, (REPOSITORY / "docs").rglob("*"))]:
        _add(files, config, path.relative_to(REPOSITORY).as_posix())
    pages = list(files.documentation_pages())
    for page in pages:  # The list grows: pages that are linked have links too.
        for link in LINK.findall(page.content_string):
            uri = posixpath.normpath(posixpath.join(posixpath.dirname(page.src_uri), link))
            if uri not in files.src_uris and (REPOSITORY / uri).is_file():
                added = _add(files, config, uri)
                if added.is_documentation_page():
                    pages.append(added)
    files.append(File.generated(config, "reference/protocol.md", content=reference(compile_protos())))
    files.append(File.generated(config, "reference/python.md", content=PYTHON_PAGE))
    return files


def _add(files: Files, config: MkDocsConfig, uri: str) -> File:
    file = File.generated(config, uri, abs_src_path=str(REPOSITORY / uri))
    files.append(file)
    return file
