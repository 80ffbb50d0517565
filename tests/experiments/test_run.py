"""The commands as a person uses them: what a run leaves, how it resumes, and what each mistake is answered with."""

import gzip
import importlib.metadata
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tiny import timeless

from experiments.lab import configs, loop, workdir
from experiments.lab.build import build
from experiments.lab.observer import Observer
from gan_jax import checkpoint, page, report
from gan_jax.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent


def tiny(**changes):
  config = configs.load("fgan_kl", {"data.name": "digits"})
  config.data.batch_size = 8
  config.nets.generator.hidden = config.nets.discriminator.hidden = (16,)
  config.train.update({"rounds": 40, "chunk": 10})
  config.log.every, config.eval.every, config.checkpoint.every, config.eval.samples.n = 5, 20, 20, 9
  config.eval.evaluators = ("samples",)
  for field, value in changes.items():
    section, _, name = field.partition("_")
    config[section][name] = value
  return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("runs") / "whole"
  return workdir, loop.run(tiny(), workdir, "whole")


def test_a_run_leaves_what_it_promises(finished):
  workdir, state = finished
  rows = report.read_metrics(workdir / "metrics.jsonl")
  assert [row["step"] for row in rows] == list(range(5, 41, 5))
  assert {"discriminator/loss", "generator/loss", "discriminator/real", "discriminator/fake"} <= set(rows[0])
  assert sorted(p.name for p in (workdir / "samples").iterdir()) == ["0000020.png", "0000040.png", "real.png"]
  config = json.loads((workdir / "config.json").read_text())
  assert config["game"]["divergence"] == {"name": "divergences.kl"} and config["train"]["rounds"] == 40
  environment = json.loads((workdir / "environment.json").read_text())
  assert environment["packages"]["jax"] and environment["devices"]
  assert 'alt="Samples after round 40"' in (workdir / "report.html").read_text()
  assert int(state.step) == 40
  assert sorted(p.name for p in (workdir / "checkpoints").iterdir() if p.name.isdigit()) == ["20", "40"]


def pixels(path: Path) -> np.ndarray:
  with Image.open(path) as image:
    return np.asarray(image)


def same_metrics(first: Path, second: Path) -> bool:
  one, other = (timeless(report.read_metrics(workdir / "metrics.jsonl")) for workdir in (first, second))
  return one == other


def test_resumed_equals_uninterrupted(finished, tmp_path):
  """Bit for bit, in parameters, metrics and pictures; also when later lines and pictures had already been written."""
  whole, state = finished
  workdir = tmp_path / "resumed"
  loop.run(tiny(train_rounds=20), workdir, "whole")
  with (workdir / "metrics.jsonl").open("a") as file:
    file.write('{"step": 25, "generator/loss": 9.0}\n{"step": 30, "gener')
  resumed = loop.run(tiny(), workdir, "whole")
  for a, b in zip(leaves(resumed), leaves(state), strict=True):
    np.testing.assert_array_equal(a, b)
  assert same_metrics(whole, workdir)
  picture = "samples/0000040.png"
  assert (whole / picture).read_bytes() == (workdir / picture).read_bytes()


def leaves(state):
  import jax

  return [np.asarray(leaf) for leaf in jax.tree.leaves(state.replace(key=0))]


def written(folder):
  return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != workdir.LOCK}


def test_a_finished_run_is_left_as_it_is(finished, capsys):
  workdir, _ = finished
  before = written(workdir)
  config = tiny(log_every=10)
  config.compilation_cache = False
  state = loop.run(config, workdir, "whole")
  assert int(state.step) == 40
  assert "finished, all 40 rounds have been played" in capsys.readouterr().out
  assert written(workdir) == before


class Killed(BaseException):
  """As by a signal that nothing can catch."""


