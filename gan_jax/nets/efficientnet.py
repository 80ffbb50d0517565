"""EfficientNet-Lite0, trained on ImageNet by Google. Tan and Le 2019, "EfficientNet: rethinking model scaling for
convolutional neural networks"; the Lite variant (2020) has ReLU6 and no squeeze-and-excitation.

Inference alone: batch norms are folded into the convolutions before them.
"""

import functools
import itertools
import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.nets.conv import conv
from gan_jax.nets.folded import biased, dense, fold

SIDE = 224
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the 16 blocks


def params(state: Mapping[str, Any]) -> dict[str, Any]:
  """The parameters out of a state dict with PyTorch's names: "layers" by name, and "fc".

  Raises:
    KeyError: a layer is not there.
  """
  norms = {"_conv_stem": "_bn0", "_conv_head": "_bn1"}
  for i in range(len(_STRIDES)):
    block = {"_expand_conv": "_bn0"} if i else {}  # the first block expands nothing
    block |= {"_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
    norms |= {f"_blocks.{i}.{layer}": f"_blocks.{i}.{norm}" for layer, norm in block.items()}
  layers = {layer: fold(state, layer, norm, 1e-3) for layer, norm in norms.items()}
  return {"layers": layers, "fc": dense(state, "_fc")}


def features(layers: Mapping[str, Any], x: jax.Array) -> jax.Array:
  """The pooled features.

  Args:
    layers: of `params`.
    x: [B, 224, 224, 3], RGB; a pixel of 0..255 is (pixel - 127) / 128.

  Returns:
    [B, 1280] in [0, 6].
  """
  x = _relu6(_layer(layers, "_conv_stem", x, 2))
  for i, stride in enumerate(_STRIDES):
    y = x
    if i:
      y = _relu6(_layer(layers, f"_blocks.{i}._expand_conv", y))
    y = _relu6(_depthwise(layers, f"_blocks.{i}._depthwise_conv", y, stride))
    y = _layer(layers, f"_blocks.{i}._project_conv", y)
    x = x + y if x.shape == y.shape else y
  return _relu6(_layer(layers, "_conv_head", x)).mean((1, 2))


def logits(kernel: jax.Array, bias: jax.Array, features: jax.Array) -> jax.Array:
  """The logits of ImageNet's 1,000 classes, [B, 1280] -> [B, 1000].

  Args:
    kernel, bias: of "fc".
    features: what `features` returns.
  """
  return jnp.matmul(features, kernel, precision="highest") + bias[None]


_relu6 = functools.partial(jnp.clip, min=0.0, max=6.0)


def _layer(layers, name, x, stride=1):
  kernel, bias = layers[name]
  return biased(conv(x, kernel, strides=(stride, stride)), bias)


def _depthwise(layers, name, x, stride):
  """A convolution of each channel by itself."""
  kernel, bias = layers[name]
  pads = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], (stride, stride), "SAME")
  cpu, default = (functools.partial(form, stride=stride, pads=pads) for form in (_shifted, _grouped))
  return biased(lax.platform_dependent(x, kernel, cpu=cpu, default=default), bias)


def _grouped(x, kernel, stride, pads):
  numbers = ("NHWC", "HWIO", "NHWC")
  return lax.conv_general_dilated(
    x, kernel, (stride, stride), pads, dimension_numbers=numbers, feature_group_count=x.shape[-1]
  )


def _shifted(x, kernel, stride, pads):
  """A sum over the kernel's places, which XLA fuses: on the CPU its grouped convolutions are 10 to 50 times slower."""
  rows, columns = (-(-size // stride) for size in x.shape[1:3])
  x = lax.optimization_barrier(jnp.pad(x, ((0, 0), *pads, (0, 0))))
  until = lambda start, count: slice(start, start + stride * (count - 1) + 1, stride)
  seen = lambda i, j: x[:, until(i, rows), until(j, columns)] * kernel[None, None, None, i, j, 0]
  return functools.reduce(operator.add, itertools.starmap(seen, itertools.product(*map(range, kernel.shape[:2]))))
