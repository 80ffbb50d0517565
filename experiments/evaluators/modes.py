"""Which modes of a Gaussian mixture samples reach, and how well."""

from experiments.evaluators import Context, Evaluation
from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.metrics import modes


def make(context: Context, /, *, n: int = 2_500) -> Evaluation:
  """`metrics.modes` on n samples: of the averaged generator, and as raw_... of the raw one, from the same latents.

  Raises:
    ConfigError: if the game does not sample, or the data has no modes in the plane.
  """
  game, truth = context.game, context.dataset.arrays
  if game.sample is None:
    raise ConfigError("it looks at samples, which this game does not make")
  if not {"means", "scales"} <= set(truth) or context.dataset.shape != (2,):
    raise ConfigError(
      f"it needs the modes of a mixture in the plane, such as ring8 or grid25, not {context.dataset.name}"
    )

  def measure(state):
    key = train.evaluation_key(state.key)
    both = {"": train.averaged(state), "raw_": (state.params, state.stats)}
    samples = {prefix: game.sample(*nets, key, n) for prefix, nets in both.items()}
    found = {prefix: modes.evaluate(x, truth["means"], truth["scales"]) for prefix, x in samples.items()}
    return {prefix + name: value for prefix, values in found.items() for name, value in values.items()}

  return Evaluation(measure)
