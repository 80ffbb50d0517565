"""The networks that look at images for the evaluators, and the images and labels that they are trained on.

The underscore keeps this from being an evaluator.
"""

import functools
from collections.abc import Callable

import jax
import numpy as np

from gan_jax import pixels
from gan_jax.data.dataset import Dataset, spread
from gan_jax.errors import ConfigError, nearest
from gan_jax.metrics import classifier, features
from gan_jax.metrics.features import Extractor

Labelled = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # images and labels to train on, and those held out


def opener(
  name: str,
  dataset: Dataset,
  discriminator: Callable | None = None,
  weights: str = "",
  tensorflow: bool = False,
) -> Callable[..., Extractor]:
  """`(params, stats) -> Extractor` of a name that `images.make` lists; only the discriminator's looks at them.

  What takes time, reading or training, is done at the first call.

  Raises:
    ConfigError: the name is unknown, the data has no labels or the game no features.
  """
  if name == "discriminator":
    if discriminator is None:
      raise ConfigError("the run's discriminator has no features; choose another extractor")
    return lambda params, stats: features.discriminator(discriminator, params, stats)
  makers = {
    "classifier": lambda: _classifier(dataset),
    "efficientnet": features.efficientnet,
    "inception": lambda: features.inception(weights, tensorflow),
  }
  if name not in makers:
    raise ConfigError(f"extractor is {name!r}, which is not known.{nearest(name, [*makers, 'discriminator'])}")
  if name == "classifier" and not classifiable(dataset):
    raise ConfigError(f"{dataset.name} has no labels at hand to train a classifier on; choose another extractor")
  if name == "inception":
    features.check_inception(weights)
  make_once = functools.cache(makers[name])
  return lambda params, stats: make_once()


def labelled(dataset: Dataset, x: str = "x", label: str = "label") -> Labelled | None:
  """Training images and their labels, and the held-out ones, as a game sees them: what a classifier is trained on.

  None where labels are not at hand, which those of images that are streamed or drawn without end are not.
  """
  if not all({x, label} <= set(split) for split in (dataset.arrays, dataset.test)):
    return None
  train, test = ([np.asarray(split[name]) for name in (x, label)] for split in (dataset.arrays, dataset.test))
  return _cut(dataset, train[0]), train[1], test[0], test[1]


def channels(dataset: Dataset) -> Labelled | None:
  """As `labelled`, of the images that `data.stacked` makes channels of."""
  return labelled(dataset, "channel", "channel_label")


def classifiable(dataset: Dataset) -> bool:
  """Whether a classifier can be trained."""
  return labelled(dataset) is not None or channels(dataset) is not None


def training_images(dataset: Dataset, n: int, most: int) -> tuple[np.ndarray, bool]:
  """Those that measures look at, uint8, of the shape that a game sees, and whether they are all.

  n where they are drawn without end or streamed, else at most `most`. Squares are cut out of the middle.
  """
  if dataset.size is not None and "x" in dataset.arrays:
    return spread(_cut(dataset, np.asarray(dataset.arrays["x"])), most), dataset.size <= most
  if dataset.stream is not None:
    return np.asarray(next(dataset.stream(n, 0, 0, (0, 1)))["x"]), False
  assert dataset.draw is not None
  return pixels.encode(np.asarray(dataset.draw(jax.random.key(0), n)["x"])), False


def _classifier(dataset: Dataset) -> Extractor:
  if (known := labelled(dataset)) is not None:
    return classifier.train(*known, dataset.classes)
  known = channels(dataset)
  assert known is not None
  return features.of_channels(channel_classifier(known))


def channel_classifier(known: Labelled) -> Extractor:
  """Trained on what `channels` gives."""
  _, label, _, test_label = known
  return classifier.train(*known, 1 + int(max(label.max(), test_label.max())))


def _cut(dataset: Dataset, images: np.ndarray) -> np.ndarray:
  """Stored images, which may be larger, as a game sees them."""
  (height, width), (top, left) = dataset.shape[:2], ((a - b) // 2 for a, b in zip(images.shape[1:3], dataset.shape))
  return images[:, top : top + height, left : left + width]