@pytest.mark.parametrize(
  "moment", ["in the first picture", "between the pictures", "before the checkpoint", "in the page"]
)
def test_what_a_kill_at_an_evaluation_interrupts_is_made_good(finished, moment, tmp_path, monkeypatch):
  """Every file of the run that was never interrupted is there in the end, with its bytes."""
  whole, state = finished
  owner, name, calls = {
    "in the first picture": (report, "write_bytes", 0),
    "between the pictures": (report, "save_samples", 1),
    "before the checkpoint": (checkpoint, "save", 0),
    "in the page": (page, "save", 0),
  }[moment]
  function, left = getattr(owner, name), [calls]

  def killed(*arguments, **settings):
    if owner is report and name == "write_bytes" and arguments[0].suffix != ".png":
      return function(*arguments, **settings)
    if not left[0]:
      raise Killed
    left[0] -= 1
    return function(*arguments, **settings)

  monkeypatch.setattr(owner, name, killed)
  with pytest.raises(Killed):
    loop.run(tiny(), tmp_path, "whole")
  monkeypatch.undo()
  resumed = loop.run(tiny(), tmp_path, "whole")
  for a, b in zip(leaves(resumed), leaves(state), strict=True):
    np.testing.assert_array_equal(a, b)
  assert same_metrics(whole, tmp_path) and pictures(tmp_path) == pictures(whole)


def pictures(folder):
  return {path.name: path.read_bytes() for path in (folder / "samples").iterdir()}


def test_a_finished_run_gets_lost_pictures_and_no_more_checkpoints_than_it_keeps(finished, tmp_path):
  whole, _ = finished
  shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
  (tmp_path / "samples" / "0000040.png").unlink()
  shutil.copytree(tmp_path / "checkpoints" / "20", tmp_path / "checkpoints" / "10")
  loop.run(tiny(), tmp_path, "whole")
  assert pictures(tmp_path) == pictures(whole)
  assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit()) == ["20", "40"]


def test_lines_of_the_metrics_that_are_lost_are_mentioned(finished, tmp_path, capsys):
  """Whole, they are not; a run of 40 rounds has a line each 5."""
  whole, _ = finished
  shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
  loop.run(tiny(), tmp_path, "whole")
  assert "has no lines" not in capsys.readouterr().out
  path = tmp_path / "metrics.jsonl"
  lines = path.read_text().splitlines(keepends=True)
  for left, lost in (
    (lines[:-3], "26 to 40"),
    (lines[1:], "1 to 5"),
    (lines[:2] + lines[4:], "11 to 20"),
    (lines[:3] + lines[4:-1], "16 to 20 and 36 to 40"),
    ([], "1 to 40"),
  ):
    path.write_text("".join(left))
    loop.run(tiny(), tmp_path, "whole")
    assert f"metrics.jsonl has no lines of rounds {lost}, already played" in capsys.readouterr().out
  path.write_text("".join(lines[1::2]))  # as it is where log.every was 10
  loop.run(tiny(), tmp_path, "whole")
  assert "has no lines" not in capsys.readouterr().out


def emptied(folder):
  for path in folder.iterdir():
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cut(folder):
  for path in folder.rglob("*"):
    if path.is_file() and path.stat().st_size > 100:
      path.write_bytes(path.read_bytes()[:50])


def without_metadata(folder):
  for path in folder.rglob("_METADATA"):
    path.unlink()


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("damage", [emptied, cut, without_metadata])
def test_a_run_goes_on_from_before_a_damaged_checkpoint(finished, damage, tmp_path, capsys):
  whole, state = finished
  shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
  damage(tmp_path / "checkpoints" / "40")
  resumed = loop.run(tiny(), tmp_path, "whole")
  said = capsys.readouterr().out
  assert f"the checkpoint {tmp_path / 'checkpoints' / '40'} cannot be read" in said
  assert f"it is kept as {tmp_path / 'checkpoints' / 'damaged_40'}, and the run goes on from round 20" in said
  for a, b in zip(leaves(resumed), leaves(state), strict=True):
    np.testing.assert_array_equal(a, b)
  assert same_metrics(whole, tmp_path) and pictures(tmp_path) == pictures(whole)
  assert (tmp_path / "checkpoints" / "40" / "_CHECKPOINT_METADATA").exists()


