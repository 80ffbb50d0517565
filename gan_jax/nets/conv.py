"""Convolutions whose gradients stay fast inside a scan.

XLA's CPU compiler has a fast form only for NHWC by HWIO convolutions, and in the body of a loop it does not bring
others into that form: the gradients that jax derives fall to a naive loop there, about a hundred times slower
(jax-ml/jax issue 12868). So the gradients here are written down, in that form, and as functions of the same kind, so
that gradients of gradients (gradient penalties) keep it too. The 4x4 kernel of stride 2, which most GANs are made of,
becomes a matrix product on the CPU, in both directions, without the zeros that a transposed convolution is usually fed
with, and so does a convolution to a few channels, such as a translator's last. Accelerators get the convolutions that
their own compilers know.

Derivatives are reverse-mode and of any order; `jax.jvp` is refused, as by every `jax.custom_vjp`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.nets.products import cpu_product, transposed

Pair = tuple[int, int]


class _Geometry(NamedTuple):
  strides: Pair
  pads: tuple[Pair, Pair]
  lhs_dilation: Pair
  rhs_dilation: Pair


_NARROW = 4  # channels; with fewer coming in, or no more going out, XLA's convolutions on the CPU are slow
_HALVE = _Geometry((2, 2), ((1, 1), (1, 1)), (1, 1), (1, 1))  # the size, with a 4x4 kernel
_DOUBLE = _Geometry((1, 1), ((2, 2), (2, 2)), (2, 2), (1, 1))  # its transpose


def conv(
  x: jax.Array,
  kernel: jax.Array,
  *,
  strides: Pair = (1, 1),
  padding: str | tuple[Pair, Pair] = "SAME",
  lhs_dilation: Pair = (1, 1),
  rhs_dilation: Pair = (1, 1),
) -> jax.Array:
  """Convolution, equal to `lax.conv_general_dilated` of NHWC by HWIO, and fast inside a scan with all its derivatives.

  Args:
    x: [B, H, W, C].
    kernel: [kh, kw, C, O], of x's dtype.
    strides: steps between outputs.
    padding: "SAME", "VALID" or ((low, high), (low, high)); negative padding crops.
    lhs_dilation: spacing of the input's pixels, filled with zeros. A transposed convolution's stride.
    rhs_dilation: spacing of the kernel's.

  Returns:
    [B, H', W', O].

  Raises:
    ValueError: for padding by name together with `lhs_dilation`, where its meaning is not settled.
  """
  chex.assert_rank([x, kernel], 4)
  chex.assert_axis_dimension(kernel, 2, x.shape[3])
  if isinstance(padding, str):
    if tuple(lhs_dilation) != (1, 1):
      raise ValueError(f"padding {padding!r} has no settled meaning with lhs_dilation {lhs_dilation}: give numbers.")
    window = [_span(k, r) for k, r in zip(kernel.shape, rhs_dilation)]
    padding = lax.padtype_to_pads(x.shape[1:3], window, strides, padding)  # pyright: ignore[reportAssignmentType]
  pads = tuple((int(low), int(high)) for low, high in padding)
  return _conv(x, kernel, _Geometry(tuple(strides), pads, tuple(lhs_dilation), tuple(rhs_dilation)))  # pyright: ignore[reportArgumentType]


def upsample_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Transposed convolution of stride 2 with a 4x4 kernel, which doubles the size.

  Equal to `lax.conv_transpose(x, kernel, (2, 2), "SAME")`, that is with transpose_kernel=False: an ordinary convolution
  of the input with zeros between its pixels. So torch's ConvTranspose2d(C, O, 4, stride=2, padding=1) is this one with
  `kernel[::-1, ::-1].transpose(2, 3, 0, 1)` for its weight.

  Args:
    x: [B, H, W, C].
    kernel: [4, 4, C, O], of x's dtype.

  Returns:
    [B, 2H, 2W, O].
  """
  chex.assert_shape(kernel, (4, 4, x.shape[-1], None))
  return conv(x, kernel, padding=_DOUBLE.pads, lhs_dilation=_DOUBLE.lhs_dilation)


def smeared(kernel: jax.Array) -> jax.Array:
  """The kernel [3, 3, ...] convolved with a square of 2x2 ones, [4, 4, ...].

  With it `upsample_conv` is a 3x3 convolution of the image with each pixel doubled in both directions: nearest
  upsampling and convolution as one, the same function for fewer products.
  """
  rows = jnp.pad(kernel, ((0, 1), (0, 0), (0, 0), (0, 0))) + jnp.pad(kernel, ((1, 0), (0, 0), (0, 0), (0, 0)))
  return jnp.pad(rows, ((0, 0), (0, 1), (0, 0), (0, 0))) + jnp.pad(rows, ((0, 0), (1, 0), (0, 0), (0, 0)))


