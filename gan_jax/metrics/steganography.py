"""How much of its input a cycle hides in the translation. Chu, Zhmoginov and Sandler 2017, "CycleGAN, a master of
steganography".

A translation y = G(x) from which F recovers x although y does not show it carries x in a signal that nobody sees. What
is too faint to be seen is too faint to survive: noise and rounding of its own size wipe it out. So x is recovered from
y + noise, and from y rounded to fewer levels, and the error is looked at as a function of how far y was moved. An
honest inverse errs about as much as it was moved; where a signal is hidden, the error jumps under a change that cannot
be seen.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.metrics.translation import l1

STEP = 2.0 / 255.0  # from one level of an 8-bit image to the next, in [-1, 1]
STEPS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # standard deviations of the noise, in such steps; one is hard to see
BITS = (8, 6, 4)  # 8 are what a PNG file keeps

Inverse = Callable[[jax.Array], jax.Array]


def rounded(images: jax.Array, bits: int | jax.Array) -> jax.Array:
  """Images in [-1, 1] on the nearest of 2^bits levels, -1 and 1 among them; what lies beyond is cut off."""
  half = (2.0**bits - 1.0) / 2.0
  return jnp.round((jnp.clip(images, -1.0, 1.0) + 1.0) * half) / half - 1.0


def noise_errors(
  inverse: Inverse, x: jax.Array, y: jax.Array, key: jax.Array, steps: Sequence[float] = STEPS
) -> jax.Array:
  """Mean |F(y + sigma n) - x|, n normal and the same for each sigma; what leaves [-1, 1] is not cut off.

  Args:
    inverse: F, a batch of translations back to images, deterministic.
    x: [B, H, W, C] in [-1, 1].
    y: their translations G(x), [B, ...].
    key: of the noise.
    steps: sigma in units of `STEP`.

  Returns:
    [len(steps)], between 0 and 2.
  """
  noise = jax.random.normal(key, y.shape, y.dtype)
  return jax.lax.map(lambda sigma: l1(inverse(y + sigma * noise), x), STEP * jnp.asarray(steps, y.dtype))


def rounding_errors(inverse: Inverse, x: jax.Array, y: jax.Array, bits: Sequence[int] = BITS) -> jax.Array:
  """Mean |F(y rounded to so many bits) - x|, [len(bits)]; arguments as in `noise_errors`."""
  return jax.lax.map(lambda b: l1(inverse(rounded(y, b)), x), jnp.asarray(bits, y.dtype))


def gain(errors: jax.Array, steps: Sequence[float] = STEPS) -> jax.Array:
  """How many times more the error grows than the noise did, at the noise where that is the most.

  max over sigma of (error(sigma) - error(0)) / E|sigma n|, with E|n| = sqrt(2 / pi). Negation, and whatever else
  neither stretches nor squeezes values, has 1; an inverse that doubles the contrast 2; one that ignores its input 0. Of
  a hidden signal it is about by how much F amplifies it: 100 says that F reads black and white off two and a half
  levels of 256.

  Args:
    errors: of `noise_errors`, [len(steps)].
    steps: of which the first is 0, all others above.
  """
  moved = STEP * jnp.asarray(steps, errors.dtype)[1:] * np.sqrt(2.0 / np.pi).astype(np.float32)
  return jnp.max((errors[1:] - errors[0]) / moved)