@pytest.mark.usefixtures("unread")
def test_where_no_checkpoint_can_be_read_nothing_is_begun_anew(finished, tmp_path):
  whole, _ = finished
  shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
  for step in ("20", "40"):
    cut(tmp_path / "checkpoints" / step)
  before = written(tmp_path)
  with pytest.raises(ConfigError, match="40 cannot be read .*, and there is no other; remove .*checkpoints to begin"):
    loop.run(tiny(), tmp_path, "whole")
  assert written(tmp_path) == before


def test_a_copy_of_a_run_goes_on_from_its_checkpoint(finished, tmp_path):
  """As the run itself with its own settings; with others it is another run, in whose curves the first half is there."""
  whole, state = finished
  copy = loop.run(tiny(), tmp_path / "copy", "whole", f"{whole}@20")
  for a, b in zip(leaves(copy), leaves(state), strict=True):
    np.testing.assert_array_equal(a, b)
  assert same_metrics(whole, tmp_path / "copy")
  assert json.loads((tmp_path / "copy" / "environment.json").read_text())["from"] == f"{whole}@20"
  slower = tiny(train_rounds=60)
  slower.optimizer.generator.learning_rate /= 10.0
  other = loop.run(slower, tmp_path / "slower", "whole", str(whole))
  rows, before = (report.read_metrics(folder / "metrics.jsonl") for folder in (tmp_path / "slower", whole))
  assert rows[: len(before)] == before and rows[-1]["step"] == int(other.step) == 60
  again = loop.run(slower, tmp_path / "slower", "whole", str(tmp_path / "gone"))  # it has a state of its own by now
  assert int(again.step) == 60


@pytest.mark.parametrize(
  ("source", "changes", "message"),
  [
    ("{whole}@30", {}, r"--from is .*@30; there is no such checkpoint in .*: it has 20, 40"),
    ("{whole}/nothing", {}, "there is no such checkpoint in .*nothing: it has none"),
    ("{whole}", {"train_rounds": 20}, "train.rounds is 20; ask for more than 40"),
    ("{whole}", {}, "train.rounds is 40; ask for more than 40"),
    (
      "{whole}@20",
      {"nets_generator": {"name": "mlp.generator", "hidden": (7,)}},
      "20 is another game's: (ema|params)/generator",
    ),
  ],
)
def test_a_copy_of_what_is_not_there_is_refused(finished, source, changes, message, tmp_path):
  with pytest.raises(ConfigError, match=message):
    loop.run(tiny(**changes), tmp_path / "copy", "whole", source.format(whole=finished[0]))
  assert not (tmp_path / "copy" / "config.json").exists()


def test_a_damaged_evaluation_does_not_stop_a_run_that_goes_on(finished, tmp_path):
  loop.run(tiny(train_rounds=20), tmp_path, "whole")
  (tmp_path / "evaluation.json").write_text("{bad")
  loop.run(tiny(), tmp_path, "whole")
  assert json.loads((tmp_path / "evaluation.json").read_text())["round"] == 40
  assert pictures(tmp_path) == pictures(finished[0])


@pytest.mark.parametrize("lost", ["", "checkpoints"])
def test_a_folder_that_is_removed_in_mid_run(finished, lost, tmp_path, monkeypatch):
  """Without its workdir a run ends with a message; checkpoints are made again."""
  workdir, draw = tmp_path / "run", Observer.draw

  def removed(observer, seen):
    draw(observer, seen)
    if int(seen.step) == 20:
      shutil.rmtree(workdir / lost)

  monkeypatch.setattr(Observer, "draw", removed)
  if not lost:
    with pytest.raises(ConfigError, match="was removed while the run was playing"):
      loop.run(tiny(), workdir, "whole")
    return
  state = loop.run(tiny(), workdir, "whole")
  for a, b in zip(leaves(state), leaves(finished[1]), strict=True):
    np.testing.assert_array_equal(a, b)
  assert (workdir / "checkpoints" / "40").exists()


