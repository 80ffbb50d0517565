"""ComboGAN: translation between any number of domains. Anoosheh, Agustsson, Timofte and Van Gool 2018, "ComboGAN:
unrestrained scalability for image domain translation". Each domain has an encoder, a decoder and a discriminator, so
that their number grows with that of the domains and not of the pairs; g_ij(x) = dec_j(enc_i(x)).

Each round plays CycleGAN between two domains i and j drawn at random,

    L = L_GAN(g_ij, D_j) + L_GAN(g_ji, D_i) + lambda (||g_ji(g_ij(x)) - x||_1 + ||g_ij(g_ji(y)) - y||_1),

and moves their nets alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gan_jax import pool
from gan_jax.errors import ConfigError
from gan_jax.forward import forward
from gan_jax.game import (
  Aux,
  DataSpec,
  Game,
  Move,
  Net,
  NetSpec,
  Number,
  Optimizers,
  Player,
  Scheduled,
  TrainState,
  optimizer_of,
)
from gan_jax.games import _domains
from gan_jax.games._abilities import evaluated
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.reconstruction import l1
from gan_jax.optim import at, resting

_PAIR = 2**32 - 3  # folded into a round's key, for the pair: no move has this place


def specs(data: DataSpec, **_: Any) -> dict[str, NetSpec]:
  """An encoder x -> maps, a decoder maps -> x, and a discriminator of any scores; the game has one of each a domain.

  Raises:
    ConfigError: if the data has one domain alone.
  """
  _domains.several(data, "combogan")
  x = data.x
  return {"encoder": NetSpec((x,), None), "decoder": NetSpec(("encoder",), x), "discriminator": NetSpec((x,), None)}


def make(
  *,
  encoder: Net,
  decoder: Net,
  discriminator: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  data: DataSpec,
  cycle_weight: Scheduled = 10.0,
  identity_weight: Number = 0.0,
  pool_size: int = 50,
) -> Game:
  """The game of encoders and decoders, who move as one player, against discriminators, who move as another.

  Nets of a domain that is not drawn rest, and so do their optimizers: what an optimizer counts, such as a schedule of
  its rate, are the rounds for which the domain was drawn, 2 / domains of all. The translators log "adversarial",
  "cycle" and "identity", sums over both directions without weights; the discriminators their mean scores "real" and
  "fake".

  Args:
    encoder: images [B, H, W, C] to maps.
    decoder: these to images.
    discriminator: images to raw scores [B, ...], one for an image or one a patch.
    loss: of scores. The paper's is least squares.
    tx: one optimizer for both players, or a mapping with one for "translators" and one for "discriminators". Each
      domain's nets have a state of their own in it.
    data: its domains, and the shape of one image, for the pools.
    cycle_weight: lambda, norms being means over pixels; a number, or a schedule of the round.
    identity_weight: of ||dec_i(enc_i(x)) - x||_1 of both domains, times lambda.
    pool_size: images in each discriminator's history, `pool.exchange`; 0 for none.

  Raises:
    ConfigError: if `pool_size` is below 0.
  """
  if pool_size < 0:
    raise ConfigError(f"pool_size is {pool_size}; it has to be at least 0, which switches the pools off")
  domains, n = data.domains, len(data.domains)
  of_one = {"encoder": encoder, "decoder": decoder, "discriminator": discriminator}
  nets = {name: _domains.each(net, n) for name, net in of_one.items()}

  def translated(params, stats, x, here, there):
    trained = evaluated(nets)
    return trained("decoder", params, stats, trained("encoder", params, stats, x, here), there)

  judge = _discriminators_loss(nets, domains, loss)
  move = _translators_loss(nets, domains, loss, cycle_weight, identity_weight)
  return Game(
    nets=nets,
    players={
      "discriminators": Player(("discriminator",), judge, resting(optimizer_of(tx, "discriminators"))),
      "translators": Player(("encoder", "decoder"), move, resting(optimizer_of(tx, "translators"))),
    },
    moves=(Move(("discriminators",)), Move(("translators",), draws=False)),
    init_memory=lambda key: jax.vmap(lambda _: pool.init(tuple(data.x), pool_size))(jnp.arange(n)),
    averaged=("encoder", "decoder"),
    **_domains.all_ways(domains, translated),
  )


def drawn(state: TrainState, domains: int) -> tuple[jax.Array, jax.Array]:
  """The two domains of the round that `state` is in, int32 scalars: each ordered pair with the same probability."""
  key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), _PAIR)
  first, steps = jax.random.randint(key, (2,), jnp.array([0, 1]), domains)
  return first, (first + steps) % domains


def _drawn_images(state: TrainState, batch: Mapping[str, jax.Array], domains: Sequence[str]) -> tuple[tuple, tuple]:
  """The round's two domains, and their images."""
  pair = drawn(state, len(domains))
  images = jnp.stack([batch[domain] for domain in domains])
  return pair, tuple(images[i] for i in pair)


def _translators_loss(
  nets: Mapping[str, Net],
  domains: Sequence[str],
  loss: AdversarialLoss,
  cycle_weight: Scheduled,
  identity_weight: Number,
) -> Callable:
  """L at the top of this file, as encoders and decoders see it."""

  def translators_loss(params, state, batch, key):
    use, (pair, images) = forward(nets, params, state, key), _drawn_images(state, batch, domains)
    maps = [use("encoder", x, i) for x, i in zip(images, pair)]
    adversarial = cycle = identity = jnp.zeros(())
    for (x, i, own), (y, j, _) in _both_ways(list(zip(images, pair, maps))):
      translated = use("decoder", own, j)
      chex.assert_equal_shape([translated, x, y])
      adversarial += loss.generator(use("discriminator", translated, j), use("discriminator", y, j))
      cycle += l1(use("decoder", use("encoder", translated, j), i), x)
      identity += l1(use("decoder", own, i), x)
    value = adversarial + at(cycle_weight, state.step) * (cycle + identity_weight * identity)
    return value, Aux(use.stats, metrics={"adversarial": adversarial, "cycle": cycle, "identity": identity})

  return translators_loss


def _discriminators_loss(nets: Mapping[str, Net], domains: Sequence[str], loss: AdversarialLoss) -> Callable:
  """Half of each adversarial loss, on images that went through the pools of their domains."""

  def discriminators_loss(params, state, batch, key):
    net_key, *pool_keys = jax.random.split(key, 3)
    use, (pair, images) = forward(nets, params, state, net_key), _drawn_images(state, batch, domains)
    value, real, fake, memory = jnp.zeros(()), jnp.zeros(()), jnp.zeros(()), state.memory
    for ((x, i), (y, j)), pool_key in zip(_both_ways(list(zip(images, pair))), pool_keys):
      translated = jax.lax.stop_gradient(use("decoder", use("encoder", x, i), j))
      own, seen = pool.exchange(_domains.of(memory, j), pool_key, translated)
      memory = _domains.put(memory, j, own)
      of_data, of_others = use("discriminator", y, j), use("discriminator", seen, j)
      value += 0.5 * loss.discriminator(of_data, of_others)
      real, fake = real + 0.5 * of_data.mean(), fake + 0.5 * of_others.mean()
    return value, Aux(use.stats, memory, {"real": real, "fake": fake})

  return discriminators_loss


def _both_ways(two: list) -> list[tuple]:
  return [(two[0], two[1]), (two[1], two[0])]
