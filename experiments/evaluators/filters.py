"""What the discriminator's first convolution looks for, as a picture, after Radford et al. 2016."""

import jax
import numpy as np

from experiments.evaluators import Context, Evaluation, Judgement
from gan_jax import train
from gan_jax.errors import ConfigError

_ZOOM = 8  # pixels a weight, in either direction


def make(context: Context, /) -> Evaluation:
  """A picture "filters": each kernel of the first convolution over the data's channels, 0 grey, its largest weight 1.

  Raises:
    ConfigError: if the discriminator has no convolution, or its first one sees something else than images.
  """
  game, channels = context.game, context.dataset.shape[-1]
  if game.filters is None:
    raise ConfigError("it shows a discriminator's filters, and that of this game does not give them")
  nets = [{name: jax.eval_shape(net.init, jax.random.key(0))[i] for name, net in game.nets.items()} for i in (0, 1)]
  try:
    shape = jax.eval_shape(game.filters, *nets).shape
  except ValueError as error:
    raise ConfigError(f"it shows a discriminator's filters: {error}") from error
  if channels not in (1, 3) or shape[2] != channels:
    raise ConfigError(
      f"it shows filters over images, and those of {list(shape)} see {shape[2]} channels of something else"
    )
  filters = jax.jit(game.filters)

  def judge(state):
    kernels = np.moveaxis(np.asarray(filters(*train.averaged(state))), -1, 0)
    kernels = kernels / np.maximum(np.abs(kernels).max((1, 2, 3), keepdims=True), 1e-30)
    return Judgement(sheets={"filters": (kernels.repeat(_ZOOM, 1).repeat(_ZOOM, 2), -(-len(kernels) // 4))})

  return Evaluation(judge=judge)
