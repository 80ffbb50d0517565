"""Conditional GANs: images of a label, or of another image. The discriminator sees pairs, and its loss has three terms:

    max_D E[log D(x, c)] + (1 - w) E[log(1 - D(G(c, z), c))] + w E[log(1 - D(x^, c))],

where x^ is a real image of another condition than c, and w = 1/2. Mirza and Osindero 2014, without the third term; Reed
et al. 2016, algorithm 1, with it. With images as conditions, an L1 term and noise by dropout in place of z it is
pix2pix: Isola et al. 2017.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax import priors
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.forward import forward
from gan_jax.game import Aux, Batch, DataSpec, Game, Move, Net, NetSpec, Number, Optimizers, Player, Shape, optimizer_of
from gan_jax.games._abilities import evaluated, translations
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.reconstruction import l1


def specs(data: DataSpec, *, condition: str, latent_dim: int, **_: Any) -> dict[str, NetSpec]:
  """G: (c, z) -> x, or c -> x with a `latent_dim` of 0, and D: (x, c) -> score, of images as conditions any scores.

  Raises:
    ConfigError: if `condition` is unknown or the data has no such thing, or `latent_dim` does not fit it.
  """
  c = _condition(condition, data).shape
  least = 1 if condition == "label" else 0
  if latent_dim < least:
    raise ConfigError(f"latent_dim is {latent_dim}; with condition {condition!r} it has to be at least {least}")
  z = ((latent_dim,),) if latent_dim else ()
  scores = () if condition == "label" else None
  return {"generator": NetSpec((c, *z), data.x), "discriminator": NetSpec((data.x, c), scores)}


def mismatched(key: jax.Array, labels: jax.Array) -> jax.Array:
  """For each example of a batch another one of another label, uniform over all of them.

  In a batch of one label no example can serve: there, and only there, each example gets itself.

  Args:
    key: for the draws, which are independent.
    labels: [B] integers.

  Returns:
    Indices [B], int32.
  """
  chex.assert_rank(labels, 1)
  n = len(labels)
  order = jnp.argsort(labels)
  ordered = labels[order]
  start, end = (jnp.searchsorted(ordered, labels, side).astype(jnp.int32) for side in ("left", "right"))
  others = n - (end - start)
  # In this order, and with the ends joined, those of the other labels follow behind those of its own.
  steps = jax.random.randint(key, (n,), 0, jnp.maximum(others, 1))
  return jnp.where(others > 0, order[(end + steps) % n], jnp.arange(n))


def make(
  *,
  generator: Net,
  discriminator: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  data: DataSpec,
  condition: str,
  latent_dim: int,
  mismatch_weight: Number | None = 0.5,
  l1_weight: Number | None = None,
  discriminator_steps: int = 1,
  prior: priors.Prior = priors.normal,
) -> Game:
  """The game of a generator G(c, z) against a discriminator of pairs; c are those of the batch, for both.

  D logs its mean scores "real", "fake" and "mismatched", the last of pairs (x^, c); G logs "l1". The game samples with
  labels, and translates from "condition" to "x" with images.

  Args:
    generator: conditions and latents [B, latent_dim] to data [B, ...]; latents are left out where `latent_dim` is 0.
    discriminator: data and conditions to raw scores [B, ...], one for a pair or one a patch.
    loss: what each of them minimises; D the mean of its loss on generated and on mismatched pairs, weighted.
    tx: one optimizer for both players, or a mapping by name.
    data: how many labels there are, or the shape of the images that are conditions.
    condition: "label", of the batch's "label" [B], which nets see as one-hot vectors [B, classes]; or "image", the
      batch's "condition" [B, H, W, C].
    latent_dim: size of the latent z; 0, with images, where noise comes by the generator's dropout alone.
    mismatch_weight: w, from 0 to 1. Pairs are those of `mismatched`, where images that are equal count as one label. In
      a batch of one label, or of one example, nothing can serve, and w is 0. None leaves the third term out.
    l1_weight: what G minimises ||x - G(c, z)||_1 with beside its loss, the norm being a mean over pixels; pix2pix's
      lambda is 100. None leaves it out.
    discriminator_steps: discriminator moves a round, each with a batch and latents of its own.
    prior: `(key, shape) -> z`.

  Raises:
    ConfigError: as `specs`; if `discriminator_steps` is below 1.
  """
  at_least_one("discriminator_steps", discriminator_steps)
  nets = {"generator": generator, "discriminator": discriminator}
  given = _condition(condition, data)
  noise = lambda key, n: (prior(key, (n, latent_dim)),) if latent_dim else ()
  judge = _discriminator_loss(nets, given, noise, loss, mismatch_weight)
  generate = _generator_loss(nets, given, noise, loss, l1_weight)
  abilities = {"label": _sampling, "image": _translating}[condition]
  return Game(
    nets=nets,
    players={
      "discriminator": Player(("discriminator",), judge, optimizer_of(tx, "discriminator")),
      "generator": Player(("generator",), generate, optimizer_of(tx, "generator")),
    },
    moves=(Move(("discriminator",), discriminator_steps), Move(("generator",), draws=False)),
    **abilities(nets, given, noise),
  )


class _Condition(NamedTuple):
  """What images are conditioned on.

  Attributes:
    shape: of one condition as nets see it.
    of: `batch -> conditions [B, *shape]`.
    labels: `batch -> integers [B]`, equal where conditions are.
  """

  shape: Shape
  of: Callable[[Batch], jax.Array]
  labels: Callable[[Batch], jax.Array]


_Noise = Callable[[jax.Array, int], tuple[jax.Array, ...]]


def _condition(name: str, data: DataSpec) -> _Condition:
  if name == "label":
    if not data.classes:
      raise ConfigError("condition is 'label', and the data has no labels")
    one_hot = lambda batch: jax.nn.one_hot(batch["label"], data.classes)
    return _Condition((data.classes,), one_hot, lambda batch: batch["label"])
  if name == "image":
    if data.condition is None:
      raise ConfigError(
        "condition is 'image', and the data has no images beside its own; take outlines, or a folder of pairs with "
        "data.paired"
      )
    return _Condition(data.condition, lambda batch: batch["condition"], lambda batch: _first_equal(batch["condition"]))
  raise ConfigError(f"condition is {name!r}; it is 'label' or 'image'")


def _first_equal(images: jax.Array) -> jax.Array:
  """The number of the first image of a batch [B, ...] that equals each: examples may be drawn twice."""
  flat = images.reshape(len(images), -1)
  return jnp.argmax(jnp.all(flat[:, None] == flat[None], -1), 1)


def _discriminator_loss(
  nets: Mapping[str, Net], given: _Condition, noise: _Noise, loss: AdversarialLoss, weight: Number | None
):
  """The three terms at the top of this file."""

  def discriminator_loss(params, state, batch, key):
    z_key, net_key, pair_key = jax.random.split(key, 3)
    use = forward(nets, params, state, net_key)
    x, c = batch["x"], given.of(batch)
    generated = use("generator", c, *noise(z_key, len(x)))
    chex.assert_equal_shape([generated, x])
    real, fake = use("discriminator", x, c), use("discriminator", generated, c)
    value, metrics = loss.discriminator(real, fake), {"real": real.mean(), "fake": fake.mean()}
    if weight is None:
      return value, Aux(use.stats, metrics=metrics)
    labels = given.labels(batch)
    wrong = use("discriminator", x[mismatched(pair_key, labels)], c)
    w = jnp.where(jnp.any(labels != labels[0]), weight, 0.0)
    value = (1.0 - w) * value + w * loss.discriminator(real, wrong)
    return value, Aux(use.stats, metrics=metrics | {"mismatched": wrong.mean()})

  return discriminator_loss


def _generator_loss(
  nets: Mapping[str, Net], given: _Condition, noise: _Noise, loss: AdversarialLoss, weight: Number | None
):
  """G's side, on matching pairs alone, and the L1 term."""

  def generator_loss(params, state, batch, key):
    z_key, net_key = jax.random.split(key)
    use = forward(nets, params, state, net_key)
    x, c = batch["x"], given.of(batch)
    generated = use("generator", c, *noise(z_key, len(x)))
    chex.assert_equal_shape([generated, x])
    value = loss.generator(use("discriminator", generated, c), use("discriminator", x, c))
    if weight is None:
      return value, Aux(use.stats)
    distance = l1(generated, x)
    return value + weight * distance, Aux(use.stats, metrics={"l1": distance})

  return generator_loss


def _sampling(nets: Mapping[str, Net], given: _Condition, noise: _Noise) -> dict[str, Any]:
  (classes,) = given.shape

  def sample(params, stats, key, n, latents=None, labels=None):
    z_key, label_key = jax.random.split(key)
    labels = jax.random.randint(label_key, (n,), 0, classes) if labels is None else labels
    chex.assert_shape(labels, (n,))
    z = noise(z_key, n) if latents is None else (latents,)
    return evaluated(nets)("generator", params, stats, given.of({"label": labels}), *z)

  return {"sample": sample, "labels": classes}


def _translating(nets: Mapping[str, Net], given: _Condition, noise: _Noise) -> dict[str, Any]:
  def to_x(params, stats, key, x):
    z_key, net_key = jax.random.split(key)
    inputs = x, *noise(z_key, len(x))
    # With a key, for dropout is the noise, and stays on (Isola et al. 2017, section 3.3).
    return evaluated(nets)("generator", params, stats, *inputs, key=net_key)

  return translations({("condition", "x"): to_x})
