"""VAE-GAN on nets of a few numbers: its three losses in float64, their gradients against three passes apart, and which
loss reaches which net."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import priors, train
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Net, NetSpec
from gan_jax.games import vaegan
from gan_jax.losses import adversarial
from gan_jax.losses.variational import reparameterised

KEY = jax.random.key(8)
X = np.array([[0.5, -1.0], [-0.25, 0.75], [1.0, 0.2]])
# x of two numbers, z of one, features of two.
START = {
  "encoder": np.array([[0.4, -0.3], [0.2, 0.1]]),
  "generator": np.array([[0.7, -0.6]]),
  "trunk": np.array([[0.5, -0.2], [0.3, 0.9]]),
  "discriminator": np.array([[0.8], [-0.4]]),
}
SOFTPLUS = lambda v: np.log1p(np.exp(v))


def linear(name) -> Net:
  """u W, bent a little, so that gradients depend on where they are; the discriminator's is a score."""

  def apply(p, s, u, key=None, train=True):
    y = u @ p["w"]
    return (y[:, 0], s) if name == "discriminator" else (y + 0.1 * jnp.sin(y), s)

  return Net(lambda key: ({"w": jnp.asarray(START[name], jnp.float32)}, {}), apply)


def numpy_net(name, w, u):
  y = u @ w
  return y[:, 0] if name == "discriminator" else y + 0.1 * np.sin(y)


def game_of(**settings):
  defaults = {"loss": adversarial.non_saturating(), "tx": optax.sgd(1.0), "latent_dim": 1, "gamma": 0.3}
  return vaegan.make(**{name: linear(name) for name in START}, **{**defaults, **settings})


def noise_of(state):
  """What a round draws: of the posterior, and of the prior."""
  move_key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), 0)
  key = jax.random.fold_in(jax.random.fold_in(move_key, 0), 0)
  posterior_key, prior_key, _ = jax.random.split(key, 3)
  zeros = jnp.zeros((len(X), 1))
  return (np.asarray(reparameterised(posterior_key, zeros, 0.0)), np.asarray(priors.normal(prior_key, zeros.shape)))


def reference(weights, noise, similarity="features", gamma=0.3, kl_weight=1.0):
  """The three players' losses, float64."""
  net = lambda name, u: numpy_net(name, weights[name], u)
  mean, log_variance = np.split(net("encoder", X), 2, 1)
  kl = 0.5 * np.sum(mean**2 + np.exp(log_variance) - log_variance - 1.0, 1).mean()
  reconstruction, sample = net("generator", mean + np.exp(log_variance / 2) * noise[0]), net("generator", noise[1])
  f = [net("trunk", each) for each in (X, reconstruction, sample)]
  a, b = f[:2] if similarity == "features" else (X, reconstruction)
  likelihood = 0.5 * np.sum((a - b) ** 2, 1).mean()
  real, rec, sam = (net("discriminator", each) for each in f)
  judge = SOFTPLUS(-real).mean() + 0.5 * (SOFTPLUS(rec).mean() + SOFTPLUS(sam).mean())
  fool = 0.5 * (SOFTPLUS(-rec).mean() + SOFTPLUS(-sam).mean())
  return {
    "encoder": kl_weight * kl + likelihood,
    "generator": gamma * likelihood + fool,
    "discriminator": judge,
  }


OWNS = {"encoder": ("encoder",), "generator": ("generator",), "discriminator": ("trunk", "discriminator")}


@pytest.mark.parametrize("settings", [{}, {"similarity": "pixels", "gamma": 2.0, "kl_weight": 0.5}])
def test_losses_and_gradients_are_those_of_three_passes_apart(settings):
  """A round of gradient descent at rate 1: each step is minus the central difference of its own player's loss."""
  game = game_of(**settings)
  state = train.init(game, KEY)
  after, metrics = train.make_step(game)(state, {"x": jnp.asarray(X, jnp.float32)[None]})
  noise = noise_of(state)
  values = reference(START, noise, **settings)
  for player, nets in OWNS.items():
    np.testing.assert_allclose(metrics[f"{player}/loss"], values[player], rtol=1e-5)
    for net in nets:
      slope = np.zeros_like(START[net])
      for place in np.ndindex(*slope.shape):
        ends = []
        for h in (1e-6, -1e-6):
          moved = {**START, net: START[net].copy()}
          moved[net][place] += h
          ends.append(reference(moved, noise, **settings)[player])
        slope[place] = (ends[0] - ends[1]) / 2e-6
      np.testing.assert_allclose(after.params[net]["w"] - state.params[net]["w"], -slope, rtol=2e-4, atol=2e-6)


