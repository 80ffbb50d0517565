"""How good samples are: every measure of features at once, and what real images get of each."""

import math
from typing import NamedTuple

import numpy as np

from gan_jax.metrics import birthday, frechet, kernel, memorisation
from gan_jax.metrics.inception_score import inception_score
from gan_jax.metrics.precision_recall import precision_recall

FLOOR, MOST = "_floor", "_most"  # ends of names: of what real images get, and of the largest value there is


class Features(NamedTuple):
  """What an extractor makes of images, as `features.extract` returns it: [N, d], and logits [N, K] or None."""

  features: np.ndarray
  logits: np.ndarray | None


def measure(
  samples: Features, held_out: Features, train: Features | None = None, k: int = 5, whole: bool = True
) -> dict[str, float]:
  """What there is to say about samples, by name.

  "frechet", and where an eighth of the samples is more than the features "frechet_infinity"; "kid" and "kid_error";
  "precision", "recall", "density" and "coverage"; "support", how many different images there are, by pairs as near to
  each other as the ten nearest pairs of held-out images. Where there are logits, "inception_score" in ten splits and
  its parts "conditional_entropy" and "class_entropy", in nats, with "class_entropy_most". Given training images, each
  measure again as ..._floor, of them in the samples' place, as many as there are samples where they suffice: about what
  a perfect generator would get, though a network that was trained on them may tell them from new ones. Given all of
  them, "memorisation".

  Args:
    samples: of the generator.
    held_out: of real images that it was not trained on: the reference.
    train: of images that it was trained on.
    k: neighbours, of `precision_recall`.
    whole: whether `train` is all of them: a copy of one that is missing would look new.

  Raises:
    ValueError: there are too few images for a measure.
  """
  found = _measured(samples, held_out, k)
  if train is None:
    return found
  count = min(len(samples.features), len(train.features))
  spread = np.linspace(0, len(train.features) - 1, count).astype(int)  # they may be sorted
  real = Features(train.features[spread], None if train.logits is None else train.logits[spread])
  floors = {name + FLOOR: value for name, value in _measured(real, held_out, k).items() if not name.endswith(MOST)}
  if whole:
    found["memorisation"] = memorisation.memorisation(samples.features, train.features, held_out.features).ratio
  return found | floors


def _measured(samples: Features, held_out: Features, k: int) -> dict[str, float]:
  x, y = samples.features, held_out.features
  of_y = frechet.moments(y)
  kid = kernel.kid(x, y)
  found = {"frechet": frechet.distance(frechet.moments(x), of_y)}
  if len(x) // 8 > x.shape[1]:
    found["frechet_infinity"] = frechet.infinity(x, of_y).distance
  found |= {"kid": kid.value, "kid_error": kid.standard_error}
  found |= precision_recall(y, x, k)._asdict()
  found["support"] = birthday.support(x, birthday.threshold(y)).size
  if samples.logits is not None:
    score = inception_score(samples.logits, splits=min(10, len(x)))
    found |= {"inception_score": score.mean, "conditional_entropy": score.conditional_entropy}
    found |= {"class_entropy": score.class_entropy, "class_entropy" + MOST: math.log(samples.logits.shape[1])}
  return found
