"""Distributions that are known: the standard toys for mode collapse, for fitting densities and for thin supports.

Values are in the units of the distribution, not in [-1, 1] as pixels are. Every source is a sampler that never runs
out, and `Dataset.arrays` holds its true parameters. For a mixture of Gaussians these are "means" [K, D], "scales" [K]
and "weights" [K], the latter summing to one, and its "label" is the component that an example comes from.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.dataset import Dataset
from gan_jax.errors import ConfigError

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
    ConfigError: std is not positive.
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
    ConfigError: std is not positive.
  """
  return _mixture("grid25", grid_modes(spacing), [std] * 25, [1.0] * 25)


def mixture1d(
  weights: Sequence[float] = (0.33, 0.67),
  means: Sequence[float] = (-1.0, 2.0),
  scales: Sequence[float] = (0.255, 1.415),
) -> Dataset:
  """Gaussians on the line, for fits whose divergence can be integrated, as in f-GAN (Nowozin et al., 2016).

  Args:
    weights: of the components, positive; they are normalised to sum to one.
    means: of the components.
    scales: their standard deviations, positive.

  Returns:
    Dataset of "x" [1], in the units of `means`, and "label", the component.

  Raises:
    ConfigError: the three differ in length, or a weight or a scale is not positive.
  """
  return _mixture("mixture1d", np.asarray(means, np.float32)[:, None], scales, weights)


def swiss_roll(noise: float = 0.05) -> Dataset:
  """A spiral in the plane: t (cos t, sin t) / 7.5 + noise * N(0, I), with t uniform between 3 pi / 2 and 9 pi / 2.

  It turns one and a half times, from radius 0.63 to 1.89, its arms 2 pi / 7.5 = 0.84 apart. The curve is that of
  scikit-learn's `make_swiss_roll` without its height, the scale that of the toys of Gulrajani et al. 2017.

  Args:
    noise: standard deviation about the curve in each direction.

  Returns:
    Dataset of "x" [2]; it has no labels.

  Raises:
    ConfigError: noise is negative or not finite.
  """
  if not 0 <= noise < np.inf:
    raise ConfigError(f"swiss_roll needs finite noise of at least 0, not {noise}")
  return _sampler("swiss_roll", (2,), 0, _draw_swiss_roll, {"noise": noise})


def parallel_lines(distance: float = 1.0) -> Dataset:
  """A vertical line of length one, and another beside it: supports that do not meet. Arjovsky et al. 2017.

  The data is (0, u) with u uniform in [0, 1]. Beside it stands "fake", (distance, u') with u' drawn independently: what
  the example's generator (theta, z) gives at theta = distance. Unless the distance is 0, the Jensen-Shannon divergence
  of the two is log 2 nats, their total variation 1, and KL infinite in both directions; W1 is |distance|.

  Args:
    distance: between the lines, of any sign.

  Returns:
    Dataset of "x" [2] and "fake" [2]; it has no labels. A sweep may replace `arrays["distance"]`.

  Raises:
    ConfigError: distance is not finite.
  """
  if not np.isfinite(distance):
    raise ConfigError(f"parallel_lines needs a finite distance, not {distance}")
  return _sampler("parallel_lines", (2,), 0, _draw_parallel_lines, {"distance": distance})


def point() -> Dataset:
  """The number 0, always: the data of the DiracGAN. Mescheder et al. 2018.

  Returns:
    Dataset of "x" [1]; it has no labels.
  """
  return _sampler("point", (1,), 0, _draw_point, {})


def _draw_point(parameters: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  return {"x": jnp.zeros((n, 1))}


def _mixture(name: str, means: np.ndarray, scales: Sequence[float], weights: Sequence[float]) -> Dataset:
  if not len(means) == len(scales) == len(weights) > 0:
    raise ConfigError(f"{name} needs as many weights as means and scales: {len(weights)}, {len(means)}, {len(scales)}")
  if not all(value > 0 for value in [*scales, *weights]):
    raise ConfigError(f"{name} needs positive scales and weights, not {list(scales)} and {list(weights)}")
  weights = np.asarray(weights, np.float32) / sum(weights)  # pyright: ignore[reportAssignmentType]
  mixture = {"means": means, "scales": scales, "weights": weights}
  return _sampler(name, means.shape[1:], len(means), _draw_mixture, mixture)


def _sampler(name: str, shape: tuple[int, ...], classes: int, draw: Callable, parameters: Mapping) -> Dataset:
  arrays = {k: jnp.asarray(v, jnp.float32) for k, v in parameters.items()}
  draw = jax.tree_util.Partial(draw, arrays)
  test = {k: np.asarray(v) for k, v in draw(jax.random.key(_TEST_KEY), _HELD_OUT).items()}
  return Dataset(name, shape, classes, None, draw, test, arrays=arrays)


def _draw_mixture(mixture: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  which, where = jax.random.split(key)
  label = jax.random.categorical(which, jnp.log(mixture["weights"]), shape=(n,)).astype(jnp.int32)
  noise = jax.random.normal(where, (n, mixture["means"].shape[1]), jnp.float32)
  return {"x": mixture["means"][label] + mixture["scales"][label, None] * noise, "label": label}


def _draw_swiss_roll(parameters: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  along, beside = jax.random.split(key)
  t = jax.random.uniform(along, (n,), jnp.float32, 1.5 * jnp.pi, 4.5 * jnp.pi)
  curve = jnp.stack([t * jnp.cos(t), t * jnp.sin(t)], axis=1) / 7.5
  return {"x": curve + parameters["noise"] * jax.random.normal(beside, (n, 2), jnp.float32)}


def _draw_parallel_lines(parameters: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  u = jax.random.uniform(key, (2, n), jnp.float32)
  return {
    "x": jnp.stack([jnp.zeros(n, jnp.float32), u[0]], axis=1),
    "fake": jnp.stack([jnp.full(n, parameters["distance"]), u[1]], axis=1),
  }
