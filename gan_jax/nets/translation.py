"""Networks that turn images into images, and a discriminator of patches: those of CycleGAN (Zhu et al. 2017, appendix
7.2) and pix2pix (Isola et al. 2017, appendix 6.1).

Weights start as N(0, 0.02). The norm is instance norm without scale and shift, as in CycleGAN's code; it takes away any
constant, so a convolution before it has no bias. What the papers leave open follows the authors' code, which has these
biases nevertheless: that is all that its parameter counts are larger by.
"""

import numbers
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.nets.adapt import from_spec, only_input, positive, square_image
from gan_jax.nets.conv import Conv, UpsampleConv, smeared, upsample_conv
from gan_jax.nets.layers import InstanceNorm

_init = nn.initializers.normal(0.02)


class _Resnet(nn.Module):
  """What a residual generator and its parts have in common.

  Attributes:
    width: channels of the first layer; the paper's 64.
    blocks: how many residual blocks; the paper has 6 for 128x128 and 9 from 256x256 on.
    dtype: what convolutions compute in, but for the one that makes images; all else is float32.
  """

  width: int = 64
  blocks: int = 6
  dtype: Any = jnp.float32


class _OfImages(_Resnet):
  """Attributes: `channels` of the images that come out, and `upsampling` as `doublings` has it."""

  channels: int = 3
  upsampling: str = "fractional"


class ResnetGenerator(_OfImages):
  """CycleGAN's generator: two halvings, residual blocks at a quarter of the size, two doublings.

  In the paper's notation c7s1-64, d128, d256, R256 times `blocks`, u128, u64, c7s1-3; the last ends in tanh. The 7x7
  convolutions and those of the blocks see a reflected border, the strided ones zeros. What comes in may have another
  number of channels than what comes out.
  """

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """x [B, H, W, C] -> images [B, H, W, channels] in [-1, 1], float32.

    Raises:
      ConfigError: if the height or the width is not a multiple of 4, or below 8.
    """
    return doublings(self, residuals(self, halvings(self, x)))


class Encoder(_Resnet):
  """The first part of a `ResnetGenerator`, up to the last of its residual blocks, of which it may have none."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """x [B, H, W, C] -> maps [B, H / 4, W / 4, 4 width], float32."""
    return residuals(self, halvings(self, x))


class Blocks(_Resnet):
  """Residual blocks of a `ResnetGenerator` by themselves; `width` is a quarter of the maps' channels."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, H, W, C] -> maps of the same shape, float32."""
    return residuals(self, x)


class Decoder(_OfImages):
  """The last part of a `ResnetGenerator`, residual blocks first, of which it may have none."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, H / 4, W / 4, 4 width] -> images [B, H, W, channels] in [-1, 1], float32."""
    return doublings(self, residuals(self, x))


def halvings(net: Any, x: jax.Array) -> jax.Array:
  """c7s1-64, d128, d256 within a module's compact call: images [B, H, W, C] to maps at a quarter of the size."""
  chex.assert_rank(x, 4)
  _check_resnet_size(x.shape[1:3])
  normed: dict[str, Any] = dict(use_bias=False, kernel_init=_init, dtype=net.dtype)
  x = nn.relu(InstanceNorm()(Conv(net.width, (7, 7), padding="VALID", **normed)(_reflect(x, 3))))
  for i in (2, 4):
    x = Conv(net.width * i, (3, 3), (2, 2), ((1, 0), (1, 0)), **normed)(x)
    x = nn.relu(InstanceNorm()(x))
  return x


def residuals(net: Any, x: jax.Array) -> jax.Array:
  """R256 times `net.blocks` within a module's compact call."""
  normed: dict[str, Any] = dict(padding="VALID", use_bias=False, kernel_init=_init, dtype=net.dtype)
  for _ in range(net.blocks):
    y = Conv(x.shape[-1], (3, 3), **normed)(_reflect(x, 1))
    y = nn.relu(InstanceNorm()(y))
    y = Conv(x.shape[-1], (3, 3), **normed)(_reflect(y, 1))
    x = x + InstanceNorm()(y)
  return x


