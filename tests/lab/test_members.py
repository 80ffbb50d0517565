"""A sweep is its single runs: members against experiments.run, the table, the files, and what cannot be swept."""

import csv
import functools
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import tiny

from experiments.lab import configs, loop, members, trained
from experiments.lab.build import build
from experiments.lab.trained import load
from gan_jax import report, shard
from gan_jax.errors import ConfigError

pytestmark = pytest.mark.xdist_group("swept")  # which share what a fixture has trained
ROOT = Path(__file__).parent.parent.parent


# Schedules as in the whole run: noise that vanished within 40 rounds would amplify rounding.
LONG = {f"game.{field}.rounds": 21_120 for field in ("gamma", "instance_noise")}
LONG |= {f"optimizer.{player}.schedule.rounds": 24_000 for player in ("discriminator", "generator")}


def small():
  config = configs.load("ring8", LONG)
  config.data.batch_size = 16
  config.nets.generator.hidden = config.nets.discriminator.hidden = (16,)
  config.train.update({"rounds": 40, "chunk": 20})
  config.log.every, config.eval.every, config.checkpoint.every = 10, 40, 40
  config.mesh.member = 1
  return config


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("sweep") / "s"
  grid = {"optimizer.generator.learning_rate": [1e-3, 1e-2], "train.ema_decay": [0.9, 0.99]}
  return members.sweep(small(), grid, 2, workdir, "ring8"), workdir


def test_the_product_of_settings_and_seeds(swept):
  rows, _ = swept
  settings = [(r["optimizer.generator.learning_rate"], r["train.ema_decay"], r["seed"]) for r in rows]
  assert settings == [(a, b, s) for a in (1e-3, 1e-2) for b in (0.9, 0.99) for s in (0, 1)]


@pytest.mark.parametrize("index", [0, 3, 6])
def test_each_member_is_the_single_run(swept, index, tmp_path):
  row = swept[0][index]
  config = small()
  config.seed = row["seed"]
  config.optimizer.generator.learning_rate = row["optimizer.generator.learning_rate"]
  config.train.ema_decay = row["train.ema_decay"]
  config.mesh.member = 0
  loop.run(config, tmp_path / "run", "single")
  last = report.read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]
  last = {name: value for name, value in last.items() if name != "seconds" and not name.startswith("health/")}
  assert set(row) == set(last) - {"step"} | {"optimizer.generator.learning_rate", "train.ema_decay", "seed"}
  for name, value in last.items():
    if name != "step":
      np.testing.assert_allclose(row[name], value, rtol=2e-3, atol=2e-4, err_msg=name)


def test_all_strategies_agree():
  config = small()
  keys = jax.vmap(jax.random.key)(np.arange(9))  # eight, and one more
  dataset, (stage,) = build(config).dataset, configs.stages(config)
  strategies = (members.vectorized_map, members.batched_map, members.sequential_map)
  histories = [members.play(stage, dataset, keys, {}, strategy, shard.mesh())[1] for strategy in strategies]
  for name in histories[0]:
    for other in histories[1:]:
      np.testing.assert_allclose(other[name], histories[0][name], rtol=1e-3, atol=1e-4)


def test_the_strategy_follows_the_nets():
  on_cpu = jax.default_backend() == "cpu"
  assert members.fastest_map(build(small())) is (members.batched_map if on_cpu else members.vectorized_map)
  config = configs.load("dcgan")
  config.data.batch_size = 2
  assert members.fastest_map(build(config)) is (members.sequential_map if on_cpu else members.vectorized_map)


def test_files_and_table(swept):
  rows, workdir = swept
  with (workdir / "members.csv").open() as file:
    every = list(csv.DictReader(file))
  assert [float(m["modes"]) for m in every] == [r["modes"] for r in rows]
  with (workdir / "sweep.csv").open() as file:
    summary = [r for r in csv.DictReader(file) if r["metric"] == "generator/loss"]
  first = [r["generator/loss"] for r in rows[:2]]
  assert float(summary[0]["median"]) == pytest.approx(np.median(first))
  assert (float(summary[0]["min"]), float(summary[0]["max"])) == (min(first), max(first))
  assert (workdir / "sweep.png").stat().st_size > 10_000 and (workdir / "config.json").exists()


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("game.gama=1", "names 'game.gama', which is no setting"),
    (
      "data.batch_size=1,2",
      "data.batch_size, which is 16: only numeric settings that decide no shape or count can be swept",
    ),
    ("data.std=0.1,0.2", "data.std, a setting of the data, which all members share"),
    ("train.ema_decay=a,b", "the values 'a,b'; numbers are wanted"),
    ("train.ema_decay", "'train.ema_decay'; it is FIELD=VALUE,VALUE"),
    ("train.ema_decay=0.5,inf", "the values '0.5,inf'; they have to be finite"),
    ("train.ema_decay=nan", "the values 'nan'; they have to be finite"),
    ("train.ema_decay=0.5,0.50", "each of them once"),
    ("train.ema_decay=0.5 train.ema_decay=0.9", "names train.ema_decay twice"),
  ],
)
def test_grids_that_make_no_sense(text, message):
  config = small()
  with pytest.raises(ValueError, match=message):
    members.parse_grid(text.split(), config)


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("train.chunk", 0, "train.chunk is 0; it has to be at least 1"),
    ("train.rounds", 0, "train.rounds is 0; it has to be at least 1"),
    ("log.every", 0, "log.every is 0; it has to be at least 1"),
    ("seed", -1, "seed is -1; it has to be from 0"),
    ("seed", 2**32 - 1, r"seed \+ 1, of the last member, is 4294967296; it has to be from 0 to 2\^32 - 1"),
  ],
)
def test_a_sweep_checks_what_a_run_checks(field, value, message, tmp_path):
  config = small()
  configs.change(config, {field: value})
  with pytest.raises(ConfigError, match=message):
    members.sweep(config, {}, 2, tmp_path / "sweep", "small")
  assert not (tmp_path / "sweep").exists()


