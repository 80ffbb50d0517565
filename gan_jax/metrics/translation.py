"""How well images are translated from one domain to another: what is kept, and how near the true counterpart is."""

import chex
import jax
import jax.numpy as jnp

_RADIUS = 5  # of the window, in pixels: 11x11 as in the paper
WINDOW = 2 * _RADIUS + 1
_SIGMA = 1.5
_RANGE = 2.0  # of values in [-1, 1]


def l1(x: jax.Array, y: jax.Array) -> jax.Array:
  """The mean absolute difference of two batches of images, over all their values; at most 2, for they lie in [-1, 1].

  Between x and F(G(x)) it is the cycle error, between y and G(y) the identity error (Zhu et al. 2017,
  who sum where this averages), between G(x) and x's true counterpart the paired error.

  Args:
    x: [B, H, W, C] in [-1, 1].
    y: likewise; the i-th is compared with the i-th of `x`.
  """
  chex.assert_equal_shape([x, y])
  return jnp.mean(jnp.abs(x - y))


def ssim(x: jax.Array, y: jax.Array) -> jax.Array:
  """Structural similarity, 1 for equal images and at least -1. Wang et al. 2004.

  Means, variances and the covariance are those within a Gaussian window of 11x11 pixels and standard deviation 1.5,
  wherever it lies inside the image; the constants are (0.01 L)^2 and (0.03 L)^2 for the range L = 2 of the values. Each
  channel is treated as a grey image.

  Args:
    x: [B, H, W, C] in [-1, 1], H and W at least 11.
    y: likewise; the i-th is compared with the i-th of `x`.

  Returns:
    Mean over windows, channels and images.

  Raises:
    ValueError: images smaller than the window.
  """
  chex.assert_rank([x, y], 4)
  chex.assert_equal_shape([x, y])
  if min(x.shape[1:3]) < WINDOW:
    raise ValueError(f"images are {x.shape[1]}x{x.shape[2]}; ssim's window needs {WINDOW} pixels each way")
  mu_x, mu_y = _windowed(x), _windowed(y)
  var_x, var_y = _windowed(jnp.square(x)) - jnp.square(mu_x), _windowed(jnp.square(y)) - jnp.square(mu_y)
  covariance = _windowed(x * y) - mu_x * mu_y
  c1, c2 = (0.01 * _RANGE) ** 2, (0.03 * _RANGE) ** 2
  luminance = (2.0 * mu_x * mu_y + c1) / (jnp.square(mu_x) + jnp.square(mu_y) + c1)
  return jnp.mean(luminance * (2.0 * covariance + c2) / (var_x + var_y + c2))


def label_agreement(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """The share of translations that a classifier of their new domain gives the label of the image they come from.

  A perfect translation scores about the classifier's accuracy, which is to be stated with it.

  Args:
    logits: of the translations, [B, K].
    labels: of their sources, [B] integers.
  """
  chex.assert_rank([logits, labels], [2, 1])
  chex.assert_equal_shape_prefix([logits, labels], 1)
  return jnp.mean(jnp.where(jnp.argmax(logits, axis=1) == labels, 1.0, 0.0))


def _windowed(x):
  """The Gaussian mean around each pixel that is `_RADIUS` or more away from the edge."""
  height, width = (_band(side, x.dtype) for side in x.shape[1:3])
  # Variances are differences of nearly equal numbers: not with the short mantissas that accelerators multiply with.
  return jnp.einsum("ih,bhwc,jw->bijc", height, x, width, precision="highest")


def _band(side, dtype):
  """The window's weights as a matrix [side - 2 _RADIUS, side], each row one pixel further on."""
  distance = jnp.arange(side)[None] - jnp.arange(_RADIUS, side - _RADIUS)[:, None]
  weights = jnp.where(jnp.abs(distance) <= _RADIUS, jnp.exp(-0.5 * jnp.square(distance.astype(dtype) / _SIGMA)), 0.0)
  return weights / jnp.sum(weights, axis=1, keepdims=True)