def grouped_conv(x: jax.Array, kernel: jax.Array, groups: int) -> jax.Array:
  """Convolution of stride 1 and padding "SAME" of each of `groups` equal parts of the channels for itself.

  Equal to `lax.conv_general_dilated` with `feature_group_count`. On the CPU it is one convolution a group,
  which was faster than a batched product of patches, or a kernel of zeros outside of the groups, where it was tried.

  Args:
    x: [B, H, W, C].
    kernel: [kh, kw, C / groups, O] with odd kh and kw, of x's dtype; outputs stand in the order of the groups.
    groups: a divisor of C and of O.

  Returns:
    [B, H, W, O].
  """
  chex.assert_rank([x, kernel], 4)
  chex.assert_shape(kernel, (None, None, x.shape[3] // groups, None))
  chex.assert_is_divisible(x.shape[3], groups)
  chex.assert_is_divisible(kernel.shape[3], groups)
  chex.assert_equal([k % 2 for k in kernel.shape[:2]], [1, 1])
  return _grouped(x, kernel, groups)


class Conv(nn.Module):
  """`conv` with float32 parameters `kernel` [kh, kw, C, features] and `bias` [features], and float32 outputs.

  Attributes:
    features: output channels.
    kernel_size: (kh, kw).
    strides: steps between outputs.
    padding: "SAME", "VALID" or ((low, high), (low, high)).
    use_bias: whether to add a bias.
    kernel_init: (key, shape, dtype) -> kernel.
    dtype: what the convolution computes in.
  """

  features: int
  kernel_size: Pair = (4, 4)
  strides: Pair = (1, 1)
  padding: str | tuple[Pair, Pair] = "SAME"
  use_bias: bool = True
  kernel_init: Callable = nn.initializers.lecun_normal()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H', W', features], float32."""
    return _layer(self, functools.partial(conv, strides=self.strides, padding=self.padding), self.kernel_size, x)


class UpsampleConv(nn.Module):
  """`upsample_conv` with float32 parameters `kernel` [4, 4, C, features] and `bias` [features], and float32 outputs.

  Attributes:
    features: output channels.
    use_bias: whether to add a bias.
    kernel_init: (key, shape, dtype) -> kernel.
    dtype: what the convolution computes in.
  """

  features: int
  use_bias: bool = True
  kernel_init: Callable = nn.initializers.lecun_normal()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, 2H, 2W, features], float32."""
    return _layer(self, upsample_conv, (4, 4), x)


class GroupedConv(nn.Module):
  """`grouped_conv` with float32 parameters `kernel` [kh, kw, C / groups, features] and `bias` [features], and float32
  outputs.

  Attributes:
    features: output channels.
    groups: parts that the channels are divided into.
    kernel_size: (kh, kw), odd.
    use_bias: whether to add a bias.
    kernel_init: (key, shape, dtype) -> kernel.
    dtype: what the convolution computes in.
  """

  features: int
  groups: int
  kernel_size: Pair = (3, 3)
  use_bias: bool = True
  kernel_init: Callable = nn.initializers.lecun_normal()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, H, W, features], float32."""
    return _layer(self, functools.partial(grouped_conv, groups=self.groups), self.kernel_size, x, self.groups)


def _layer(module, convolve, kernel_size, x, groups=1):
  shape = (*kernel_size, x.shape[-1] // groups, module.features)
  kernel = module.param("kernel", module.kernel_init, shape, jnp.float32)
  # What follows is float32: on the CPU, norms and activations in bfloat16 take longer than their convolutions.
  y = convolve(x.astype(module.dtype), kernel.astype(module.dtype)).astype(jnp.float32)
  if not module.use_bias:
    return y
  return y + module.param("bias", nn.initializers.zeros, (module.features,), jnp.float32).reshape(1, 1, 1, -1)


def _span(size, dilation):
  return (size - 1) * dilation + 1


def _flip(kernel):
  return kernel.swapaxes(2, 3)[::-1, ::-1]


def _lax_conv(x, kernel, geometry):
  if math.prod(kernel.shape[:2]) > math.prod(x.shape[1:3]):
    # XLA would swap the two, into a form that is naive in a loop. The barrier keeps it from taking the padding back.
    edges = [(low, high, spacing - 1) for (low, high), spacing in zip(geometry.pads, geometry.lhs_dilation)]
    x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *edges, (0, 0, 0)]))
    geometry = geometry._replace(pads=((0, 0), (0, 0)), lhs_dilation=(1, 1))
  return lax.conv_general_dilated(x, kernel, *geometry, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _wide_conv(x, kernel, geometry):
  """`_lax_conv`, of bfloat16 in float32: there XLA's convolutions on the CPU are twice as fast."""
  wide = jnp.float32 if x.dtype == jnp.bfloat16 else x.dtype
  return _lax_conv(x.astype(wide), kernel.astype(wide), geometry).astype(x.dtype)


