"""Spherical interpolation against float64 and closed forms, and where the great circle is not known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import priors

A, B = np.asarray(jax.random.normal(jax.random.key(0), (2, 100)))
STEPS = np.linspace(0.0, 1.0, 9, dtype=np.float32)
along = jax.jit(jax.vmap(priors.slerp, (None, None, 0)))


def path(a, b):
  return np.asarray(along(jnp.float32(a), jnp.float32(b), STEPS))


def test_it_is_the_formula_for_latents_of_one_length():
  """sin((1 - t) w) / sin w a + sin(t w) / sin w b with the angle w between them, in float64."""
  b = np.float64(B) * np.linalg.norm(A) / np.linalg.norm(B)
  a, t = np.float64(A), np.float64(STEPS)[:, None]
  w = np.arccos(a @ b / (a @ a))
  np.testing.assert_allclose(path(a, b), (np.sin((1 - t) * w) * a + np.sin(t * w) * b) / np.sin(w), rtol=0, atol=1e-5)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_it_keeps_the_length_or_changes_it_linearly_at_a_constant_pace(factor):
  b = factor * B * np.linalg.norm(A) / np.linalg.norm(B)
  points = path(A, b)
  lengths = np.linalg.norm(points, axis=1)
  np.testing.assert_allclose(lengths, np.linalg.norm(A) * (1.0 + (factor - 1.0) * STEPS), rtol=1e-5)
  units = points / lengths[:, None]
  angles = np.arccos(np.sum(units[1:] * units[:-1], 1))
  np.testing.assert_allclose(angles, angles.mean(), rtol=1e-3)


def test_its_ends_are_the_latents_themselves():
  for b in (B, A, -A, 2.0 * A, 0.0 * A):
    ends = path(A, b)[[0, -1]]
    np.testing.assert_array_equal(ends, np.float32([A, b]))


def test_parallel_latents():
  np.testing.assert_allclose(path(A, A), np.tile(A, (9, 1)), rtol=0, atol=1e-5)
  np.testing.assert_allclose(path(A, 3.0 * A), (1.0 + 2.0 * STEPS)[:, None] * A, rtol=0, atol=1e-5)


@pytest.mark.parametrize("a", [A, A[:2], np.array([1.0, 0.0, 0.0], np.float32)])
def test_opposite_latents_go_half_way_round(a):
  """Any great circle will do: lengths stay, and the pace is constant, 22.5 degrees a step."""
  points = path(a, -a)
  np.testing.assert_allclose(np.linalg.norm(points, axis=1), np.linalg.norm(a), rtol=1e-5)
  steps = np.sum(points[1:] * points[:-1], 1) / np.sum(a * a)
  np.testing.assert_allclose(steps, np.cos(np.pi / 8), rtol=1e-4)


def test_nearly_opposite_and_nearly_parallel_latents():
  for sign in (1.0, -1.0):
    for size in (1e-3, 1e-5, 1e-7, 1e-9):
      points = path(A, sign * A + size * B)
      np.testing.assert_allclose(np.linalg.norm(points, axis=1), np.linalg.norm(A), rtol=1e-4)


def test_one_number_and_zero_are_finite():
  for a, b in ((np.ones(1), -np.ones(1)), (np.zeros(3), np.ones(3)), (np.zeros(3), np.zeros(3))):
    points = path(a, b)
    assert np.isfinite(points).all() and np.abs(points).max() <= 1.0
