"""How well a game that encodes gives held-out images back."""

import jax.numpy as jnp

from experiments.evaluators import Context, Evaluation, Picture
from gan_jax import train
from gan_jax.data.dataset import decode, spread
from gan_jax.errors import ConfigError
from gan_jax.metrics.translation import l1

EXPLAINED = {
  "reconstruction_l1": (
    "reconstruction",
    "mean difference of held-out images from what their latents decode to, between 0 and 2; lower is better",
  )
}


def make(context: Context, /, *, n: int = 12) -> Evaluation:
  """ "reconstruction_l1", |x - G(E(x))| of held-out examples, averaged weights, and a picture of n above their own.

  Raises:
    ConfigError: if the game does not encode and sample.
  """
  game, held_out = context.game, context.dataset.test["x"]
  if game.encode is None or game.sample is None:
    raise ConfigError("it looks at reconstructions, which this game does not make")
  shown = spread(held_out, n)

  def reconstruct(state, images):
    nets, key = train.averaged(state), train.evaluation_key(state.key)
    x = decode({"x": jnp.asarray(images)})["x"]
    return x, game.sample(*nets, key, len(x), latents=game.encode(*nets, key, x))

  measure = lambda state: {"reconstruction_l1": l1(*reconstruct(state, held_out))}
  draw = lambda state: jnp.concatenate(reconstruct(state, shown))
  images = len(context.dataset.shape) == 3
  pictures = (Picture("reconstructions", draw, len(shown)),) if images else ()
  protocol = {"reference": f"{len(held_out):,} held-out examples"}
  return Evaluation(measure, pictures, explained=EXPLAINED, headline=tuple(EXPLAINED), protocol=protocol)
