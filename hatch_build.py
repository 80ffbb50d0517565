"""What an editable installation needs beside the library: a checkout has the commands, so what they need comes too."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Editable(BuildHookInterface):
  """Adds the extra `experiments` to the dependencies of `pip install -e .`."""

  def initialize(self, version: str, build_data: dict[str, Any]) -> None:
    if version == "editable":
      build_data["dependencies"] += self.metadata.core.optional_dependencies["experiments"]