def doublings(net: Any, x: jax.Array) -> jax.Array:
  """u128, u64, c7s1-3 and tanh within a module's compact call: maps to images of four times the size.

  `net.upsampling` is "fractional" for the paper's convolutions of stride 1/2, where neighbouring pixels are made by
  different entries of the kernel; or "resize" for a 3x3 convolution of the map with each pixel doubled, where all of
  them are made by all entries, and a constant stays a constant: Odena, Dumoulin and Olah 2016.
  """
  for i in (2, 1):
    x = nn.relu(InstanceNorm()(_UPSAMPLING[net.upsampling](net.width * i, net.dtype)(x)))
  return jnp.tanh(Conv(net.channels, (7, 7), padding="VALID", kernel_init=_init)(_reflect(x, 3)))


class UnetGenerator(nn.Module):
  """pix2pix's generator: halved down to one pixel and doubled back, each size with a way across from one to the other.

  C64-C128-C256-C512-C512-... in the paper's notation, and the same back, all 4x4 with stride 2. What goes across is put
  beside what comes up, as it left its LeakyReLU: the authors' code has another ReLU there. Nothing normalises the one
  pixel: that would make it zero. Dropout, behind the norm of the first three layers on the way up, is pix2pix's noise,
  and is on in sampling too: then every call needs a key.

  Attributes:
    resolution: of the images, a power of two from 8 on; 256 makes the paper's 8 halvings.
    width: channels of the first layer, doubled three times on the way down; the paper's 64.
    channels: of the images that come out; what comes in may have another number.
    dropout: the share of units that is dropped; pix2pix's 0.5, or 0 as CycleGAN uses it.
    dtype: what convolutions compute in, but for the last; all else is float32.
  """

  resolution: int
  width: int = 64
  channels: int = 3
  dropout: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """x [B, resolution, resolution, C] -> images [B, resolution, resolution, channels] in [-1, 1], float32.

    Raises:
      ConfigError: if the resolution is not a power of two from 8 on.
    """
    if self.resolution < 8 or self.resolution & (self.resolution - 1):
      raise ConfigError(
        f"a U-Net's resolution is a power of two from 8 on, not {self.resolution}: resize the images, or use a "
        "ResnetGenerator, which takes multiples of 4"
      )
    chex.assert_shape(x, (None, self.resolution, self.resolution, None))
    halvings = self.resolution.bit_length() - 1
    widths = [self.width * min(2**i, 8) for i in range(halvings)]
    ways = []
    for i, width in enumerate(widths):
      inner = 0 < i < halvings - 1
      x = Conv(width, strides=(2, 2), use_bias=not inner, kernel_init=_init, dtype=self.dtype)(x)
      x = nn.leaky_relu(InstanceNorm()(x) if inner else x, 0.2)
      ways.append(x)
    for i, (width, across) in enumerate(zip(widths[-2::-1], ways[-2::-1], strict=True)):
      x = InstanceNorm()(UpsampleConv(width, use_bias=False, kernel_init=_init, dtype=self.dtype)(x))
      x = nn.relu(nn.Dropout(self.dropout if i < 3 else 0.0, deterministic=False)(x))
      x = jnp.concatenate([x, across], axis=-1)
    return jnp.tanh(UpsampleConv(self.channels, kernel_init=_init)(x))


