"""A small classifier, trained here on labelled images: a judge of labels, and the features behind its judgement."""

import dataclasses
import hashlib
import math
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from gan_jax import cache, pixels
from gan_jax.metrics.features import Extractor, extract
from gan_jax.nets.conv import conv


def train(
  images: np.ndarray,
  labels: np.ndarray,
  test_images: np.ndarray,
  test_labels: np.ndarray,
  classes: int,
  *,
  width: int = 32,
  features: int = 64,
  steps: int = 1250,
  batch_size: int = 64,
  learning_rate: float = 1e-3,
  shift: int = 2,
  seed: int = 0,
) -> Extractor:
  """Trains a classifier, or takes it from the cache if it was trained before.

  Three 4x4 convolutions of stride 2 and two dense layers, rectified in between, under cross-entropy; Adam (Kingma and
  Ba, 2015) with its rate falling to zero on a cosine; each image moved at random by up to `shift` pixels. It is kept in
  `gan_jax.cache`, with its accuracy, under a hash of the data, the settings and this file. Features are not negative.

  Args:
    images: to train on, [N, H, W, C] uint8.
    labels: theirs, [N] integers from 0.
    test_images: to measure the accuracy on, [M, H, W, C] uint8.
    test_labels: theirs, [M].
    classes: number of different labels.
    width: channels of the first convolution; the second has twice as many, the third four times.
    features: number of features.
    steps: updates, each of a batch that is drawn with replacement.
    batch_size: images in a batch.
    learning_rate: at the start.
    shift: in pixels, in each direction; the image's edge fills what opens.
    seed: of initial parameters, batches and shifts.

  Raises:
    ValueError: images are not uint8 of one shape, or labels are not as many as images or not in 0..classes - 1.
  """
  _check("images", images, images.shape[1:], labels, classes)
  _check("test images", test_images, images.shape[1:], test_labels, classes)
  settings = (classes, width, features, steps, batch_size, learning_rate, shift, seed)
  name = f"classifier-{_digest(settings, images, labels, test_images, test_labels)}.npz"
  params = _init(np.random.RandomState(seed), images.shape[1:], width, features, classes)
  leaves, tree = jax.tree.flatten(params)
  stored = cache.load(name)
  shapes = {str(i): leaf.shape for i, leaf in enumerate(leaves)} | {"accuracy": ()}
  if {k: v.shape for k, v in stored.items()} == shapes:
    params = jax.tree.unflatten(tree, [jnp.asarray(stored[str(i)]) for i in range(len(leaves))])
    accuracy = float(stored["accuracy"])
  else:
    tx = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    data = jnp.asarray(images), jnp.asarray(labels, jnp.int32)
    params = _descend(tx, steps, batch_size, shift, params, *data, jax.random.key(seed))
    accuracy = _accuracy(_extractor(params), test_images, test_labels)
    arrays = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(params))}
    cache.store(name, arrays | {"accuracy": np.asarray(accuracy)})
  return dataclasses.replace(_extractor(params), accuracy=accuracy)


def _check(what, images, shape, labels, classes):
  if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1:] != shape:
    raise ValueError(f"{what} must be uint8 [N, H, W, C], and of one shape, not {images.dtype} {list(images.shape)}")
  if labels.shape != images.shape[:1]:
    raise ValueError(f"{what} [{len(images)}] need as many labels, not {list(labels.shape)}")
  if labels.min() < 0 or labels.max() >= classes:
    raise ValueError(f"labels of {what} are {labels.min()}..{labels.max()}; {classes} classes have 0..{classes - 1}")


def _digest(settings, *arrays):
  code = b"".join(pathlib.Path(file).read_bytes() for file in (__file__, pixels.__file__ or ""))
  found = hashlib.sha256(code + repr(settings).encode())
  for array in map(np.asarray, arrays):
    found.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
  return found.hexdigest()[:32]


def _init(random, shape, width, features, classes):
  """(kernel, bias) of each layer, N(0, 2 / inputs) (He et al., 2015) and zero; in NumPy, which compiles nothing."""
  height, side, channels = shape
  kernels = []
  for maps in (width, 2 * width, 4 * width):
    kernels.append((4, 4, channels, maps))
    height, side, channels = -(-height // 2), -(-side // 2), maps
  kernels += [(height * side * channels, features), (features, classes)]
  normal = lambda shape: random.normal(0.0, np.sqrt(2.0 / math.prod(shape[:-1])), shape).astype(np.float32)
  return [(jnp.asarray(normal(shape)), jnp.zeros(shape[-1:])) for shape in kernels]


def _features(trunk: Any, x: jax.Array) -> jax.Array:
  *layers, (kernel, bias) = trunk
  for window, shift in layers:
    x = jax.nn.relu(conv(x, window, strides=(2, 2)) + shift[None, None, None])
  return jax.nn.relu(x.reshape(len(x), -1) @ kernel + bias[None])


def _logits(kernel: jax.Array, bias: jax.Array, features: jax.Array) -> jax.Array:
  return features @ kernel + bias[None]


def _move(images, key, by):
  """Each image moved by its own -by..by pixels down and across."""
  count, height, width, channels = images.shape
  wide = jnp.pad(images, ((0, 0), (by, by), (by, by), (0, 0)), mode="edge")
  window = lambda image, corner: jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (height, width, channels))
  return jax.vmap(window)(wide, jax.random.randint(key, (count, 2), 0, 2 * by + 1))


def _descend(tx, steps, batch_size, shift, params, images, labels, key):
  def loss(params, x, label):
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(_extractor(params).logits(x), label))

  def run(params, images, labels, key):
    def step(carry, key):
      params, opt = carry
      draw, move = jax.random.split(key)
      index = jax.random.randint(draw, (batch_size,), 0, len(images))
      gradient = jax.grad(loss)(params, pixels.decode(_move(images[index], move, shift)), labels[index])
      with jax.numpy_dtype_promotion("standard"):  # optax mixes its integer counters with floats
        updates, opt = tx.update(gradient, opt)
      return (optax.apply_updates(params, updates), opt), None

    return jax.lax.scan(step, (params, tx.init(params)), jax.random.split(key, steps))[0][0]

  return jax.jit(run)(params, images, labels, key)


def _extractor(params):
  *trunk, (kernel, bias) = params
  name = f"a classifier of the data's {len(bias)} classes"
  return Extractor(name, Partial(_features, trunk), Partial(_logits, kernel, bias))


def _accuracy(extractor, images, labels):
  _, logits = extract(extractor, images)
  return float(np.mean(np.argmax(logits, axis=1) == labels))  # pyright: ignore[reportArgumentType, reportCallIssue]
