"""Levels of an image pyramid, as networks that grow and their data share them. Karras et al. 2018."""

import jax


def reduced(images: jax.Array, factor: int) -> jax.Array:
  """Averages of squares of factor x factor pixels: [B, H, W, C] -> [B, H / factor, W / factor, C].

  Examples:
    >>> import jax.numpy as jnp
    >>> reduced(jnp.arange(4.0).reshape(1, 2, 2, 1), 2).tolist()
    [[[[1.5]]]]
  """
  b, h, w, c = images.shape
  return images.reshape(b, h // factor, factor, w // factor, factor, c).mean((2, 4))


def enlarged(images: jax.Array, factor: int) -> jax.Array:
  """Every pixel as a square of factor x factor, its nearest neighbours: [B, H, W, C] -> [B, factor H, factor W, C]."""
  return images.repeat(factor, 1).repeat(factor, 2)


def faded(coarse: jax.Array, fine: jax.Array, alpha: jax.Array) -> jax.Array:
  """(1 - alpha) coarse + alpha fine, images or feature maps [B, H, W, C] of one size; alpha [B], exact at 0 and 1."""
  alpha = alpha[:, None, None, None].astype(fine.dtype)
  return (1.0 - alpha) * coarse + alpha * fine
