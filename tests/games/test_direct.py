"""Direct translation on numbers: each term by hand, f-constancy, and f trained and then frozen."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Net, NetSpec
from gan_jax.games import direct
from gan_jax.losses import adversarial

KEY = jax.random.key(10)
DATA = DataSpec((1,), classes=2, domains=("x", "y"))
X = {"x": [0.5, -1.0, 2.0], "y": [0.25, 0.75, -0.5]}
G, D, F = 0.7, -0.4, 1.5
BATCH = {name: jnp.array(v)[:, None] for name, v in X.items()} | {"label": jnp.array([0, 1, 1])}


def slope(start) -> Net:
  """a u + a^2 u^2 / 4: bent, so that features of two images differ by more than the images do."""
  bent = lambda p, s, u, key=None, train=True: (p["a"] * u + 0.25 * p["a"] ** 2 * u**2, s)
  return Net(lambda key: ({"a": jnp.array(start)}, {}), bent)


bent = lambda a, u: a * u + 0.25 * a**2 * u**2


def game_of(**settings):
  nets = {"generator": slope(G), "discriminator": slope(D)}
  if settings.get("consistency_weight") is not None:
    nets["features"] = slope(F)
  if settings.get("pretraining"):
    logits = lambda p, s, u, key=None, train=True: (u * p["a"][None], s)
    nets["classifier"] = Net(lambda key: ({"a": jnp.array([0.5, -0.5])}, {}), logits)
  defaults = {"loss": adversarial.least_squares(scale=1.0), "tx": optax.sgd(0.1), "data": DATA}
  return direct.make(**nets, **{**defaults, **settings})


def test_losses_by_hand():
  game = game_of(consistency_weight=2.0, identity_weight=0.5)
  state = train.init(game, KEY)
  x, y = (np.array(X[name]) for name in "xy")
  fake = bent(G, x)
  value, aux = game.players["generator"].loss(state.params, state, BATCH, KEY)
  truth = {
    "adversarial": np.mean((bent(D, fake) - 1.0) ** 2),
    "consistency": np.mean((bent(F, x) - bent(F, fake)) ** 2),
    "identity": np.mean((bent(G, y) - y) ** 2),
  }
  for name, term in truth.items():
    np.testing.assert_allclose(aux.metrics[name], term, rtol=1e-5, err_msg=name)
  np.testing.assert_allclose(
    value, truth["adversarial"] + 2.0 * truth["consistency"] + 0.5 * truth["identity"], rtol=1e-5
  )
  judged, aux = game.players["discriminator"].loss(state.params, state, BATCH, KEY)
  np.testing.assert_allclose(judged, np.mean((bent(D, y) - 1.0) ** 2) + np.mean(bent(D, fake) ** 2), rtol=1e-5)
  np.testing.assert_allclose(aux.metrics["real"], bent(D, y).mean(), rtol=1e-5)


def test_f_constancy_of_the_identity_is_nothing():
  game = game_of(consistency_weight=1.0)
  identity = Net(lambda key: ({}, {}), lambda p, s, u, key=None, train=True: (u, s))
  nets = {"generator": identity, "discriminator": slope(D), "features": slope(F)}
  game = direct.make(
    **nets, loss=adversarial.least_squares(), tx=optax.sgd(0.1), data=DATA, consistency_weight=1.0, identity_weight=1.0
  )
  state = train.init(game, KEY)
  aux = game.players["generator"].loss(state.params, state, BATCH, KEY)[1]
  assert float(aux.metrics["consistency"]) == float(aux.metrics["identity"]) == 0.0


@pytest.mark.parametrize("weight", ["consistency_weight", "identity_weight"])
def test_each_term_reaches_the_generator_and_no_other(weight):
  """With it the generator's step is another one; the discriminator's stays, and f is moved by nobody."""
  steps = {}
  for value in (0.0, 3.0):
    game = game_of(**{"consistency_weight": 0.0, "identity_weight": 0.0, weight: value})
    state = train.init(game, KEY)
    steps[value] = {p: train.play(game, (p,), state, BATCH, KEY)[0].params for p in game.players}
  assert steps[0.0]["generator"]["generator"]["a"] != steps[3.0]["generator"]["generator"]["a"]
  assert steps[0.0]["discriminator"]["discriminator"]["a"] == steps[3.0]["discriminator"]["discriminator"]["a"]
  assert all(float(params["features"]["a"]) == F for params in steps[3.0].values())


def test_f_is_trained_first_and_frozen_then():
  game = game_of(consistency_weight=1.0, pretraining=True, tx={"features": optax.sgd(0.1)})
  state = train.init(game, KEY)
  batches = jax.tree.map(lambda b: b[None], BATCH)
  after, metrics = train.make_step(game)(state, batches)
  assert set(game.players) == {"features"} and float(after.params["features"]["a"]) != F
  assert float(after.params["generator"]["a"]) == np.float32(G)
  logits = bent(F, np.array(X["x"]))[:, None] * [0.5, -0.5]
  log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  np.testing.assert_allclose(metrics["features/loss"], -log_p[range(3), [0, 1, 1]].mean(), rtol=1e-5)
  np.testing.assert_allclose(metrics["features/accuracy"], np.mean(log_p.argmax(1) == [0, 1, 1]), rtol=1e-6)
  second = game_of(consistency_weight=1.0)
  last, _ = train.make_step(second)(train.carry(after, train.init(second, KEY)), batches)
  assert second.frozen == ("features",)
  np.testing.assert_array_equal(last.params["features"]["a"], after.params["features"]["a"])


def test_specs_and_refusals():
  data = DataSpec((8, 8, 3), classes=10, domains=("x", "y"))
  assert direct.specs(data) == {
    "generator": NetSpec(((8, 8, 3),), (8, 8, 3)),
    "discriminator": NetSpec(((8, 8, 3),), None),
  }
  assert set(direct.specs(data, consistency_weight=1.0)) == {"generator", "discriminator", "features"}
  with pytest.raises(ConfigError, match="from one domain to another"):
    direct.specs(DataSpec((8, 8, 3)))
  game = game_of()
  state = train.init(game, KEY)
  found = game.translate(state.params, state.stats, KEY, BATCH["x"], "x", "y")
  np.testing.assert_allclose(found[:, 0], bent(G, np.array(X["x"])), rtol=1e-5)
  with pytest.raises(ConfigError, match="translates x to y"):
    game.translate(state.params, state.stats, KEY, BATCH["y"], "y", "x")


def test_a_generator_that_draws_when_it_translates_is_given_the_key():
  """As dropout that stays on: its noise is that of the key, and other keys give other images."""
  apply = lambda p, s, u, key=None, train=True: (p["a"] * u + jax.random.normal(key, u.shape), s)
  noisy = Net(lambda key: ({"a": jnp.array(G)}, {}), apply)
  nets = {"generator": noisy, "discriminator": slope(D)}
  game = direct.make(**nets, loss=adversarial.least_squares(), tx=optax.sgd(0.1), data=DATA)
  state = train.init(game, KEY)
  translated = lambda key: game.translate(state.params, state.stats, key, BATCH["x"], "x", "y")
  np.testing.assert_allclose(translated(KEY), G * BATCH["x"] + jax.random.normal(KEY, (3, 1)), rtol=1e-6)
  assert not np.allclose(translated(KEY), translated(jax.random.key(1)))
