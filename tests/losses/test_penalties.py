"""Gradient penalties against closed forms: linear and quadratic critics, per sample, at the points they name."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.losses import penalties

KEY = jax.random.key(5)
W = jnp.array([3.0, -4.0])  # |w| = 5
REAL = jax.random.normal(jax.random.key(1), (6, 2))
FAKE = 4.0 + jax.random.normal(jax.random.key(2), (6, 2))


def linear(w):
  return lambda x: x @ w


def quadratic(x):
  """|x|^2 / 2, whose gradient is x."""
  return 0.5 * jnp.sum(jnp.square(x.reshape(len(x), -1)), axis=1)


@pytest.mark.parametrize("where", penalties.WHERE)
@pytest.mark.parametrize("one_sided", [False, True])
def test_a_linear_critic(where, one_sided):
  """(|w| - 1)^2 with gradient 2 (|w| - 1) w / |w|, wherever it is looked at."""
  penalty = lambda w: penalties.gradient_penalty(linear(w), REAL, FAKE, KEY, where=where, one_sided=one_sided)
  for w in (W, 0.1 * W):
    norm = float(jnp.linalg.norm(w))
    excess = max(0.0, norm - 1.0) if one_sided else norm - 1.0
    value, gradient = jax.value_and_grad(penalty)(w)
    np.testing.assert_allclose(value, excess**2, rtol=1e-5)
    np.testing.assert_allclose(gradient, 2.0 * excess * np.asarray(w) / norm, rtol=1e-5)


def test_the_target_is_the_slope_asked_for():
  np.testing.assert_allclose(penalties.gradient_penalty(linear(W), REAL, FAKE, KEY, target=3.0), 4.0, rtol=1e-5)
  np.testing.assert_allclose(penalties.dragan(linear(W), REAL, REAL, KEY, target=3.0), 4.0, rtol=1e-5)
  assert float(penalties.dragan(linear(W), REAL, REAL, KEY, target=6.0, one_sided=True)) == 0.0


def test_a_quadratic_critic_by_hand():
  """Points (3, 4) and (0, 2) have norms 5 and 2: (16 + 1) / 2, and (25 + 4) / 2 / 2 for R1; the batch has norm 5.4."""
  x = jnp.array([[3.0, 4.0], [0.0, 2.0]])
  np.testing.assert_allclose(penalties.gradient_norm(quadratic, x), [5.0, 2.0], rtol=1e-6)
  np.testing.assert_allclose(penalties.gradient_penalty(quadratic, x, 9.0 * x, KEY, where="real"), 8.5, rtol=1e-6)
  np.testing.assert_allclose(penalties.gradient_penalty(quadratic, 9.0 * x, x, KEY, where="generated"), 8.5, rtol=1e-6)
  np.testing.assert_allclose(penalties.r1(quadratic, x, x, KEY), 7.25, rtol=1e-6)
  np.testing.assert_allclose(penalties.r2(quadratic, -x, x, KEY), 7.25, rtol=1e-6)
  # An image: its norm goes over height, width and channels.
  np.testing.assert_allclose(penalties.gradient_norm(quadratic, jnp.ones((2, 3, 3, 4))), [6.0, 6.0], rtol=1e-6)


def test_r1_has_the_half_and_its_gradient():
  """|w|^2 / 2, with gradient w."""
  value, gradient = jax.value_and_grad(lambda w: penalties.r1(linear(w), REAL, REAL, KEY))(W)
  np.testing.assert_allclose(value, 12.5, rtol=1e-6)
  np.testing.assert_allclose(gradient, W, rtol=1e-6)


def seen_by(penalty):
  """The points at which a penalty takes its gradient."""
  points = []

  def critic(x):
    jax.debug.callback(lambda x: points.append(np.asarray(x)), x)
    return quadratic(x)

  penalty(critic)
  jax.effects_barrier()
  return points[0]


def test_interpolates_have_an_alpha_each():
  """Every point lies between its own pair, each at another place, and the places are uniform."""
  real, fake = jnp.zeros((2000, 2, 3)), jnp.ones((2000, 2, 3)).at[:, 0].set(5.0)
  x = seen_by(lambda critic: penalties.gradient_penalty(critic, real, fake, KEY))
  alpha = x[:, 1, 0]
  np.testing.assert_allclose(x, alpha[:, None, None] * np.asarray(fake), rtol=1e-5, atol=1e-6)
  assert len(np.unique(alpha)) > 1900
  np.testing.assert_allclose(np.quantile(alpha, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.04)
  again, other = (seen_by(lambda c: penalties.gradient_penalty(c, real, fake, jax.random.key(k))) for k in (5, 6))
  np.testing.assert_array_equal(x, again)
  assert not np.array_equal(x, other)


@pytest.mark.parametrize(("where", "points"), [("real", REAL), ("generated", FAKE)])
def test_where_it_is_evaluated(where, points):
  seen = seen_by(lambda critic: penalties.gradient_penalty(critic, REAL, FAKE, KEY, where=where))
  np.testing.assert_array_equal(seen, points)


def test_dragan_looks_near_the_data():
  """Ahead of each value by alpha 0.5 std u: never behind, less than 0.5 std; alpha per sample, u per value."""
  real = 3.0 * jax.random.normal(jax.random.key(3), (400, 50))
  ahead = (seen_by(lambda critic: penalties.dragan(critic, real, real, KEY)) - np.asarray(real)) / np.std(real)
  assert ahead.min() > -1e-5 and 0.45 < ahead.max() < 0.5
  alpha = 4.0 * ahead.mean(1)  # the mean of 0.5 alpha u is alpha / 4
  np.testing.assert_allclose(np.quantile(alpha, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.08)
  np.testing.assert_allclose(ahead.std(1), alpha * 0.5 / np.sqrt(12.0), rtol=0.35, atol=2e-3)
  values = [float(penalties.dragan(quadratic, real, real, jax.random.key(k))) for k in (0, 0, 1)]
  assert values[0] == values[1] != values[2]
  value, gradient = jax.value_and_grad(lambda w: penalties.dragan(linear(w), REAL, REAL, KEY))(W)
  np.testing.assert_allclose(value, 16.0, rtol=1e-5)
  np.testing.assert_allclose(gradient, 8.0 * np.asarray(W) / 5.0, rtol=1e-5)


def test_finite_where_the_critic_is_flat():
  """At w = 0 the norm has no gradient; the penalty is 1 and its gradient is set to zero."""
  for penalty in (penalties.gradient_penalty, penalties.dragan):
    value, gradient = jax.value_and_grad(lambda w: penalty(linear(w), REAL, FAKE, KEY))(jnp.zeros(2))
    assert float(value) == 1.0
    np.testing.assert_array_equal(gradient, 0.0)
  chex.assert_tree_all_finite(jax.grad(lambda x: penalties.gradient_norm(quadratic, x).sum())(jnp.zeros((3, 2))))


def test_refusals():
  with pytest.raises(ValueError, match="where is 'fake'; it has to be one of interpolates, real, generated"):
    penalties.gradient_penalty(quadratic, REAL, FAKE, KEY, where="fake")
  with pytest.raises(AssertionError):  # one score for the batch
    penalties.r1(lambda x: jnp.sum(x), REAL, REAL, KEY)
  with pytest.raises(AssertionError):  # a column of scores
    penalties.r1(lambda x: x[:1], REAL, REAL, KEY)
  with pytest.raises(AssertionError):
    penalties.gradient_penalty(quadratic, REAL, FAKE[:3], KEY)


def test_jit_and_vmap_agree():
  def all_of_them(real, fake, key, target):
    return jnp.stack(
      [
        penalties.gradient_penalty(quadratic, real, fake, key, target=target),
        penalties.dragan(quadratic, real, fake, key, target=target),
        penalties.r1(quadratic, real, fake, key),
        penalties.r2(quadratic, real, fake, key),
      ]
    )

  many = (jnp.stack([REAL, FAKE]), jnp.stack([FAKE, REAL]), jax.random.split(KEY), jnp.array([1.0, 2.0]))
  batched = jax.jit(jax.vmap(all_of_them))(*many)
  for i in range(2):
    np.testing.assert_allclose(batched[i], all_of_them(*(leaf[i] for leaf in many)), rtol=1e-5)


def test_a_samples_slope_is_that_of_its_patches_together():
  """A critic of patches [B, 2, 2, 1] counts like one that gives their sum; its unused arguments change nothing."""
  patches = lambda x: jnp.stack([x @ W, 2 * (x @ W), x[:, 0], jnp.sin(x[:, 1])], 1).reshape(-1, 2, 2, 1)
  together = lambda x: patches(x).sum((1, 2, 3))
  for penalty in (penalties.r1, penalties.r1_and_r2, penalties.gradient_penalty, penalties.dragan):
    values = [penalty(critic, REAL, 2 * REAL, KEY) for critic in (patches, together)]
    np.testing.assert_allclose(*values, rtol=1e-5)
