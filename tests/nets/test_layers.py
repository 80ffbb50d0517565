"""Spectral norm against the singular value decomposition, before and after the weights move."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import train
from gan_jax.games import gan
from gan_jax.losses import adversarial
from gan_jax.nets import mlp
from gan_jax.nets.adapt import from_linen
from gan_jax.nets.conv import Conv
from gan_jax.nets.layers import SpectralNorm

import toy

KEY = jax.random.key(3)
LAYERS = {  # layer, shape of an input
  "wide": (nn.Dense(12), (5, 4)),
  "tall": (nn.Dense(3), (5, 8)),
  "column": (nn.Dense(1), (5, 8)),
  "conv": (Conv(6, (4, 4), (2, 2)), (2, 8, 8, 3)),
}


def wrapped(name):
  layer, shape = LAYERS[name]
  net = from_linen(SpectralNorm(layer), toy.SPEC(shape, jnp.float32))
  return (net, jax.random.normal(KEY, shape), *net.init(KEY))


def matrix(kernel):
  return np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])


def largest(kernel):
  return np.linalg.svd(matrix(kernel), compute_uv=False)[0]


def unit(x):
  return x / np.linalg.norm(x)


def sigma_used(name, params, stats, x):
  """What the layer divided its kernel by, found by holding it against the layer without; biases are zero."""
  layer, _ = LAYERS[name]
  plain = layer.apply({"params": params["layer"]}, x)
  normal, _ = wrapped(name)[0].apply(params, stats, x, train=False)
  np.testing.assert_allclose(plain / normal, jnp.full_like(plain, jnp.median(plain / normal)), rtol=1e-3)
  return float(jnp.median(plain / normal))


@pytest.mark.parametrize("name", LAYERS)
def test_the_largest_singular_value_is_one_and_stays_so(name):
  net, x, params, stats = wrapped(name)
  iterate = jax.jit(lambda params, stats: jax.lax.fori_loop(0, 200, lambda _, s: net.apply(params, s, x)[1], stats))
  stats = iterate(params, stats)
  np.testing.assert_allclose(sigma_used(name, params, stats, x), largest(params["layer"]["kernel"]), rtol=1e-4)
  moved = jax.tree.map(lambda p: p if p.ndim == 1 else p + jax.random.normal(jax.random.key(9), p.shape), params)
  exact = largest(moved["layer"]["kernel"])
  assert sigma_used(name, moved, stats, x) < 0.99 * exact or name == "column"  # the old u does not fit the new weights
  np.testing.assert_allclose(sigma_used(name, moved, iterate(moved, stats), x), exact, rtol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_one_application_is_one_power_iteration(name):
  net, x, params, stats = wrapped(name)
  w, u = matrix(params["layer"]["kernel"]), np.asarray(stats["spectral"]["kernel"], np.float64)
  chex.assert_shape(u, (w.shape[1],))
  trained, after = net.apply(params, stats, x)
  np.testing.assert_allclose(after["spectral"]["kernel"], unit(w.T @ unit(w @ u)), rtol=1e-4, atol=1e-5)
  still, same = net.apply(params, after, x, train=False)
  chex.assert_trees_all_equal(same, after)
  np.testing.assert_allclose(still, trained, rtol=1e-5, atol=1e-6)
  halved = jax.tree.map(lambda u: 0.5 * u, after)  # as a moving average may leave it
  np.testing.assert_allclose(net.apply(params, halved, x, train=False)[0], still, rtol=1e-5, atol=1e-6)


def test_biases_are_left_alone():
  net, x, params, stats = wrapped("tall")
  biased = {"layer": {**params["layer"], "bias": jnp.array([1.0, 2.0, 3.0])}}
  difference = net.apply(biased, stats, x)[0] - net.apply(params, stats, x)[0]
  np.testing.assert_allclose(difference, jnp.tile(jnp.array([[1.0, 2.0, 3.0]]), (5, 1)), rtol=1e-5)


@pytest.mark.parametrize("iterations", [0, 500])
def test_the_gradient_goes_through_sigma_alone(iterations):
  """d/dW <C, x W / sigma> = G / sigma - <G, W> v u^T / sigma^2 with G = x^T C, in float64.

  It holds at any u, which is a constant; where u has converged it is also the slope of the true norm, by differences.
  """
  with jax.enable_x64(True):
    rng = np.random.default_rng(0)
    w, x, c = rng.normal(size=(4, 3)), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    u = unit(rng.normal(size=3))
    for _ in range(iterations):
      u = unit(w.T @ (w @ u))
    net = from_linen(SpectralNorm(nn.Dense(3, use_bias=False)), toy.SPEC((5, 4), jnp.float64))
    stats = {"spectral": {"kernel": jnp.asarray(u)}}

    def value(kernel):
      y, moved = net.apply({"layer": {"kernel": kernel}}, stats, jnp.asarray(x))
      return jnp.sum(c * y), moved

    gradient, moved = jax.grad(value, has_aux=True)(jnp.asarray(w))
    u = np.asarray(moved["spectral"]["kernel"])
    v = unit(w @ u)
    sigma, g = v @ w @ u, x.T @ c
    np.testing.assert_allclose(gradient, g / sigma - np.sum(g * w) * np.outer(v, u) / sigma**2, rtol=1e-9)
    if iterations:
      exact = lambda w: np.sum(c * (x @ w)) / np.linalg.svd(w, compute_uv=False)[0]
      for i, j in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[i, j] = 1e-6
        np.testing.assert_allclose(gradient[i, j], (exact(w + step) - exact(w - step)) / 2e-6, rtol=1e-5, atol=1e-8)


def spectral_game(dtype=jnp.float32):
  return gan.make(
    generator=from_linen(mlp.Generator(shape=(2,), hidden=(16,)), toy.SPEC((1, 4), jnp.float32)),
    discriminator=from_linen(
      mlp.Discriminator(hidden=(16, 16), spectral_norm=True, dtype=dtype), toy.SPEC((1, 2), jnp.float32)
    ),
    loss=adversarial.hinge(),
    tx=optax.adam(optax.linear_schedule(1e-2, 0.0, 300), b1=0.5),
    latent_dim=4,
  )


def test_a_trained_discriminator_has_norm_one_in_every_layer():
  """It is Lipschitz with constant 1, since relu is; and its raw weights have moved away from norm one."""
  game = spectral_game()
  state, _ = jax.jit(train.make_scan(game, 300, toy.ring_batch))(train.init(game, KEY))
  params, spectral = state.params["discriminator"], state.stats["discriminator"]["spectral"]
  raw = []
  for i in range(3):
    w, u = matrix(params[f"Dense_{i}"]["kernel"]), np.asarray(spectral[f"SpectralNorm_{i}"]["kernel"])
    np.testing.assert_allclose(largest(w) / np.linalg.norm(w @ unit(u)), 1.0, atol=0.01)
    raw.append(largest(w))
  assert max(abs(np.array(raw) - 1.0)) > 0.2
  x, y = jax.random.normal(KEY, (2, 500, 2))
  score = lambda x: game.nets["discriminator"].apply(params, state.stats["discriminator"], x, train=False)[0]
  slopes = jnp.abs(score(x) - score(y)) / jnp.linalg.norm(x - y, axis=1)
  assert 0.05 < slopes.max() < 1.02


def test_u_moves_in_its_owners_turn_only():
  game = spectral_game()
  state = train.init(game, KEY, jax.eval_shape(toy.ring_batch, KEY))
  after, _ = train.play(game, ("generator",), state, toy.ring_batch(KEY), KEY)
  chex.assert_trees_all_equal(after.stats["discriminator"], state.stats["discriminator"])
  after, _ = train.play(game, ("discriminator",), state, toy.ring_batch(KEY), KEY)
  for old, new in zip(*(jax.tree.leaves(s.stats["discriminator"]) for s in (state, after)), strict=True):
    assert old.size == 1 or not np.array_equal(old, new)


def test_in_bfloat16():
  """Parameters, u and scores stay float32."""
  game = spectral_game(jnp.bfloat16)
  state, metrics = train.make_step(game)(train.init(game, KEY), {"x": toy.ring_batch(KEY)["x"][None]})
  chex.assert_tree_all_finite(metrics)
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((state.params, state.stats, metrics)))


def test_parameters_keep_their_names():
  nets = [from_linen(mlp.Discriminator((8,), spectral_norm=on), toy.SPEC((1, 2), jnp.float32)) for on in (True, False)]
  (params, _), (bare, stats) = (net.init(KEY) for net in nets)
  chex.assert_trees_all_equal(params, bare)
  assert stats == {}