def _patches(x):
  """The 4x4 windows at stride 2 of [B, 2H, 2W, C], padded by one: [B * H * W, 16 * C]."""
  b, h, w, c = x.shape
  # Two neighbouring columns lie side by side in memory, so they are copied as one of twice the channels.
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(b, h + 2, w // 2 + 1, 2 * c)
  windows = jnp.stack([x[:, i : i + h : 2, j : j + w // 2] for i in range(4) for j in range(2)], 3)
  return windows.reshape(-1, 16 * c)


def _overlap(z):
  """Adds up windows of four at stride 2, without what falls off the ends: [A, N, M, 4, C] -> [A, 2N, M, C]."""
  a, n, m, _, c = z.shape
  shift = lambda y, by: lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), (by, -by, 0), (0, 0, 0), (0, 0, 0)])
  even = z[..., 1, :] + shift(z[..., 3, :], 1)
  odd = z[..., 2, :] + shift(z[..., 0, :], -1)
  return jnp.stack([even, odd], 2).reshape(a, 2 * n, m, c)


def _halve(x, kernel):
  b, h, w, _ = x.shape
  return cpu_product(_patches(x), kernel.reshape(-1, kernel.shape[-1])).astype(x.dtype).reshape(b, h // 2, w // 2, -1)


def _double(x, kernel):
  b, h, w, c = x.shape
  windows = cpu_product(x.reshape(-1, c), transposed(_flip(kernel).reshape(-1, c)))
  rows = _overlap(windows.reshape(b, h, w, 4, -1))
  return _overlap(rows.reshape(b * 2 * h, w, 1, 4, -1)).reshape(b, 2 * h, 2 * w, -1).astype(x.dtype)


def _halve_kernel(x, dy):
  # The small operand is the one to transpose, and the barrier keeps XLA from turning the product round again.
  turned = lax.optimization_barrier(cpu_product(transposed(dy.reshape(-1, dy.shape[-1])), _patches(x)))
  return transposed(turned).reshape(4, 4, x.shape[-1], -1).astype(x.dtype)


def _spread(x, kernel, pads):
  """A plain convolution to few channels: every pixel times the whole kernel, then sums of what falls on one place."""
  kh, kw, c, o = kernel.shape
  x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
  h, w = x.shape[1] - kh + 1, x.shape[2] - kw + 1
  z = cpu_product(x.reshape(-1, c), kernel.transpose(2, 0, 1, 3).reshape(c, -1))
  z = lax.optimization_barrier(z.reshape(*x.shape[:3], kh, kw, o))
  rows = sum(z[:, i : i + h, :, i] for i in range(kh))
  return sum(rows[:, :, j : j + w, j] for j in range(kw)).astype(x.dtype)  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]


def _plain(geometry):
  """Whether neither strides nor spacings nor cropping are in it."""
  ones = (1, 1)
  return geometry == _Geometry(ones, geometry.pads, ones, ones) and min(sum(geometry.pads, ())) >= 0


def _cpu_conv(x, kernel, geometry):
  products = _as_products(geometry, x.shape[1:3], kernel.shape[:2])
  if products:
    return products[0](x, kernel)
  *size, c, o = kernel.shape
  if _plain(geometry) and o <= _NARROW < c:
    return _spread(x, kernel, geometry.pads)
  if c < _NARROW and math.prod(size) > 1:
    more = (0, _NARROW - c)
    x = lax.optimization_barrier(jnp.pad(x, ((0, 0), (0, 0), (0, 0), more)))
    kernel = jnp.pad(kernel, ((0, 0), (0, 0), more, (0, 0)))
  return _wide_conv(x, kernel, geometry)


def _as_products(geometry, size, kernel_size):
  """The CPU's forms of `_conv` and `_kernel_gradient` where they are matrix products, else None."""
  if geometry == _HALVE and kernel_size == (4, 4) and size[0] % 2 == size[1] % 2 == 0:
    return _halve, _halve_kernel
  if geometry == _DOUBLE and kernel_size == (4, 4):
    return _double, lambda x, dy: _flip(_halve_kernel(dy, x))
  return None


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x, kernel, geometry):
  cpu, default = (functools.partial(form, geometry=geometry) for form in (_cpu_conv, _lax_conv))
  return lax.platform_dependent(x, kernel, cpu=cpu, default=default)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_gradient(x, dy, geometry, size):
  """The transpose of `_conv(x, kernel, geometry)` in its kernel, of spatial `size`, at `dy`."""
  pads = tuple(
    (low, _span(m, s) + _span(k, rhs) - 1 - _span(n, lhs) - low)
    for n, k, m, (s, (low, _), lhs, rhs) in zip(x.shape[1:], size, dy.shape[1:], zip(*geometry))
  )
  exchanged = _Geometry(geometry.rhs_dilation, pads, geometry.lhs_dilation, geometry.strides)  # pyright: ignore[reportArgumentType]

  canonical = functools.partial(_canonical_kernel_gradient, geometry=exchanged)

  def default(x, dy):
    return lax.conv_general_dilated(x, dy, *exchanged, dimension_numbers=("CHWN", "IHWO", "HWNC"))

  products = _as_products(geometry, x.shape[1:3], size)
  return lax.platform_dependent(x, dy, cpu=products[1] if products else canonical, default=default)