@pytest.mark.skipif(len(jax.devices()) < 4, reason="needs four devices")
def test_a_sweep_over_four_devices_is_that_of_one(tmp_path, monkeypatch):
  """Convolutions, one after the other; dense nets: the next test."""
  config = tiny_config("dcgan")
  monkeypatch.setattr(members, "build", functools.partial(build_on, tiny.dataset_of(config)))
  rows = []
  with jax.default_matmul_precision("highest"):
    for config.mesh.member in (1, 4):
      grid = {"optimizer.generator.learning_rate": [1e-3, 2e-3]}
      rows.append(members.sweep(config, grid, 4, tmp_path / str(config.mesh.member), "dcgan"))
  for one, other in zip(*rows, strict=True):
    for field, value in one.items():
      np.testing.assert_allclose(value, other[field], rtol=1e-5, atol=1e-5, err_msg=field)


@pytest.mark.skipif(len(jax.devices()) < 4, reason="needs four devices")
def test_members_that_do_not_divide_are_those_that_do(tmp_path, capsys):
  """Five on four devices, two each, are to the last bit the first five of eight, and of eight those on one device.

  So are three settings with a seed each, which are evaluated one by one, each on four devices.
  """
  config = configs.load("dirac:noise")
  config.train.rounds = config.train.chunk = config.log.every = 2

  def rows(devices, seeds, grid):
    config.mesh.member = devices
    return members.sweep(config, grid, seeds, tmp_path / f"{devices}_{seeds}_{len(grid)}", "dirac:noise")

  five, eight = rows(4, 5, {}), rows(4, 8, {})
  assert "1 setting x 5 seeds, 2 rounds each, 3 more to fill the devices, on 4 x cpu" in capsys.readouterr().out
  assert [row["seed"] for row in five] == [0, 1, 2, 3, 4] and five == eight[:5] == rows(1, 8, {})[:5]
  assert len({row["raw_theta"] for row in five}) == 5
  settings = rows(4, 1, {"optimizer.generator.learning_rate": [0.1, 0.2, 0.3]})
  assert len(settings) == 3 and five[0].items() <= settings[0].items()
  with (tmp_path / "4_1_1" / "members.csv").open() as file:
    assert len(list(csv.DictReader(file))) == 3


def test_a_cpu_has_a_device_a_core_unless_someone_says_otherwise(monkeypatch):
  taken = []
  found = SimpleNamespace(jax_num_cpu_devices=-1, update=lambda name, value: taken.append((name, value)))
  monkeypatch.setattr(members, "jax", SimpleNamespace(config=found))
  monkeypatch.setattr(members.workdir, "cores", lambda: 3)
  monkeypatch.delenv("XLA_FLAGS")
  config = configs.load("ring8")
  members.one_device_a_core(config)
  assert taken == [("jax_num_cpu_devices", 3)]
  members.one_device_a_core(configs.load("ring8", {"mesh.member": 1}))
  members.one_device_a_core(configs.load("ring8", {"distributed.enabled": True}))
  found.jax_num_cpu_devices = 2  # as JAX_NUM_CPU_DEVICES has it
  members.one_device_a_core(config)
  found.jax_num_cpu_devices = -1
  monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
  members.one_device_a_core(config)
  assert len(taken) == 1


NUMBERS = """
import jax.numpy as jnp

from experiments.evaluators import Evaluation, Judgement

def make(context, /):
  weight = float(context.settings["penalty_weight"])
  judge = lambda state: Judgement({"judged": weight} if weight > 1 else {})
  return Evaluation(lambda state: {"weight": jnp.float32(weight)}, judge=judge)
"""


def test_evaluators_of_a_sweep_are_made_of_numbers(tmp_path, monkeypatch):
  """As of a run: one may search for an optimum in SciPy, which knows nothing of traced settings."""
  (tmp_path / "evaluator_of_numbers.py").write_text(NUMBERS)
  monkeypatch.syspath_prepend(tmp_path)
  config = configs.load("dirac:r1", {"eval.evaluators": ("evaluator_of_numbers:",)})
  config.train.rounds = config.train.chunk = config.log.every = 1
  config.mesh.member = 1
  rows = members.sweep(config, {"game.penalty_weight": [0.25, 4.0]}, 2, tmp_path / "sweep", "dirac:r1")
  assert [row["weight"] for row in rows] == [0.25, 0.25, 4.0, 4.0]
  np.testing.assert_array_equal([row["judged"] for row in rows], [np.nan, np.nan, 4.0, 4.0])


