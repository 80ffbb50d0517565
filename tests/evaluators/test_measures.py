"""InfoGAN's and CycleGAN's measures against values that nets of one number have in closed form."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.evaluators import Context, translation
from experiments.evaluators import codes as evaluator
from gan_jax import train
from gan_jax.data.dataset import Dataset, from_arrays, from_domains, spread
from gan_jax.data.sprites import FACTORS
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Game, Net
from gan_jax.games import cyclegan, infogan
from gan_jax.games._abilities import translations
from gan_jax.games.infogan import Codes
from gan_jax.losses import adversarial
from gan_jax.metrics import translation as metrics
from gan_jax.metrics.features import Extractor

KEY = jax.random.key(8)
SHARED = {"loss": adversarial.least_squares(), "tx": optax.sgd(0.1)}
RNG = np.random.RandomState(0)


def evaluated(apply, value=1.0) -> Net:
  """A net of one number, for use outside of training."""

  def net(p, s, x, key=None, train=True):
    assert not train, "measures are taken outside of training"
    return apply(p["w"], x), s

  return Net(lambda key: ({"w": jnp.array(value)}, {}), net)


# Of 600 images the first entries are logits of 3 classes, those behind them means of 2 numbers.
KIND = RNG.randint(0, 3, 600)
KNOWN = np.stack([KIND, *RNG.uniform(-1, 1, (4, 600))], 1).astype(np.float32)  # kind, x, y, scale, angle
RELABELLED = np.array([2, 0, 1])[KIND].astype(np.int32)
CODED = np.concatenate([np.eye(3)[KIND], KNOWN[:, 3:4], RNG.uniform(-1, 1, (600, 1))], 1).astype(np.float32)


def coded_game(codes=Codes((3,), 2, False)):
  """Trunk and recognition head pass on what they see."""
  same = evaluated(lambda w, x: w * x)
  return infogan.make(
    generator=same,
    trunk=same,
    discriminator=same,
    recognition=same,
    latent_dim=codes.size,
    **codes._asdict(),
    **SHARED,
  )


def measure_codes(test, codes=Codes((3,), 2, False)):
  game, dataset = coded_game(codes), Dataset("toy", (5,), 3, None, None, test)
  measure = jax.jit(evaluator.make(Context(game, dataset, {})).measure)
  return {name: float(value) for name, value in measure(train.init(game, KEY)).items()}


def test_codes_are_compared_with_labels_and_factors():
  """Classes are the labels by other names but for every tenth; the first number is the scale, the second nothing."""
  label = np.where(np.arange(600) % 10, RELABELLED, (RELABELLED + 1) % 3)
  found = measure_codes({"x": CODED, "label": label, "factors": KNOWN})
  information = {f"continuous_{i}/{name}" for i in (0, 1) for name in FACTORS}
  assert set(found) == {"accuracy_0", "gap"} | information
  np.testing.assert_allclose(found["accuracy_0"], 0.9, rtol=1e-6)
  assert found["continuous_0/scale"] > 2.0
  assert max(found[name] for name in information - {"continuous_0/scale"}) < 0.15
  # Of five factors the kind and the scale are told in full by one code alone, and the other three by none.
  np.testing.assert_allclose(found["gap"], 2 / 5, atol=0.06)


def test_labels_or_factors_alone():
  assert measure_codes({"x": CODED, "label": RELABELLED}) == {"accuracy_0": 1.0}
  pairs = {f"continuous_{i}/{name}" for i in (0, 1) for name in FACTORS}
  assert set(measure_codes({"x": CODED, "factors": KNOWN})) == {"gap"} | pairs
  assert measure_codes({"x": CODED[:, :3], "label": RELABELLED}, Codes((3,), 0)) == {"accuracy_0": 1.0}
  numbers = measure_codes({"x": CODED[:, 3:], "factors": KNOWN}, Codes((), 2, False))
  assert numbers["continuous_0/scale"] > 2.0 and "accuracy_0" not in numbers
  np.testing.assert_allclose(numbers["gap"], 1 / 5, atol=0.06)


def test_codes_are_measured_for_each_member_of_a_sweep():
  """A trunk of averaged weight -1 makes the smallest logit the largest: the classifier is always wrong."""
  game, dataset = coded_game(), Dataset("toy", (5,), 3, None, None, {"x": CODED, "label": RELABELLED})
  measure = evaluator.make(Context(game, dataset, {})).measure
  state = train.init(game, KEY)

  def of(w):
    averaged = {**state.ema["trunk"], "params": {"w": w}}
    return measure(state.replace(ema={**state.ema, "trunk": averaged}))["accuracy_0"]

  high, low = jax.jit(jax.vmap(of))(jnp.array([1.0, -1.0]))
  assert float(high) == 1.0 and float(low) < 0.7


def test_codes_without_anything_to_compare_are_drawn_alone():
  dataset = Dataset("toy", (5,), 0, None, None, {"x": CODED, "label": KIND})
  with pytest.raises(ConfigError, match="it looks at latent codes, which this game does not have"):
    evaluator.make(Context(Game({}, {}, ()), dataset, {}))
  alone = evaluator.make(Context(coded_game(), dataset._replace(test={"x": CODED}), {}))
  assert alone.measure(None) == {} and len(alone.pictures) == 3


def pixels(n):
  return RNG.randint(0, 256, (n, 12, 12, 1)).astype(np.uint8)


def translating_game():
  """G(x) = a x + 0.1 and F(y) = b y, in training with other a and b than their averages 0.5 and 1.5."""
  scores = evaluated(lambda w, x: w * x)
  return cyclegan.make(
    x_to_y=evaluated(lambda w, x: w * x + 0.1),
    y_to_x=evaluated(lambda w, x: w * x),
    discriminator_x=scores,
    discriminator_y=scores,
    data=DataSpec((12, 12, 1), 0, ("x", "y")),
    **SHARED,
  )


def measure_translation(dataset, **settings):
  game = translating_game()
  state = train.init(game, KEY)
  averages = {"x_to_y": 0.5, "y_to_x": 1.5}
  state = state.replace(ema={net: {"params": {"w": jnp.array(w)}, "stats": {}} for net, w in averages.items()})
  measure = jax.jit(translation.make(Context(game, dataset, {}), **settings).measure)
  return {name: float(value) for name, value in measure(state).items()}


def test_translation_by_hand(monkeypatch):
  """In float64, for 6 held-out images of X and 4 of Y; a judge says whether an image is brighter than 0."""
  seen = []

  def train_judge(*arguments):
    seen.append(arguments)
    threshold = 0.02 * len(seen)
    brightness = jax.tree_util.Partial(lambda x: x.mean((1, 2, 3)))
    head = jax.tree_util.Partial(lambda mean: jnp.stack([jnp.full(len(mean), threshold), mean], 1))
    return Extractor("a judge", brightness, head, 0.75 + 0.125 * len(seen))

  monkeypatch.setattr(translation.classifier, "train", train_judge)
  draw = lambda n: RNG.randint(0, 2, n).astype(np.int32)
  train_x, train_y = {"x": pixels(8), "label": draw(8)}, {"y": pixels(9), "label_y": draw(9)}
  test = {"x": pixels(6), "label": draw(6), "x_in_y": pixels(6)}
  test |= {"y": pixels(4), "label_y": draw(4), "y_in_x": pixels(4)}
  dataset = from_domains("toy", {"x": train_x, "y": train_y}, test, classes=2)
  found = measure_translation(dataset)
  for arguments, split, image, label in zip(seen, (train_x, train_y), "xy", ("label", "label_y"), strict=True):
    expected = (split[image], split[label], test[image], test[label])
    for given, array in zip(arguments[:4], expected):
      np.testing.assert_array_equal(given, array)
    assert arguments[4] == 2
  decoded = lambda v: v.astype(np.float64) / 127.5 - 1.0
  go = {"y": lambda x: 0.5 * x + 0.1, "x": lambda y: 1.5 * y}
  expected = {}
  for here, there, label, counterpart in (("x", "y", "label", "x_in_y"), ("y", "x", "label_y", "y_in_x")):
    source, truth = decoded(test[here]), decoded(test[counterpart])
    translated = go[there](source)
    l1 = lambda a, b: np.mean(np.abs(a - b))
    expected |= {
      f"cycle_l1_{here}": l1(go[here](translated), source),
      f"identity_l1_{here}": l1(go[here](source), source),
      f"paired_l1_to_{there}": l1(translated, truth),
      f"ssim_to_{there}": metrics.ssim(jnp.float32(translated), jnp.float32(truth)),
      f"label_to_{there}": np.mean((translated.mean((1, 2, 3)) > 0) == test[label]),
      f"classifier_{there}": {"x": 0.875, "y": 1.0}[there],
    }
  assert set(found) == set(expected)
  for name, value in expected.items():
    np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_without_labels_and_counterparts_there_is_less_to_measure():
  dataset = from_domains("toy", {d: {d: pixels(8)} for d in "xy"}, {"x": pixels(3), "y": pixels(5)})
  assert set(measure_translation(dataset, judge=False)) == {
    "cycle_l1_x",
    "cycle_l1_y",
    "identity_l1_x",
    "identity_l1_y",
  }


def test_without_labels_a_classifier_of_domains_judges_style(monkeypatch):
  """It takes an image for Y where it is brighter than 0.05: in float64, of 30 images of X and 20 of Y."""
  seen = []

  def train_judge(*arguments):
    seen.append(arguments)
    brightness = jax.tree_util.Partial(lambda x: x.mean((1, 2, 3)))
    head = jax.tree_util.Partial(lambda mean: jnp.stack([jnp.full(len(mean), 0.05), mean], 1))
    return Extractor("a judge", brightness, head, 0.875)

  monkeypatch.setattr(translation.classifier, "train", train_judge)
  train_images, test = {"x": pixels(8), "y": pixels(9)}, {"x": pixels(30), "y": pixels(20)}
  found = measure_translation(from_domains("toy", {d: {d: train_images[d]} for d in "xy"}, test))
  ((images, of, test_images, test_of, classes),) = seen
  np.testing.assert_array_equal(images, np.concatenate([train_images["x"], train_images["y"]]))
  np.testing.assert_array_equal(test_images, np.concatenate([test["x"], test["y"]]))
  assert of.tolist() == 8 * [0] + 9 * [1] and test_of.tolist() == 30 * [0] + 20 * [1] and classes == 2
  bright = {d: (v.astype(np.float64) / 127.5 - 1.0).mean((1, 2, 3)) for d, v in test.items()}
  expected = {
    "style_to_y": np.mean(0.5 * bright["x"] + 0.1 > 0.05),
    "style_x_as_y": np.mean(bright["x"] > 0.05),
    "style_to_x": np.mean(1.5 * bright["y"] <= 0.05),
    "style_y_as_x": np.mean(bright["y"] <= 0.05),
    "classifier_style": 0.875,
  }
  assert {name for name in found if "style" in name} == set(expected)
  for name, value in expected.items():
    np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


FACTORS_OF = {("a", "b"): 0.5, ("b", "a"): 1.5, ("a", "c"): 0.25, ("c", "a"): 3.0, ("b", "c"): 0.8, ("c", "b"): 1.2}


def scaling(factors):
  """A game whose averaged nets multiply images by one factor for each direction."""

  def way(factor):
    return lambda params, stats, key, x: params["scale"]["w"] * factor * x

  game = Game({}, {}, (), **translations({direction: way(factor) for direction, factor in factors.items()}))
  averages = {"scale": {"params": {"w": 1.0}, "stats": {}}}
  state = types.SimpleNamespace(params={"scale": {"w": 9.0}}, stats={"scale": {}}, ema=averages, key=KEY)
  return game, state


def test_translations_among_three_domains_by_hand(monkeypatch):
  """Every ordered pair, with names that say both; counterparts of two pairs are known, labels of two domains."""

  def train_judge(x, *_):
    head = jax.tree_util.Partial(lambda mean: jnp.stack([jnp.zeros(len(mean)), mean], 1))
    return Extractor("a judge", jax.tree_util.Partial(lambda x: x.mean((1, 2, 3))), head, 0.5 + len(x) / 64)

  monkeypatch.setattr(translation.classifier, "train", train_judge)
  labels = lambda n: RNG.randint(0, 2, n).astype(np.int32)
  named = {"a": "label_a", "b": "label_b"}
  split = lambda *sizes: {
    d: {d: pixels(n)} | ({named[d]: labels(n)} if d in named else {}) for d, n in zip("abc", sizes)
  }
  held_out = split(6, 4, 5)
  test = {k: v for entries in held_out.values() for k, v in entries.items()}
  test |= {"a_in_b": pixels(6), "c_in_a": pixels(5)}
  game, state = scaling(FACTORS_OF)
  evaluation = translation.make(Context(game, from_domains("toy", split(8, 16, 9), test, classes=2), {}), n=3)
  found = {name: float(value) for name, value in jax.jit(lambda: evaluation.measure(state))().items()}
  decoded = {k: v.astype(np.float64) / 127.5 - 1.0 for k, v in test.items()}
  l1, expected = lambda a, b: np.mean(np.abs(a - b)), {}
  for (here, there), factor in FACTORS_OF.items():
    source, back = decoded[here], FACTORS_OF[there, here]
    expected[f"cycle_l1_{here}_by_{there}"] = l1(back * factor * source, source)
    expected[f"identity_l1_{here}_to_{there}"] = l1(factor * decoded[there], decoded[there])
    if f"{here}_in_{there}" in test:
      truth = decoded[f"{here}_in_{there}"]
      expected[f"paired_l1_{here}_to_{there}"] = l1(factor * source, truth)
      expected[f"ssim_{here}_to_{there}"] = metrics.ssim(jnp.float32(factor * source), jnp.float32(truth))
    if here in named and there in named:
      expected[f"label_{here}_to_{there}"] = np.mean((source.mean((1, 2, 3)) > 0) == test[named[here]])
      expected[f"classifier_{there}"] = {"a": 0.625, "b": 0.75}[there]
  assert found == {name: pytest.approx(float(value), rel=1e-4) for name, value in expected.items()}
  assert set(found) == set(evaluation.explained)
  assert evaluation.headline == ("label_a_to_b", "label_b_to_a")
  assert [(p.name, p.columns) for p in evaluation.pictures] == [(f"{a}_to_{b}", 3) for a, b in FACTORS_OF]
  rows = np.asarray(evaluation.pictures[4].draw(state)).reshape(3, 3, -1)
  b = spread(decoded["b"], 3).reshape(3, -1)
  np.testing.assert_allclose(rows, [b, 0.8 * b, 1.2 * 0.8 * b], atol=1e-6)


@pytest.mark.parametrize("known", [False, True])
def test_a_game_of_one_direction_has_no_cycle(known):
  """From the first domain to the second alone: no number and no row needs the way back."""
  truth = {"x_in_y": pixels(4)} if known else {}
  dataset = from_domains("toy", {d: {d: pixels(4)} for d in "xy"}, {"x": pixels(4), "y": pixels(5)} | truth)
  game, state = scaling({("x", "y"): 0.5})
  evaluation = translation.make(Context(game, dataset, {}), judge=False)
  found = {name: float(value) for name, value in evaluation.measure(state).items()}
  x, y, *counterpart = (v / 127.5 - 1.0 for v in dataset.test.values())
  expected = {"identity_l1_y": 0.5 * np.abs(y).mean()}
  if known:
    expected["paired_l1_to_y"] = np.abs(0.5 * x - counterpart[0]).mean()
    expected["ssim_to_y"] = float(metrics.ssim(jnp.float32(0.5 * x), jnp.float32(counterpart[0])))
  assert found == {name: pytest.approx(value, rel=1e-4) for name, value in expected.items()}
  (picture,) = evaluation.pictures
  assert (picture.name, picture.columns) == ("x_to_y", 4)
  np.testing.assert_allclose(picture.draw(state), np.concatenate([x, 0.5 * x, *counterpart]), atol=1e-6)


def test_translation_of_another_game_is_refused():
  pairs = Dataset("toy", (5,), 0, None, None, {}, domains=("x", "y"))
  with pytest.raises(ConfigError, match="it looks at translations, which this game does not make"):
    translation.make(Context(coded_game(), pairs, {}))


def paired(labelled, n=6):
  """Twelve training pairs and n held out, whose conditions are drawn by themselves."""
  split = lambda n: {"x": pixels(n), "condition": pixels(n)} | ({"label": np.arange(n) % 2} if labelled else {})
  return from_arrays("toy", split(12), split(n), classes=2 if labelled else 0)


def measure_pairs(dataset, **settings):
  """By a game whose averaged generator halves the condition, with a key, and adds 0.1."""
  translate = lambda params, stats, key, x, source, target: (
    params["generator"]["w"] * x + 0.1 + float(key is None or (source, target) != ("condition", "x"))
  )
  game = Game({}, {}, (), translate=translate, directions=(("condition", "x"),))
  nets = {"generator": {"params": {"w": 0.5}, "stats": {}}}
  state = types.SimpleNamespace(params={"generator": {"w": 9.0}}, stats={"generator": {}}, ema=nets, key=KEY)
  evaluation = translation.make(Context(game, dataset, {}), **settings)
  return evaluation, {name: float(value) for name, value in evaluation.measure(state).items()}, state


def test_pairs_by_hand(monkeypatch):
  """Translations of held-out conditions against the images that they belong to, and these images' labels."""
  seen = []

  def train_judge(*arguments):
    seen.append(arguments)
    head = jax.tree_util.Partial(lambda mean: jnp.stack([jnp.full(len(mean), 0.1), mean], 1))
    return Extractor("a judge", jax.tree_util.Partial(lambda x: x.mean((1, 2, 3))), head, 0.875)

  monkeypatch.setattr(translation.classifier, "train", train_judge)
  dataset = paired(labelled=True)
  evaluation, found, _ = measure_pairs(dataset)
  decoded = lambda name: dataset.test[name].astype(np.float64) / 127.5 - 1.0
  made, truth = 0.5 * decoded("condition") + 0.1, decoded("x")
  expected = {
    "paired_l1_to_x": np.abs(made - truth).mean(),
    "ssim_to_x": metrics.ssim(jnp.float32(made), jnp.float32(truth)),
    "label_to_x": np.mean((made.mean((1, 2, 3)) > 0.1) == dataset.test["label"]),
    "classifier_x": 0.875,
  }
  assert found == {name: pytest.approx(float(value), rel=1e-4) for name, value in expected.items()}
  assert set(found) == set(evaluation.explained) and set(evaluation.headline) < set(found)
  ((x, label, *_),) = seen
  np.testing.assert_array_equal(x, dataset.arrays["x"])
  np.testing.assert_array_equal(label, dataset.arrays["label"])


def test_a_picture_of_pairs_is_conditions_translations_and_truth():
  dataset = paired(labelled=False, n=30)
  evaluation, found, state = measure_pairs(dataset, n=5)
  assert set(found) == {"paired_l1_to_x", "ssim_to_x"}
  (picture,) = evaluation.pictures
  assert (picture.name, picture.columns) == ("condition_to_x", 5)
  condition, x = (spread(dataset.test[name], 5) / 127.5 - 1.0 for name in ("condition", "x"))
  expected = np.concatenate([condition, 0.5 * condition + 0.1, x])
  np.testing.assert_allclose(picture.draw(state), expected, atol=1e-6)
