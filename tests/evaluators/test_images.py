"""Images that are judged: what is compared with what, and how it is said."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from experiments.evaluators import Context, Evaluation, Judgement, images, together
from experiments.evaluators._extractors import training_images
from gan_jax import train
from gan_jax.data.dataset import from_arrays, spread
from gan_jax.errors import ConfigError
from gan_jax.game import Game
from gan_jax.metrics import classifier, features, quality
from gan_jax.metrics.features import Extractor
from gan_jax.metrics.quality import Features

RNG = np.random.RandomState(3)
IMAGES = RNG.randint(0, 256, (60, 2, 3, 1)).astype(np.uint8)
CORNERS = Extractor("its corners", Partial(lambda x: x.reshape(len(x), -1)[:, :4]))
STATE = types.SimpleNamespace(params={"level": 0.0}, stats={}, ema={}, key=jax.random.key(5))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def context(n_train=40, classes=0, sample=True, features=None, shape=(2, 3, 1)):
  """A generator of noise around a level; with any other keys it draws other images."""

  def draw(params, stats, key, n, latents=None):
    return jnp.tanh(params["level"] + jax.random.normal(key, (n, *shape)))

  game = Game({}, {}, (), sample=draw if sample else None, features=features)
  labels = lambda n: {"label": np.arange(n, dtype=np.int32) % classes} if classes else {}
  data = [IMAGES[:n_train], IMAGES[40:]] if shape == (2, 3, 1) else [np.zeros((20, 2), np.float32)] * 2
  split = [{"x": x} | labels(len(x)) for x in data]
  return Context(game, from_arrays("noise", *split, classes=classes), {})


def corners(x):
  return (x.astype(np.float32) - 127.5).reshape(len(x), -1)[:, :4] / 127.5


def test_what_is_compared(monkeypatch):
  """Samples of the averaged weights, 256 levels, against all that is held out and all that was trained on."""
  monkeypatch.setattr(features, "default", lambda *_: ("efficientnet", "because"))
  monkeypatch.setattr(features, "efficientnet", lambda: CORNERS)
  found = images.make(context(), n=25).judge(STATE)
  keys = jax.random.split(train.evaluation_key(STATE.key), 1)
  drawn = np.asarray(context().game.sample(STATE.params, {}, keys[0], 100))[:25]
  pixels = np.round((drawn + 1.0) * 127.5).astype(np.uint8)
  exact = quality.measure(*(Features(corners(x), None) for x in (pixels, IMAGES[40:], IMAGES[:40])))
  assert found.numbers == pytest.approx(exact, rel=1e-4)
  assert found.protocol == {
    "samples": 25,
    "reference": "20 real images",
    "training images": "40",
    "extractor": "its corners",
    "features": 4,
    "neighbours": 5,
    "why": "because",
  }
  picture, columns = found.sheets["neighbours"]
  assert columns == 6 and picture.shape == (48, 2, 3, 1) and {*images.HEADLINE} - {"class_entropy"} <= {*found.numbers}
  distances = np.linalg.norm(corners(IMAGES[:40]) - corners(pixels[2:3]), axis=1)
  beside = np.round((picture[12:18] + 1.0) * 127.5).astype(np.uint8)
  np.testing.assert_array_equal(beside, [pixels[2], *IMAGES[:40][np.argsort(distances)[:5]]])


def test_real_images_are_looked_at_once_and_samples_each_time(monkeypatch):
  seen = []

  def look(x):
    jax.debug.callback(lambda x: seen.append(len(x)), x)
    return x.reshape(len(x), -1)[:, :4]

  extractor = Extractor("watched", Partial(look))
  for _ in range(2):
    images.compare(extractor, IMAGES[:30], IMAGES[40:], IMAGES[:40])
    jax.effects_barrier()
  one = len(seen) / 4  # samples twice, the two kinds of real ones once; each filled up to as many
  features.extract(extractor, IMAGES[:30])
  jax.effects_barrier()
  assert len(seen) == 5 * one
  images.compare(Extractor("another", Partial(look)), IMAGES[:30], IMAGES[40:], IMAGES[:40])
  jax.effects_barrier()
  assert len(seen) == 8 * one


def test_the_discriminator_is_the_one_of_the_state():
  own = images.make(
    context(features=lambda params, stats, x: params["level"] + x.reshape(len(x), -1)), extractor="discriminator", n=25
  )
  one, other = (own.judge(types.SimpleNamespace(**{**vars(STATE), "params": {"level": level}})) for level in (0.0, 2.0))
  assert one.numbers["frechet_floor"] == pytest.approx(other.numbers["frechet_floor"], rel=1e-3)
  assert other.numbers["frechet"] > one.numbers["frechet"] + 1.0 and "own discriminator" in one.protocol["extractor"]


@pytest.mark.parametrize(
  ("given", "settings", "message"),
  [
    (context(sample=False), {}, "this game makes none"),
    (context(shape=(2,)), {}, "this game makes none"),
    (context(), {"n": -1}, "-1 samples"),
    (context(), {"n": 10}, "more than 10 are needed"),
    (context(), {"k": 0}, "k = 0"),
    (context(), {"extractor": "inceptoin"}, "'inceptoin', which is not known. Did you mean 'inception'"),
    (context(), {"extractor": "classifier"}, "has no labels"),
    (context(), {"extractor": "discriminator"}, "has no features"),
    (context(), {"extractor": "inception"}, "no file is given: InceptionV3 needs .*eval.images.weights=FILE"),
    (
      context(),
      {"extractor": "inception", "weights": "none.pth"},
      "no file none.pth: .*pt_inception-2015-12-05",
    ),
  ],
)
def test_what_cannot_be_judged_is_told(given, settings, message):
  with pytest.raises(ConfigError, match=message):
    images.make(given, **settings)


def test_a_labelled_set_trains_its_classifier(monkeypatch):
  given = []
  monkeypatch.setattr(classifier, "train", lambda *arguments: given.append(arguments) or CORNERS)
  images.make(context(classes=2), n=25).judge(STATE)
  ((x, label, test_x, test_label, classes),) = given
  np.testing.assert_array_equal(x, IMAGES[:40])
  np.testing.assert_array_equal(test_x, IMAGES[40:])
  assert (len(label), len(test_label), classes) == (40, 20, 2)


def test_of_data_without_end_as_many_training_images_are_drawn_as_samples():
  dataset = context().dataset._replace(size=None)
  drawn, whole = training_images(dataset, 7, 100)
  assert drawn.shape == (7, 2, 3, 1) and drawn.dtype == np.uint8 and not whole
  for most, count in ((40, 40), (100, 40), (39, 39)):
    found, whole = training_images(context().dataset, 7, most)
    assert len(found) == count and whole == (most >= 40)
  np.testing.assert_array_equal(spread(IMAGES, 4), IMAGES[[0, 19, 39, 59]])


def test_memorisation_is_measured_where_all_training_images_are_looked_at(monkeypatch):
  monkeypatch.setattr(features, "default", lambda *_: ("efficientnet", ""))
  monkeypatch.setattr(features, "efficientnet", lambda: CORNERS)
  for most, said in ((40, "40"), (39, "39, not all")):
    found = images.make(context(), train_images=most).judge(STATE)
    assert ("memorisation" in found.numbers) == (most == 40) and found.protocol["training images"] == said


def test_training_images_that_are_cropped_are_seen_as_the_game_sees_them(monkeypatch):
  monkeypatch.setattr(features, "default", lambda *_: ("efficientnet", ""))
  monkeypatch.setattr(features, "efficientnet", lambda: CORNERS)
  wide = np.arange(40 * 4 * 4, dtype=np.uint8).reshape(40, 4, 4, 1)
  data = from_arrays("wide", {"x": wide}, {"x": wide[:20, 1:3, 1:3] // 2 + 7}, crop=2)
  given = context(shape=(2, 2, 1))._replace(dataset=data)
  found, _ = training_images(data, 7, 100)
  np.testing.assert_array_equal(found, wide[:, 1:3, 1:3])
  assert images.make(given, n=20).judge(STATE).sheets["neighbours"][0].shape == (48, 2, 2, 1)


def test_features_that_say_nothing_are_no_end_of_a_run():
  """As of a discriminator that has diverged."""
  flat = lambda params, stats, x: params["level"] + x.reshape(len(x), -1)
  own = images.make(context(features=flat), extractor="discriminator")
  found = own.judge(types.SimpleNamespace(**{**vars(STATE), "params": {"level": np.inf}}))
  assert set(found.numbers) == set(images.EXPLAINED) and np.isnan([*found.numbers.values()]).all()
  assert "not finite" in found.protocol["not measured"]


def test_several_evaluators_are_one():
  one = Evaluation(lambda state: {"a": state}, judge=lambda state: Judgement({"b": 2 * state}, {"by": "hand"}))
  other = Evaluation(
    lambda state: {"c": 3 * state}, explained={"c": ("C", "thrice")}, headline=("c",), protocol={"n": 1}
  )
  both = together({"one": one, "other": other})
  assert both.measure(2) == {"a": 2, "c": 6} and both.judge(2).numbers == {"b": 4}
  assert both.judge(2).protocol == {"one": {"by": "hand"}} and both.protocol == {"other": {"n": 1}}
  assert both.explained == {"c": ("C", "thrice")} and both.headline == ("c",)
