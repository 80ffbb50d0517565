"""Every experiment, small enough to be compiled in a second: for what all games have to satisfy."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from experiments.lab import configs
from experiments.lab.build import Experiment, build, build_data
from gan_jax.data.dataset import Dataset, from_arrays, from_domains
from gan_jax.data.transforms import fit
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec

SMALL = {"width": 4, "features": 8, "blocks": 1, "layers": 1, "doublings": 1, "fourier": 2}
SIDE = 16

ALL = [
  f"{path.stem}:{variant}" if variant else path.stem
  for path in configs.experiments_in()
  for variant in (configs.variants_of(path) or ("",))
]

OF_GRADIENTS = {"name": "optax.sgd", "learning_rate": 0.005, "momentum": 0.9}  # Adam makes full steps of mere rounding


def config_of(name: str, changes: dict | None = None) -> ConfigDict:
  """The config of an experiment with small nets and batches, and without evaluators."""
  config = configs.load(name, changes)
  for net in config.nets.values():
    net.update({setting: min(small, net[setting]) for setting, small in SMALL.items() if setting in net})
    if "hidden" in net:
      net.hidden = (8,) * len(net.hidden[:1])
  if "pool_size" in config.game:
    config.game.pool_size = 6
  config.data.batch_size = 8
  config.eval.evaluators = ()
  return config


def dataset_of(config: ConfigDict) -> Dataset:
  """Points as they are; in place of images a few that show nothing: labelled, paired or of two domains, what the game
  takes."""
  if "resolution" not in config.data:
    return build_data(config.data)
  random = np.random.default_rng(0)
  # Smooth, as images are: what is zero but for rounding takes either slope of a ReLU.
  images = lambda n: fit(random.integers(0, 256, (n, 4, 4, 1), np.uint8), SIDE)
  labels = lambda n: random.integers(0, 3, n).astype(np.int32)
  of_x, of_y = {"x": images(16), "label": labels(16)}, {"y": images(16), "label_y": labels(16)}
  pairs = of_x | {"condition": images(16)}
  plain, paired = (from_arrays("noise", each, each, classes=3) for each in (of_x, pairs))
  from experiments.lab import names

  _, game = names.find(names.GAME, config.game.name, "game.name")
  for dataset in (plain, paired):
    try:
      game.specs(spec_of(dataset), **{k: v for k, v in config.game.items() if k != "name"})
    except ConfigError:
      continue
    return dataset
  return from_domains("noise", {"x": of_x, "y": of_y}, {**of_x, **of_y}, classes=3)


def spec_of(dataset: Dataset) -> DataSpec:
  return DataSpec(dataset.shape, dataset.classes, dataset.domains, dataset.condition)


def experiment_of(name: str, changes: dict | None = None) -> tuple[Experiment, ConfigDict]:
  """By gradient descent with momentum, whose memory is the gradient."""
  config = config_of(name, changes)
  for player in config.optimizer:
    config.optimizer[player] = OF_GRADIENTS
  return build(config, dataset_of(config)), config


def numbers_of(config: ConfigDict) -> dict[str, float]:
  """Every number of the game and the optimizers that decides no shape or count."""
  flat = configs.flatten({"game": config.game, "optimizer": config.optimizer, "train": config.train})
  return {field: value for field, value in flat.items() if isinstance(value, float)}


def _kept(names: Iterable[str], key: Callable[[ConfigDict], Any]) -> list[str]:
  """Of these experiments the first for each value of `key`."""
  found: dict[str, str] = {}
  for name in names:
    found.setdefault(str(key(config_of(name))), name)
  return list(found.values())


def _covering(names: Iterable[str], parts: Callable[[ConfigDict], set[str]]) -> list[str]:
  """Of these experiments each that has a part which none before it has."""
  found: dict[str, str] = {}
  for name in names:
    for part in parts(config_of(name)):
      found.setdefault(part, name)
  return list(dict.fromkeys(found.values()))


def _game(config: ConfigDict) -> dict:
  """The game's settings but for which f-divergence it is: each has tests of its own, and the same place in a round."""
  settings = config.game.to_dict()
  return settings | ({"divergence": "divergence" in settings} if "divergence" in settings else {})


def _nets(config: ConfigDict) -> set[str]:
  """The files that the nets are in."""
  return {net.name.partition(".")[0] for net in config.nets.values()}


def _parts(config: ConfigDict) -> set[str]:
  """What `EVERY` covers of an experiment on images: its game, on which kind of data, and the files of its nets."""
  data = dataset_of(config)
  return {f"{config.game.name} of {data.domains} and {data.condition}", *_nets(config)}


# Of images, which take long to compile, as many experiments as it takes to play each game and each kind of nets.
POINTS, IMAGES = [[name for name in ALL if ("resolution" in config_of(name).data) == of] for of in (False, True)]
_IMAGES = _covering(IMAGES, _parts)
EVERY = _kept(POINTS, lambda config: (_game(config), config.nets)) + _IMAGES
EACH = _kept(POINTS, lambda config: (config.game.name, sorted(_nets(config)))) + _IMAGES
GAMES = _kept(ALL, lambda config: config.game.name)
NETS = _covering(ALL, _nets)
BUILDERS = _covering(IMAGES, lambda config: {net.name for net in config.nets.values()})


def timeless(rows: list[dict]) -> list[dict]:
  """Rows of metrics without what the clock says."""
  return [{name: value for name, value in row.items() if name not in ("seconds", "data/waiting")} for row in rows]


def two_folders(root: Path) -> None:
  """Folders trainA, trainB, testA and testB of twelve coloured images of 8x8 each, of noise."""
  for domain in ("trainA", "trainB", "testA", "testB"):
    (root / domain).mkdir(parents=True)
    for i in range(12):
      pixels = np.random.default_rng(i + 100 * (domain[-1] == "B")).integers(0, 256, (8, 8, 3), np.uint8)
      Image.fromarray(pixels).save(root / domain / f"{i}.png")


def same(one, other) -> bool:
  """Whether two pytrees are equal bit for bit, keys included."""
  bits = lambda leaf: np.asarray(
    jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
  )
  pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
  return all(np.array_equal(bits(a), bits(b), equal_nan=True) for a, b in pairs)
