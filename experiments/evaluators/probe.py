"""What the discriminator has learnt without labels: a linear classifier on its features. Radford et al. 2016.

The paper pools the activations of all layers to 4x4 and trains an L2-SVM on them (section 5). Here it is
`Game.features`, which is what the last layer alone reads, and logistic regression.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Judgement
from experiments.evaluators._extractors import labelled
from gan_jax import train
from gan_jax.data.dataset import decode, spread
from gan_jax.errors import ConfigError

EXPLAINED = {
  "probe": ("probe", "the share of held-out examples whose class a linear classifier reads off D's features"),
  "probe_pixels": ("probe of the pixels", "the same of the examples themselves, which D's features should beat"),
}
_BATCH = 100


def make(context: Context, /, *, labels: int = 500) -> Evaluation:
  """`metrics.probe` on the discriminator's features, "probe", and on the examples themselves, "probe_pixels".

  Args:
    context: of a game whose discriminator has features, on labelled data.
    labels: how many training examples it gets the labels of, evenly by class and evenly spread within each.

  Raises:
    ConfigError: if the game has no features, or the data no labels, or there are fewer than 5 examples of a class.
  """
  features, dataset = context.game.features, context.dataset
  known = labelled(dataset)
  if features is None:
    raise ConfigError("it reads labels off a discriminator's features, which this game does not give")
  if known is None:
    raise ConfigError(f"it reads labels off a discriminator's features, and {dataset.name} has no labels at hand")
  from gan_jax.metrics.probe import FOLDS, probe  # here, so that other experiments do not wait for scikit-learn

  x, label, test_x, test_label = known
  chosen = _evenly(label, labels)
  counts = np.bincount(label[chosen])
  if len(counts) < 2 or counts[counts > 0].min() < FOLDS:
    raise ConfigError(f"labels is {labels}, of {len(counts)} classes; it takes {FOLDS} of each, and two classes")
  x, label = x[chosen], label[chosen]
  seen_by = jax.jit(lambda nets, x: features(*nets, decode({"x": x})["x"]))

  @functools.cache
  def of_pixels():
    return probe(x.reshape(len(x), -1), label, test_x.reshape(len(test_x), -1), test_label)

  def judge(state):
    nets = train.averaged(state)
    read = lambda images: np.concatenate(
      [np.asarray(seen_by(nets, jnp.asarray(images[i : i + _BATCH]))) for i in range(0, len(images), _BATCH)]
    )
    seen = read(x)
    found, pixels = probe(seen, label, read(test_x), test_label), of_pixels()
    numbers = {"probe": found.accuracy, "probe_pixels": pixels.accuracy}
    protocol = {
      "labels": f"{len(x)} training examples, evenly by class",
      "reference": f"{len(test_x):,} held-out examples",
      "classifier": f"logistic regression; of five folds C = {found.strength:g}, for pixels {pixels.strength:g}",
      "features": seen.shape[1],
    }
    return Judgement(numbers, protocol)

  return Evaluation(judge=judge, explained=EXPLAINED, headline=tuple(EXPLAINED))


def _evenly(label: np.ndarray, count: int) -> np.ndarray:
  """Places of `count` labels, as many of each class as there are, or all of a class that has fewer."""
  classes = np.unique(label)
  return np.concatenate([spread(np.flatnonzero(label == each), count // len(classes)) for each in classes])
