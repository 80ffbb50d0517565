"""Draws of the averaged generator, from the same latents each time."""

from experiments.evaluators import Context, Evaluation, Picture
from gan_jax import train
from gan_jax.errors import ConfigError, at_least_one


def make(context: Context, /, *, n: int = 64) -> Evaluation:
  """A picture of n images, or, points being cheap, of 32 n points.

  Raises:
    ConfigError: if n is below 1, or the game does not sample.
  """
  sample, images = context.game.sample, len(context.dataset.shape) == 3
  if sample is None:
    raise ConfigError("it draws samples, which this game does not make")
  at_least_one("n", n)
  count = n if images else 32 * n
  draw = lambda state: sample(*train.averaged(state), train.evaluation_key(state.key), count)
  return Evaluation(pictures=(Picture("", draw),))