@pytest.fixture
def small_disk(tmp_path):
  """A disk of 20 MiB, which holds one checkpoint of `tiny` with 600 and 600 hidden units, and no second one."""
  place = tmp_path / "disk"
  place.mkdir()
  if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", place], capture_output=True).returncode:
    pytest.skip("a small disk cannot be mounted here")
  yield place
  subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.usefixtures("unread")
def test_a_disk_that_fills_up(small_disk):
  """The run ends with one message, its first checkpoint is whole, and with room the same command ends it."""
  config = tiny()
  config.nets.generator.hidden = config.nets.discriminator.hidden = (600, 600)
  with pytest.raises(ConfigError, match=f"the disk that {small_disk / 'run'} is on is full"):
    loop.run(config, small_disk / "run", "run")
  subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
  assert int(loop.run(config, small_disk / "run", "run").step) == 40
  assert [row["step"] for row in report.read_metrics(small_disk / "run" / "metrics.jsonl")] == list(range(5, 41, 5))


def test_fewer_rounds_than_played_are_refused(finished):
  workdir, _ = finished
  before = written(workdir)
  with pytest.raises(ValueError, match=r"train.rounds is 20, but the run in .* has played 40 rounds already"):
    loop.run(tiny(train_rounds=20), workdir, "whole")
  assert written(workdir) == before


def test_checkpoints_without_a_config_are_refused(tmp_path):
  (tmp_path / "checkpoints" / "20").mkdir(parents=True)
  with pytest.raises(ValueError, match=r"has checkpoints but no config.json"):
    loop.run(tiny(), tmp_path, "lost")
  assert {p.name for p in tmp_path.rglob("*")} == {"checkpoints", "20"}


@pytest.mark.parametrize("text", ["", "[1]", "{bad"])
def test_a_damaged_config_is_told(text, tmp_path):
  (tmp_path / "config.json").write_text(text)
  with pytest.raises(ValueError, match=r"config.json is damaged"):
    loop.run(tiny(), tmp_path, "damaged")
  assert (tmp_path / "config.json").read_text() == text and len(list(tmp_path.iterdir())) == 1


def test_metrics_that_need_no_cut_are_not_rewritten(tmp_path):
  loop.run(tiny(train_rounds=20), tmp_path, "run")
  file = (tmp_path / "metrics.jsonl").stat().st_ino
  loop.run(tiny(), tmp_path, "run")
  assert (tmp_path / "metrics.jsonl").stat().st_ino == file


def test_a_damaged_line_of_metrics_is_told_before_anything_is_written(tmp_path):
  loop.run(tiny(train_rounds=20), tmp_path, "run")
  (tmp_path / "metrics.jsonl").write_text('{"step": 5}\n{"st\n{"step": 15}\n')
  before = written(tmp_path)
  with pytest.raises(ValueError, match=r"metrics.jsonl, line 2 is damaged"):
    loop.run(tiny(), tmp_path, "run")
  assert written(tmp_path) == before


