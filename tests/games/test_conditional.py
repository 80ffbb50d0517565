"""Conditional GANs on nets of a few numbers: pairs that never match, losses and gradients in float64, and the match
that only the third term teaches."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Net, NetSpec
from gan_jax.games import conditional
from gan_jax.losses import adversarial

KEY = jax.random.key(8)
SOFTPLUS = lambda v: np.log1p(np.exp(v))
SIGMOID = lambda v: 1.0 / (1.0 + np.exp(-v))


def draws(labels, n):
  """Indices [n, B] of so many draws."""
  draw = jax.jit(jax.vmap(conditional.mismatched, (0, None if labels.ndim == 1 else 0)))
  return np.asarray(draw(jax.random.split(KEY, n), labels))


def test_mismatched_pairs_never_match_over_ten_thousand_draws():
  labels = jax.random.randint(KEY, (10_000, 16), 0, jnp.arange(2, 10_002)[:, None] % 9 + 2)  # of 2 to 10 classes
  labels = labels.at[:, 3].set(0).at[:, 11].set(1)  # of two at least
  found, labels = draws(labels, 10_000), np.asarray(labels)
  assert found.shape == (10_000, 16) and found.min() >= 0 and found.max() <= 15
  assert (np.take_along_axis(labels, found, 1) != labels).all()


def test_mismatched_pairs_are_uniform_over_the_others():
  """Of labels 5, 2, 5, 0, 2: three, three, three, four and three others; shares are off by 0.005 in a deviation."""
  labels = np.array([5, 2, 5, 0, 2])
  found = draws(jnp.asarray(labels), 10_000)
  for i, own in enumerate(labels):
    shares = np.bincount(found[:, i], minlength=5) / 10_000
    np.testing.assert_allclose(shares, (labels != own) / (labels != own).sum(), atol=0.025)


def test_draws_of_different_examples_are_independent():
  found = draws(jnp.array([0, 0, 1, 1]), 10_000)
  assert abs(np.mean(found[:, 0] == found[:, 1]) - 0.5) < 0.025


@pytest.mark.parametrize("labels", [[7, 7, 7], [0]])
def test_in_a_batch_of_one_class_each_example_gets_itself(labels):
  np.testing.assert_array_equal(
    draws(jnp.array(labels), 50), np.broadcast_to(np.arange(len(labels)), (50, len(labels)))
  )


V, U = np.array([0.8, -0.5, 0.3]), np.array([0.2, 1.1, -0.7])


def judge(a) -> Net:
  """a x + x <c, v>."""
  return Net(
    lambda key: ({"a": jnp.array(a), "v": jnp.asarray(V, jnp.float32)}, {}),
    lambda p, s, x, c, key=None, train=True: ((p["a"] * x + x * (c @ p["v"])[:, None])[:, 0], s),
  )


def maker(g) -> Net:
  """g z + <c, u>."""
  return Net(
    lambda key: ({"g": jnp.array(g), "u": jnp.asarray(U, jnp.float32)}, {}),
    lambda p, s, c, z, key=None, train=True: (p["g"] * z + (c @ p["u"])[:, None], s),
  )


X, Z = np.array([0.5, -1.5]), np.array([1.25, -0.5])
START = {"a": 0.6, "g": 0.7}
fixed = lambda key, shape: jnp.asarray(Z, jnp.float32)[: shape[0], None]


def labelled_game(**settings):
  defaults = {"loss": adversarial.non_saturating(), "tx": optax.sgd(0.5), "latent_dim": 1, "prior": fixed}
  defaults |= {"data": DataSpec((1,), 3), "condition": "label"}
  return conditional.make(generator=maker(START["g"]), discriminator=judge(START["a"]), **{**defaults, **settings})


def scores(numbers, labels):
  """Of real, generated and exchanged pairs; of two examples each one's only other is the other."""
  labels = np.array(labels)
  score = lambda x: numbers["a"] * x + x * V[labels]
  return score(X), score(numbers["g"] * Z + U[labels]), score(X[::-1])


LOSSES = {
  "non_saturating": (
    adversarial.non_saturating(),
    lambda real, fake: SOFTPLUS(-real).mean() + SOFTPLUS(fake).mean(),
    lambda real, fake: SOFTPLUS(-fake).mean(),
  ),
  "relativistic": (
    adversarial.relativistic(),
    lambda real, fake: SOFTPLUS(fake - real).mean(),
    lambda real, fake: SOFTPLUS(real - fake).mean(),
  ),
}


