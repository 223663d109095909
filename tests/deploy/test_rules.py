import subprocess

from tests.deploy.prometheus import CONFIGURATION, tool


def promtool(*arguments: str) -> None:
    run = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not run.stderr.strip(), run.stderr


def test_the_scrape_configuration_is_valid() -> None:
    promtool("check", "config", str(CONFIGURATION))
