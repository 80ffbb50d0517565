"""Reconstructions of held-out images, by hand: what is encoded, decoded and compared."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.evaluators import Context, reconstructions
from gan_jax.data.dataset import from_arrays
from gan_jax.errors import ConfigError
from gan_jax.game import Game

HELD_OUT = np.array([0, 51, 102, 255], np.uint8).reshape(4, 1, 1, 1)  # -1, -0.6, -0.2 and 1
STATE = types.SimpleNamespace(params={"gain": -1.0}, stats={}, ema={}, key=jax.random.key(0))


def context(encode=True):
  """E(x) is a number twice as large, and G multiplies it by the gain."""
  sample = lambda params, stats, key, n, latents: params["gain"] * latents[:, :, None, None]
  read = lambda params, stats, key, x: 2.0 * x[:, :, 0, 0]
  game = Game({}, {}, (), sample=sample, encode=read if encode else None)
  return Context(game, from_arrays("four", {"x": HELD_OUT}, {"x": HELD_OUT}), {})


def test_the_error_is_the_mean_difference():
  """x - G(E(x)) = 3 x: the mean of 3, 1.8, 0.6 and 3 is 2.1."""
  found = reconstructions.make(context()).measure(STATE)
  assert float(found["reconstruction_l1"]) == pytest.approx(2.1, rel=1e-6)


def test_the_picture_has_images_above_their_own_reconstructions():
  picture, _ = reconstructions.make(context(), n=2).pictures
  np.testing.assert_allclose(np.ravel(picture.draw(STATE)), [-1.0, 1.0, 2.0, -2.0], rtol=1e-6)
  assert picture.columns == 2 and picture.name == "reconstructions"


def test_a_game_that_does_not_encode_is_refused():
  with pytest.raises(ConfigError, match="which this game does not make"):
    reconstructions.make(context(encode=False))


def test_between_two_images_lie_decoded_latents():
  """Latents of one number: from 2 a to 2 b, decoded by the gain; the images themselves at both ends."""
  _, picture = reconstructions.make(context(), n=4, steps=3).pictures
  drawn = np.asarray(picture.draw(STATE)).reshape(-1, 5)
  assert picture.name == "between" and picture.columns == 5 and len(drawn) == 2
  np.testing.assert_allclose(sorted(drawn[:, [0, 4]].ravel()), [-1.0, -0.6, -0.2, 1.0], rtol=1e-6)
  np.testing.assert_allclose(drawn[:, 1], -2.0 * drawn[:, 0], rtol=1e-6)
  np.testing.assert_allclose(drawn[:, 3], -2.0 * drawn[:, 4], rtol=1e-6)
  with pytest.raises(ConfigError, match="steps is 1"):
    reconstructions.make(context(), steps=1)


def test_labels_that_reconstructions_keep(monkeypatch):
  """The classifier says 1 of what is above 0; G(E(x)) is -2 x, so that the sign, and with it every label, is lost."""
  labels = np.array([0, 0, 0, 1], np.int32)
  split = {"x": HELD_OUT, "label": labels}
  bright = types.SimpleNamespace(accuracy=0.9, logits=lambda x: jnp.stack([-x.ravel(), x.ravel()], 1))
  monkeypatch.setattr("gan_jax.metrics.classifier.train", lambda *given: bright)
  given = Context(context().game, from_arrays("four", split, split, classes=2), {})
  evaluation = reconstructions.make(given)
  found = evaluation.measure(STATE)
  assert float(found["reconstruction_label"]) == 0.0 and float(found["classifier"]) == pytest.approx(0.9)
  kept = types.SimpleNamespace(**{**vars(STATE), "params": {"gain": 0.5}})
  assert float(evaluation.measure(kept)["reconstruction_label"]) == 1.0
  assert evaluation.headline == ("reconstruction_l1", "reconstruction_label")
  assert "reconstruction_label" not in reconstructions.make(given, judge=False).measure(STATE)