def test_another_chunk_is_the_same_run(finished, tmp_path):
  whole, state = finished
  loop.run(tiny(train_rounds=20), tmp_path, "chunks")
  resumed = loop.run(tiny(train_chunk=20), tmp_path, "chunks")
  for a, b in zip(leaves(resumed), leaves(state), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
  assert [row["step"] for row in report.read_metrics(tmp_path / "metrics.jsonl")] == list(range(5, 41, 5))


@pytest.mark.parametrize("field", ["logits", "evaluator.every", "train.rounds_off", "train.ema_decay"])
def test_only_the_length_may_change(field, tmp_path):
  """A setting whose name only begins like one that may change is compared."""
  config = configs.plain(tiny())
  owner, _, name = field.rpartition(".")
  (config.setdefault(owner, {}) if owner else config)[name] = 7
  (tmp_path / "config.json").write_text(json.dumps(config))
  with pytest.raises(ValueError, match=f"another config: {field} is 7 there"):
    workdir.check(tmp_path, configs.plain(tiny()), workdir.LENGTH, 40)


def test_a_bare_checkout_has_an_environment_too(monkeypatch):
  def version(package):
    if package == "gan_jax":
      raise importlib.metadata.PackageNotFoundError(package)
    return "1.0"

  monkeypatch.setattr(importlib.metadata, "version", version)
  packages = workdir.environment()["packages"]
  assert packages["gan_jax"] == "not installed" and packages["jax"] == "1.0"


def test_nested_settings_are_described_in_a_line(tmp_path, capsys):
  config = configs.load("grid25")
  stage_run = SimpleNamespace(
    stage=configs.stages(config)[0], experiment=build(config), fresh=SimpleNamespace(params={})
  )
  loop._describe(stage_run, tmp_path, "grid25", 10, None, "")
  lines = capsys.readouterr().out.splitlines()
  settings = {field: value for field, value in configs.flatten(config.game).items() if field != "name"}
  assert any("." in field for field in settings)
  for field, value in settings.items():
    assert any(f"{field} {value}" in line for line in lines)
  assert len(lines) <= 8 and max(map(len, lines[:-1])) <= 100


def test_another_config_is_refused_and_touches_nothing(finished):
  workdir, _ = finished
  before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
  with pytest.raises(ValueError, match=r"holds a run with another config: game.divergence.name is 'divergences.kl'"):
    loop.run(tiny(game_divergence={"name": "divergences.pearson"}), workdir, "whole")
  assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*")} == before


def test_rounds_beyond_the_last_chunk(tmp_path):
  """A number of rounds that chunks do not divide is played to the end; asked for more, the run falls into step
  again."""
  steps = lambda: [row["step"] for row in report.read_metrics(tmp_path / "odd" / "metrics.jsonl")]
  assert int(loop.run(tiny(train_rounds=23), tmp_path / "odd", "odd").step) == 23
  assert steps() == [5, 10, 15, 20, 23]
  assert int(loop.run(tiny(), tmp_path / "odd", "odd").step) == 40
  assert steps() == [5, 10, 15, 20, 23, 25, 30, 35, 40]


def test_rows_are_means():
  rows = loop._rows({"a": np.arange(7.0)}, step=3, every=5)  # the rounds 4 to 10
  assert rows == [{"step": 5, "a": 0.5}, {"step": 10, "a": 4.0}]


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"log_every": 3}, "train.chunk is 10, which is not a multiple of log.every = 3"),
    ({"eval_every": 15}, "eval.every is 15, which is not a multiple of train.chunk = 10"),
    ({"checkpoint_every": 5}, "checkpoint.every is 5, which is not a multiple of train.chunk = 10"),
    ({"train_rounds": 0}, "train.rounds is 0; it has to be at least 1"),
  ],
)
def test_schedules_that_do_not_fit(changes, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    loop.run(tiny(**changes), tmp_path / "none", "none")
  assert not (tmp_path / "none").exists()


def test_a_loss_that_runs_away_is_told(tmp_path):
  config = tiny()
  config.optimizer.discriminator = {"name": "optax.sgd", "learning_rate": 1e30}
  with pytest.raises(
    FloatingPointError,
    match=r"^generator/gradient, generator/loss stopped being finite in round 1; there is no checkpoint",
  ):
    loop.run(config, tmp_path / "away", "away")
  row, *_ = report.read_metrics(tmp_path / "away" / "metrics.jsonl")
  assert row["step"] == 5 and row["generator/loss"] is None
  assert "divergence" in (tmp_path / "away" / "report.html").read_text()


def test_the_first_that_is_not_finite_is_named():
  nan, inf = np.nan, np.inf
  metrics = {"g/loss": np.array([1.0, 2.0, nan, nan]), "d/loss": np.array([0.0, 1.0, -inf, 1.0]), "d/x": np.ones(4)}
  assert loop._first_not_finite(metrics | {"late": np.array([0.0, 0.0, 0.0, nan])}, 30) == (
    "g/loss, d/loss stopped being finite in round 33"
  )
  assert loop._first_not_finite({"d/x": np.ones(4)}, 30) == ""


def test_a_run_that_went_astray_says_how_to_go_on(tmp_path):
  """What it says is done: a copy from the last checkpoint, with the rate that was too high lowered."""
  config = tiny(train_rounds=20)
  config.optimizer.discriminator = {"name": "optax.sgd", "learning_rate": 1e-3}
  loop.run(config, tmp_path / "run", "run")
  away = config.copy_and_resolve_references()
  away.train.rounds, away.optimizer.discriminator.learning_rate = 40, 1e30
  with pytest.raises(FloatingPointError, match="in round 21; the same command repeats it") as error:
    loop.run(away, tmp_path / "away", "run", f"{tmp_path / 'run'}@20")
  (source,) = re.findall(r"--from=(\S+) with a --workdir of its own", str(error.value))
  assert source == f"{tmp_path / 'away'}@20"
  config.train.rounds = 40
  assert int(loop.run(config, tmp_path / "again", "run", source).step) == 40


def call(*arguments: str, module: str = "experiments.run", **kwargs) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, **kwargs
  )


