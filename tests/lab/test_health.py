"""Health in a run: sick runs are warned of once, however often they are resumed, default ones are not, and all of them
play as if nobody looked."""

import chex
import jax
import numpy as np
import pytest
import tiny

from experiments.lab import configs, health, loop
from experiments.lab.build import build
from gan_jax import report, train
from gan_jax.data.dataset import from_arrays
from gan_jax.metrics import health as metrics


def small(name="fgan_kl", batch_size=8, **changes):
  """A run of few examples a batch, whose figures are taken every fifth round."""
  config = configs.load(name, {"data.name": "digits"} | changes)
  config.data.batch_size = batch_size
  config.nets.generator.hidden = config.nets.discriminator.hidden = (16,)
  config.train.update({"rounds": 100, "chunk": 5})
  config.log.every, config.eval.every, config.checkpoint.every, config.eval.evaluators = 5, 50, 50, ()
  return config


FROZEN = {"optimizer.discriminator.learning_rate": 1e-12, "optimizer.generator.learning_rate": 0.02}
WEAK = "the discriminator is too weak"


def shortened(config, rounds):
  config.train.rounds = rounds
  return config


def test_a_frozen_discriminator_is_warned_of_once_however_often_the_run_is_resumed(tmp_path, capsys):
  loop.run(shortened(small(**FROZEN), 50), tmp_path, "frozen")
  warned = report.read_metrics(tmp_path / health.WARNINGS)
  assert [row["name"] for row in warned].count(WEAK) == 1
  (row,) = (row for row in warned if row["name"] == WEAK)
  assert row["round"] < row["step"] <= 50 and row["figure"] == "health/real_above_fake"
  assert (
    "Try --config.optimizer.discriminator.learning_rate=0.02 or --config.game.discriminator_steps=2" in row["message"]
  )
  assert capsys.readouterr().out.count(f"warning: {row['message']}") == 1
  later = {"step": 75, "name": "memorising", "message": "after the last checkpoint"}
  report.append_metrics(tmp_path / health.WARNINGS, [later])
  loop.run(small(**FROZEN), tmp_path, "frozen")
  again = report.read_metrics(tmp_path / health.WARNINGS)
  assert again[: len(warned)] == warned and later not in again
  assert f"warning: {row['message']}" not in capsys.readouterr().out and [row["name"] for row in again].count(WEAK) == 1


def test_a_rate_that_is_far_too_high_is_warned_of_before_the_run_ends(tmp_path):
  config = small()
  config.optimizer.discriminator = {"name": "optax.sgd", "learning_rate": 1e30}
  with pytest.raises(FloatingPointError):
    loop.run(config, tmp_path, "fast")
  (row,) = report.read_metrics(tmp_path / health.WARNINGS)
  assert row["name"] == "divergence" and "--config.optimizer.discriminator.learning_rate=2.5e+29" in row["message"]


def figures(config, dataset=None, chunks=20, rounds=30):
  """Rows as a run writes them, and the last state."""
  experiment = build(config, dataset)
  look = jax.jit(health.signals(experiment, config.data.batch_size))
  play = jax.jit(lambda state, draw: train.make_scan(experiment.game, rounds, draw)(state))
  state, rows = jax.jit(lambda key: train.init(experiment.game, key))(jax.random.key(0)), []
  for i in range(chunks):
    state, found = play(state, experiment.draw)
    rows += loop._rows(found, i * rounds, rounds)
    rows[-1] |= {name: loop.finite(value) for name, value in look(state).items()}
  return rows, health._players(experiment.game)


@pytest.mark.parametrize("name", ["ring8", "fgan_kl", "dcgan", "wgan_gp", "dirac:r1"])
def test_default_runs_show_none(name):
  config = tiny.config_of(name)
  dataset = tiny.dataset_of(config)
  rows, players = figures(config, dataset)
  assert {"health/real_above_fake", "health/variety", f"{players[1]}/gradient"} <= set(rows[-1])
  settings = configs.flatten(configs.plain(config))
  found = [metrics.warnings(rows[:i], settings, *players) for i in range(1, len(rows) + 1)]
  assert not any(found), next(filter(None, found))


SICK = {
  "the generator's gradient is vanishing": {"name": "vanilla", "optimizer.generator.learning_rate": 1e-12}
  | {"optimizer.discriminator.learning_rate": 0.01},
  "modes are collapsing": FROZEN | {"batch_size": 32},
  "divergence": {f"optimizer.{player}.learning_rate": 0.05 for player in ("discriminator", "generator")},
}


def shown(config, dataset=None):
  """The warnings of a run of 1,800 rounds, by name."""
  rows, players = figures(config, dataset, chunks=60)
  settings = configs.flatten(configs.plain(config))
  return {each.name for i in range(1, len(rows) + 1) for each in metrics.warnings(rows[:i], settings, *players)}


@pytest.mark.parametrize("name", SICK)
def test_runs_that_are_made_sick_show_it(name):
  """A dead generator, one that runs after a frozen discriminator, and learning rates 250 times their own."""
  assert name in shown(small(**SICK[name]))


def test_sixteen_images_are_learnt_by_heart():
  config = small()
  dataset = build(config).dataset
  few = from_arrays("few", {"x": np.asarray(dataset.arrays["x"])[:16]}, dict(dataset.test))
  assert "memorising" in shown(config, few)


def test_a_run_plays_as_if_nobody_looked(tmp_path):
  """The same chunks without figures, and without the norms of gradients, which XLA drops if unused: up to rounding, for
  what is beside a sum decides how it is added up."""
  config = small()
  state = loop.run(shortened(config, 20), tmp_path, "run")
  experiment = build(small())
  losses = lambda metrics: {name: value for name, value in metrics.items() if name.endswith("/loss")}

  @jax.jit
  def play(state, draw):
    state, metrics = train.make_scan(experiment.game, 5, draw)(state)
    return state, losses(metrics)

  unseen, rows = loop._init(loop._stage_runs(config, loop._mesh(config))[0]), []
  for i in range(4):
    unseen, metrics = play(unseen, experiment.draw)
    rows += loop._rows(metrics, 5 * i, 5)
  assert tiny.same(unseen.key, state.key) and int(unseen.step) == int(state.step)
  chex.assert_trees_all_close(unseen.params, state.params, rtol=1e-4, atol=1e-6)
  for row, found in zip(rows, report.read_metrics(tmp_path / "metrics.jsonl"), strict=True):
    assert losses(row) == pytest.approx(losses(found), rel=1e-4, abs=1e-6)


def test_figures_of_members_are_those_of_each_alone():
  experiment = build(small())
  init = jax.jit(lambda key: train.init(experiment.game, key))
  look = health.signals(experiment, 8)
  keys = jax.random.split(jax.random.key(1), 2)
  together = jax.jit(jax.vmap(look))(jax.vmap(init)(keys))
  for i in range(2):
    for name, value in jax.jit(look)(init(keys[i])).items():
      np.testing.assert_allclose(together[name][i], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_without_an_average_samples_have_nothing_to_have_moved_from(decay):
  config = small()
  config.train.ema_decay = decay
  experiment = build(config)
  change = health.signals(experiment, 8)(train.init(experiment.game, jax.random.key(0)))["health/change"]
  assert np.isnan(change) == (decay == 0)


def test_a_game_that_does_not_score_has_gradients_alone():
  config = tiny.config_of("cyclegan")
  experiment = build(config, tiny.dataset_of(config))
  assert health.signals(experiment, 8)(None) == {} and health._players(experiment.game) == (
    "generators",
    "discriminators",
  )
