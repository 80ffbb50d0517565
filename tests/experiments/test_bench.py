"""The bench: the PyTorch side plays the same games, operations are counted right, and the figures add up."""

import json

import jax
import numpy as np
import pytest
from experiments import bench
from experiments.build import build
from gan_jax.data import dataset


def small(name, resolution=16):
  """A case on small networks, batches and images: the experiment and its config."""
  config = bench.unwatched(bench.CASES[name].config())
  config.data.batch_size = 4
  for net in config.nets.values():
    for field, value in {"width": 4, "features": 8, "blocks": 1, "layers": 1}.items():
      if field in net:
        net[field] = value
    if "hidden" in net:
      net.hidden = (8,) * len(net.hidden)
  if "ring8" in config.data.name:
    return build(config), config
  images = bench.noise(resolution)
  if "mnist" in config.data.name:
    arrays = {"x": np.asarray(images.draw.args[0].args[0]["x"])}
    images = dataset.from_arrays("noise", arrays, arrays)
  return build(config, images), config