def idx_folder(path: Path, cut: int) -> str:
  """A folder of MNIST-format files of ten 8x8 images, the training images truncated by `cut` bytes."""
  path.mkdir()
  for split in ("train", "t10k"):
    images = struct.pack(">IIII", 2051, 10, 8, 8) + bytes(640)
    short = images[: len(images) - cut] if split == "train" else images
    (path / f"{split}-images-idx3-ubyte").write_bytes(short)
    with gzip.open(path / f"{split}-labels-idx1-ubyte.gz", "wb") as file:
      file.write(struct.pack(">II", 2049, 10) + bytes(10))
  return f"idx:{path}"


FGAN = "--config=fgan_kl"
MISTAKES = {
  "misspelt setting": (
    [FGAN, "--config.train.ruonds=5"],
    ["train has no setting 'ruonds'", "Did you mean 'rounds'?"],
  ),
  "misspelt value": ([FGAN, "--config.train.rounds=many"], ["train.rounds is given as 'many'", "int"]),
  "misspelt flag": ([FGAN, "--workdri=x"], ["'workdri'", "Did you mean: workdir"]),
  "no such experiment": (
    ["--config=experiments/fgan_kll.py"],
    ["experiments/fgan_kll.py", "Did you mean 'fgan_kl.py'"],
  ),
  "no such variant": (["--config=experiments/vanilla.py:wgan"], ["no variant 'wgan'", "minimax, nonsaturating"]),
  "no such experiment by name": (["--config=fgan_kll"], ["no experiment 'fgan_kll'", "Did you mean 'fgan_kl'"]),
  "no such divergence": (["--config=fgan:hellinger"], ["'hellinger'", "'squared_hellinger'"]),
  "no such data": ([FGAN, "--config.data.name=mnist5"], ["'mnist5'", "Did you mean 'mnist5k'"]),
  "no such net": ([FGAN, "--config.nets.generator.name=mpl.generator"], ["Did you mean 'mlp.generator'"]),
  "batch too large": ([FGAN, "--config.data.batch_size=9999"], ["9999", "4000", "at most"]),
  "TFDS not prepared": ([FGAN, "--config.data.name=tfds:mnist"], ["mnist", "[prepare]", "download_and_prepare()"]),
  "IDX folder missing": ([FGAN, "--config.data.name=idx:/nowhere/at/all"], ["/nowhere/at/all"]),
  "seed too large": ([FGAN, "--config.seed=9223372036854775808"], ["seed is 9223372036854775808", "2^32 - 1"]),
  "seed below 0": ([FGAN, "--config.seed=-1"], ["seed is -1", "from 0"]),
  "images of terabytes": (
    [FGAN, "--config.data.resolution=100000"],
    ["resolution is 100000: 5,000 images then take", "GiB"],
  ),
  "latents of terabytes": ([FGAN, "--config.game.latent_dim=1000000000"], ["takes", "GiB of memory"]),
  "not a Boolean": ([FGAN, "--config.eval.highest=maybe"], ["eval.highest is given as 'maybe'", "False"]),
  "a section for a value": ([FGAN, "--config.eval.samples=1000"], ["eval.samples is a section", "eval.samples.n"]),
  "folder of nothing": (["--config=dcgan", "--config.data.name=folder:"], ["'folder:'", "folder:PLACE"]),
}


