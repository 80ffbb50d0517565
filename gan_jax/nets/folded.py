"""Layers of networks that others have trained, from torch's state dict: a convolution and its batch norm in one."""

from collections.abc import Mapping
from typing import Any

import jax


def fold(state: Mapping[str, Any], conv: str, norm: str, epsilon: float) -> tuple[Any, Any]:
  """A convolution without bias and the batch norm behind it, by its running statistics, as one with a bias.

  Args:
    state: NumPy arrays by name, as torch has them.
    conv: the name of the convolution, whose weight is [O, C, kh, kw].
    norm: the name of the batch norm.
    epsilon: what it adds to the variance.

  Returns:
    A kernel [kh, kw, C, O] and a bias [O], float32.

  Raises:
    KeyError: the state has no such layer.
  """
  scale, shift, mean, var = (
    state[f"{norm}.{name}"].astype("float64") for name in ("weight", "bias", "running_mean", "running_var")
  )
  gain = scale / (var + epsilon) ** 0.5
  kernel = state[f"{conv}.weight"].transpose(2, 3, 1, 0) * gain
  return kernel.astype("float32"), (shift - mean * gain).astype("float32")


def dense(state: Mapping[str, Any], name: str) -> tuple[Any, Any]:
  """A dense layer as a kernel [inputs, outputs] and a bias [outputs], float32."""
  return state[f"{name}.weight"].T.astype("float32"), state[f"{name}.bias"].astype("float32")


def biased(x: jax.Array, bias: jax.Array) -> jax.Array:
  """[B, H, W, C] plus a bias [C]."""
  return x + bias[None, None, None]
