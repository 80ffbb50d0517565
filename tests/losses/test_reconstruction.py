"""Reconstruction losses by hand, with their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.losses import reconstruction

X = jnp.array([[1.0, -1.0], [0.5, 0.25]])
Y = jnp.array([[-1.0, -1.0], [0.0, 0.5]])


def test_by_hand():
  """Differences 2, 0, 1/2, -1/4: (2 + 1/2 + 1/4) / 4 and (4 + 1/4 + 1/16) / 4."""
  assert reconstruction.l1(X, Y) == 0.6875
  assert reconstruction.l2(X, Y) == 1.078125


def test_gradients():
  """sign(d) / N, zero where they agree, and 2 d / N."""
  np.testing.assert_array_equal(jax.grad(reconstruction.l1)(X, Y), [[0.25, 0.0], [0.25, -0.25]])
  np.testing.assert_array_equal(jax.grad(reconstruction.l2)(X, Y), [[1.0, 0.0], [0.25, -0.125]])


@pytest.mark.parametrize("loss", [reconstruction.l1, reconstruction.l2])
def test_distances(loss):
  images = jax.random.uniform(jax.random.key(0), (3, 8, 8, 2), minval=-1.0, maxval=1.0)
  assert loss(images, images) == 0.0
  assert loss(X, Y) == loss(Y, X)
  # A mean, not a sum: it does not depend on how many images there are.
  np.testing.assert_allclose(loss(jnp.tile(X, (5, 3)), jnp.tile(Y, (5, 3))), loss(X, Y), rtol=1e-6)


@pytest.mark.parametrize("loss", [reconstruction.l1, reconstruction.l2])
def test_shapes_have_to_agree(loss):
  with pytest.raises(AssertionError):
    loss(X, Y[:1])