class PatchDiscriminator(nn.Module):
  """A score for each patch of an image, or of several on top of each other, the discriminator of both papers.

  4x4 convolutions, `layers` of stride 2 and two of stride 1, with LeakyReLU of slope 0.2 and norm in all but the first
  and the last: C64-C128-C256-C512 with 3 layers. A score sees, besides what the norm tells it of the whole image, a
  patch of side 16, 34 or 70 with 1, 2 or 3 layers, partly beyond the border at the rim. With 0 it is the PixelGAN,
  C64-C128 of 1x1 convolutions, which sees one pixel.

  Attributes:
    width: channels of the first layer, doubled at each, three times at most; the papers' 64.
    layers: how many of stride 2; the papers' 3, for 256x256.
    dtype: what convolutions compute in, but for the last; all else is float32.
  """

  width: int = 64
  layers: int = 3
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, *images: jax.Array) -> jax.Array:
    """[B, H, W, C] each -> raw scores [B, H', W', 1], float32; H' is H >> layers less 2, and H itself with 0 layers.

    Raises:
      ConfigError: if the images are too small to leave a score.
    """
    chex.assert_rank(images, 4)
    x = jnp.concatenate(images, -1)
    smallest = 3 * 2**self.layers if self.layers else 1
    if min(x.shape[1:3]) < smallest:
      raise ConfigError(
        f"a PatchDiscriminator of {self.layers} layers scores images of at least {smallest}x{smallest}, "
        f"not {x.shape[1]}x{x.shape[2]}: give it fewer layers, or larger images"
      )
    window: dict[str, Any] = (
      dict(kernel_size=(4, 4), padding=((1, 1), (1, 1))) if self.layers else dict(kernel_size=(1, 1))
    )
    for i in range(max(self.layers, 1) + 1):
      strides = (2, 2) if i < self.layers else (1, 1)
      features = self.width * min(2**i, 8)
      x = Conv(features, strides=strides, use_bias=i == 0, kernel_init=_init, dtype=self.dtype, **window)(x)
      x = nn.leaky_relu(InstanceNorm()(x) if i else x, 0.2)
    return Conv(1, kernel_init=_init, **window)(x)


def resnet(
  spec: NetSpec,
  /,
  *,
  width: int = 64,
  blocks: int = 6,
  upsampling: str = "fractional",
  dtype: jnp.dtype = jnp.float32,
) -> Net:
  """A `ResnetGenerator` from square images to square images.

  Raises:
    ConfigError: if the game has other shapes, `width` or `blocks` is below 1, or `upsampling` is unknown.
  """
  square_image(only_input(spec))
  _, channels = square_image(spec.output)
  positive(width=width, blocks=blocks)
  _check_upsampling(upsampling)
  return from_spec(ResnetGenerator(width, blocks, dtype, channels, upsampling), spec)


def encoder(spec: NetSpec, /, *, width: int = 64, blocks: int = 3, dtype: jnp.dtype = jnp.float32) -> Net:
  """An `Encoder` of square images, for games that share what comes behind it.

  Raises:
    ConfigError: if the game gives it something else, `width` is below 1, or `blocks` below 0.
  """
  square_image(only_input(spec))
  positive(width=width)
  _check_blocks(blocks)
  return from_spec(Encoder(width, blocks, dtype), spec)


