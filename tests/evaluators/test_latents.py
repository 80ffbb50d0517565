"""Interpolation and arithmetic of latents, from generators whose images say what they were made of."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from experiments.evaluators import Context, latents
from gan_jax import priors, train
from gan_jax.data.dataset import from_arrays
from gan_jax.errors import ConfigError
from gan_jax.game import Game
from gan_jax.metrics.features import Extractor

STATE = types.SimpleNamespace(params={"gain": 1.0}, stats={}, ema={}, key=jax.random.key(5))
CLASSES, SIDE = 3, 8


def game(sample):
  return Game({}, {}, (), sample=sample)


def context(sample, shape=(1, 4, 1), labels=True, **settings):
  x = np.zeros((6, *shape), np.uint8)
  split = {"x": x} | ({"label": np.arange(6, dtype=np.int32) % CLASSES} if labels else {})
  return Context(game(sample), from_arrays("noise", split, split, CLASSES if labels else 0), settings)


def shown(params, stats, key, n, latents=None):
  """The latent itself as an image."""
  return params["gain"] * latents[:, None, :, None]


def test_interpolation_goes_from_latent_to_latent_on_the_sphere():
  evaluation = latents.make(context(shown, latent_dim=4), rows=3, steps=5)
  (picture,) = evaluation.pictures
  assert picture.name == "interpolation" and picture.columns == 5
  drawn = np.asarray(picture.draw(STATE)).reshape(3, 5, 4)
  starts, ends = np.asarray(priors.normal(train.evaluation_key(STATE.key), (2, 3, 4)))
  np.testing.assert_array_equal(drawn[:, 0], starts)
  np.testing.assert_array_equal(drawn[:, -1], ends)
  for row, a, b in zip(drawn, starts, ends):
    for i, t in enumerate((0.25, 0.5, 0.75), 1):
      np.testing.assert_allclose(row[i], priors.slerp(a, b, jnp.float32(t)), atol=1e-5)


def test_latents_are_of_the_games_own_prior():
  ones = lambda key, shape: jnp.ones(shape)
  (picture,) = latents.make(context(shown, latent_dim=4, prior=ones), rows=2, steps=3).pictures
  np.testing.assert_allclose(picture.draw(STATE), np.ones((6, 1, 4, 1)), rtol=1e-6)


def test_slant_of_lines_and_weight():
  """A line that goes s pixels to the right for one up leans by s, wherever it is and however bright."""
  x, y = np.meshgrid(np.arange(33), np.arange(33))
  line = lambda s, level: np.where(np.abs(x - 14 + s * (y - 18)) < 0.5, level, -1.0)[None, ..., None]
  for s in (-1.0, 0.0, 1.0):
    for level in (1.0, 0.2):
      inside = line(s, level)
      inside[:, :5] = inside[:, 31:] = -1.0
      np.testing.assert_allclose(latents.slant(inside), [s], atol=1e-9)
  np.testing.assert_allclose(latents.slant(np.full((2, 5, 5, 3), -1.0)), 0.0)  # nothing leans nowhere
  np.testing.assert_allclose(latents.weight(np.stack([line(0.0, 1.0)[0], -line(0.0, 1.0)[0]])), [-31 / 33, 31 / 33])


def written(params, stats, key, n, latents=None, signs=(1.0, 1.0, 1.0)):
  """Latents are a class, the largest of three entries, and how far and bold a line leans, if its class's sign is 1.

  The class is the row that is grey at the right edge.
  """
  kind = jnp.argmax(latents[:, :CLASSES], 1)
  more = (jnp.array(signs)[kind] * jnp.tanh(latents[:, CLASSES]))[:, None, None]
  place = jnp.arange(float(SIDE)) - 3.5
  light = jnp.exp(-jnp.square(place[None, None] + more * place[None, :, None])) * (0.4 + 0.3 * more)
  mark = jnp.float32(jnp.arange(SIDE)[None] == kind[:, None])
  return (2.0 * light.at[:, :, -1].set(0.3 * mark) - 1.0)[..., None]


def prior(key, shape):
  """A class, exactly, and a lean of its own in [-1, 1]."""
  kind_key, lean_key = jax.random.split(key)
  kind = jax.nn.one_hot(jax.random.randint(kind_key, shape[:-1], 0, CLASSES), CLASSES)
  return jnp.concatenate([kind, jax.random.uniform(lean_key, (*shape[:-1], 1), minval=-1.0)], -1)


@pytest.fixture
def reader(monkeypatch):
  """A classifier that reads the mark."""
  head = Partial(lambda edge: edge)
  reader = Extractor("a reader", Partial(lambda x: x[:, :CLASSES, -1, 0]), head, 0.5)
  monkeypatch.setattr(latents.classifier, "train", lambda *_: reader)


def judged(sample, n=300):
  made = context(sample, (SIDE, SIDE, 1), latent_dim=CLASSES + 1, prior=prior)
  return latents.make(made, n=n).judge(STATE)


@pytest.mark.usefixtures("reader")
def test_arithmetic_where_latents_add_up():
  """high - low + low of another class: that class, and high. All pairs succeed, and the picture has them in a row."""
  found = judged(written)
  assert found.numbers == {"arithmetic_slant": 1.0, "arithmetic_weight": 1.0}
  assert found.protocol["samples"] == 300 and found.protocol["pairs of classes"] == 6
  assert found.protocol["accuracy of the classifier"] == 0.5
  sheet, columns = found.sheets["arithmetic_slant"]
  assert columns == 4 and sheet.shape == (4 * CLASSES, SIDE, SIDE, 1)
  rows = sheet.reshape(CLASSES, 4, SIDE, SIDE, 1)
  lean = np.array([latents.slant(row[..., :-1, :]) for row in rows])
  assert (lean[:, [0, 3]] > 0.3).all() and (lean[:, [1, 2]] < -0.3).all()
  named = rows[:, :, :CLASSES, -1, 0].argmax(-1)
  np.testing.assert_array_equal(named, [[0, 0, 1, 1], [1, 1, 2, 2], [2, 2, 0, 0]])


@pytest.mark.usefixtures("reader")
def test_a_direction_that_another_class_does_not_share_is_no_success():
  """Class 1 leans the other way for the same entry: of six pairs the two without it are left."""
  found = judged(functools.partial(written, signs=(1.0, -1.0, 1.0)))
  assert found.numbers == {"arithmetic_slant": pytest.approx(1 / 3), "arithmetic_weight": pytest.approx(1 / 3)}


@pytest.mark.usefixtures("reader")
def test_a_sum_of_another_class_is_no_success(monkeypatch):
  """Of six sums that are all taken for class 0, two should be."""
  named = latents._named
  of_sums = lambda reader, images: named(reader, images) if len(images) == 300 else np.zeros(len(images), int)
  monkeypatch.setattr(latents, "_named", of_sums)
  assert judged(written).numbers == {name: pytest.approx(1 / 3) for name in latents.EXPLAINED}


@pytest.mark.usefixtures("reader")
def test_a_generator_of_one_class_has_no_pairs():
  one = lambda params, stats, key, n, latents=None: written(params, stats, key, n, latents.at[:, 0].set(9.0))
  found = judged(one)
  assert np.isnan(found.numbers["arithmetic_slant"]) and not found.sheets


def test_without_labels_there_is_the_interpolation_alone():
  evaluation = latents.make(context(shown, labels=False, latent_dim=4))
  assert [picture.name for picture in evaluation.pictures] == ["interpolation"]
  assert not evaluation.judge(STATE).numbers and not evaluation.explained


@pytest.mark.parametrize("settings", [{"rows": 0}, {"steps": 1}, {"n": 99}])
def test_numbers_that_are_too_small(settings):
  with pytest.raises(ConfigError, match="they have to be at least 1, 2 and 100"):
    latents.make(context(shown, latent_dim=4), **settings)


def test_games_without_latents_are_refused():
  for made in (context(None, latent_dim=4), context(shown), context(shown, (2,), latent_dim=4)):
    with pytest.raises(ConfigError, match="it decodes latents to images"):
      latents.make(made)