def _canonical_kernel_gradient(x, dy, geometry):
  """The gradient in a kernel as a convolution of x by dy, of the `geometry` that it has as one."""
  return _wide_conv(x.transpose(3, 1, 2, 0), dy.transpose(1, 2, 0, 3), geometry).transpose(1, 2, 0, 3)


def _input_gradient(dy, kernel, geometry, size):
  """The transpose of `_conv(x, kernel, geometry)` in its input, of spatial `size`, at `dy`."""
  pads = tuple(
    (_span(k, rhs) - 1 - low, _span(n, lhs) - _span(m, s) + low)
    for n, k, m, (s, (low, _), lhs, rhs) in zip(size, kernel.shape, dy.shape[1:], zip(*geometry))
  )
  return _conv(dy, _flip(kernel), _Geometry(geometry.lhs_dilation, pads, geometry.strides, geometry.rhs_dilation))  # pyright: ignore[reportArgumentType]


def _conv_backward(geometry, inputs, dy):
  x, kernel = inputs
  dx = _input_gradient(dy, kernel, geometry, x.shape[1:3])
  return dx, _kernel_gradient(x, dy, geometry, kernel.shape[:2])


def _kernel_gradient_backward(geometry, size, inputs, dkernel):
  x, dy = inputs
  return _input_gradient(dy, dkernel, geometry, x.shape[1:3]), _conv(x, dkernel, geometry)


_conv.defvjp(lambda x, kernel, geometry: (_conv(x, kernel, geometry), (x, kernel)), _conv_backward)
_kernel_gradient.defvjp(
  lambda x, dy, geometry, size: (_kernel_gradient(x, dy, geometry, size), (x, dy)), _kernel_gradient_backward
)


def _parts(x, groups):
  return jnp.split(x, groups, -1)


def _same(size):
  """The geometry of stride 1 whose outputs have the size of its inputs; it is its own transpose."""
  return _Geometry((1, 1), tuple((k // 2, k // 2) for k in size), (1, 1), (1, 1))  # pyright: ignore[reportArgumentType]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _grouped(x, kernel, groups):
  geometry = _same(kernel.shape[:2])

  def cpu(x, kernel):
    pairs = zip(_parts(x, groups), _parts(kernel, groups))
    return jnp.concatenate([_cpu_conv(part, k, geometry) for part, k in pairs], -1)

  def default(x, kernel):
    layouts = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, *geometry, dimension_numbers=layouts, feature_group_count=groups)

  return lax.platform_dependent(x, kernel, cpu=cpu, default=default)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _grouped_kernel_gradient(x, dy, groups, size):
  """The transpose of `_grouped(x, kernel, groups)` in its kernel, of spatial `size`, at `dy`."""
  geometry = _same(size)

  def cpu(x, dy):
    pairs = zip(_parts(x, groups), _parts(dy, groups))
    return jnp.concatenate([_canonical_kernel_gradient(part, d, geometry) for part, d in pairs], -1)

  def default(x, dy):
    layouts = ("CHWN", "IHWO", "HWNC")
    return lax.conv_general_dilated(x, dy, *geometry, dimension_numbers=layouts, batch_group_count=groups)

  return lax.platform_dependent(x, dy, cpu=cpu, default=default)


def _grouped_input_gradient(dy, kernel, groups):
  flipped = jnp.concatenate([_flip(part) for part in _parts(kernel, groups)], -1)
  return _grouped(dy, flipped, groups)


def _grouped_backward(groups, inputs, dy):
  x, kernel = inputs
  return _grouped_input_gradient(dy, kernel, groups), _grouped_kernel_gradient(x, dy, groups, kernel.shape[:2])


def _grouped_kernel_gradient_backward(groups, size, inputs, dkernel):
  x, dy = inputs
  return _grouped_input_gradient(dy, dkernel, groups), _grouped(x, dkernel, groups)


_grouped.defvjp(lambda x, kernel, groups: (_grouped(x, kernel, groups), (x, kernel)), _grouped_backward)
_grouped_kernel_gradient.defvjp(
  lambda x, dy, groups, size: (_grouped_kernel_gradient(x, dy, groups, size), (x, dy)),
  _grouped_kernel_gradient_backward,
)
