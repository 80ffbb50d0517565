"""Classes that are asked for, and what a judge makes of them, from generators that show what they are asked for."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from experiments.evaluators import Context, conditions
from gan_jax.data.dataset import from_arrays
from gan_jax.errors import ConfigError
from gan_jax.game import Game
from gan_jax.metrics.features import Extractor

KEY = jax.random.key(5)
LEVELS = np.array([-0.8, 0.0, 0.8])
# Of the averaged weights, and others that nobody looks at.
STATE = types.SimpleNamespace(
  params={"generator": {"shift": 5.0}},
  stats={"generator": {}},
  ema={"generator": {"params": {"shift": 0.0}, "stats": {}}},
  key=KEY,
)


def sample(params, stats, key, n, latents=None, labels=None):
  """A level for each class, and a little noise."""
  noise = 0.05 * jax.random.uniform(key, (n,))
  level = jnp.asarray(LEVELS, jnp.float32)[labels] + noise + params["generator"]["shift"]
  return jnp.broadcast_to(level[:, None, None, None], (n, 2, 2, 1))


def context(labels=3, labelled=True, sample=sample, shape=(2, 2, 1)):
  images = np.zeros((30, *shape), np.uint8 if len(shape) == 3 else np.float32)
  split = {"x": images} | ({"label": np.arange(30, dtype=np.int32) % 3} if labelled else {})
  return Context(Game({}, {}, (), sample=sample, labels=labels), from_arrays("toy", split, split, classes=3), {})


def by_brightness():
  """Says 0 below -0.4 and 2 above it."""
  mean = Partial(lambda x: x.mean((1, 2, 3))[:, None])
  head = Partial(lambda m: jnp.concatenate([jnp.where(m < -0.4, 1.0, 0.0), 0.0 * m, jnp.full_like(m, 0.5)], 1))
  return Extractor("a judge", mean, head, 0.875)


@pytest.mark.parametrize("n", [6, 100, 250])
def test_agreement_is_the_share_of_what_was_asked_for(monkeypatch, n):
  """Classes are asked for in turn: 0, 1, 2, 0, ...; 0 and 2 are found and 1 is taken for 2."""
  trained = []
  monkeypatch.setattr("gan_jax.metrics.classifier.train", lambda *given: trained.append(given) or by_brightness())
  given = context()
  evaluation = conditions.make(given, n=n)
  assert not trained  # before it is needed
  found = evaluation.judge(STATE)
  asked = np.arange(n) % 3
  assert found.numbers == {"agreement": pytest.approx(np.mean(asked != 1)), "agreement_floor": 0.875}
  assert found.protocol == {"samples": n, "judge": "a judge", "accuracy of the judge": 0.875}
  assert evaluation.headline == ("agreement",)
  ((x, label, *_),) = trained
  np.testing.assert_array_equal(label, given.dataset.arrays["label"])


def test_the_picture_has_a_class_in_each_column_and_a_noise_in_each_row():
  (picture,) = conditions.make(context(), rows=4).pictures
  images = picture.draw(STATE)
  assert (picture.name, picture.columns, images.shape) == ("conditions", 3, (12, 2, 2, 1))
  noise = np.asarray(images)[:, 0, 0, 0].reshape(4, 3) - LEVELS
  np.testing.assert_allclose(noise, np.broadcast_to(noise[:, :1], (4, 3)), atol=1e-6)
  assert len(np.unique(noise[:, 0])) == 4 and noise.min() >= 0.0 and noise.max() <= 0.05


@pytest.mark.parametrize(
  ("given", "settings", "message"),
  [
    (context(labels=0), {}, "which this game cannot be asked for"),
    (context(sample=None), {}, "which this game cannot be asked for"),
    (context(shape=(2,)), {}, "which this game cannot be asked for"),
    (context(labelled=False), {}, "toy has no labels at hand"),
    (context(), {"n": 0}, "n is 0; it has to be at least 1"),
    (context(), {"rows": 0}, "rows is 0; it has to be at least 1"),
  ],
)
def test_what_cannot_be_looked_at_is_refused(given, settings, message):
  with pytest.raises(ConfigError, match=message):
    conditions.make(given, **settings)
