"""Builds stages of a Dockerfile in directories, and runs programs in them, by chroot instead of a container engine.

A stage starts from this machine's /usr and /etc, read-only, with this Python as /usr/local: the place of Python in
the image that the stage names. All else is empty. It needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.deploy.image.context import Context
from tests.deploy.image.dockerfile import Instruction, Stage

PATH = "/usr/local/bin:/usr/bin:/bin"

# Arguments: the root; the prefix of Python; the folders that stay writable, or `all`; the command.
ENTER = """
set -eu
root=$1 python=$2 writable=$3; shift 3
if [ "$writable" != all ]; then
    mount --bind "$root" "$root"
    for folder in $writable; do mount --bind "$root/$folder" "$root/$folder"; done
    mount -o remount,bind,ro "$root"
fi
cd "$root"
for folder in dev proc; do mount --rbind "/$folder" "$folder"; done
for folder in etc usr; do mount --bind "/$folder" "$folder"; mount -o remount,bind,ro "$folder"; done
mount --bind "$python" usr/local
mount -o remount,bind,ro usr/local
mount -t tmpfs tmpfs tmp -o mode=1777
exec "$@"
"""


class Image:
    """The files and the settings of a stage."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # The image has libpython where the loader looks for it. This machine's Python may be linked to another path.
        self.environment = {"PATH": PATH, "HOME": "/root", "LD_LIBRARY_PATH": "/usr/local/lib"}
        self.folder = "/"
        self.user = "0:0"
        for name in ("dev", "etc", "proc", "root", "tmp", "usr"):
            (root / name).mkdir(parents=True)
        for name in ("bin", "lib", "lib64", "sbin"):
            (root / name).symlink_to(f"usr/{name}")

    def path(self, inside: str) -> Path:
        """Returns the place of a path of the image."""
        return self.root / self.folder.lstrip("/") / inside if not inside.startswith("/") else self.root / inside[1:]

    def command(self, *command: str, environment: Mapping[str, str], writable: str = "all") -> list[str]:
        """Returns the command that runs another in the image, as its user; `writable` lists its folders that are."""
        variables = [f"{name}={value}" for name, value in {**self.environment, **environment}.items()]
        enter = ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(self.root), sys.base_prefix, writable]
        return [*enter, "chroot", f"--userspec={self.user}", ".", "env", "-i", "-C", self.folder, *variables, *command]


def build(stages: Mapping[str, Stage], name: str, context: Context, folder: Path, images: dict[str, Image]) -> Image:
    """Builds a stage, and before it those that it copies from; keeps them in `images`."""
    if name in images:
        return images[name]
    image = images[name] = Image(folder / name)
    for instruction in stages[name].instructions:
        match instruction.name:
            case "COPY":
                origin = instruction.flags.get("from")
                _copy(instruction, image, build(stages, origin, context, folder, images) if origin else context)
            case "RUN":
                _run(image, instruction.text)
            case "ENV":
                values = dict(word.split("=", 1) for word in instruction.words)
                image.environment |= {key: value.replace("$PATH", PATH) for key, value in values.items()}
            case "WORKDIR":
                image.folder = instruction.text
                image.path(".").mkdir(parents=True, exist_ok=True)
            case "USER":
                image.user = instruction.text
            case "ARG" | "LABEL" | "VOLUME" | "EXPOSE" | "STOPSIGNAL" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                pass
            case other:
                raise NotImplementedError(f"instruction {other}")
    return image


def _copy(instruction: Instruction, image: Image, source: Image | Context) -> None:
    *names, destination = instruction.words
    for name in names:
        if isinstance(source, Image):
            # Links instead of copies, to save the time: no step changes a copied file.
            shutil.copytree(
                source.path(name), image.path(destination), symlinks=True, dirs_exist_ok=True, copy_function=os.link
            )
        else:
            assert source.copy(name, image.path(destination)), f"COPY {name}: the context has no such file"


def _run(image: Image, text: str) -> None:
    # The machine's settings for pip and its certificates, as build arguments would pass them.
    passed = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    command = image.command("/bin/sh", "-c", text, environment=passed)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert ended.returncode == 0, f"RUN {text}\n{ended.stdout}{ended.stderr}"
