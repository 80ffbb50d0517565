"""What the evaluator makes of a game that hides one domain in the other, and shows the other in the one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.evaluators import Context, Evaluation, Judgement, steganography, together
from gan_jax.data.dataset import Dataset
from gan_jax.errors import ConfigError
from gan_jax.game import Game, TrainState
from gan_jax.games._abilities import translations

KEY = jax.random.key(1)
RANDOM = np.random.default_rng(0)
INK = RANDOM.choice(np.array([0, 255], np.uint8), (40, 8, 8, 1))
GREY = RANDOM.integers(64, 192, (30, 8, 8, 1), np.uint8)
DATA = Dataset("toy", (8, 8, 1), 0, None, None, {"x": INK, "y": GREY, "z": GREY}, domains=("x", "y", "z"))


def hide(params, stats, key, x):
  """x to y: one grey but for the last bit; outside of averages anything."""
  return params["w"] * ((126.0 + jnp.where(x > 0.0, 1.0, 0.0)) / 127.5 - 1.0)


def read(params, stats, key, y):
  """y to x: black and white by the last bit."""
  return 2.0 * (jnp.round((y + 1.0) * 127.5) % 2.0) - 1.0


def negate(params, stats, key, x):
  return -params["w"] * x


def game(**ways):
  return Game({}, {}, (), **translations({(name[0], name[1]): way for name, way in ways.items()}))


# Averaged nets are as they should be, the raw ones are not.
STATE = TrainState(
  step=jnp.array(0),
  key=KEY,
  params={"w": jnp.array(3.0)},
  stats={"w": {}},
  opt={},
  ema={"w": {"params": jnp.array(1.0), "stats": {}}},
  memory=(),
)


@pytest.fixture(scope="module")
def judged():
  evaluation = steganography.make(Context(game(xy=hide, yx=read, yz=negate, zy=negate, xz=negate), DATA, {}), n=20)
  return evaluation, evaluation.judge(STATE)


def test_directions_with_a_way_back_are_judged(judged):
  evaluation, found = judged
  assert evaluation.headline == ("hidden_x_in_y", "hidden_y_in_x", "hidden_y_in_z", "hidden_z_in_y")
  levels = [*(f"l1_noise_{steps}" for steps in ("0", "0.5", "1", "2", "4", "8", "16")), *("l1_8_bits", "l1_6_bits")]
  names = {f"{name}/{level}" for name in evaluation.headline for level in (*levels, "l1_4_bits")}
  assert set(found.numbers) == set(evaluation.explained) == names | set(evaluation.headline)
  assert found.plots.keys() == set(evaluation.headline)
  assert found.protocol == {"held-out images": "20 of x, 20 of y, 20 of z"}


def test_the_hidden_and_the_shown(judged):
  """x is lost with the last bit of y; y and z are negatives of each other; x has too little of y to be its cycle."""
  numbers = judged[1].numbers
  assert numbers["hidden_x_in_y/l1_noise_0"] == numbers["hidden_x_in_y/l1_8_bits"] == 0.0
  assert numbers["hidden_x_in_y/l1_6_bits"] == pytest.approx(2 * np.mean(INK[np.linspace(0, 39, 20).astype(int)] == 0))
  assert numbers["hidden_x_in_y/l1_noise_0.5"] == pytest.approx(0.629, abs=0.08)
  assert numbers["hidden_x_in_y"] == pytest.approx(201, rel=0.12)
  for name in ("hidden_y_in_z", "hidden_z_in_y"):
    assert numbers[name] == pytest.approx(1.0, abs=0.06)
    assert numbers[f"{name}/l1_noise_16"] == pytest.approx(16 * 2 / 255 * np.sqrt(2 / np.pi), rel=0.06)
    assert numbers[f"{name}/l1_noise_0"] == pytest.approx(0.0, abs=1e-6)


def test_the_plot_has_the_numbers_over_what_was_changed(judged):
  """A level's width by the root of 12: 255 / (2^b - 1) / 3.464 steps of an 8-bit image."""
  found = judged[1]
  plot, of = found.plots["hidden_x_in_y"], lambda level: found.numbers[f"hidden_x_in_y/{level}"]
  assert plot.logarithmic
  noise, rounded, honest = plot.lines.values()
  assert [point[0] for point in noise] == [point[0] for point in honest] == [0.5, 1, 2, 4, 8, 16]
  assert [point[1] for point in noise] == pytest.approx([of(f"l1_noise_{s}") for s in ("0.5", 1, 2, 4, 8, 16)])
  np.testing.assert_allclose([point[0] for point in rounded], [0.28868, 1.16845, 4.90748], rtol=1e-4)
  assert [point[1] for point in rounded] == pytest.approx([of(f"l1_{bits}_bits") for bits in (8, 6, 4)])
  np.testing.assert_allclose([point[1] for point in honest][-1], 16 * 2 / 255 * np.sqrt(2 / np.pi), rtol=1e-6)


def test_games_without_a_way_back_are_refused():
  for other in (game(xy=negate), Game({}, {}, ())):
    with pytest.raises(ConfigError, match="it looks at translations and the way back, which this game does not make"):
      steganography.make(Context(other, DATA, {}))
  with pytest.raises(ConfigError, match="n is 0; it has to be at least 1"):
    steganography.make(Context(game(xy=negate, yx=negate), DATA, {}), n=0)


def test_plots_of_several_evaluators_are_put_together():
  one, other = (Evaluation(judge=lambda state, k=k: Judgement(plots={k: state})) for k in "ab")
  assert together({"one": one, "other": other}).judge(3).plots == {"a": 3, "b": 3}