# Each command in a fork of a process that has imported what takes seconds to import, its messages in a file.
FORKS = """
import json, os, runpy, sys
import experiments.lab.cli, experiments.lab.loop
for file, arguments in json.loads(sys.argv[1]).items():
  if (child := os.fork()) == 0:
    os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), 2)
    sys.argv = ["experiments.run", *arguments]
    runpy.run_module("experiments.run", run_name="__main__")
    sys.exit(0)
  print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory):
  """Of every mistake: how the command ended, and where its run would be."""
  place = tmp_path_factory.mktemp("mistakes")
  folders = {mistake: place / mistake.replace(" ", "_") for mistake in MISTAKES}
  commands = {
    f"{folder}.txt": [*MISTAKES[mistake][0], *([] if mistake == "misspelt flag" else [f"--workdir={folder}"])]
    for mistake, folder in folders.items()
  }
  environment = os.environ | {"TFDS_DATA_DIR": str(place / "tfds")}
  arguments = [sys.executable, "-c", FORKS, json.dumps(commands)]
  codes = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300).stdout
  return {
    mistake: (subprocess.CompletedProcess(commands, int(code), "", Path(f"{folder}.txt").read_text()), folder)
    for code, (mistake, folder) in zip(codes.split(), folders.items(), strict=True)
  }


@pytest.mark.xdist_group("mistakes")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_in_one_message(mistake, mistaken):
  done, folder = mistaken[mistake]
  one_message(done, *MISTAKES[mistake][1])
  assert not folder.exists()


def test_a_truncated_idx_folder_is_told(tmp_path):
  done = call(FGAN, f"--config.data.name={idx_folder(tmp_path / 'idx', cut=100)}", f"--workdir={tmp_path / 'run'}")
  assert done.returncode == 1 and "Traceback" not in done.stderr
  assert "train-images-idx3-ubyte" in done.stderr and "656" in done.stderr and "556" in done.stderr


def test_an_idx_folder_that_lacks_a_file_is_told(tmp_path):
  data = idx_folder(tmp_path / "idx", cut=0)
  (tmp_path / "idx" / "t10k-images-idx3-ubyte").unlink()
  done = call(FGAN, f"--config.data.name={data}", f"--workdir={tmp_path / 'run'}")
  one_message(done, "t10k-images-idx3-ubyte", str(tmp_path / "idx"))
  assert not (tmp_path / "run").exists()


def test_a_workdir_that_is_taken_is_told(finished):
  workdir, _ = finished
  before = written(workdir)
  one_message(call(FGAN, f"--workdir={workdir}"), "holds a run with another config", "Choose another --workdir")
  assert written(workdir) == before


def one_message(done: subprocess.CompletedProcess, *parts: str) -> None:
  assert done.returncode == 1
  assert "Traceback" not in done.stderr and done.stderr.count("error:") == 1
  for part in parts:
    assert part in done.stderr


def test_sample_draws_from_a_run(finished, tmp_path):
  workdir, _ = finished
  out = tmp_path / "grid.png"
  done = call(f"--workdir={workdir}", "--n=4", f"--out={out}", module="experiments.sample")
  assert done.returncode == 0, done.stderr
  assert "round 40" in done.stdout
  assert len(np.unique(pixels(out))) > 10


def test_sample_without_a_run_is_told(tmp_path):
  done = call(f"--workdir={tmp_path}", module="experiments.sample")
  assert done.returncode == 1 and "holds no run" in done.stderr and "Traceback" not in done.stderr


def test_sample_of_a_damaged_config_is_told(tmp_path):
  (tmp_path / "config.json").write_text("{bad")
  one_message(call(f"--workdir={tmp_path}", module="experiments.sample"), "config.json is damaged")


@pytest.mark.parametrize("kept", [True, False])
def test_sample_before_the_first_checkpoint_leaves_the_workdir_alone(kept, tmp_path):
  """Compiled programs are kept if the run's were, there being no flag to say so."""
  workdir, home = tmp_path / "run", tmp_path / "home"
  workdir.mkdir()
  config = tiny()
  config.compilation_cache = kept
  (workdir / "config.json").write_text(json.dumps(configs.plain(config)))
  done = call(f"--workdir={workdir}", module="experiments.sample", env=os.environ | {"XDG_CACHE_HOME": str(home)})
  one_message(done, "has no checkpoint yet")
  assert [p.name for p in workdir.iterdir()] == ["config.json"]
  assert (home / "gan_jax" / "compiled").exists() == kept