def blocks(spec: NetSpec, /, *, blocks: int = 1, dtype: jnp.dtype = jnp.float32) -> Net:
  """`Blocks` on an encoder's maps.

  Raises:
    ConfigError: if the game gives it something else, or `blocks` is below 1.
  """
  _, channels = square_image(only_input(spec))
  positive(blocks=blocks)
  return from_spec(Blocks(channels // 4, blocks, dtype), spec)


def decoder(
  spec: NetSpec,
  /,
  *,
  width: int = 64,
  blocks: int = 3,
  upsampling: str = "fractional",
  dtype: jnp.dtype = jnp.float32,
) -> Net:
  """A `Decoder` to square images, of maps of a quarter of their size.

  Raises:
    ConfigError: if the game gives it or asks for something else, `width` is below 1, `blocks` below 0, or `upsampling`
      is unknown.
  """
  side, _ = square_image(only_input(spec))
  resolution, channels = square_image(spec.output)
  if resolution != 4 * side:
    raise ConfigError(f"it makes images of {4 * side}x{4 * side} of these maps, and the game asks for {resolution}")
  positive(width=width)
  _check_blocks(blocks)
  _check_upsampling(upsampling)
  return from_spec(Decoder(width, blocks, dtype, channels, upsampling), spec)


def unet(spec: NetSpec, /, *, width: int = 64, dropout: float = 0.0, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `UnetGenerator` from square images to square images.

  Raises:
    ConfigError: if the game has other shapes, `width` is below 1, or `dropout` is not from 0 to below 1.
  """
  resolution, _ = square_image(only_input(spec))
  _, channels = square_image(spec.output)
  positive(width=width)
  if not isinstance(dropout, numbers.Real) or not 0.0 <= dropout < 1.0:
    raise ConfigError(f"dropout is {dropout!r}; it has to be at least 0 and below 1")
  return from_spec(UnetGenerator(resolution, width, channels, float(dropout), dtype), spec)


def patches(spec: NetSpec, /, *, width: int = 64, layers: int = 3, dtype: jnp.dtype = jnp.float32) -> Net:
  """A `PatchDiscriminator` of square images, or of several of one size, such as an image and its condition.

  Raises:
    ConfigError: if the game gives it something else, `width` is below 1, or `layers` is none of 0 to 7.
  """
  sides = {square_image(shape)[0] for shape in spec.inputs}  # pyright: ignore[reportArgumentType]  # names are resolved
  if len(sides) != 1:
    raise ConfigError(f"it takes images of one size, and the game gives it {' and '.join(map(str, sorted(sides)))}")
  positive(width=width)
  if layers not in range(8):
    raise ConfigError(f"layers is {layers!r}; it has to be an integer from 0 to 7")
  return from_spec(PatchDiscriminator(width, layers, dtype), spec)


class FractionalConv(nn.Module):
  """A 3x3 convolution of stride 1/2 without bias, which doubles the size: the paper's "u".

  That is, a convolution of the input with zeros between its pixels, one row and column of zeros before and two after;
  torch's ConvTranspose2d(C, O, 3, stride=2, padding=1, output_padding=1) is the same with the kernel turned by half.

  Attributes:
    features: output channels.
    dtype: what the convolution computes in; the parameter and the output are float32.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, 2H, 2W, features], by a float32 parameter `kernel` [3, 3, C, features]."""
    kernel = self.param("kernel", _init, (3, 3, x.shape[-1], self.features), jnp.float32)
    # With a row and a column of zeros it is a 4x4 kernel, whose form on the CPU multiplies no zeros of the input.
    kernel = jnp.pad(kernel, ((1, 0), (1, 0), (0, 0), (0, 0)))
    return upsample_conv(x.astype(self.dtype), kernel.astype(self.dtype)).astype(jnp.float32)


class ResizedConv(nn.Module):
  """A 3x3 convolution without bias of the map with each pixel doubled in both directions.

  Attributes:
    features: output channels.
    dtype: what the convolution computes in; the parameter and the output are float32.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] -> [B, 2H, 2W, features], by a float32 parameter `kernel` [3, 3, C, features]."""
    kernel = self.param("kernel", _init, (3, 3, x.shape[-1], self.features), jnp.float32)
    return upsample_conv(x.astype(self.dtype), smeared(kernel).astype(self.dtype)).astype(jnp.float32)


_UPSAMPLING = {"fractional": FractionalConv, "resize": ResizedConv}


def _check_upsampling(upsampling):
  if upsampling not in _UPSAMPLING:
    raise ConfigError(f"upsampling is {upsampling!r}; it is {' or '.join(map(repr, _UPSAMPLING))}")


def _check_blocks(blocks):
  if not isinstance(blocks, numbers.Integral) or isinstance(blocks, bool) or blocks < 0:
    raise ConfigError(f"blocks is {blocks!r}; it has to be an integer of at least 0")


def _check_resnet_size(size):
  if any(n % 4 or n < 8 for n in size):
    raise ConfigError(
      f"a ResnetGenerator halves the size twice and doubles it back, so height and width are multiples of 4 from 8 on, "
      f"not {size[0]}x{size[1]}: resize or crop the images"
    )


def _reflect(x, by):
  return jnp.pad(x, ((0, 0), (by, by), (by, by), (0, 0)), mode="reflect")
