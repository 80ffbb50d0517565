"""Three images as the channels of one: of ten classes 1,000 modes. Metz et al. 2017; Srivastava et al. 2017."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gan_jax.data import sources
from gan_jax.data.dataset import Dataset, decode
from gan_jax.errors import ConfigError

CHANNELS = 3
_HELD_OUT = 1_000  # stacks
_SEED = 2017


def load(name: str, resolution: int | None = None) -> Dataset:
  """Stacks three images of a labelled data set with one channel, drawn independently of each other.

  `draw` composes them as it draws, so that any three of the N training images may come, N^3 in all, and no stack is
  stored. With K classes, the label of a stack of classes a, b and c is K^2 a + K b + c, of K^3. The held-out split is
  1,000 stacks of held-out images, composed once with a fixed seed.

  Args:
    name: of the data, such as mnist5k, digits or idx:FOLDER.
    resolution: side in pixels that it is asked for; None for its own default.

  Returns:
    Dataset of "x" [H, W, 3] in [-1, 1] and "label". What the stacks are made of, images [N, H, W, 1] uint8 and their
    labels 0..K-1, stands in `arrays` and, for those that are held out, in `test`, as "channel" and "channel_label".

  Raises:
    ConfigError: the data has no labels, or not one channel, or is not held in memory.
  """
  base = _base(name, resolution)
  arrays = {"channel": base.arrays["x"], "channel_label": base.arrays["label"]}
  held_out = {"channel": base.test["x"], "channel_label": base.test["label"]}
  index = np.random.RandomState(_SEED).randint(len(base.test["x"]), size=(_HELD_OUT, CHANNELS))
  test = {**held_out, **_stacks(base.classes, held_out, index)}
  draw = jax.tree_util.Partial(functools.partial(_draw, base.classes), arrays)
  shape = (*base.shape[:2], CHANNELS)
  return Dataset(f"stacked:{name}", shape, base.classes**CHANNELS, None, draw, test, arrays=arrays)


def _base(name: str, resolution: int | None) -> Dataset:
  source = sources.source(name)
  settings: dict[str, Any] = {} if resolution is None else {"resolution": resolution}
  wanted = f"stacked:{name} takes labelled images [H, W, 1] that are held in memory, such as those of mnist5k"
  if not settings.keys() <= inspect.signature(source).parameters.keys():
    raise ConfigError(f"{wanted}, and {name} has no resolution")
  base = source(**settings)
  if not all({"x", "label"} <= set(split) for split in (base.arrays, base.test)):
    raise ConfigError(f"{wanted}, and {name} has no labels at hand")
  if len(base.shape) != 3 or base.shape[2] != 1:
    raise ConfigError(f"{wanted}, and those of {name} are {list(base.shape)}")
  return base


def _draw(classes: int, arrays: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  return decode(_stacks(classes, arrays, jax.random.randint(key, (n, CHANNELS), 0, len(arrays["channel"]))))


def _stacks(classes: int, arrays: Mapping[str, Any], index: Any) -> dict[str, Any]:
  """Those of the images `index` [n, 3], as stored."""
  a, b, c = arrays["channel_label"][index].T
  return {"x": arrays["channel"][index][..., 0].transpose(0, 2, 3, 1), "label": (a * classes + b) * classes + c}
