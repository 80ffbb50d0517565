"""The two-player game: whose gradient goes where, which statistics move, and that it learns."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import train
from gan_jax.game import Net
from gan_jax.games import fgan, gan
from gan_jax.losses import adversarial, divergences

import toy

KEY = jax.random.key(7)


def affine_generator() -> Net:
  """x = m + z, in one dimension."""
  return Net(lambda key: ({"m": jnp.array(0.5)}, {}), lambda p, s, z, key=None, train=True: (p["m"] + z, s))


def quadratic_discriminator() -> Net:
  """v(x) = a + b x + c x^2."""

  def init(key):
    return {"a": jnp.array(0.1), "b": jnp.array(0.7), "c": jnp.array(-0.2)}, {}

  def apply(p, s, x, key=None, train=True):
    return (p["a"] + p["b"] * x + p["c"] * x**2)[:, 0], s

  return Net(init, apply)


def line_game(loss=None, rate=1e-2, **settings):
  return gan.make(
    generator=affine_generator(),
    discriminator=quadratic_discriminator(),
    loss=loss or adversarial.non_saturating(),
    tx=optax.sgd(rate),
    latent_dim=1,
    **settings,
  )


def test_losses_and_gradients_by_hand():
  """With z = 0 and x = 2: v(real) = 0.1 + 1.4 - 0.8 = 0.7, v(fake) = v(0.5) = 0.1 + 0.35 - 0.05 = 0.4."""
  sigmoid = lambda v: 1 / (1 + np.exp(-v))
  game = line_game(prior=lambda key, shape: jnp.zeros(shape), rate=1.0)
  state = train.init(game, KEY)
  batch = {"x": jnp.full((3, 1), 2.0)}
  after, metrics = train.play(game, ("discriminator",), state, batch, KEY)
  np.testing.assert_allclose(metrics["discriminator/loss"], np.log1p(np.exp(-0.7)) + np.log1p(np.exp(0.4)), rtol=1e-5)
  np.testing.assert_allclose(metrics["discriminator/real"], 0.7, rtol=1e-5)
  np.testing.assert_allclose(metrics["discriminator/fake"], 0.4, rtol=1e-5)
  step = {
    k: sigmoid(-0.7) * real - sigmoid(0.4) * fake for k, real, fake in (("a", 1, 1), ("b", 2, 0.5), ("c", 4, 0.25))
  }
  for name, value in step.items():
    moved = after.params["discriminator"][name] - state.params["discriminator"][name]
    np.testing.assert_allclose(moved, value, rtol=1e-4)
  after, metrics = train.play(game, ("generator",), state, batch, KEY)
  np.testing.assert_allclose(metrics["generator/loss"], np.log1p(np.exp(-0.4)), rtol=1e-5)
  np.testing.assert_allclose(after.params["generator"]["m"], 0.5 + sigmoid(-0.4) * (0.7 - 0.2), rtol=1e-5)


def test_the_discriminator_sees_another_z_than_the_generator():
  seen = []

  def prior(key, shape):
    z = jax.random.normal(key, shape)
    jax.debug.callback(lambda z: seen.append(float(z[0, 0])), z, ordered=True)
    return z

  game = line_game(prior=prior, discriminator_steps=2)
  step = jax.jit(train.make_step(game))
  step(train.init(game, KEY), {"x": jnp.ones((2, 4, 1))})
  jax.effects_barrier()
  assert len(seen) == 3 and len(set(seen)) == 3


def test_relativistic_generator_sees_the_real_scores():
  game = line_game(adversarial.relativistic(), prior=lambda key, shape: jnp.zeros(shape))
  _, metrics = train.play(game, ("generator",), train.init(game, KEY), {"x": jnp.full((3, 1), 2.0)}, KEY)
  np.testing.assert_allclose(metrics["generator/loss"], np.log1p(np.exp(0.7 - 0.4)), rtol=1e-5)


@pytest.mark.usefixtures("runs_long")
def test_the_generator_finds_the_mean():
  """Data N(2, 1), generator N(m, 1): the optimum of the game is m = 2."""
  game = line_game(rate=0.05)
  draw = lambda key: {"x": 2.0 + jax.random.normal(key, (256, 1))}
  run = jax.jit(jax.vmap(lambda key: train.make_scan(game, 3000, draw)(train.init(game, key))[0]))
  means = run(jax.random.split(KEY, 3)).ema["generator"]["params"]["m"]
  np.testing.assert_allclose(means, 2.0, atol=0.1)


def test_sample_is_a_function_of_the_key():
  game = toy.ring_game()
  state = train.init(game, KEY)
  first, again, other = (game.sample(state.params, state.stats, jax.random.key(k), 5) for k in (0, 0, 1))
  chex.assert_shape(first, (5, 2))
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"simultaneous": True, "discriminator_steps": 2}, "move at once move once: discriminator_steps is 2"),
    ({"discriminator_steps": 0}, "discriminator_steps is 0"),
    ({"tx": {"generator": optax.sgd(0.1)}}, "player 'discriminator' has no optimizer"),
  ],
)
def test_refusals(settings, message):
  with pytest.raises(ValueError, match=message):
    toy.ring_game(**settings)


def test_fgan_of_gan_is_the_minimax_game():
  nets = {"generator": affine_generator(), "discriminator": quadratic_discriminator()}
  draw = lambda key: {"x": 2.0 + jax.random.normal(key, (16, 1))}
  ends = [
    train.make_scan(game, 20, draw)(train.init(game, KEY))[0].params
    for game in (
      fgan.make(**nets, divergence=divergences.gan(), tx=optax.sgd(0.1), latent_dim=1),
      gan.make(**nets, loss=adversarial.minimax(), tx=optax.sgd(0.1), latent_dim=1),
    )
  ]
  chex.assert_trees_all_close(*ends, rtol=1e-5)


@pytest.mark.parametrize(("divergence", "data_first"), [(divergences.kl(), True), (divergences.reverse_kl(), False)])
@pytest.mark.usefixtures("runs_long")
def test_fgan_bound_reaches_the_divergence(divergence, data_first):
  """KL(N(2, 1) || N(0.5, 1)) = 1.5^2 / 2 with the generator held still; the optimal score is quadratic at most.

  By table 6's activation it is T* = 1 + log(p/q) for KL; reverse KL of (Q||P) is the same number, at -T* = q/p.
  """
  game = fgan.make(
    generator=affine_generator(),
    discriminator=quadratic_discriminator(),
    divergence=divergence,
    data_first=data_first,
    parametrisation="log_ratio",
    tx={"discriminator": optax.adam(optax.cosine_decay_schedule(2e-2, 3000)), "generator": optax.sgd(0.0)},
    latent_dim=1,
  )
  draw = lambda key: {"x": 2.0 + jax.random.normal(key, (1024, 1))}
  _, metrics = jax.jit(lambda s: train.make_scan(game, 3000, draw)(s))(train.init(game, KEY))
  np.testing.assert_allclose(-metrics["discriminator/loss"][-500:].mean(), 1.125, rtol=0.03)
