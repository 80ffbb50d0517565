"""A linear probe of features that know the label, or nothing, beside the pixels; and filters as a picture."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.evaluators import Context, filters, probe
from gan_jax.data.dataset import from_arrays
from gan_jax.errors import ConfigError
from gan_jax.game import Game, Net

RNG = np.random.RandomState(2)
STATE = types.SimpleNamespace(params={"gain": 1.0}, stats={}, ema={}, key=jax.random.key(5))
LABELS, TEST_LABELS = np.arange(120) % 3, np.arange(90) % 3


def noise_with_a_mark(label):
  """Noise, but for one pixel that is the label, 0, 1 or 2 levels above 100: nothing that pixels' probe can find."""
  x = RNG.randint(0, 256, (len(label), 8, 8, 1)).astype(np.uint8)
  x[:, 0, 0, 0] = 100 + label
  return x


def context(features):
  split = lambda label: {"x": noise_with_a_mark(label), "label": label.astype(np.int32)}
  return Context(Game({}, {}, (), features=features), from_arrays("marked", split(LABELS), split(TEST_LABELS), 3), {})


def mark(params, stats, x):
  """One-hot, of what the pixel says; a gain of 0 takes it away."""
  label = jnp.round((x[:, 0, 0, 0] + 1.0) * 127.5) - 100.0
  return params["gain"] * (label[:, None] == jnp.arange(3.0)[None]).astype(jnp.float32)


def test_features_that_know_the_label_and_pixels_that_do_not():
  found = probe.make(context(mark), labels=60).judge(STATE)
  assert found.numbers["probe"] == 1.0 and found.numbers["probe_pixels"] < 0.6
  assert found.protocol["labels"] == "60 training examples, evenly by class" and found.protocol["features"] == 3
  assert found.protocol["reference"] == "90 held-out examples"


def test_features_that_know_nothing():
  blind = types.SimpleNamespace(**{**vars(STATE), "params": {"gain": 0.0}})
  evaluation = probe.make(context(mark), labels=60)
  assert evaluation.judge(blind).numbers["probe"] == pytest.approx(1 / 3)
  assert evaluation.judge(STATE).numbers["probe"] == 1.0  # nothing of a state is kept


def test_labels_are_chosen_evenly():
  label = np.repeat([0, 1, 2], [50, 7, 43])
  chosen = probe._evenly(label, 31)
  assert np.bincount(label[chosen]).tolist() == [10, 7, 10] and len(set(chosen)) == 27
  assert {0, 49} < set(chosen)  # from end to end


def test_what_cannot_be_probed():
  with pytest.raises(ConfigError, match="features, which this game does not give"):
    probe.make(context(None))
  unlabelled = from_arrays("bare", *({"x": noise_with_a_mark(LABELS)},) * 2)
  with pytest.raises(ConfigError, match="features, and bare has no labels at hand"):
    probe.make(context(mark)._replace(dataset=unlabelled))
  with pytest.raises(ConfigError, match="labels is 14, of 3 classes; it takes 5 of each"):
    probe.make(context(mark), labels=14)


KERNEL = np.array(RNG.normal(size=(2, 3, 1, 5)), np.float32)


def judge(kernel=KERNEL):
  """A discriminator of known filters on grey images, whose parameters are a gain."""
  net = Net(lambda key: (jnp.ones(()), {}), lambda *_: None)
  game = Game({"gain": net}, {}, (), filters=lambda params, stats: params["gain"] * jnp.asarray(kernel))
  return Context(game, from_arrays("grey", *({"x": np.zeros((3, 8, 8, 1), np.uint8)},) * 2), {})


def test_filters_are_shown_at_their_own_scale():
  sheet, columns = filters.make(judge()).judge(STATE).sheets["filters"]
  assert sheet.shape == (5, 16, 24, 1) and columns == 2
  for shown, kernel in zip(sheet, np.moveaxis(KERNEL, -1, 0)):
    np.testing.assert_allclose(shown[::8, ::8], kernel / np.abs(kernel).max(), rtol=1e-6)
    np.testing.assert_array_equal(shown[:8, :8], np.full((8, 8, 1), shown[0, 0, 0]))
  dead = filters.make(judge(0.0 * KERNEL)).judge(STATE)
  assert not dead.sheets["filters"][0].any()


def test_filters_of_something_else_are_refused():
  with pytest.raises(ConfigError, match=r"those of \[2, 3, 2, 5\] see 2 channels"):
    filters.make(judge(np.zeros((2, 3, 2, 5), np.float32)))
  with pytest.raises(ConfigError, match="that of this game does not give them"):
    filters.make(judge()._replace(game=Game({}, {}, ())))
