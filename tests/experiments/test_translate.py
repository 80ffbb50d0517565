"""`experiments.translate` and the mistakes around it, on a CycleGAN of a few rounds."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from experiments.lab import configs, loop, names
from experiments.lab.trained import load
from gan_jax import train
from gan_jax.errors import ConfigError

pytestmark = pytest.mark.xdist_group("trained")  # which share what a fixture has trained
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """A run on two folders of six coloured 8x8 images."""
  root = tmp_path_factory.mktemp("translate")
  random = np.random.default_rng(0)
  for part in ("trainA", "trainB", "testA", "testB"):
    (root / "data" / part).mkdir(parents=True)
    for i in range(6):
      Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(root / "data" / part / f"{i}.png")
  config = configs.load("cyclegan:folder", {"data.name": f"folder:{root / 'data'}", "data.resolution": 8})
  config.data.update({"resize": 9, "batch_size": 2})
  for net in config.nets.values():
    net.update({"width": 4} | ({"blocks": 1} if "blocks" in net else {"layers": 1}))
  config.train.update({"rounds": 4, "chunk": 4})
  config.eval.evaluators = ("translation", "steganography")
  config.log.every = config.eval.every = config.checkpoint.every = 4
  loop.run(config, root / "run", "run")
  return root


def translate(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "experiments.translate", *map(str, arguments)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=300,
  )


def test_files_are_translated_as_the_averaged_generators_do(trained, tmp_path):
  source = trained / "data" / "testB" / "3.png"
  done = translate(f"--workdir={trained / 'run'}", "--source=y", "--target=x", f"--out={tmp_path / 'out'}", source)
  assert done.returncode == 0, done.stderr
  assert "1 translations y to x, by the run's round 4" in done.stdout
  experiment, state = load(trained / "run")
  x = (np.asarray(Image.open(source), np.float32)[None] - 127.5) / 127.5
  expected = experiment.game.translate(*train.averaged(state), jax.random.key(0), x, "y", "x")[0]
  given = (np.asarray(Image.open(tmp_path / "out" / "3.png"), np.float32) - 127.5) / 127.5
  np.testing.assert_allclose(given, expected, atol=0.51 / 127.5 + 1e-6)
  other = experiment.game.translate(*train.averaged(state), jax.random.key(0), x, "x", "y")[0]
  assert np.abs(given - other).max() > 0.02  # the other generator would have given something else


def test_a_damaged_environment_is_named(trained):
  environment = trained / "run" / "environment.json"
  kept = environment.read_text()
  try:
    environment.write_text(kept[:20])
    with pytest.raises(ConfigError, match=r"environment.json is damaged"):
      load(trained / "run")
  finally:
    environment.write_text(kept)


def test_pictures_of_both_directions_are_left(trained):
  shown = sorted(p.name for p in (trained / "run" / "samples").glob("0*.png"))
  kinds = ("hidden_x_in_y", "hidden_y_in_x", "x_to_y", "y_to_x")
  assert shown == [f"0000004_{kind}.png" for kind in kinds]
  page = (trained / "run" / "report.html").read_text()
  assert all(f'alt="{kind} after round 4"' in page for kind in ("X to y", "Y to x", "Hidden x in y", "Hidden y in x"))
  measures = json.loads((trained / "run" / "evaluation.json").read_text())["measures"]
  for there, hidden in (("x", "hidden_x_in_y"), ("y", "hidden_y_in_x")):  # of the same images, all that are held out
    np.testing.assert_allclose(measures[f"{hidden}/l1_noise_0"], measures[f"cycle_l1_{there}"], rtol=1e-4)
    assert measures[hidden] is not None


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--workdir={run}"], "which images"),
    (["--workdir={run}", "nothing.png"], "there is no file nothing.png"),
    (["--workdir={run}", "--checkpoint=7", "{image}"], "has no checkpoint 7; it has 4"),
    (["--workdir={run}", "{image}", "{twin}"], "would both become"),
    (["--workdir={run}", "{text}"], "cannot be read as an image"),
    (["--workdir={run}", "--out={folder}", "{image}"], "would overwrite"),
    (["--workdir={run}", "--out={text}", "{image}"], "cannot be made"),
    (["--workdir={run}", "{folder}"], "is a folder; give its images"),
    (["{image}"], "which run"),
    (["--workdir={run}", "--source=x", "--target=z", "{image}"], "this game translates x to y, y to x"),
    (["--workdir={run}", "--target=x", "{image}"], "--source=x --target=x: this game translates"),
  ],
)
def test_mistakes_are_told(trained, tmp_path, arguments, message):
  text = tmp_path / "text.png"
  text.write_text("no image")
  image = trained / "data" / "testA" / "1.png"
  names = {
    "run": trained / "run",
    "image": image,
    "twin": trained / "data" / "testB" / "1.png",
    "text": text,
    "folder": image.parent,
  }
  before = image.read_bytes()
  done = translate(f"--out={tmp_path / 'out'}", *(argument.format(**names) for argument in arguments))
  assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
  assert image.read_bytes() == before and not (tmp_path / "out").exists()


def test_files_of_others_are_left_and_its_own_replaced(trained, tmp_path):
  image, out = trained / "data" / "testA" / "1.png", tmp_path / "out"
  out.mkdir()
  (out / "1.png").write_text("someone's notes")
  arguments = f"--workdir={trained / 'run'}", f"--out={out}", str(image)
  done = translate(*arguments)
  assert done.returncode == 1 and f"{out / '1.png'} is a file that no command here has written" in done.stderr
  assert (out / "1.png").read_text() == "someone's notes"
  for more in (["--overwrite"], []):  # and then it is its own
    done = translate(*arguments, *more)
    assert done.returncode == 0, done.stderr
  (tmp_path / "kept.png").write_bytes((out / "1.png").read_bytes())
  (out / "1.png").unlink()
  (out / "1.png").symlink_to(tmp_path / "kept.png")
  kept = (tmp_path / "kept.png").stat().st_mtime_ns
  assert "1.png is a link" in translate(*arguments).stderr
  assert translate(*arguments, "--overwrite").returncode == 0
  assert not (out / "1.png").is_symlink() and (tmp_path / "kept.png").stat().st_mtime_ns == kept


def among_three(*arguments):
  """The command on a run whose game gives one grey for each direction among three domains, and none for c to b."""
  code = """