def test_what_is_logged():
  game = game_of()
  state = train.init(game, KEY)
  _, metrics = train.make_step(game)(state, {"x": jnp.asarray(X, jnp.float32)[None]})
  np.testing.assert_allclose(metrics["encoder/kl"] + metrics["encoder/likelihood"], metrics["encoder/loss"], rtol=1e-6)
  assert {f"discriminator/{name}" for name in ("real", "reconstructed", "sampled")} < {*metrics}


def test_one_forward_pass_serves_three_players():
  """All three losses see the same latents, and the round multiplies as often as the union of what they need."""
  game = game_of()
  state = train.init(game, KEY)
  batch = {"x": jnp.asarray(X, jnp.float32)[None]}
  products = jax.jit(train.make_step(game)).lower(state, batch).compile().as_text().count(" dot(")
  apart = game._replace(moves=tuple(move._replace(shared_key=False) for move in game.moves))
  assert products < jax.jit(train.make_step(apart)).lower(state, batch).compile().as_text().count(" dot(")


def test_no_adversarial_loss_reaches_the_encoder():
  """Which losses reach which net, by taking one away: its step is the same without it, or it is not."""
  batch = {"x": jnp.asarray(X, jnp.float32)}

  def step(player, net, **settings):
    game = game_of(**settings)
    state = train.init(game, KEY)
    after, _ = train.play(game, (player,), state, batch, KEY)
    return np.asarray(after.params[net]["w"] - state.params[net]["w"])

  other = {"loss": adversarial.wasserstein()}
  assert np.array_equal(step("encoder", "encoder"), step("encoder", "encoder", **other))
  assert not np.allclose(step("generator", "generator"), step("generator", "generator", **other))
  assert not np.allclose(step("encoder", "encoder"), step("encoder", "encoder", kl_weight=0.0))
  assert not np.allclose(step("generator", "generator"), step("generator", "generator", gamma=0.0))
  for net in ("trunk", "discriminator"):
    own = step("discriminator", net)
    assert np.array_equal(own, step("discriminator", net, kl_weight=0.0, gamma=0.0, similarity="pixels"))
    assert not np.allclose(own, step("discriminator", net, **other))


def test_what_a_trained_game_can_be_asked_for():
  game = game_of()
  state = train.init(game, KEY)
  nets, x = (state.params, state.stats), jnp.asarray(X, jnp.float32)
  z = game.encode(*nets, KEY, x)
  np.testing.assert_allclose(z, numpy_net("encoder", START["encoder"], X)[:, :1], rtol=1e-5)
  np.testing.assert_allclose(
    game.sample(*nets, KEY, 3, latents=z), numpy_net("generator", START["generator"], np.asarray(z)), rtol=1e-5
  )
  scores = numpy_net("discriminator", START["discriminator"], numpy_net("trunk", START["trunk"], X))
  np.testing.assert_allclose(game.score(*nets, x), scores, rtol=1e-5)


def test_specs_and_refusals():
  assert vaegan.specs(DataSpec((8, 8, 1)), latent_dim=5) == {
    "encoder": NetSpec(((8, 8, 1),), (10,)),
    "generator": NetSpec(((5,),), (8, 8, 1)),
    "trunk": NetSpec(((8, 8, 1),), None),
    "discriminator": NetSpec(("trunk",), ()),
  }
  with pytest.raises(ConfigError, match="latent_dim is 0"):
    vaegan.specs(DataSpec((8, 8, 1)), latent_dim=0)
  with pytest.raises(ConfigError, match="similarity is 'pixel'"):
    game_of(similarity="pixel")
