"""Health: figures of a batch by hand, and histories that are made to show each warning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import health


def signals(**changes):
  given = {
    "real": [[0.0, 0.0], [3.0, 4.0]],
    "fake": [[1.0, 1.0], [1.0, 1.0]],
    "averaged": [[1.0, 1.0], [1.0, 0.0]],
    "real_scores": [2.0, 4.0],
    "fake_scores": [3.0, 2.0],
    "unseen_scores": [1.0, 5.0, 4.0],
  } | changes
  return {k: float(v) for k, v in jax.jit(health.signals)(**{k: jnp.array(v) for k, v in given.items()}).items()}


def test_by_hand():
  """Squared distances of the real are 0, 25, 25, 0: their mean is m = 12.5."""
  expected = {
    "real_above_fake": (0 + 0.5 + 1 + 1) / 4,
    "seen_above_unseen": (1 + 0 + 0 + 1 + 0 + 0.5) / 6,
    "margin": 0.5,
    "variety": (1 + np.exp(-16)) / 2,
    "change": np.sqrt(0.5 / 12.5),
  }
  found = signals()
  assert np.isnan(found.pop("saturation")) and found == pytest.approx(expected, rel=1e-5)


def test_variety_counts_kinds_that_are_far_apart():
  """Of the real examples' five kinds the generated ones show two, whatever their order and place."""
  kinds = 100.0 * jnp.eye(5)
  real, fake = jnp.tile(kinds, (4, 1)), jnp.tile(kinds[1:3], (10, 1)) + 7.0
  assert signals(real=real, fake=fake, averaged=fake)["variety"] == pytest.approx(2 / 5, rel=1e-3)
  assert signals(real=real, fake=real[::-1], averaged=real)["variety"] == pytest.approx(1, rel=1e-4)


def test_scores_of_patches_are_averaged_and_their_scale_does_not_matter():
  patches = lambda scores: jnp.array(scores)[:, None, None] + jnp.array([[[-9.0, 9.0]]])
  same = signals(real_scores=patches([2.0, 4.0]), fake_scores=patches([3.0, 2.0]), unseen_scores=patches([1.0]))
  assert same["real_above_fake"] == pytest.approx(2.5 / 4)
  larger = signals(real_scores=[2e6, 4e6], fake_scores=[3e6, 2e6])
  assert larger["real_above_fake"] == pytest.approx(2.5 / 4) and larger["margin"] == pytest.approx(0.5e6)


def test_data_that_is_one_point_has_no_variety():
  points = [[1.0], [1.0]]
  found = signals(real=points, fake=points, averaged=points)
  assert np.isnan(found["variety"]) and np.isnan(found["change"]) and np.isfinite(found["real_above_fake"])


HEALTHY = {
  "discriminator/gradient": 0.5,
  "generator/gradient": 1.0,
  "health/real_above_fake": 0.8,
  "health/seen_above_unseen": 0.5,
  "health/margin": 1.0,
  "health/variety": 0.9,
  "health/change": 0.1,
  "memorisation": 1.0,
}
SETTINGS = {
  "game.loss.name": "adversarial.minimax",
  "game.instance_noise": None,
  "game.penalty": None,
  "game.discriminator_steps": 1,
  "optimizer.discriminator.learning_rate": 2e-4,
  "optimizer.generator.learning_rate": 1e-4,
  "data.batch_size": 64,
  "train.rounds": 4_000,
}


def history(n=40, sick_from=0, **figures):
  """Rows of every hundredth round; `figures` are functions of the row's number, in rows that are sick."""
  rows = []
  for i in range(n):
    sick = {name: value(i) if callable(value) else value for name, value in figures.items()} if i >= sick_from else {}
    rows.append({"step": 100 * (i + 1)} | HEALTHY | sick)
    rows.append({"step": 100 * (i + 1) + 50, "generator/loss": 1.0})  # between two chunks
  return rows


def warned(rows, settings=SETTINGS, players=("generator", "discriminator")):
  """Each warning when it is first given: its name -> the number of the row and the warning."""
  given = {}
  for i in range(1, len(rows) + 1):
    for found in health.warnings(rows[:i], settings, *players):
      given.setdefault(found.name, (i, found))
  return given


