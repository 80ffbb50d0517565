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
DCGAN = ["--config=dcgan", "--config.data.name=digits", "--config.data.resolution=8", "--config.data.batch_size=8"]
DCGAN += [f"--config.nets.{net}.width=4" for net in ("generator", "discriminator")]
DCGAN += ["--config.train.rounds=60", "--config.eval.evaluators=('samples','latents')"]
# The command, which kills itself: when it has written half of a picture of round 20, begun to save round 40, played
# the rounds to 30 but written nothing of them, judged round 40, or is about to write the page of round 40.
DYING = """
import os, runpy, signal, sys
from pathlib import Path
from experiments.lab import loop, observer
from gan_jax import checkpoint, page
moment, seen = sys.argv.pop(1), []
def dying(function, name, holds, before=True):
  def wrapped(*arguments):
    due = moment == name and holds(*arguments)
    if due and before:
      os.kill(os.getpid(), signal.SIGKILL)
    result = function(*arguments)
    if due:
      os.kill(os.getpid(), signal.SIGKILL)
    return result
  return wrapped
write = Path.write_bytes
def write_bytes(path, content):
  if moment == "picture" and path.name.startswith("0000020") and path.suffix == ".partial":
    write(path, content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
  return write(path, content)
Path.write_bytes = write_bytes
checkpoint.save = dying(checkpoint.save, "save", lambda _, state: int(state.step) == 40, before=False)
loop._first_not_finite = dying(loop._first_not_finite, "chunk", lambda _, step: step == 20)
judged = lambda _, rows, seen: rows[-1]["step"] == 40
observer.Observer.write = dying(observer.Observer.write, "evaluation", judged, before=False)
page.save = dying(page.save, "page", lambda folder, _: any(folder.glob("samples/0000040*.png")))
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


def streamed(folder: Path) -> list[str]:
  """CycleGAN with pools, on images that are read as they are needed."""
  tiny.two_folders(folder)
  data = [f"--config.data.name=folder:{folder}", "--config.data.memory=0.0", "--config.data.resize=10"]
  return [*CYCLEGAN, *data, "--config.data.batch_size=8", "--config.train.rounds=60"]


@pytest.mark.parametrize(
  ("of", "moments"),
  [
    (lambda folder: RING, ("picture", "save")),  # in its second stage
    (lambda folder: DCGAN, ("evaluation", "page")),
    (streamed, ("picture", "chunk")),
  ],
  ids=["stages", "dcgan", "streamed"],
)
def test_a_run_that_is_killed_at_every_turn(of, moments, tmp_path):
  arguments = of(tmp_path / "data")
  played(arguments, tmp_path / "whole")
  for moment in moments:
    process = started(arguments, tmp_path / "killed", moment)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL, said[-2000:]
  assert not (tmp_path / "killed" / "checkpoints" / "60").exists()
  played(arguments, tmp_path / "killed")
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
