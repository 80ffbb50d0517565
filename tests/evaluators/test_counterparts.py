"""One latent in several domains, judged by classifiers that are known."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.evaluators import Context, counterparts
from gan_jax.data.dataset import from_domains
from gan_jax.errors import ConfigError
from gan_jax.game import Game
from gan_jax.metrics.features import Extractor

STATE = types.SimpleNamespace(params={}, stats={}, ema={}, key=jax.random.key(1))


def sample(params, stats, key, n, latents=None, domain="x"):
  """A draw for each image; in y it is turned round where it is below -1/2."""
  z = jax.random.uniform(key, (n,), minval=-1.0)
  z = z if domain == "x" else jnp.where(z < -0.5, -z, z)
  return jnp.broadcast_to(z[:, None, None, None], (n, 2, 2, 1))


def context(labelled=True, domains=("x", "y")):
  images = np.zeros((8, 2, 2, 1), np.uint8)
  own = {"x": {"x": images}, "y": {"y": images}}
  if labelled:
    own["x"]["label"] = own["y"]["label_y"] = np.arange(8, dtype=np.int32) % 2
  data = from_domains("two", own, {**own["x"], **own["y"]}, classes=2)
  return Context(Game({}, {}, (), sample=sample, domains=domains), data, {})


def by_sign(*given):
  mean = jax.tree_util.Partial(lambda x: x.mean((1, 2, 3))[:, None])
  head = jax.tree_util.Partial(lambda m: 1e3 * jnp.concatenate([-m, m], 1))
  return Extractor("a judge", mean, head, 0.875)


def test_the_share_that_shows_the_same_in_both(monkeypatch):
  """A quarter of the latents is turned round in y: there the signs differ, and the rest agrees."""
  monkeypatch.setattr("gan_jax.metrics.classifier.train", by_sign)
  evaluation = counterparts.make(context(), n=1_000)
  found = evaluation.judge(STATE)
  keys = jax.random.split(jax.random.fold_in(STATE.key, 2**32 - 2), 10)
  z = np.concatenate([jax.random.uniform(key, (100,), minval=-1.0) for key in keys])
  assert found.numbers["same_label"] == pytest.approx(np.mean(z >= -0.5))
  share = np.mean(z > 0.0)
  entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
  assert found.numbers["class_entropy_x"] == pytest.approx(entropy, abs=0.01)
  assert found.numbers["classifier_y"] == 0.875 and evaluation.headline == ("same_label",)
  assert set(found.numbers) == set(evaluation.explained)


def test_the_picture_has_a_domain_in_each_row():
  (picture,) = counterparts.make(context(labelled=False), columns=5).pictures
  above, below = np.asarray(picture.draw(STATE))[:, 0, 0, 0].reshape(2, 5)
  np.testing.assert_allclose(below, np.where(above < -0.5, -above, above))
  assert picture.columns == 5


def test_refusals():
  with pytest.raises(ConfigError, match="several domains from one latent"):
    counterparts.make(context(domains=()))
  with pytest.raises(ConfigError, match="n is 0"):
    counterparts.make(context(), n=0)
