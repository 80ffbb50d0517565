"""What all commands share: mistakes of the person at the keyboard end in one message and exit status 1."""

import difflib
import importlib.metadata
import importlib.util
import inspect
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict


def start(main: Callable[..., None], takes_arguments: bool = False) -> None:
  """Parses the flags and calls `main`, with what is given beside them if it `takes_arguments`.

  A ValueError, a loss that ran away, an unreadable file or a flag that cannot be parsed is somebody's mistake: its message
  is printed without a traceback. Anything else is ours, and is shown whole.
  """

  def parse(argv: list[str]) -> list[str]:
    try:
      _check_config_flags(argv[1:])
      return flags.FLAGS(argv)
    except (flags.Error, ValueError) as error:
      sys.exit(f"error: {error}")

  def guarded(argv: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)  # orbax reports every file that it writes
    try:
      if len(argv) > 1 and not takes_arguments:
        raise ValueError(f"there is no argument {argv[1]!r}; settings are given as --config.field=value")
      main(*argv[1:])
    except (ValueError, FloatingPointError, OSError) as error:
      sys.exit(f"error: {error}")
    except KeyboardInterrupt as interruption:
      sys.exit(str(interruption) or "interrupted")

  app.run(guarded, flags_parser=parse)


def load_config(given: str) -> ConfigDict:
  """Returns what `get_config` of an experiment says; `given` is FILE.py or FILE.py:VARIANT.

  Raises:
    ValueError: if there is no such file, it is no experiment (it is not executed then), or it has no such variant.
  """
  name, colon, variant = given.partition(":")
  path = Path(name)
  if not path.is_file():
    found = experiments_in(path.parent if path.parent.is_dir() else Path("experiments"))
    raise ValueError(f"there is no file {path}.{nearest(str(path), map(str, found))}")
  spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
  if spec is None:
    raise ValueError(f"{path} is not a Python file")
  if not _has_get_config(path):
    raise ValueError(
      f"{path} is no experiment: it has no get_config. Experiments are files such as experiments/fgan_kl.py"
    )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  if colon and not inspect.signature(module.get_config).parameters:
    raise ValueError(f"{path} has no variants, so ':{variant}' cannot be chosen; leave it out")
  return module.get_config(variant) if colon else module.get_config()


def experiments_in(folder: Path) -> list[Path]:
  """The files in a folder that describe an experiment."""
  return [file for file in sorted(folder.glob("*.py")) if _has_get_config(file) and file.stem != "base"]


def name_of(path: str) -> str:
  """experiments/fgan.py:pearson -> fgan_pearson."""
  file, _, variant = path.partition(":")
  return "_".join(filter(None, [Path(file).stem, variant]))


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
  """{"train": {"rounds": 5}} -> {"train.rounds": 5}."""
  flat = {}
  for key, value in tree.items():
    flat |= flatten(value, f"{prefix}{key}.") if hasattr(value, "items") else {prefix + key: value}
  return flat


def environment(*packages: str) -> dict[str, Any]:
  """What a run depends on beside its config: the machine's class and versions, those of `packages` too."""
  packages = ("jax", "jaxlib", "flax", "optax", "chex", "numpy", "orbax-checkpoint", "gan_jax", *packages)
  return {
    "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    "python": platform.python_version(),
    "platform": platform.platform(),
    "processor": _processor(),
    "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    "packages": {package: _version(package) for package in packages},
    "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices()],
  }


def nearest(given: str, accepted: Iterable[str]) -> str:
  """The end of a message about a name that is not known: the nearest that is, and all that are."""
  accepted = sorted(accepted)
  near = difflib.get_close_matches(given, accepted, n=1, cutoff=0.5)
  guess = f" Did you mean {near[0]!r}?" if near else ""
  return f"{guess} Accepted: {', '.join(accepted) or 'none'}."


def _processor() -> str:
  """The model of the CPU, which Linux alone tells in a file."""
  described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
  models = re.findall(r"^model name\s*: (.+)$", described, re.MULTILINE)
  return models[0] if models else platform.processor() or platform.machine()


def _version(package: str) -> str:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:  # gan_jax itself, run from a checkout
    return "not installed"


def _has_get_config(path: Path) -> bool:
  return "\ndef get_config(" in "\n" + path.read_text()


def _flags_of(arguments: list[str]) -> list[tuple[str, str]]:
  """(name, value) of every flag, given as --name=value or as --name value; "" where there is no value."""
  flag = lambda argument: re.match(r"--?[a-zA-Z]", argument)  # and not a negative number
  following = [*arguments[1:], ""]
  pairs = []
  for argument, after in zip(arguments, following, strict=True):
    name, equals, value = argument.lstrip("-").partition("=")
    if flag(argument):
      pairs.append((name, value if equals or flag(after) else after))
  return pairs


def _check_config_flags(arguments: list[str]) -> None:
  """Refuses a config that cannot be loaded and settings that it does not have, where the flags library would be terse."""
  if "config" not in flags.FLAGS:
    return
  given = _flags_of(arguments)
  files = [value for name, value in given if name == "config"]
  if not files:
    raise ValueError("which experiment? For example --config=experiments/fgan_kl.py")
  settings = flatten(load_config(files[-1]))
  for name, value in given:
    field = name.removeprefix("config.")
    if field == name:
      continue
    if field not in settings:
      raise ValueError(f"{files[-1]} has no setting {field!r}.{nearest(field, settings)}")
    kind = type(settings[field])
    if kind in (int, float):
      try:
        kind(value)
      except ValueError:
        raise ValueError(
          f"{field} is given as {value!r}; it takes {kind.__name__}s such as {settings[field]}"
        ) from None
