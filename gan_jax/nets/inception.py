"""InceptionV3 as the Fréchet Inception distance has it: the graph that TensorFlow published on 2015-12-05.

Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", trained by Google; Heusel et al. 2017
(FID). It differs from torchvision's in that an average over a window leaves out what lies beyond the image, and in that
the last block takes a maximum in place of the average.

Inference alone: batch norms are folded into the convolutions before them.
"""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.conv import conv
from gan_jax.nets.folded import biased, dense, fold

SIDE = 299


def params(state: Mapping[str, Any]) -> dict[str, Any]:
  """The parameters out of the state dict of `pt_inception-2015-12-05`: "layers" by name, and "fc".

  Raises:
    KeyError: a layer is not there.
  """
  names = [name.removesuffix(".conv.weight") for name in state if name.endswith(".conv.weight")]
  layers = {name: fold(state, f"{name}.conv", f"{name}.bn", 1e-3) for name in names}
  return {"layers": layers, "fc": dense(state, "fc")}


def features(layers: Mapping[str, Any], x: jax.Array) -> jax.Array:
  """The pooled features.

  Args:
    layers: of `params`.
    x: [B, 299, 299, 3], RGB; a pixel of 0..255 is (pixel - 128) / 128.

  Returns:
    [B, 2048], not negative.

  Raises:
    KeyError: a layer is not there.
  """
  layer = functools.partial(_layer, layers)
  x = layer(layer(x, "Conv2d_1a_3x3", 2), "Conv2d_2a_3x3", padding="VALID")
  x = _max(layer(x, "Conv2d_2b_3x3"))
  x = _max(layer(layer(x, "Conv2d_3b_1x1"), "Conv2d_4a_3x3", padding="VALID"))
  for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
    x = _mixed_5(functools.partial(_chain, layers, name), x)
  x = _mixed_6a(functools.partial(_chain, layers, "Mixed_6a"), x)
  for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
    x = _mixed_6(functools.partial(_chain, layers, name), x)
  x = _mixed_7a(functools.partial(_chain, layers, "Mixed_7a"), x)
  x = _mixed_7(functools.partial(_chain, layers, "Mixed_7b"), x, _average)
  same_max = functools.partial(nn.max_pool, window_shape=(3, 3), padding="SAME")
  x = _mixed_7(functools.partial(_chain, layers, "Mixed_7c"), x, same_max)
  return x.mean((1, 2))


def logits(kernel: jax.Array, features: jax.Array) -> jax.Array:
  """The logits of 1,008 classes, [B, 2048] -> [B, 1008], without the bias.

  So the inception score has them (Salimans et al. 2016, the authors' code).

  Args:
    kernel: of "fc".
    features: what `features` returns.
  """
  return jnp.matmul(features, kernel, precision="highest")


def _layer(layers, x, name, stride=1, padding="SAME"):
  kernel, bias = layers[name]
  padding = "VALID" if stride == 2 else padding
  return nn.relu(biased(conv(x, kernel, strides=(stride, stride), padding=padding), bias))


def _chain(layers, block, x, *names, stride=1):
  """Layers of a block one after the other, the last with the stride."""
  for name in names[:-1]:
    x = _layer(layers, x, f"{block}.{name}")
  return _layer(layers, x, f"{block}.{names[-1]}", stride)


def _max(x):
  return nn.max_pool(x, (3, 3), (2, 2))


def _average(x):
  return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def _beside(*branches):
  return jnp.concatenate(branches, axis=-1)


def _mixed_5(chain, x):
  return _beside(
    chain(x, "branch1x1"),
    chain(x, "branch5x5_1", "branch5x5_2"),
    chain(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
    chain(_average(x), "branch_pool"),
  )


def _mixed_6a(chain, x):
  double = chain(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3", stride=2)
  return _beside(chain(x, "branch3x3", stride=2), double, _max(x))


def _mixed_6(chain, x):
  return _beside(
    chain(x, "branch1x1"),
    chain(x, "branch7x7_1", "branch7x7_2", "branch7x7_3"),
    chain(x, *(f"branch7x7dbl_{i}" for i in range(1, 6))),
    chain(_average(x), "branch_pool"),
  )


def _mixed_7a(chain, x):
  wide = chain(x, *(f"branch7x7x3_{i}" for i in range(1, 5)), stride=2)
  return _beside(chain(x, "branch3x3_1", "branch3x3_2", stride=2), wide, _max(x))


def _mixed_7(chain, x, pool):
  single, double = chain(x, "branch3x3_1"), chain(x, "branch3x3dbl_1", "branch3x3dbl_2")
  return _beside(
    chain(x, "branch1x1"),
    chain(single, "branch3x3_2a"),
    chain(single, "branch3x3_2b"),
    chain(double, "branch3x3dbl_3a"),
    chain(double, "branch3x3dbl_3b"),
    chain(pool(x), "branch_pool"),
  )