def best_gaussians(name, grid, folder):
  config = configs.load(name)
  config.nets.discriminator.hidden, config.data.batch_size = (8,), 16
  config.train.rounds = config.train.chunk = config.log.every = 2
  config.mesh.member = 1
  rows = members.sweep(config, grid, 1, folder, name)
  assert all(np.isfinite(list(row.values())).all() for row in rows)
  return [[row[k] for k in ("mu_star", "sigma_star", "divergence_star")] for row in rows]


def test_a_family_of_divergences_is_swept(tmp_path):
  """alpha through 1, in one program, each member beside the best Gaussian of its own divergence."""
  below, kl, above = best_gaussians("fgan_mixture:alpha", {"game.divergence.a": [0.9, 1.0, 1.1]}, tmp_path / "sweep")
  np.testing.assert_allclose(kl, [1.0100, 1.8311, 0.2830], atol=1e-4)
  np.testing.assert_allclose((np.array(below) + above) / 2, kl, atol=5e-3)  # continuous
  assert below[0] > kl[0] > above[0]


def test_the_weight_of_a_divergence_is_swept(tmp_path):
  """At 1/2 half of Jensen-Shannon's, whose best Gaussian is (1.307, 1.754) at 0.1280."""
  grid = {"game.divergence.pi": [0.3, 0.5]}
  first, half = best_gaussians("fgan_mixture:weighted_jensen_shannon", grid, tmp_path / "sweep")
  np.testing.assert_allclose(half, [1.307, 1.754, 0.0640], atol=1e-3)
  np.testing.assert_allclose(first, [1.198, 1.788, 0.0554], atol=1e-3)


def tiny_config(name):
  config = tiny.config_of(name)
  config.train.update({"rounds": 2, "chunk": 1})
  config.log.every = 1
  return config


def build_on(dataset, config, given=None, wrap_net=lambda net: net):
  return build(config, dataset, wrap_net)


def test_stages_of_a_sweep_are_those_of_a_run(tmp_path):
  """Two stages, in the second of which the generator is wider: each member is the run with its seed."""
  config = small()
  config.train.stages = ({"rounds": 20}, {"rounds": 20, "nets.generator.hidden": (16, 8), "keep_optimizers": False})
  rows = members.sweep(config, {}, 2, tmp_path / "sweep", "ring8")
  config.seed = 1
  loop.run(config, tmp_path / "run", "ring8")
  last = report.read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]
  for name in ("generator/loss", "discriminator/loss", "discriminator/penalty"):
    np.testing.assert_allclose(rows[1][name], last[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_the_best_member_is_kept_as_a_run(tmp_path, capsys):
  """Of two learning rates the one whose players are nearer to 0: its state is a workdir of its own."""
  config = configs.load("dirac:r1", {"eval.best": "radius"})
  config.train.rounds = config.train.chunk = config.log.every = 20
  config.mesh.member = 1
  grid = {"optimizer.generator.learning_rate": [0.1, 1e-4]}
  rows = members.sweep(config, grid, 1, tmp_path, "dirac:r1")
  assert rows[1]["radius"] < rows[0]["radius"] - 0.05
  experiment, state = load(tmp_path / "best")
  kept = members.build(trained.stage_of(tmp_path / "best", "newest")[0]).evaluation.measure(state)
  np.testing.assert_allclose(kept["radius"], rows[1]["radius"], rtol=1e-5)
  assert int(state.step) == 20 and "best radius" in capsys.readouterr().out
  page = (tmp_path / "report.html").read_text()
  assert "Samples of member 1" in page and (tmp_path / "samples" / "member_001.png").exists()
  with pytest.raises(ConfigError, match="holds a sweep; the best of its members"):
    load(tmp_path)
  for setting, value, message in (("best", "radios", "which no evaluator measures. Did you"), ("patience", 2, "early")):
    wrong = config.copy_and_resolve_references()
    wrong.eval[setting] = value
    with pytest.raises(ConfigError, match=message):
      members.sweep(wrong, grid, 1, tmp_path / "wrong", "dirac:r1")
  assert not (tmp_path / "wrong").exists()


def test_another_sweep_is_not_overwritten(swept, monkeypatch):
  _, workdir = swept
  files = lambda: {path.name: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
  before = files()
  monkeypatch.setattr(members, "build", lambda *_: pytest.fail("something was computed"))
  with pytest.raises(ValueError, match="holds a run with another config: seeds is 2 there and 3 here"):
    grid = {"optimizer.generator.learning_rate": [1e-3, 1e-2], "train.ema_decay": [0.9, 0.99]}
    members.sweep(small(), grid, 3, workdir, "ring8")
  assert before == files()
