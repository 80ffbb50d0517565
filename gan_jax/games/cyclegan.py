"""CycleGAN: two domains without pairs. Zhu et al. 2017, "Unpaired image-to-image translation using cycle-consistent
adversarial networks". G: X to Y and F: Y to X minimise

    L(G, F, D_X, D_Y) = L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda L_cyc(G, F),
    L_cyc(G, F) = ||F(T(G(x))) - x||_1 + ||G(F(y)) - y||_1,

with identity losses beside it, against discriminators that see images out of a history of 50. The paper's T is the
identity.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp

from gan_jax import pool
from gan_jax.augment import Augment
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.forward import forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Number, Optimizers, Player, Scheduled, optimizer_of
from gan_jax.games._abilities import evaluated, translations
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.reconstruction import l1
from gan_jax.optim import at

GENERATORS = ("x_to_y", "y_to_x")
DISCRIMINATORS = ("discriminator_x", "discriminator_y")
_AUGMENT = 2**32 - 3  # folded into a loss's key, for T: no use of a net has this place


def specs(data: DataSpec, **_: Any) -> dict[str, NetSpec]:
  """Two translators, images to images, and two discriminators, images to scores of any shape, one for each patch.

  In the names of nets x is the first domain of the data and y the second, whatever the data calls them.

  Raises:
    ConfigError: if the data does not have two domains.
  """
  if len(data.domains) != 2:
    raise ConfigError(
      f"the game cyclegan translates between two domains, and the data has {', '.join(data.domains)}; take "
      "mnist2colour, or a folder with trainA and trainB"
    )
  translators = {name: NetSpec((data.x,), data.x) for name in GENERATORS}
  return translators | {name: NetSpec((data.x,), None) for name in DISCRIMINATORS}


def make(
  *,
  x_to_y: Net,
  y_to_x: Net,
  discriminator_x: Net,
  discriminator_y: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  data: DataSpec,
  cycle_weight: Scheduled = 10.0,
  identity_weight: Number = 0.5,
  augment_y: Augment | None = None,
  pool_size: int = 50,
  discriminator_steps: int = 1,
) -> Game:
  """The game of two generators, which move as one player, against two discriminators, which move as another.

  A batch has images of both domains, [B, H, W, C] each, in [-1, 1], under the names of `data.domains`, by default "x"
  and "y". The generators log "adversarial", "cycle" and "identity", sums over both directions without weights; the
  discriminators their mean scores "real_x", "fake_x", "real_y", "fake_y", by the names of the domains too.

  Args:
    x_to_y: G, images of the first domain X to images of the second Y, the same shape.
    y_to_x: F, the other way.
    discriminator_x: images of domain X to raw scores [B, ...], one for each patch.
    discriminator_y: the same for domain Y.
    loss: of scores. The paper's is least squares with `scale` 1.
    tx: one optimizer for both players, or a mapping with one for "generators" and one for "discriminators".
    data: what the two domains are called, and the shape of one image, for the pools.
    cycle_weight: the paper's lambda, of L_cyc, norms being means over pixels; a number, or a schedule of the round.
    identity_weight: of ||G(y) - y||_1 + ||F(x) - x||_1, times lambda.
    augment_y: T, `(key, y) -> y`, such as `augment.negative`, of what F takes back and nothing else sees: it leaves
      alone what X shows, and F learns to find that in images of Y which G never makes. None is the paper's.
    pool_size: images in each discriminator's history, `pool.exchange`; 0 for none.
    discriminator_steps: discriminator moves a round, each with a batch of its own.

  Raises:
    ConfigError: if `pool_size` is below 0, or `discriminator_steps` below 1.
  """
  at_least_one("discriminator_steps", discriminator_steps)
  if pool_size < 0:
    raise ConfigError(f"pool_size is {pool_size}; it has to be at least 0, which switches the pools off")
  nets: dict[str, Net] = dict(zip((*GENERATORS, *DISCRIMINATORS), (x_to_y, y_to_x, discriminator_x, discriminator_y)))
  translator = lambda net: lambda params, stats, key, x: evaluated(nets)(net, params, stats, x, key=key)
  first, second = data.domains
  judge = _discriminators_loss(nets, loss, data.domains)
  generate = _generators_loss(nets, loss, data.domains, cycle_weight, identity_weight, augment_y)
  return Game(
    nets=nets,
    players={
      "discriminators": Player(DISCRIMINATORS, judge, optimizer_of(tx, "discriminators")),
      "generators": Player(GENERATORS, generate, optimizer_of(tx, "generators")),
    },
    moves=(Move(("discriminators",), discriminator_steps), Move(("generators",), draws=False)),
    init_memory=lambda key: {domain: pool.init(tuple(data.x), pool_size) for domain in data.domains},
    averaged=GENERATORS,
    **translations({(first, second): translator("x_to_y"), (second, first): translator("y_to_x")}),
  )


def _generators_loss(
  nets: dict[str, Net],
  loss: AdversarialLoss,
  domains: tuple[str, ...],
  cycle_weight: Scheduled,
  identity_weight: Number,
  augment_y: Augment | None,
):
  """The losses at the top of this file, as G and F see them."""

  def generators_loss(params, state, batch, key):
    use = forward(nets, params, state, key)
    x, y = (batch[domain] for domain in domains)
    fake_y, fake_x = use("x_to_y", x), use("y_to_x", y)
    chex.assert_equal_shape([x, y, fake_x, fake_y])
    adversarial = loss.generator(use("discriminator_y", fake_y), use("discriminator_y", y))
    adversarial += loss.generator(use("discriminator_x", fake_x), use("discriminator_x", x))
    varied_y = fake_y if augment_y is None else augment_y(jax.random.fold_in(key, _AUGMENT), fake_y)
    cycle = l1(use("y_to_x", varied_y), x) + l1(use("x_to_y", fake_x), y)
    identity = l1(use("x_to_y", y), y) + l1(use("y_to_x", x), x)
    value = adversarial + at(cycle_weight, state.step) * (cycle + identity_weight * identity)
    return value, Aux(use.stats, metrics={"adversarial": adversarial, "cycle": cycle, "identity": identity})

  return generators_loss


def _discriminators_loss(nets: dict[str, Net], loss: AdversarialLoss, domains: tuple[str, ...]):
  """Half of each adversarial loss, as the paper has it, on images that went through the pools."""

  def discriminators_loss(params, state, batch, key):
    net_key, *pool_keys = jax.random.split(key, 3)
    use = forward(nets, params, state, net_key)
    x, y = (batch[domain] for domain in domains)
    fakes = use("y_to_x", y), use("x_to_y", x)
    value, metrics, memory = jnp.zeros(()), {}, {}
    for domain, net, fake, pool_key in zip(domains, DISCRIMINATORS, fakes, pool_keys):
      memory[domain], seen = pool.exchange(state.memory[domain], pool_key, jax.lax.stop_gradient(fake))
      real, fake = use(net, batch[domain]), use(net, seen)
      value += 0.5 * loss.discriminator(real, fake)
      metrics |= {f"real_{domain}": real.mean(), f"fake_{domain}": fake.mean()}
    return value, Aux(use.stats, memory, metrics)

  return discriminators_loss
