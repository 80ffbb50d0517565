"""The paper that CONTRIBUTING.md shows whole is a game: it trains from a folder outside of the repository."""

import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
  folder = tmp_path_factory.mktemp("elsewhere")
  game, config = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)
  (folder / "feature_matching.py").write_text(game)
  (folder / "digits.py").write_text(config)
  return folder


def command(module, *arguments):
  done = subprocess.run(
    [sys.executable, "-m", module, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=300
  )
  return done.returncode, done.stdout + done.stderr


SHORT = [
  f"--config.{field}=4" for field in ("train.rounds", "train.chunk", "log.every", "eval.every", "checkpoint.every")
]


def test_a_game_and_a_config_outside_of_the_repository_train(elsewhere, tmp_path):
  before = set(ROOT.rglob("*.py"))
  status, said = command(
    "experiments.run", f"--config={elsewhere / 'digits.py'}", f"--workdir={tmp_path / 'run'}", *SHORT
  )
  assert status == 0, said
  assert "game feature_matching:" in said and (tmp_path / "run" / "samples" / "0000004.png").exists()
  status, said = command("experiments.sample", f"--workdir={tmp_path / 'run'}", f"--out={tmp_path / 'grid.png'}")
  assert status == 0 and "round 4" in said, said
  assert set(ROOT.rglob("*.py")) == before


@pytest.mark.parametrize(
  ("line", "kind"),
  [
    ("real.mean(0) - fake.reshape(3)", "TypeError"),
    ("open('/nowhere/weights.npy')", "FileNotFoundError"),
    ("penalties.gradient_penalty(trunk, real, fake, key, where='interpolate')", "ConfigError"),
  ],
)
def test_a_mistake_in_a_loss_of_ones_own_keeps_its_traceback(elsewhere, tmp_path, line, kind):
  """From the command: the line of the loss, and who minimises it."""
  for file in elsewhere.iterdir():
    if file.is_file():
      text = file.read_text().replace("real.mean(0) - fake.mean(0)", line)
      (tmp_path / file.name).write_text(
        text.replace("import priors\n", "import priors\nfrom gan_jax.losses import penalties\n")
      )
  status, said = command(
    "experiments.run", f"--config={tmp_path / 'digits.py'}", f"--workdir={tmp_path / 'run'}", *SHORT
  )
  assert status != 0 and "Traceback" in said and kind in said
  assert line in said and "in generator_loss" in said and "This was in the loss of player 'generator'" in said
  assert not (tmp_path / "run").exists()


def test_a_mistake_in_a_setting_of_ones_own_ends_in_one_message(elsewhere, tmp_path):
  config = f"--config={elsewhere / 'digits.py'}"
  status, said = command("experiments.run", config, f"--workdir={tmp_path / 'run'}", "--config.game.latent_dm=3")
  assert status == 1 and "Traceback" not in said and "Did you mean 'latent_dim'" in said


def test_arrays_of_ones_own_as_the_readme_has_them():
  readme = (ROOT / "README.md").read_text()
  (block,) = re.findall(r"```python\n(import jax\nfrom gan_jax.data.dataset.*?)```", readme, re.S)
  images = np.arange(100 * 12, dtype=np.uint8).reshape(100, 2, 2, 3)
  given = {"images": images, "held_out": images[:10], "labels": np.arange(100, dtype=np.int32) % 10, "jax": jax}
  exec(block, given)
  batch = given["batch"]
  assert batch["x"].shape == (64, 2, 2, 3) and batch["x"].dtype == np.float32 and batch["label"].dtype == np.int32
  assert -1.0 <= batch["x"].min() < batch["x"].max() <= 1.0
