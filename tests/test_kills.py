"""Runs that are killed, by the signal that nothing can catch, and started again until they end: they lose nothing.

`GAN_JAX_SOAK=90 python -m pytest tests/test_kills.py -k soak` kills a CycleGAN at random moments for 90 minutes.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import chex
import pytest
import tiny
from test_shard import CYCLEGAN

from experiments.lab.trained import load
from gan_jax import report

ROOT = Path(__file__).parent.parent
EVERY = ["--config.train.chunk=10", "--config.log.every=5", "--config.eval.every=20", "--config.checkpoint.every=20"]
STAGED = "({'rounds': 20}, {'optimizer.generator.learning_rate': 1e-3})"
RING = [
  "--config=ring8",
  "--config.train.rounds=60",
  "--config.nets.generator.hidden=8",
  f"--config.train.stages={STAGED}",
]
RING += [f"--config.optimizer.{player}.schedule.rounds=24000" for player in ("discriminator", "generator")]
# The command, which kills itself when it has written half of the picture of round 20, or begun to save round 40.
DYING = """
import os, runpy, signal, sys
from pathlib import Path
from gan_jax import checkpoint
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
write, save, moment = Path.write_bytes, checkpoint.save, sys.argv.pop(1)
def write_bytes(path, content):
  if moment == "picture" and path.name == "0000020.png.partial":
    write(path, content[: len(content) // 2])
    die()
  return write(path, content)
def save_state(checkpoints, state):
  save(checkpoints, state)
  if moment == "save" and int(state.step) == 40:
    die()
Path.write_bytes, checkpoint.save = write_bytes, save_state
sys.argv[0] = "experiments.run"
runpy.run_module("experiments.run", run_name="__main__")
"""


def started(arguments: list[str], folder: Path, moment: str = "") -> subprocess.Popen:
  command = ["-c", DYING, moment] if moment else ["-m", "experiments.run"]
  command = [sys.executable, *command, *arguments, *EVERY, f"--workdir={folder}"]
  environment = os.environ | {"JAX_PLATFORMS": "cpu"}
  return subprocess.Popen(
    command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
  )


def played(arguments: list[str], folder: Path, seconds: float = 600) -> None:
  process = started(arguments, folder)
  said, _ = process.communicate(timeout=seconds)
  assert process.returncode == 0, said[-2000:]


def same(one: Path, other: Path) -> None:
  rows = [tiny.timeless(report.read_metrics(folder / "metrics.jsonl")) for folder in (one, other)]
  assert rows[0] == rows[1]
  files = [{path.name: path.read_bytes() for path in (folder / "samples").iterdir()} for folder in (one, other)]
  assert files[0].keys() == files[1].keys() and files[0] == files[1]
  states = [load(folder)[1].replace(key=0) for folder in (one, other)]
  chex.assert_trees_all_equal(*states)


def test_a_run_of_stages_that_is_killed_at_every_turn(tmp_path):
  played(RING, tmp_path / "whole")
  for moment in ("picture", "save"):
    process = started(RING, tmp_path / "killed", moment)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL, said[-2000:]
  assert not (tmp_path / "killed" / "checkpoints" / "60").exists()
  played(RING, tmp_path / "killed")
  same(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.skipif("GAN_JAX_SOAK" not in os.environ, reason="GAN_JAX_SOAK says for how many minutes")
def test_soak(tmp_path):
  tiny.two_folders(tmp_path / "data")
  arguments = [*CYCLEGAN, f"--config.data.name=folder:{tmp_path / 'data'}", "--config.train.rounds=2000"]
  arguments += ["--config.data.batch_size=8"]
  until, kills, rng = time.monotonic() + 60 * float(os.environ["GAN_JAX_SOAK"]), 0, random.Random(0)
  played(arguments, tmp_path / "whole", 3_600)
  for turn in range(10**6):
    folder = tmp_path / f"killed_{turn}"
    for _ in range(20):
      with started(arguments, folder) as process:
        time.sleep(rng.uniform(2.0, 30.0))
        kills += process.poll() is None
        process.kill()
    played(arguments, folder, 3_600)
    same(tmp_path / "whole", folder)
    print(f"{kills} kills, all resumed", flush=True)
    if time.monotonic() > until:
      break
