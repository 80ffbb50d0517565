"""Which of the modes of stacked images a generator has found: a thousand, of three digits."""

import functools

import jax
import numpy as np

from experiments.evaluators import Context, Evaluation, Judgement
from experiments.evaluators._extractors import channel_classifier, channels
from gan_jax import pixels, train
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.metrics import modes
from gan_jax.metrics.features import Extractor, logits
from gan_jax.metrics.quality import FLOOR, MOST

EXPLAINED = {
  "modes": ("modes", "how many combinations of classes occur among the samples; the more samples, the more"),
  "mode_kl": ("KL of the modes", "in nats, of how samples are shared between them; 0 if as in the data"),
}
_BATCH = 100


def make(context: Context, /, *, n: int = 2_600) -> Evaluation:
  """`metrics.modes.stacked` on n samples, rounded to 256 levels, whose channels are named by a classifier.

  The classifier is trained on the images that the data stacks; its accuracy stands in the protocol. The floor is what
  as many stacks of held-out images get, named by the same classifier: of 1,000 modes, 2,600 of them find about 926 and
  26,000, as many as papers look at, all.

  Args:
    context: of a game that samples, on stacked images.
    n: how many samples.

  Raises:
    ConfigError: if n is below 1, the game does not sample, or the data is not stacked.
  """
  sample, dataset = context.game.sample, context.dataset
  known = channels(dataset)
  if sample is None or known is None:
    raise ConfigError(f"it judges samples of stacked images, such as stacked:mnist5k, not of {dataset.name}")
  at_least_one("n", n)
  _, label, images, _ = known
  shares = np.bincount(label) / len(label)
  sampled = jax.jit(lambda nets, key: sample(*nets, key, _BATCH))
  trained = functools.cache(lambda: channel_classifier(known))

  @functools.cache
  def floor():
    index = np.random.RandomState(0).randint(len(images), size=(n, dataset.shape[2]))
    return modes.stacked(_classes(trained(), images)[index], shares)

  def judge(state):
    nets, keys = train.averaged(state), jax.random.split(train.evaluation_key(state.key), -(-n // _BATCH))
    samples = np.concatenate([pixels.encode(np.asarray(sampled(nets, key))) for key in keys])[:n]
    each = np.moveaxis(samples, -1, 1).reshape(-1, *dataset.shape[:2], 1)
    numbers = modes.stacked(_classes(trained(), each).reshape(n, -1), shares)
    numbers |= {"modes" + MOST: float(len(shares) ** dataset.shape[2])}
    numbers |= {name + FLOOR: value for name, value in floor().items()}
    protocol = {
      "samples": n,
      "reference": f"{n:,} stacks of held-out images",
      "classifier": f"{trained().name}, of each channel by itself",
      "accuracy of the classifier": trained().accuracy,
    }
    return Judgement(numbers, protocol)

  return Evaluation(judge=judge, explained=EXPLAINED, headline=tuple(EXPLAINED))


def _classes(classifier: Extractor, images: np.ndarray) -> np.ndarray:
  """What the classifier takes images for, [N]."""
  return logits(classifier, images).argmax(1)
