"""The import statements of the wheel's modules."""

import pytest

from deploy.wheel.rename import CannotRename, rename_imports
from deploy.wheel.sources import LOADTEST_WHEEL, SERVER_WHEEL


@pytest.mark.parametrize(
    ("written", "renamed"),
    [
        ("from server.errors import ChajaError\n", "from chaja_server.errors import ChajaError\n"),
        ("from server import app\n", "from chaja_server import app\n"),
        ("import server.app as app, os\n", "import chaja_server.app as app, os\n"),
        ("import os, export.cpu as cpu\n", "import os, chaja_export.cpu as cpu\n"),
        ("from chaja import __version__  # noqa\n", "from chaja_server._protocol import __version__  # noqa\n"),
        ("from chaja.v1 import (\n    Hit,\n)\n", "from chaja_server._protocol.v1 import (\n    Hit,\n)\n"),
        ("def f():\n    from export import evaluate\n", "def f():\n    from chaja_export import evaluate\n"),
        ("찾아 = '찾아'; from server import app\n", "찾아 = '찾아'; from chaja_server import app\n"),
        (
            "from  server import app; from export import cpu\n",
            "from  chaja_server import app; from chaja_export import cpu\n",
        ),
    ],
)
def test_an_import_of_the_checkout_is_renamed(written: str, renamed: str) -> None:
    assert rename_imports(written, SERVER_WHEEL.packages) == renamed


@pytest.mark.parametrize(
    "source",
    [
        "from server_tools import x\nimport exporter\nfrom . import server\n",
        '"""from server import app"""\nserver = export = 1\nprint(server, "import server")\n',
        "# from server import app\n",
    ],
)
def test_nothing_else_changes(source: str) -> None:
    assert rename_imports(source, SERVER_WHEEL.packages) == source


@pytest.mark.parametrize("source", ["import os\nimport server.app\n", "pass\nfrom \\\n server import app\n"])
def test_an_import_that_cannot_be_renamed_is_named(source: str) -> None:
    with pytest.raises(CannotRename, match=r"^line 2: write "):
        rename_imports(source, SERVER_WHEEL.packages)


def test_each_wheel_renames_its_own_packages() -> None:
    source = "from loadtest import plan\nfrom chaja import v1\nfrom server import app\n"
    renamed = "from chaja_loadtest import plan\nfrom chaja_loadtest._protocol import v1\nfrom server import app\n"
    assert rename_imports(source, LOADTEST_WHEEL.packages) == renamed