def slope(value, numbers, name):
  ends = [value({**numbers, name: numbers[name] + h}) for h in (1e-6, -1e-6)]
  return (ends[0] - ends[1]) / 2e-6


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weight", [0.5, 0.2, None])
def test_losses_and_gradients_by_central_differences(name, weight):
  """The fake side is shared by generated and exchanged pairs; G sees matching pairs alone, after D's step."""
  ours, of_discriminator, of_generator = LOSSES[name]
  labels, game = [2, 0], labelled_game(loss=ours, mismatch_weight=weight)
  batch = {"x": jnp.asarray(X, jnp.float32)[:, None], "label": jnp.array(labels)}
  state = train.init(game, KEY)
  w = weight or 0.0

  def discriminator(numbers):
    real, fake, wrong = scores(numbers, labels)
    return (1.0 - w) * of_discriminator(real, fake) + w * of_discriminator(real, wrong)

  def generator(numbers):
    real, fake, _ = scores(numbers, labels)
    return of_generator(real, fake)

  after, metrics = train.play(game, ("discriminator",), state, batch, KEY)
  for metric, expected in zip(("real", "fake", "mismatched"), scores(START, labels)):
    if metric != "mismatched" or weight is not None:
      np.testing.assert_allclose(metrics[f"discriminator/{metric}"], expected.mean(), rtol=1e-5)
  assert ("discriminator/mismatched" in metrics) == (weight is not None)
  np.testing.assert_allclose(metrics["discriminator/loss"], discriminator(START), rtol=1e-5)
  step = after.params["discriminator"]["a"] - START["a"]
  np.testing.assert_allclose(step, -0.5 * slope(discriminator, START, "a"), rtol=1e-4)
  after, metrics = train.play(game, ("generator",), state, batch, KEY)
  np.testing.assert_allclose(metrics["generator/loss"], generator(START), rtol=1e-5)
  step = after.params["generator"]["g"] - START["g"]
  np.testing.assert_allclose(step, -0.5 * slope(generator, START, "g"), rtol=1e-4)


def played(game, batch, player="discriminator"):
  return train.play(game, (player,), train.init(game, KEY), batch, KEY)


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_in_a_batch_of_one_class_the_third_term_has_no_weight(weight):
  """The generated pairs carry all of the fake side, as without the term."""
  batch = {"x": jnp.asarray(X, jnp.float32)[:, None], "label": jnp.array([1, 1])}
  with_it, without = (played(labelled_game(mismatch_weight=each), batch) for each in (weight, None))
  real, fake, _ = scores(START, [1, 1])
  for _, metrics in (with_it, without):
    expected = SOFTPLUS(-real).mean() + SOFTPLUS(fake).mean()
    np.testing.assert_allclose(metrics["discriminator/loss"], expected, rtol=1e-5)
  for one, other in zip(*(jax.tree.leaves(each[0].params["discriminator"]) for each in (with_it, without))):
    np.testing.assert_allclose(one, other, rtol=1e-6)


def matching_game(weight, m=0.0):
  """G is as good as the data, x = 1 for label 0 and -1 for label 1, and D knows the match alone: m x (c_0 - c_1)."""
  signs = jnp.array([1.0, -1.0])
  return conditional.make(
    generator=Net(lambda key: ({}, {}), lambda p, s, c, z, key=None, train=True: ((c @ signs)[:, None], s)),
    discriminator=Net(
      lambda key: ({"m": jnp.array(m)}, {}),
      lambda p, s, x, c, key=None, train=True: (p["m"] * x[:, 0] * (c @ signs), s),
    ),
    loss=adversarial.non_saturating(),
    tx=optax.sgd(1.0),
    data=DataSpec((1,), 2),
    condition="label",
    latent_dim=1,
    mismatch_weight=weight,
  )


