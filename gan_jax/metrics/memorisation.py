"""Does a generator repeat its training images? Distances to them, against distances to images it has never seen."""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.neighbours import nearest, nearest_others


class Memorisation(NamedTuple):
  """The judgement, and what a picture of samples beside their nearest training images needs.

  Attributes:
    ratio: about 1 if samples are no nearer to training images than new data is, 0 if each is one of them.
    train_distance: of each sample to the nearest training image, [N].
    train_index: which one that is, [N].
    held_out_distance: to the nearest held-out image, [N].
  """

  ratio: float
  train_distance: np.ndarray
  train_index: np.ndarray
  held_out_distance: np.ndarray


def memorisation(samples: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> Memorisation:
  """How much nearer samples are to the training images than to held-out ones, where new data would be as near.

  The ratio is the mean distance to the nearest training image over that to the nearest held-out image. As there are
  mostly more of the former, it is less than 1 even for new data: for the held-out images themselves, of which each is
  compared with the others. By that value the samples' is divided, so that splits need not be of equal size, and no
  training image goes unseen. A generator of poor, blurred or few kinds of images is far from, or near to, both splits
  alike. Means, as they fall with the share of copies: the ratio of one that copies half of the time and otherwise
  generalises is about a half, where the median would still say 1.

  Args:
    samples: features or pixels, [N, d].
    train: all that the generator was trained on, [M, d].
    held_out: of the same distribution, and not trained on, [K, d].

  Raises:
    ValueError: there is only one held-out image, all of them are equal, or features are not finite [N, d].
  """
  train_distance, train_index = (found[:, 0] for found in nearest(samples, train))
  held_out_distance = nearest(samples, held_out)[0][:, 0]
  new, others = np.mean(nearest(held_out, train)[0]), np.mean(nearest_others(held_out)[0])
  if not new * others:
    raise ValueError("held-out images say nothing: all of them are equal, or among the training images")
  near, far = np.mean(train_distance) / new, np.mean(held_out_distance) / others
  return Memorisation(float(near / far) if far else np.inf, train_distance, train_index, held_out_distance)
