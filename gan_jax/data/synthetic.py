"""Mixtures of Gaussians, whose modes are known: the customary toys for mode collapse and for fitting densities.

Values are in the units of the distribution, not in [-1, 1] as pixels are. Every source is a sampler that never runs
out; its "label" is the component that an example comes from, and `draw.args[0]` holds the true "means" [K, D], "scales"
[K] and "weights" [K], the latter summing to one.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.dataset import Dataset

_HELD_OUT = 10_000
_TEST_KEY = 2**31 - 1  # far from the small seeds that runs are given


def ring_modes(radius: float = 2.0) -> np.ndarray:
  """Centres of `ring8`: [8, 2] float32, counter-clockwise from (radius, 0)."""
  angle = 2 * np.pi * np.arange(8) / 8
  return (radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)).astype(np.float32)


def grid_modes(spacing: float = 2.0) -> np.ndarray:
  """Centres of `grid25`: [25, 2] float32, the 5x5 grid around the origin; at spacing 2, {-4, -2, 0, 2, 4}^2."""
  ticks = spacing * np.arange(-2, 3)
  return np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(25, 2).astype(np.float32)


def ring8(radius: float = 2.0, std: float = 0.02) -> Dataset:
  """Eight equal Gaussians on a circle, as in Unrolled GANs (Metz et al., 2017).

  Args:
    radius: of the circle.
    std: of each Gaussian, the same in both directions.

  Returns:
    Dataset of "x" [2], in the units of `radius`, and "label" 0..7, an index into `ring_modes(radius)`.

  Raises:
    ValueError: std is not positive.
  """
  return _mixture("ring8", ring_modes(radius), [std] * 8, [1.0] * 8)


def grid25(spacing: float = 2.0, std: float = 0.05) -> Dataset:
  """Twenty-five equal Gaussians on a grid, as in PacGAN (Lin et al., 2018).

  Args:
    spacing: between neighbouring centres.
    std: of each Gaussian, the same in both directions.

  Returns:
    Dataset of "x" [2], in the units of `spacing`, and "label" 0..24, an index into `grid_modes(spacing)`.

  Raises:
    ValueError: std is not positive.
  """
  return _mixture("grid25", grid_modes(spacing), [std] * 25, [1.0] * 25)


def mixture1d(
  weights: Sequence[float] = (0.33, 0.67),
  means: Sequence[float] = (-1.0, 2.0),
  scales: Sequence[float] = (0.255, 1.415),
) -> Dataset:
  """Gaussians on the line, for fits whose divergence can be integrated, as in f-GAN (Nowozin et al., 2016, sec. 2.5).

  Args:
    weights: of the components, positive; they are normalised to sum to one.
    means: of the components.
    scales: their standard deviations, positive.

  Returns:
    Dataset of "x" [1], in the units of `means`, and "label", the component.

  Raises:
    ValueError: the three differ in length, or a weight or a scale is not positive.
  """
  return _mixture("mixture1d", np.asarray(means, np.float32)[:, None], scales, weights)


def _mixture(name: str, means: np.ndarray, scales: Sequence[float], weights: Sequence[float]) -> Dataset:
  if not len(means) == len(scales) == len(weights) > 0:
    raise ValueError(f"{name} needs as many weights as means and scales: {len(weights)}, {len(means)}, {len(scales)}")
  if not all(value > 0 for value in [*scales, *weights]):
    raise ValueError(f"{name} needs positive scales and weights, not {list(scales)} and {list(weights)}")
  weights = np.asarray(weights, np.float32) / sum(weights)
  mixture = {"means": means, "scales": scales, "weights": weights}
  draw = jax.tree_util.Partial(_draw, {k: jnp.asarray(v, jnp.float32) for k, v in mixture.items()})
  test = {k: np.asarray(v) for k, v in draw(jax.random.key(_TEST_KEY), _HELD_OUT).items()}
  return Dataset(name, means.shape[1:], len(means), None, draw, test)


def _draw(mixture: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  which, where = jax.random.split(key)
  label = jax.random.categorical(which, jnp.log(mixture["weights"]), shape=(n,)).astype(jnp.int32)
  noise = jax.random.normal(where, (n, mixture["means"].shape[1]), jnp.float32)
  return {"x": mixture["means"][label] + mixture["scales"][label, None] * noise, "label": label}
