"""What every source of data hands to a game: a pure `draw`, and a test split."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Dataset(NamedTuple):
  """A distribution to draw from.

  Attributes:
    name: as in `config.data.name`.
    shape: of one `x`: [H, W, C] for images, [D] for points.
    classes: how many different labels there are; 0 where the data has none.
    size: number of training examples; None for a sampler, which never runs out.
    draw: `(key, n) -> {"x": [n, *shape] float32, "label": [n] int32 where there are labels}`; pure, so it may be
      jitted, scanned and vmapped. Images are in [-1, 1]. Examples are drawn independently, with replacement. It is a
      pytree whose leaves are the arrays it reads: hand it to a jitted function as an argument, and the compiler does
      not take the data for a constant of the program.
    test: the held-out split as stored (see `decode`), never seen by `draw`.
  """

  name: str
  shape: tuple[int, ...]
  classes: int
  size: int | None
  draw: jax.tree_util.Partial
  test: Mapping[str, np.ndarray]


def decode(batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
  """Turns stored arrays into what a game is shown: uint8 pixels 0..255 into float32 in [-1, 1], the rest as it is."""
  # Not `v / 127.5 - 1`: a compiler may divide by multiplying with the reciprocal, and 255 then lands just above 1.
  return {k: (v.astype(jnp.float32) - 127.5) * (1 / 127.5) if v.dtype == jnp.uint8 else v for k, v in batch.items()}


def from_arrays(
  name: str, train: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray], classes: int = 0
) -> Dataset:
  """A data set that lives on the device: uint8 images stay uint8 there, and are decoded as they are drawn.

  Args:
    name: as in `config.data.name`.
    train: "x": [N, H, W, C] uint8 or [N, D] float32; "label": [N] int32, optional; further entries [N, ...] likewise.
    test: the same entries, held out.
    classes: number of different labels.
  """
  arrays = {k: jnp.asarray(v) for k, v in train.items()}
  draw = jax.tree_util.Partial(_draw, arrays)
  return Dataset(name, tuple(train["x"].shape[1:]), classes, len(train["x"]), draw, test)


def _draw(arrays: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  index = jax.random.randint(key, (n,), 0, len(arrays["x"]))
  return decode({k: v[index] for k, v in arrays.items()})
