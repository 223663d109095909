"""Reads a Dockerfile, and builds a stage of it without a container engine."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """An instruction: its name in capitals, its flags such as `{"from": "build"}`, and the rest of its line."""

    name: str
    flags: dict[str, str]
    text: str

    @property
    def words(self) -> list[str]:
        """The rest as words: of a JSON array, or as a shell splits it."""
        return [str(each) for each in json.loads(self.text)] if self.text.startswith("[") else shlex.split(self.text)


@dataclass(frozen=True)
class Stage:
    """A stage: its name, the image that it starts from, and its instructions."""

    name: str
    image: str
    instructions: list[Instruction] = field(default_factory=list)

    def of(self, name: str) -> list[Instruction]:
        """Returns the instructions with a name."""
        return [each for each in self.instructions if each.name == name]


def read_dockerfile(path: Path) -> dict[str, Stage]:
    """Returns the stages by their names, in their order."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    stages: dict[str, Stage] = {}
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        name, _, text = line.strip().partition(" ")
        if name == "FROM":
            image, _, stage = text.split()
            stages[stage] = Stage(stage, image)
            continue
        flags = {}
        while name in ("COPY", "HEALTHCHECK") and (found := re.match(r"--([\w-]+)=(\S+)\s+", text)):
            flags[found[1]] = found[2]
            text = text[found.end() :]
        list(stages.values())[-1].instructions.append(Instruction(name, flags, text.strip()))
    return stages
