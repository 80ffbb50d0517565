"""The inception score and its two parts: are images sharp, and are all classes there? Salimans et al. 2016."""

from typing import NamedTuple

import chex
import numpy as np
from scipy.special import entr


class InceptionScore(NamedTuple):
  """The score, between 1 and the number of classes, and its parts in nats over all samples.

  Attributes:
    mean: over splits.
    std: between splits, which is that of a split and not of the mean.
    conditional_entropy: the mean of H(p(y|x)): 0 if each image names one class (sharpness).
    class_entropy: H(p(y)) of the classes' expected histogram: log K if they are equally frequent.
  """

  mean: float
  std: float
  conditional_entropy: float
  class_entropy: float


def inception_score(logits: np.ndarray, splits: int = 10, seed: int = 0) -> InceptionScore:
  """exp(E KL(p(y|x) || p(y))) in each of `splits` parts of the samples. Salimans et al. 2016, on 50,000 samples.

  With one split it is exp(class_entropy - conditional_entropy). Fewer samples in a split make it smaller.

  Args:
    logits: of a classifier, which is to be named with the score, [N, K].
    splits: how many parts, of equal size up to one.
    seed: of the shuffling before that, as samples may come in order of their class.

  Raises:
    ValueError: there are fewer samples than splits, or values that are not finite.
  """
  logits = np.asarray(logits, np.float64)
  chex.assert_rank(logits, 2)
  if not 1 <= splits <= len(logits) or not np.isfinite(logits).all():
    raise ValueError(f"{len(logits)} logits in {splits} splits: they must be finite, and one or more in each split")
  shifted = logits - np.max(logits, axis=1, keepdims=True)
  p = np.exp(shifted)
  total = np.sum(p, axis=1)
  p /= total[:, None]
  conditional = np.log(total) - np.einsum("nk,nk->n", p, shifted)  # -sum p log p, without a logarithm of every p
  marginal = lambda part: np.sum(entr(np.mean(p[part], axis=0)))
  order = np.random.RandomState(seed).permutation(len(logits))
  ends = np.arange(splits + 1) * len(logits) // splits
  parts = [order[start:end] for start, end in zip(ends, ends[1:])]
  scores = [np.exp(marginal(part) - np.mean(conditional[part])) for part in parts]
  return InceptionScore(
    float(np.mean(scores)), float(np.std(scores)), float(np.mean(conditional)), float(marginal(slice(None)))
  )