PAIRS = {"x": jnp.array([[1.0], [-1.0], [-1.0]]), "label": jnp.array([0, 1, 1])}


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("m", [0.0, 0.4])
def test_the_match_is_pulled_by_the_third_term(weight, m):
  """A matching pair scores m and another -m, so dL/dm = -sigmoid(-m) + (1 - w) sigmoid(m) - w sigmoid(-m): -w at 0."""
  after, _ = played(matching_game(weight, m), PAIRS)
  gradient = -SIGMOID(-m) + (1.0 - weight) * SIGMOID(m) - weight * SIGMOID(-m)
  np.testing.assert_allclose(m - after.params["discriminator"]["m"], gradient, atol=1e-6)


def knows_the_match(weight):
  """Whether a trained D scores pairs that match above others, by as much as the optimum below does."""
  game = matching_game(weight)
  draw = lambda key: {k: v[jnp.array([0, 1, 2])] for k, v in PAIRS.items()}
  state, _ = jax.jit(lambda state: train.make_scan(game, 60, draw)(state))(train.init(game, KEY))
  return abs(float(state.params["discriminator"]["m"]) - np.log(1.5 / 0.5)) < 1e-2


def test_without_the_third_term_the_match_is_not_learnt():
  """Where dL/dm = 0: (1 + w) sigmoid(-m) = (1 - w) sigmoid(m), at w = 1/2 that is e^m = 3. Without it m stays 0."""
  assert knows_the_match(0.5)
  assert not knows_the_match(0.0) and not knows_the_match(None)


IMAGES = np.array([[[0.5]], [[-0.25]], [[0.5]]], np.float32)[..., None]  # conditions; the first and the last are equal


def translator(g) -> Net:
  """g c and, where there is one, z; outside of training a hundred more with a key."""

  def apply(p, s, c, *z, key=None, train=True):
    noise = sum(each.reshape(-1, 1, 1, 1) for each in z)
    return p["g"] * c + noise + (0.0 if key is None or train else 100.0), s

  return Net(lambda key: ({"g": jnp.array(g)}, {}), apply)


def paired_game(latent_dim=0, **settings):
  """D scores each pixel: 2 x + x c."""
  pixels = Net(
    lambda key: ({"a": jnp.array(2.0)}, {}), lambda p, s, x, c, key=None, train=True: (p["a"] * x + x * c, s)
  )
  defaults = {
    "loss": adversarial.wasserstein(),
    "tx": optax.sgd(0.5),
    "data": DataSpec((1, 1, 1), 0, ("x",), (1, 1, 1)),
  }
  nets = {"generator": translator(0.7), "discriminator": pixels}
  return conditional.make(**nets, condition="image", latent_dim=latent_dim, **{**defaults, **settings})


PAIRED = {"x": jnp.array([0.1, 0.9, -0.6]).reshape(3, 1, 1, 1), "condition": jnp.asarray(IMAGES)}


def test_equal_images_are_one_condition():
  """Of the conditions a, b, a the first and the last get b's image, and b that of one of the others."""
  x, c = np.array([0.1, 0.9, -0.6]), IMAGES.ravel()
  game = paired_game()
  play = jax.jit(lambda key: train.play(game, ("discriminator",), train.init(game, KEY), PAIRED, key)[1])
  found = {round(float(play(key)["discriminator/mismatched"]), 5) for key in jax.random.split(KEY, 12)}
  score = lambda x, c: 2.0 * x + x * c
  expected = {np.mean(score(x[[1, other, 1]], c)).round(5) for other in (0, 2)}
  assert found == {float(value) for value in expected}


def test_pairs_of_one_condition_are_no_mismatch():
  """Nor is a batch of one pair."""
  for batch in ({k: v[np.array([0, 2])] for k, v in PAIRED.items()}, {k: v[:1] for k, v in PAIRED.items()}):
    losses = [played(paired_game(mismatch_weight=w), batch)[1]["discriminator/loss"] for w in (0.5, None)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)


def test_the_l1_term_by_hand():
  """-E[D(G(c), c)] + 100 E|G(c) - x|, the gradient in g: -E[(2 + c) c] + 100 E[sign(g c - x) c]."""
  x, c = np.array([0.1, 0.9, -0.6]), IMAGES.ravel().astype(np.float64)
  after, metrics = played(paired_game(l1_weight=100.0), PAIRED, "generator")
  distance = np.abs(0.7 * c - x).mean()
  np.testing.assert_allclose(metrics["generator/l1"], distance, rtol=1e-5)
  np.testing.assert_allclose(metrics["generator/loss"], -((2.0 + c) * 0.7 * c).mean() + 100.0 * distance, rtol=1e-5)
  gradient = -((2.0 + c) * c).mean() + 100.0 * (np.sign(0.7 * c - x) * c).mean()
  np.testing.assert_allclose(after.params["generator"]["g"], 0.7 - 0.5 * gradient, rtol=1e-5)
  _, metrics = played(paired_game(), PAIRED, "generator")
  assert "generator/l1" not in metrics


