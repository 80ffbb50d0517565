"""Which modes of a Gaussian mixture samples reach, and how well."""

from experiments.evaluators import Context, Evaluation
from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.metrics import modes

EXPLAINED = {
  "modes": ("modes", "how many modes at least one sample of high quality falls into, as papers count"),
  "modes_half_share": ("modes with half their share", "how many get at least half as many such samples as they should"),
  "high_quality": (
    "high quality",
    "the share of samples within 3 standard deviations of a mode; 0.989 for the data",
  ),
  "mode_kl": ("KL of the modes", "in nats, of how samples are shared between modes; 0 if equally"),
  "spread": ("spread", "of samples around their mode, in the mode's standard deviations; 0.974 for the data"),
}
EXPLAINED |= {
  f"raw_{name}": (f"{label}, raw", f"{line}; without averaging") for name, (label, line) in EXPLAINED.items()
}


def make(context: Context, /, *, n: int = 2_500) -> Evaluation:
  """`metrics.modes` on n samples: of the averaged generator, and as raw_... of the raw one, from the same latents.

  Raises:
    ConfigError: if the game does not sample, or the data has no modes in the plane.
  """
  sample, truth = context.game.sample, context.dataset.arrays
  if sample is None:
    raise ConfigError("it looks at samples, which this game does not make")
  if not {"means", "scales"} <= set(truth) or context.dataset.shape != (2,):
    raise ConfigError(
      f"it needs the modes of a mixture in the plane, such as ring8 or grid25, not {context.dataset.name}"
    )

  def measure(state):
    key = train.evaluation_key(state.key)
    both = {"": train.averaged(state), "raw_": (state.params, state.stats)}
    samples = {prefix: sample(*nets, key, n) for prefix, nets in both.items()}
    found = {prefix: modes.evaluate(x, truth["means"], truth["scales"]) for prefix, x in samples.items()}
    return {prefix + name: value for prefix, values in found.items() for name, value in values.items()}

  headline = "modes", "modes_half_share", "high_quality", "mode_kl"
  protocol = {"samples": n, "reference": f"the {len(truth['means'])} modes that {context.dataset.name} is drawn from"}
  return Evaluation(measure, explained=EXPLAINED, headline=headline, protocol=protocol)
