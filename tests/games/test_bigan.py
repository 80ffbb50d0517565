"""BiGAN on nets of one or two numbers: losses and gradients in float64, shared latents, and where it ends."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Net, NetSpec
from gan_jax.games import bigan
from gan_jax.losses import adversarial

KEY = jax.random.key(6)
X = np.array([0.5, -1.0, 2.0])
Z = np.array([1.5, -0.5, 0.25])
NUMBERS = {"generator": (0.7, -0.2), "encoder": (-0.4, 0.3), "discriminator": (0.6, -0.9)}
SOFTPLUS = lambda v: np.log1p(np.exp(v))


def line(numbers) -> Net:
  """a u + b; a discriminator gives a x + b z + x z, so that it sees pairs."""

  def apply(p, s, *inputs, key=None, train=True):
    if len(inputs) == 1:
      return p["a"] * inputs[0] + p["b"], s
    x, z = inputs
    return (p["a"] * x + p["b"] * z + x * z)[:, 0], s

  return Net(lambda key: ({k: jnp.array(v) for k, v in zip("ab", numbers)}, {}), apply)


def line_game(loss=None, **settings):
  nets = {name: line(numbers) for name, numbers in NUMBERS.items()}
  fixed = lambda key, shape: jnp.asarray(Z, jnp.float32)[: shape[0], None]
  defaults = {"loss": loss or adversarial.non_saturating(), "tx": optax.sgd(0.5), "latent_dim": 1, "prior": fixed}
  return bigan.make(**nets, **{**defaults, **settings})


def reference(numbers):
  """Scores of (x, E(x)) and of (G(z), z)."""
  (g, h), (e, f), (a, b) = (numbers[name] for name in ("generator", "encoder", "discriminator"))
  score = lambda x, z: a * x + b * z + x * z
  return score(X, e * X + f), score(g * Z + h, Z)


LOSSES = {
  "non_saturating": (adversarial.non_saturating(), lambda high, low: SOFTPLUS(-high).mean() + SOFTPLUS(low).mean()),
  "wasserstein": (adversarial.wasserstein(), lambda high, low: low.mean() - high.mean()),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_joint_gradients_by_central_differences(name):
  """D sees high scores as real; G and E minimise the same with the two exchanged, and move together."""
  ours, theirs = LOSSES[name]
  game = line_game(ours)
  state = train.init(game, KEY)
  after, metrics = train.make_step(game)(state, {"x": jnp.asarray(X, jnp.float32)[None, :, None]})
  values = {
    "discriminator": lambda numbers: theirs(*reference(numbers)),
    "generator": lambda numbers: theirs(*reference(numbers)[::-1]),
  }
  real, fake = reference(NUMBERS)
  np.testing.assert_allclose(metrics["discriminator/real"], real.mean(), rtol=1e-5)
  np.testing.assert_allclose(metrics["discriminator/fake"], fake.mean(), rtol=1e-5)
  for player, nets in (("discriminator", ("discriminator",)), ("generator", ("generator", "encoder"))):
    np.testing.assert_allclose(metrics[f"{player}/loss"], values[player](NUMBERS), rtol=1e-5)
    for net in nets:
      for i, letter in enumerate("ab"):
        ends = []
        for h in (1e-6, -1e-6):
          pair = list(NUMBERS[net])
          pair[i] += h
          ends.append(values[player]({**NUMBERS, net: tuple(pair)}))
        step = after.params[net][letter] - state.params[net][letter]
        np.testing.assert_allclose(step, -0.5 * (ends[0] - ends[1]) / 2e-6, rtol=1e-4, atol=1e-6)


def test_both_players_see_the_same_latents():
  """Under the shared key: what D says of a round's pairs is what G and E are judged by."""
  game = line_game(adversarial.wasserstein(), prior=jax.random.normal)
  _, metrics = train.make_scan(game, 3, lambda key: {"x": jax.random.normal(key, (8, 1))})(train.init(game, KEY))
  np.testing.assert_allclose(metrics["generator/loss"], -metrics["discriminator/loss"], rtol=1e-5)


def test_what_a_trained_game_can_be_asked_for():
  game = line_game()
  state = train.init(game, KEY)
  x = jnp.asarray(X, jnp.float32)[:, None]
  nets = (state.params, state.stats)
  z = game.encode(*nets, KEY, x)
  np.testing.assert_allclose(z[:, 0], -0.4 * X + 0.3, rtol=1e-6)
  np.testing.assert_allclose(game.sample(*nets, KEY, 3, latents=z), 0.7 * z - 0.2, rtol=1e-6)
  np.testing.assert_allclose(game.sample(*nets, KEY, 3)[:, 0], 0.7 * Z - 0.2, rtol=1e-6)
  np.testing.assert_allclose(game.score(*nets, x), reference(NUMBERS)[0], rtol=1e-5)


def test_specs_and_refusals():
  assert bigan.specs(DataSpec((8, 8, 1)), latent_dim=5) == {
    "generator": NetSpec(((5,),), (8, 8, 1)),
    "encoder": NetSpec(((8, 8, 1),), (5,)),
    "discriminator": NetSpec(((8, 8, 1), (5,)), ()),
  }
  with pytest.raises(ConfigError, match="latent_dim is 0"):
    bigan.specs(DataSpec((8, 8, 1)), latent_dim=0)


@pytest.mark.usefixtures("runs_long")
def test_encoder_and_generator_come_to_invert_each_other():
  """G(z) = g z, E(x) = e x, D quadratic, x twice as wide as z: moments of the pairs match at g = 2, e = 1/2 alone."""
  slope = lambda start: Net(
    lambda key: ({"a": jnp.array(start)}, {}), lambda p, s, u, key=None, train=True: (p["a"] * u, s)
  )
  quadratic = Net(
    lambda key: ({k: jnp.zeros(()) for k in "abc"}, {}),
    lambda p, s, x, z, key=None, train=True: ((p["a"] * x * z + p["b"] * x**2 + p["c"] * z**2)[:, 0], s),
  )
  signs = lambda key, shape: jnp.sign(jax.random.normal(key, shape)) * (1.0 + 0.3 * jax.random.normal(key, shape))
  tx = {
    player: optax.adam(optax.linear_schedule(rate, 0.0, 3_000), b1=0.5)
    for player, rate in (("generator", 2e-2), ("discriminator", 1e-1))
  }
  nets = {"generator": slope(0.2), "encoder": slope(0.1), "discriminator": quadratic}
  game = bigan.make(**nets, loss=adversarial.non_saturating(), latent_dim=1, prior=signs, tx=tx)
  play = train.make_scan(game, 3_000, lambda key: {"x": 2.0 * signs(key, (128, 1))})
  params = jax.jit(jax.vmap(lambda key: play(train.init(game, key))[0].params))(jax.random.split(KEY, 3))
  np.testing.assert_allclose(np.abs(params["generator"]["a"]), 2.0, rtol=0.08)
  np.testing.assert_allclose(params["generator"]["a"] * params["encoder"]["a"], 1.0, rtol=0.08)