def test_a_game_of_labels_samples_what_it_is_asked_for():
  game = labelled_game(prior=jax.random.normal)
  state = train.init(game, KEY)
  nets, z = (state.params, state.stats), jnp.array([[1.0], [2.0], [-1.0]])
  assert game.labels == 3 and game.translate is None
  found = game.sample(*nets, KEY, 3, latents=z, labels=jnp.array([2, 0, 2]))
  np.testing.assert_allclose(found[:, 0], 0.7 * z[:, 0] + U[[2, 0, 2]], rtol=1e-6)
  drawn = np.asarray(game.sample(*nets, KEY, 6_000, latents=jnp.zeros((6_000, 1))))[:, 0]
  for value in U:
    assert abs(np.isclose(drawn, value).mean() - 1 / 3) < 0.03  # uniform where none are given; a deviation is 0.006
  noisy = np.asarray(game.sample(*nets, KEY, 6_000, labels=jnp.zeros(6_000, jnp.int32)))
  np.testing.assert_allclose([noisy.mean(), noisy.std()], [U[0], 0.7], atol=0.04)


@pytest.mark.parametrize("latent_dim", [0, 1])
def test_a_game_of_images_translates_them_and_keeps_its_noise(latent_dim):
  """The generator gets a key outside of training too, for its dropout, and a latent where it has one."""
  game = paired_game(latent_dim, prior=lambda key, shape: jnp.full(shape, 10.0))
  state = train.init(game, KEY)
  nets = (state.params, state.stats)
  assert game.sample is None and game.labels == 0
  found = game.translate(*nets, KEY, jnp.asarray(IMAGES), "condition", "x")
  np.testing.assert_allclose(found, 0.7 * IMAGES + 100.0 + 10.0 * latent_dim, rtol=1e-6)
  with pytest.raises(ConfigError, match="no translation from 'x' to 'condition'; the game translates condition to x"):
    game.translate(*nets, KEY, jnp.asarray(IMAGES), "x", "condition")


def test_specs():
  image = (8, 8, 1)
  assert conditional.specs(DataSpec(image, 10), condition="label", latent_dim=5) == {
    "generator": NetSpec(((10,), (5,)), image),
    "discriminator": NetSpec((image, (10,)), ()),
  }
  paired = DataSpec(image, 10, ("x",), (8, 8, 3))
  assert conditional.specs(paired, condition="image", latent_dim=0, l1_weight=1.0) == {
    "generator": NetSpec(((8, 8, 3),), image),
    "discriminator": NetSpec((image, (8, 8, 3)), None),
  }
  assert conditional.specs(paired, condition="image", latent_dim=4)["generator"].inputs == ((8, 8, 3), (4,))


@pytest.mark.parametrize(
  ("data", "settings", "message"),
  [
    (DataSpec((2,)), {"condition": "label", "latent_dim": 1}, "the data has no labels"),
    (DataSpec((2,), 3), {"condition": "image", "latent_dim": 0}, "no images beside its own; take outlines"),
    (DataSpec((2,), 3), {"condition": "lable", "latent_dim": 1}, "condition is 'lable'; it is 'label' or 'image'"),
    (DataSpec((2,), 3), {"condition": "label", "latent_dim": 0}, "latent_dim is 0; .* at least 1"),
    (DataSpec((2,), 0, ("x",), (2,)), {"condition": "image", "latent_dim": -1}, "latent_dim is -1; .* at least 0"),
  ],
)
def test_refusals(data, settings, message):
  with pytest.raises(ConfigError, match=message):
    conditional.specs(data, **settings)


def test_a_discriminator_that_never_moves_is_refused():
  with pytest.raises(ConfigError, match="discriminator_steps is 0"):
    labelled_game(discriminator_steps=0)
