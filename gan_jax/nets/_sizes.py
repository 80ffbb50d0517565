"""Sizes and channels of networks that halve images down to 4x4, or double them from there."""

from gan_jax.errors import ConfigError
from gan_jax.nets.adapt import positive


def channels_of(resolution: int, width: int, widest: int) -> list[int]:
  """Channels at full size, half of it, and so on down to 4x4: `width`, doubled at each halving up to `widest`."""
  return [min(width * 2**i, widest) for i in range((resolution // 4).bit_length())]


def check_sizes(resolution: int, smallest: int, **settings: int) -> None:
  """Raises ConfigError if the side is no power of two from `smallest` on, or a setting is no integer of at least 1."""
  if resolution < smallest or resolution & (resolution - 1):
    raise ConfigError(
      f"its images have a side that is a power of two from {smallest} on, not {resolution}: choose data.resolution"
    )
  positive(**settings)
