"""The folder of a run or a sweep: what it says of itself, and whether the same can go on in it."""

import importlib.metadata
import json
import os
import platform
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax

from experiments.lab import configs
from gan_jax import report
from gan_jax.errors import ConfigError

ENVIRONMENT = "environment.json"  # what a run was made with
# The settings, and sections of settings, that a run may change when it resumes: not the game's course.
LENGTH = {
  "train.rounds",
  "train.chunk",
  "log",
  "eval",
  "checkpoint",
  "mesh",
  "distributed",
  "threads",
  "compilation_cache",
}


def check(workdir: Path, described: Mapping[str, Any], free: Iterable[str], rounds: int | None = None) -> None:
  """Raises ConfigError if a workdir holds something that is described in other words, or cannot go on.

  Args:
    workdir: the folder.
    described: what it is to hold, as JSON has it.
    free: the fields, and sections of fields, that may differ.
    rounds: how many a run is to have played in the end; None for a sweep, which has no checkpoints.
  """
  if workdir.exists() and not workdir.is_dir():
    raise ConfigError(f"the workdir {workdir} is a file; choose another with --workdir")
  there = report.read_config(workdir)
  played = max((int(p.name) for p in workdir.glob("checkpoints/*") if p.name.isdecimal()), default=0)
  if there is None and played:
    raise ConfigError(f"{workdir} has checkpoints but no config.json; put it back, or choose another --workdir")
  if there is None:
    return
  free, old, new = set(free), configs.flatten(there), configs.flatten(described)
  differ = [k for k in sorted(old | new) if old.get(k) != new.get(k) and not free & {k, k.partition(".")[0]}]
  if ("seeds" in there) != ("seeds" in described):
    raise ConfigError(f"{workdir} holds a {'run' if 'seeds' in described else 'sweep'}; choose another --workdir")
  if differ and all(k.endswith(".rounds") for k in differ):
    kept = " ".join(f"--config.{k}={old[k]}" for k in differ)
    raise ConfigError(
      f"{workdir} holds a run whose schedules were made for other train.rounds; to go on with them as they were, add "
      f"{kept}. Or choose another --workdir"
    )
  if differ:
    shown = "; ".join(f"{k} is {old.get(k)!r} there and {new.get(k)!r} here" for k in differ)
    raise ConfigError(
      f"{workdir} holds a run with another config: {shown}. Choose another --workdir, or remove that one"
    )
  if rounds is not None and played > rounds:
    raise ConfigError(
      f"train.rounds is {rounds:,}, but the run in {workdir} has played {played:,} rounds already; "
      "ask for at least as many, or choose another --workdir"
    )


def write(workdir: Path, described: Mapping[str, Any], experiment: str) -> None:
  """Writes config.json and environment.json."""
  workdir.mkdir(parents=True, exist_ok=True)
  report.write_text(workdir / "config.json", json.dumps(described, indent=2))
  record = {"experiment": experiment} | environment()
  report.write_text(workdir / ENVIRONMENT, json.dumps(record, indent=2))


def environment(*packages: str) -> dict[str, Any]:
  """What a run depends on beside its config: the machine's class and versions, those of `packages` too."""
  packages = ("jax", "jaxlib", "flax", "optax", "chex", "numpy", "orbax-checkpoint", "gan_jax", *packages)
  return {
    "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    "python": platform.python_version(),
    "platform": platform.platform(),
    "processor": _processor(),
    "cores": cores(),
    "packages": {package: _version(package) for package in packages},
    "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices()],
  }


def cores() -> int:
  """How many cores this process may use."""
  return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
  """The model of the CPU, which only Linux has in a file."""
  described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
  models = re.findall(r"^model name\s*: (.+)$", described, re.MULTILINE)
  return models[0] if models else platform.processor() or platform.machine()


def _version(package: str) -> str:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:  # gan_jax itself, run from a checkout
    return "not installed"
