"""Modes of stacked images, from generators that make known ones."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from experiments.evaluators import Context, stacked
from experiments.evaluators._extractors import opener
from gan_jax.data import sources
from gan_jax.data.dataset import from_arrays
from gan_jax.errors import ConfigError
from gan_jax.game import Game
from gan_jax.metrics import classifier
from gan_jax.metrics.features import Extractor

STATE = types.SimpleNamespace(params={}, stats={}, ema={}, key=jax.random.key(5))
LABELS = np.array([0, 0, 1, 2], np.int32)
HELD_OUT = np.array([0, 1, 1, 2], np.int32)


def base():
  """An image of class c is 100 c all over, which the classifier below reads."""
  split = lambda label: {"x": (100 * label).astype(np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)}
  return from_arrays("four", *(split(label) | {"label": label} for label in (LABELS, HELD_OUT)), classes=3)


def trained(seen=None):
  def train(x, label, test_x, test_label, classes):
    if seen is not None:
      seen.append((x, label, test_x, test_label, classes))
    levels = lambda x: (x.mean((1, 2, 3))[:, None] + 1.0) * 127.5
    head = Partial(lambda level: -jnp.abs(level - jnp.array([[0.0, 100.0, 200.0]])))
    return Extractor("a reader", Partial(levels), head, 0.875)

  return train


def context(classes):
  """A generator that makes stacks of these classes [N, 3] in turn, a batch at a time."""

  def sample(params, stats, key, n, latents=None):
    levels = 100.0 * jnp.asarray(np.resize(classes, (n, 3)), jnp.float32)
    return jnp.broadcast_to(levels[:, None, None] / 127.5 - 1.0, (n, 2, 2, 3))

  return Context(Game({}, {}, (), sample=sample), sources.load(f"stacked:{__name__}:base"), {})


def test_modes_and_kl_by_hand(monkeypatch):
  """Three modes of 27, a quarter, a quarter and a half of the samples, against shares 1/2, 1/4, 1/4 of each class."""
  seen = []
  monkeypatch.setattr(classifier, "train", trained(seen))
  found = stacked.make(context([[0, 0, 0], [0, 1, 2], [2, 2, 2], [2, 2, 2]]), n=200).judge(STATE)
  kl = 0.25 * np.log(0.25 / (1 / 8)) + 0.25 * np.log(0.25 / (1 / 32)) + 0.5 * np.log(0.5 / (1 / 64))
  assert found.numbers["modes"] == 3 and found.numbers["modes_most"] == 27
  assert found.numbers["mode_kl"] == pytest.approx(kl, rel=1e-6)
  assert found.protocol["samples"] == 200 and found.protocol["accuracy of the classifier"] == 0.875
  ((x, label, test_x, test_label, classes),) = seen
  assert classes == 3 and x.shape == test_x.shape == (4, 2, 2, 1)
  np.testing.assert_array_equal(label, LABELS)
  np.testing.assert_array_equal(test_label, HELD_OUT)


def test_channels_keep_their_order(monkeypatch):
  """(0, 0, 1) and (1, 0, 0) are two modes, and (0, 0, 1) twice is one."""
  monkeypatch.setattr(classifier, "train", trained())
  modes = lambda classes: stacked.make(context(classes), n=100).judge(STATE).numbers["modes"]
  assert modes([[0, 0, 1], [1, 0, 0]]) == 2 and modes([[0, 0, 1], [0, 0, 1]]) == 1


def test_the_floor_is_of_held_out_images(monkeypatch):
  """Their shares are 1/4, 1/2, 1/4 against 1/2, 1/4, 1/4: KL of one channel log(2) / 4, and three of them are drawn."""
  monkeypatch.setattr(classifier, "train", trained())
  found = stacked.make(context([[0, 0, 0]]), n=20_000).judge(STATE).numbers
  assert found["modes_floor"] == 27
  assert found["mode_kl_floor"] == pytest.approx(3 * np.log(2) / 4, abs=0.03)
  few = stacked.make(context([[0, 0, 0]]), n=10).judge(STATE).numbers
  assert few["modes_floor"] <= 10


def test_images_are_measured_channel_by_channel(monkeypatch):
  """The default extractor of stacked images: each channel's features side by side, and no classes."""
  monkeypatch.setattr(classifier, "train", trained())
  extractor = opener("classifier", sources.load(f"stacked:{__name__}:base"))({}, {})
  x = jnp.broadcast_to(jnp.array([0.0, 100.0, 200.0]) / 127.5 - 1.0, (5, 2, 2, 3))
  np.testing.assert_allclose(extractor.features(x), np.tile([0.0, 100.0, 200.0], (5, 1)), atol=1e-3)
  assert extractor.head is None and extractor.accuracy == 0.875 and extractor.name == "a reader, in each channel"


def test_what_is_refused():
  with pytest.raises(ConfigError, match="n is 0"):
    stacked.make(context([[0, 0, 0]]), n=0)
  with pytest.raises(ConfigError, match="stacked images, such as stacked:mnist5k, not of four"):
    stacked.make(context([[0, 0, 0]])._replace(dataset=base()))
  with pytest.raises(ConfigError, match="it judges samples of stacked images"):
    stacked.make(context([[0, 0, 0]])._replace(game=Game({}, {}, ())))
