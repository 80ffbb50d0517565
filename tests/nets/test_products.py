"""Products with float32 sums: values, two derivatives, members of a sweep, and the form in which they are compiled."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets.layers import Dense
from gan_jax.nets.products import product

import hlo

HALF = jnp.bfloat16


def normal(seed, shape, dtype=jnp.float32):
  return jax.random.normal(jax.random.key(seed), shape, dtype)


def f64(x):
  return np.asarray(x.astype(jnp.float32), np.float64)


@pytest.mark.parametrize("shape", [(64, 128, 32), (64, 2, 32), (64, 128, 1), (1, 32, 16)])
def test_the_sums_are_float32(shape):
  n, k, m = shape
  x, y = normal(0, (n, k), HALF), normal(1, (k, m))
  z = jax.jit(product)(x, y)
  assert z.dtype == jnp.float32
  np.testing.assert_allclose(z, f64(x) @ f64(y.astype(HALF)), rtol=1e-5, atol=1e-5 * k)


def derivatives(x, y, a):
  """Both gradients of a product, and those of a function of the gradients."""

  def first(x, y):
    return jax.grad(lambda x, y: jnp.sum(a * jnp.sin(product(x.astype(a.dtype), y).astype(a.dtype))), (0, 1))(x, y)

  def second(x, y):
    return jax.grad(lambda *args: sum(jnp.sum(jnp.square(g)) for g in first(*args)), (0, 1))(x, y)

  return first(x, y), second(x, y)


@pytest.mark.parametrize("shape", [(64, 48, 32), (64, 2, 32), (64, 128, 1)])
def test_two_derivatives_are_float32s_but_for_rounding(shape):
  n, k, m = shape
  x, y, a = normal(0, (n, k)), normal(1, (k, m)) / np.sqrt(k), normal(2, (n, m))
  coarse, exact = (jax.jit(derivatives)(x, y, a.astype(dtype)) for dtype in (HALF, jnp.float32))
  for c, e in zip(jax.tree.leaves(coarse), jax.tree.leaves(exact), strict=True):
    assert c.dtype == jnp.float32 and 0.0 < np.linalg.norm(c - e) < 0.02 * np.linalg.norm(e)


def test_the_parameters_gradient_is_not_rounded():
  """It is a float32 sum over the batch, and would lie on bfloat16's lattice else."""
  x, y = normal(0, (64, 48), HALF), normal(1, (48, 32))
  gradient = jax.jit(jax.grad(lambda y: jnp.sum(product(x, y) ** 2)))(y)
  assert np.mean(f64(gradient) == f64(gradient.astype(HALF))) < 0.05


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
def test_vmap_is_a_loop_over_members(axes):
  x, y, a = normal(0, (3, 16, 24)), normal(1, (3, 24, 8)), normal(2, (16, 8), HALF)
  arguments = [z if axis == 0 else z[0] for z, axis in zip((x, y), axes)]
  members = jax.jit(jax.vmap(lambda x, y: derivatives(x, y, a), axes))(*arguments)
  alone = [jax.jit(derivatives)(*(z[i] if axis == 0 else z for z, axis in zip(arguments, axes)), a) for i in range(3)]
  for together, *each in zip(*map(jax.tree.leaves, (members, *alone)), strict=True):
    np.testing.assert_allclose(together, np.stack(each), rtol=1e-2, atol=1e-2 * np.abs(together).max())


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="what the CPU's compiler widens")
def test_no_factor_is_widened_in_a_scan():
  """Nor by the derivatives, second ones included: a product of bfloat16 takes half the time of a float32 one."""
  params = [normal(i, (64, 64)) / 8 for i in range(3)]

  def loss(params, x):
    def critic(x):
      for y in params:
        x = jnp.tanh(product(x.astype(HALF), y))
      return x

    return jnp.mean(critic(x)) + jnp.mean(jnp.square(jax.grad(lambda x: jnp.sum(critic(x)))(x)))

  def step(params, _):
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params, normal(9, (256, 64)))), None

  compiled = jax.jit(lambda params: jax.lax.scan(step, params, length=2)).lower(params).compile()
  factors = hlo.factors(compiled.as_text())
  assert len(factors) > 15 and set(factors) == {("bf16", "bf16")}
  chex.assert_tree_all_finite(compiled(params)[0])  # XLA compiles products that it refuses to run


def test_dense_is_flaxs_in_float32():
  x = normal(0, (8, 6))
  for settings in ({}, {"use_bias": False}):
    ours, theirs = Dense(5, **settings), nn.Dense(5, **settings)
    variables = ours.init(jax.random.key(1), x)
    jax.tree.map(np.testing.assert_array_equal, variables, theirs.init(jax.random.key(1), x))
    np.testing.assert_allclose(ours.apply(variables, x), theirs.apply(variables, x), rtol=1e-6, atol=1e-6)