import types
from experiments import translate
from gan_jax.data.dataset import Dataset
from gan_jax.game import Game
from gan_jax.games._abilities import translations

greys = {("a", "b"): 0.1, ("b", "a"): 0.2, ("a", "c"): 0.3, ("c", "a"): -0.4, ("b", "c"): 0.5}
ways = {direction: lambda params, stats, key, x, grey=grey: grey + 0.0 * x for direction, grey in greys.items()}
dataset = Dataset("toy", (4, 4, 1), 0, None, None, {}, domains=("a", "b", "c"))
experiment = types.SimpleNamespace(game=Game({}, {}, (), **translations(ways)), dataset=dataset)
state = types.SimpleNamespace(params={}, stats={}, ema={}, step=7)
translate.load = lambda workdir, checkpoint: (experiment, state)
translate.cli.start(translate.main, takes_arguments=True)
"""
  command = [sys.executable, "-c", code, "--workdir=run", *map(str, arguments)]
  return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_one_of_many_directions(tmp_path):
  image, out = tmp_path / "image.png", tmp_path / "out"
  Image.fromarray(np.zeros((4, 4), np.uint8)).save(image)
  done = among_three("--source=c", "--target=a", f"--out={out}", image)
  assert done.returncode == 0, done.stderr
  assert "1 translations c to a, by the run's round 7" in done.stdout
  np.testing.assert_array_equal(np.asarray(Image.open(out / "image.png")), np.round((-0.4 + 1.0) * 127.5))
  done = among_three("--source=c", "--target=b", f"--out={out}", image)
  message = "--source=c --target=b: this game translates a to b, b to a, a to c, c to a, b to c"
  assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_sample_points_to_translate(trained):
  done = subprocess.run(
    [sys.executable, "-m", "experiments.sample", f"--workdir={trained / 'run'}"],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 1 and "experiments.translate" in done.stderr


def test_the_papers_settings_are_those_of_a_folder_but_for_its_numbers():
  """Zhu et al. 2017, sections 4 and 7: 200 epochs of 1,334 images, half of them at the full rate."""
  folder, paper = (configs.flatten(configs.load(f"cyclegan:{variant}")) for variant in ("folder", "paper"))
  expected = {"data.batch_size": 1, "data.resolution": 256, "data.resize": 286, "train.rounds": 266_800}
  expected |= {"eval.every": 5_000, "checkpoint.every": 5_000}
  for net in ("x_to_y", "y_to_x"):
    expected |= {f"nets.{net}.width": 64, f"nets.{net}.blocks": 9}
  for net in ("discriminator_x", "discriminator_y"):
    expected |= {f"nets.{net}.width": 64, f"nets.{net}.layers": 3}
  for player in ("generators", "discriminators"):
    expected |= {f"optimizer.{player}.learning_rate": 2e-4, f"optimizer.{player}.schedule.rounds": 266_800}
  assert paper.keys() == folder.keys()
  assert {name: value for name, value in paper.items() if value != folder[name]} == expected
  game = {"cycle_weight": 10.0, "identity_weight": 0.5, "pool_size": 50}
  assert {name: paper[f"game.{name}"] for name in game} == game
  assert {paper[f"optimizer.{player}.b1"] for player in ("generators", "discriminators")} == {0.5}


def test_a_config_may_have_a_schedule_for_the_cycle_weight():
  weight = {"name": "optax.linear_schedule", "init_value": 1.0, "end_value": 10.0, "transition_steps": 4}
  config = configs.load("cyclegan", {"game.cycle_weight": weight})
  made = names.resolve_settings({"cycle_weight": config.game.cycle_weight}, "game")["cycle_weight"]
  assert [float(made(step)) for step in (0, 2, 4, 9)] == [1.0, 5.5, 10.0, 10.0]


def test_one_domain_is_refused():
  config = configs.load("cyclegan", {"data.name": "digits", "data.resolution": 8})
  with pytest.raises(ConfigError, match="translates between two domains, and the data has x"):
    loop.run(config, Path("never"), "never")
