"""The folder of a run or a sweep: what it says of itself, whether the same can go on in it, and who has it."""

import contextlib
import errno
import importlib.metadata
import json
import os
import platform
import re
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import jax

from experiments.lab import configs, processes
from gan_jax import report, shard
from gan_jax.errors import ConfigError

ENVIRONMENT = "environment.json"  # what a run was made with
LOCK, HOLDER = ".lock", "holder.json"  # who has the folder just now
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
  played = _saved(workdir)
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


@contextlib.contextmanager
def held(workdir: Path) -> Iterator[None]:
  """Has the folder, which it makes, for this run alone; of several processes the first holds it for all.

  The system lets go of what a dead process held. Where one of several dies, the others say which, and end.

  Raises:
    ConfigError: in every process, if another run has the folder; in the first one it says who. And where the disk, or a
      quota, is found full.
  """
  with contextlib.ExitStack() as stack:
    shard.in_first(lambda: _hold(workdir, stack))
    try:
      with processes.together(workdir, lambda: _same_again(workdir)):
        yield
    except Exception as error:  # Python, Pillow and orbax raise different ones
      if not any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT)):
        raise
      full = f"the disk that {workdir} is on is full; what was saved is kept: make room, and run the same command again"
      raise ConfigError(full) from error


def _hold(workdir: Path, stack: contextlib.ExitStack) -> None:
  """Locks the folder, and says so in it, until the stack ends."""
  workdir.mkdir(parents=True, exist_ok=True)
  try:
    stack.enter_context(filelock.FileLock(workdir / LOCK, timeout=0))
  except filelock.Timeout:
    by = _holder(workdir)
    raise ConfigError(f"{workdir} is in use{by}. Wait until it ends, stop it, or choose another --workdir") from None
  who = {"host": socket.gethostname(), "process": os.getpid(), "since": _now()}
  report.write_text(workdir / HOLDER, json.dumps(who, indent=2))
  stack.callback((workdir / HOLDER).unlink, missing_ok=True)
  stack.callback(_end, workdir)


def _end(workdir: Path) -> None:
  """Says in the record of a run's last start up to which round it was kept, where that does not say it yet."""
  record = {}
  with contextlib.suppress(ConfigError):  # of a file that is damaged; the next start says so
    record = report.read_json(workdir / ENVIRONMENT) or {}
  if (workdir / "checkpoints").is_dir() and record.get("starts") and record["starts"][-1].get("to_round") is None:
    record["to_round"] = record["starts"][-1]["to_round"] = _saved(workdir)
    report.write_text(workdir / ENVIRONMENT, json.dumps(record, indent=2))


def _same_again(workdir: Path) -> str:
  saved = _saved(workdir)
  where = f"round {saved:,}, the last checkpoint" if saved else "the start: there is no checkpoint yet"
  return f"start every process again with its command to resume from {where}"


def _saved(workdir: Path) -> int:
  """The round of the newest checkpoint, 0 where there is none."""
  return max((int(p.name) for p in workdir.glob("checkpoints/*") if p.name.isdecimal()), default=0)


def _holder(workdir: Path) -> str:
  """Who has the folder, "" where it has not said so yet."""
  try:
    who = json.loads((workdir / HOLDER).read_text())
    return " by process {process} on {host}, since {since}".format(**who)
  except (OSError, ValueError, KeyError):
    return ""


def write(
  workdir: Path, described: Mapping[str, Any], experiment: str, played: int = 0, source: str | None = None
) -> str:
  """Writes config.json and environment.json, which keeps every start; returns what is other code than at the last one.

  A start's rounds are those after its after_round up to its to_round: what the next one found, or what was kept when it
  ended, and null while it plays.

  Args:
    workdir: the folder.
    described: the config, as JSON has it.
    experiment: as --config named it.
    played: rounds that are played already.
    source: the run with whose state a new one begins.

  Returns:
    "" for a first start, and where neither the commit nor a package has changed since the last one.
  """
  workdir.mkdir(parents=True, exist_ok=True)
  report.write_text(workdir / "config.json", json.dumps(described, indent=2))
  starts = (report.read_json(workdir / ENVIRONMENT) or {}).get("starts", [])
  record = {"experiment": experiment} | environment() | {"after_round": played, "to_round": None, "from": source}
  changed = _changes(starts[-1], record) if starts and played else ""
  starts = [*starts[:-1], *(last | {"to_round": played} for last in starts[-1:])]
  report.write_text(workdir / ENVIRONMENT, json.dumps(record | {"starts": [*starts, record]}, indent=2))
  return changed


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
  """The packages, and the commit, that are others than at another start."""
  flat = lambda record: {**record.get("packages", {}), "commit": record.get("commit") or "unknown"}
  old, new = flat(before), flat(now)
  return ", ".join(f"{name} {old.get(name)} then and {new[name]} now" for name in new if new[name] != old.get(name))


def environment(*packages: str) -> dict[str, Any]:
  """What a run depends on beside its config: the machine's class and versions, those of `packages` too."""
  packages = ("jax", "jaxlib", "flax", "optax", "chex", "numpy", "orbax-checkpoint", "gan_jax", *packages)
  return {
    "started": _now(),
    "python": platform.python_version(),
    "platform": platform.platform(),
    "processor": _processor(),
    "cores": cores(),
    "packages": {package: _version(package) for package in packages},
    "commit": _commit(),
    "devices": [f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices()],
  }


def _commit() -> str | None:
  """The commit that this code is at, "with changes" where files differ from it; None outside of a git checkout."""
  here = Path(__file__).resolve().parent
  ask = lambda *words: subprocess.run(
    ["git", "-C", here, *words], capture_output=True, text=True, check=True, timeout=10
  )
  try:
    ask("ls-files", "--error-unmatch", __file__)  # an environment in somebody's checkout is not of it
    commit, changed = ask("rev-parse", "HEAD").stdout.strip(), ask("status", "--porcelain", "-uno").stdout
  except (OSError, subprocess.SubprocessError):
    return None
  return f"{commit}, with changes" if changed else commit


def _now() -> str:
  return time.strftime("%Y-%m-%d %H:%M:%S %z")


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