def test_compiled_programs_are_not_kept_where_the_config_says_so(tmp_path):
  mistake = "--config.game.discriminator_steps=0"
  for setting in (True, False):
    home = tmp_path / str(setting)
    arguments = FGAN, mistake, "--config.data.name=digits", f"--config.compilation_cache={setting}"
    done = call(*arguments, env=os.environ | {"XDG_CACHE_HOME": str(home)})
    one_message(done, "discriminator_steps is 0")
    assert (home / "gan_jax" / "compiled").exists() == setting


THREADS = """
import os, sys
import jax
from experiments import run
from experiments.lab import cli, loop

def name(thread):
  try:
    return open(f"/proc/self/task/{thread}/comm").read().strip()
  except OSError:  # it ended since it was listed
    return ""

def counted(*_):
  jax.devices()
  print([name(thread) for thread in os.listdir("/proc/self/task")].count("tf_XLAEigen"))

loop.run = counted
cli.start(run.main, takes_config=True)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are listed in Linux's /proc")
@pytest.mark.parametrize(("setting", "variable", "expected"), [(3, None, 3), (1, None, 1), (1, "2", 2), (0, "5", 5)])
def test_xla_starts_as_many_threads_as_the_config_says(setting, variable, expected):
  env = {name: value for name, value in os.environ.items() if name not in ("PJRT_NPROC", "XLA_FLAGS")}
  env |= {"PJRT_NPROC": variable} if variable else {}
  call = [sys.executable, "-c", THREADS, "--config=ring8", f"--config.threads={setting}"]
  done = subprocess.run(call, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
  assert int(done.stdout) == expected


def test_fewer_threads_than_none_are_refused():
  with pytest.raises(ConfigError, match="threads is -1"):
    loop.limit_threads(configs.load("ring8", {"threads": -1}))


def test_an_interrupted_run_loses_nothing(tmp_path):
  """Ctrl-C in the middle: one line, a checkpoint of the last finished chunk, and the same command resumes from it."""
  workdir = tmp_path / "run"
  arguments = [
    sys.executable,
    "-m",
    "experiments.run",
    FGAN,
    f"--workdir={workdir}",
    "--config.data.name=digits",
    "--config.train.chunk=50",
    "--config.eval.evaluators=('samples',)",
    "--config.train.rounds=1000000",
  ]
  process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
  deadline = time.time() + 400
  while not report.read_metrics(workdir / "metrics.jsonl") and time.time() < deadline:
    time.sleep(0.2)
  process.send_signal(signal.SIGINT)
  _, stderr = process.communicate(timeout=300)
  assert process.returncode == 1 and "Traceback" not in stderr and "interrupted after round" in stderr
  steps = [int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit()]
  rows = report.read_metrics(workdir / "metrics.jsonl")
  assert max(steps) == rows[-1]["step"] > 0
  again = call(*arguments[3:-1], f"--config.train.rounds={max(steps) + 50}")
  assert again.returncode == 0, again.stderr
  assert f"continuing after round {max(steps):,}" in again.stdout
