"""The history of generated images that a discriminator sees, as a pure pytree.

Shrivastava et al. 2017 refresh half of every batch from a buffer of refined images. This is the form in
which Zhu et al. 2017 (CycleGAN) use it, with 50 images, and in which their code decides image by image.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import lax


class Pool(NamedTuple):
  """Images that a generator made earlier.

  Attributes:
    images: [size, ...], of which the first `count` are filled; None in a pool of size 0, for a checkpoint takes no
      array without elements.
    count: how many there are, int32 scalar. It never falls.
  """

  images: jax.Array | None
  count: jax.Array


def init(shape: tuple[int, ...], size: int = 50) -> Pool:
  """An empty pool for float32 images.

  Args:
    shape: of one image, [H, W, C].
    size: how many images it holds; with 0, `exchange` returns what it is given.

  Raises:
    ValueError: if the size is negative.
  """
  if size < 0:
    raise ValueError(f"a pool holds {size} images; the size has to be at least 0, which switches the pool off")
  return Pool(jnp.zeros((size, *shape), jnp.float32) if size else None, jnp.zeros((), jnp.int32))


def exchange(pool: Pool, key: jax.Array, images: jax.Array) -> tuple[Pool, jax.Array]:
  """Passes a batch of new images through the pool, one after the other.

  While the pool is not full, an image is stored and returned. Once it is full, with probability 1/2 a stored image,
  each as likely as any other, is returned and the new one takes its place; else the new one is returned and the pool
  stays as it is. So an image may be returned at a later place of the batch that it came with.

  Args:
    pool: the pool.
    key: is split in two. The first half decides the exchanges, `jax.random.bernoulli(first, 0.5, (B,))`, the second the
      places, `jax.random.randint(second, (B,), 0, size)`: one of each for every image, whether the pool is full or not.
    images: float32 [B, ...]. No gradient passes through a pool that means anything: stop it before.

  Returns:
    The new pool, and [B, ...] to show to the discriminator.

  Examples:
    >>> import jax
    >>> import jax.numpy as jnp
    >>> pool, shown = exchange(init((1,), size=2), jax.random.key(0), jnp.array([[1.0], [2.0]]))
    >>> int(pool.count), shown.tolist()  # until the pool is full, new images are returned
    (2, [[1.0], [2.0]])
  """
  if pool.images is None:
    return pool, images
  chex.assert_equal_shape_suffix([pool.images, images], images.ndim - 1)
  size, n = len(pool.images), len(images)
  first, second = jax.random.split(key)
  decisions = jax.random.bernoulli(first, 0.5, (n,)), jax.random.randint(second, (n,), 0, size)

  def one(pool, inputs):
    image, swap, place = inputs
    full = pool.count == size
    place = jnp.where(full, place, pool.count)
    old = pool.images[place]
    # One image is written whatever is decided: to choose between two whole pools would be more expensive.
    stored = pool.images.at[place].set(jnp.where(swap | ~full, image, old))
    return Pool(stored, jnp.minimum(pool.count + 1, size)), jnp.where(swap & full, old, image)

  return lax.scan(one, pool, (images, *decisions))
