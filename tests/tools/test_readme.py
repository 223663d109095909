from __future__ import annotations

import re

from chaja.v1 import encode_pb2, info_pb2, search_pb2
from sample.server_process import REPOSITORY
from tools.readme_tables import README, with_tables

TEXT = README.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code() -> None:
    assert with_tables(TEXT) == TEXT, "run make docs"


def test_every_method_is_told() -> None:
    for file in (search_pb2, encode_pb2, info_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            assert f"`{service.full_name}`" in TEXT
            for method in service.methods:
                assert f"| `{method.name}` |" in TEXT


def test_every_verb_and_folder_named_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for verb in re.findall(r"make ([a-z-]+)", TEXT):
        assert re.search(f"^{verb}:", makefile, re.MULTILINE), verb
    for folder in re.findall(r"^\| `([a-z]+)/` \|", TEXT, re.MULTILINE):
        assert (REPOSITORY / folder).is_dir(), folder