FOOLING = {"health/real_above_fake": 0.01, "health/margin": -5.0}
TURNING = {"health/real_above_fake": lambda i: float(i // 2 % 2), "health/margin": lambda i: (-1.0) ** (i // 2)}
SICK = {
  "divergence": {"generator/gradient": lambda i: 10.0 ** (i - 10)},
  "the generator's gradient is vanishing": {"generator/gradient": 1e-4, "health/real_above_fake": 0.99},
  "the discriminator is too strong": {"health/real_above_fake": 1.0},
  "the discriminator is too weak": FOOLING,
  "the players oscillate": TURNING,
  "modes are collapsing": {"health/variety": 0.02},
  "memorising": {"memorisation": 0.1},
}


@pytest.mark.parametrize("name", SICK)
def test_each_warning_is_shown_by_what_it_names_and_by_nothing_else(name):
  given = warned(history(sick_from=10, **SICK[name]))
  assert list(given) == [name]
  _, found = given[name]
  assert 1_000 < found.round <= 4_000 and found.figure in SICK[name]
  assert f"since round {found.round:,}: " in found.message and found.message.count("--config.") == 2


def test_a_healthy_history_shows_none():
  assert warned(history()) == {}
  assert warned([]) == {} and warned([{"step": 50, "generator/loss": 1.0}]) == {}


def test_a_number_that_is_not_finite_is_a_divergence_at_once():
  rows = [*history(3), {"step": 400, "generator/loss": float("nan")}]
  given = warned(rows)
  assert list(given) == ["divergence"] and given["divergence"][1].round == 400
  assert given["divergence"][1].figure == "generator/loss"


def test_figures_that_are_missing_or_none_are_not_judged():
  absent = dict.fromkeys(HEALTHY)
  assert warned(history(**absent)) == {}


def test_a_gradient_that_is_0_from_the_start_has_vanished_and_does_not_diverge():
  dead = {"generator/gradient": 0.0, "health/real_above_fake": 0.99}
  given = warned(history(**dead))
  assert list(given) == ["the generator's gradient is vanishing"]
  assert "is 0, as it was from the start" in given.popitem()[1][1].message
  later = history(sick_from=12, **{"generator/gradient": 1.0})
  for row in later[:24]:
    row["generator/gradient"] = 0.0
  assert "divergence" not in warned(later)


def test_where_there_is_nothing_to_try_nothing_is_said_of_it():
  given = warned(history(**SICK["memorising"]), settings={})
  assert given["memorising"][1].message.endswith("as far from training examples as new data would be.")


def test_a_number_of_rounds_stays_a_number_of_rounds():
  penalised = SETTINGS | {
    "game.penalty": {"name": "penalties.r1"},
    "game.instance_noise": 0.1,
    "train.rounds": 4_000_000,
  }
  assert "--config.train.rounds=2000000" in warned(history(**SICK["memorising"]), penalised)["memorising"][1].message


def test_saturation_is_of_images():
  images = jnp.zeros((2, 1, 2, 1))
  ends = images.at[:, :, 0].set(-1.0)
  scores = jnp.zeros(2)
  found = health.signals(images, ends, ends, scores, scores, scores)
  assert float(found["saturation"]) == 0.5


def test_a_cycle_that_dies_out_is_no_oscillation():
  """As the DiracGAN's with R1: the sign goes on changing when the players have long settled."""
  settling = TURNING | {"health/margin": lambda i: (-1.0) ** (i // 2) * 0.7**i}
  assert warned(history(n=80, **settling)) == {}


def test_a_short_lapse_is_not_warned_of():
  for name, figures in SICK.items():
    if name not in ("divergence", "memorising"):
      rows = history(**figures)
      assert warned([*history(10), *rows[20:30], *history(30)[20:]]) == {}, name


def test_what_to_try_is_what_the_config_has():
  rows = history(sick_from=10, **SICK["the generator's gradient is vanishing"])
  tried = lambda settings, *players: warned(rows, settings, *players).popitem()[1][1].message.partition("Try ")[2]
  assert tried(SETTINGS) == "--config.game.loss.name=adversarial.non_saturating or --config.game.instance_noise=0.1"
  hinge = SETTINGS | {"game.loss.name": "adversarial.hinge", "game.instance_noise": 0.2}
  assert tried(hinge) == "--config.optimizer.discriminator.learning_rate=5e-05 or --config.data.batch_size=128"


def test_a_player_that_is_slower_is_made_as_fast_as_the_other_first():
  message = lambda name, settings: warned(history(**SICK[name]), settings)[name][1].message
  assert "Try --config.optimizer.generator.learning_rate=0.0002 or" in message(
    "the discriminator is too strong", SETTINGS
  )
  slower = SETTINGS | {"optimizer.discriminator.learning_rate": 1e-6}
  assert "Try --config.optimizer.discriminator.learning_rate=0.0001 or --config.game.discriminator_steps=2" in message(
    "the discriminator is too weak", slower
  )
