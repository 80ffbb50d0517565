"""CycleGAN: two domains without pairs. Zhu et al. 2017, "Unpaired image-to-image translation using cycle-consistent
adversarial networks". G: X to Y and F: Y to X minimise eq. 3,

    L(G, F, D_X, D_Y) = L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda L_cyc(G, F),

with section 5.2's identity losses beside it, against discriminators that are shown images out of a history of 50.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax import pool
from gan_jax.game import Aux, Game, Move, Net, Optimizers, Player, optimizer_of
from gan_jax.games import statistics
from gan_jax.games.two_player import Number
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.reconstruction import l1

GENERATORS = ("x_to_y", "y_to_x")
DISCRIMINATORS = ("discriminator_x", "discriminator_y")


def make(
  *,
  x_to_y: Net,
  y_to_x: Net,
  discriminator_x: Net,
  discriminator_y: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  shape: tuple[int, ...],
  cycle_weight: Number = 10.0,
  identity_weight: Number = 0.5,
  pool_size: int = 50,
  discriminator_steps: int = 1,
) -> Game:
  """The game of two generators, which move as one player, against two discriminators, which move as another.

  A batch has "x" and "y", [B, *shape] each, in [-1, 1]. The generators log "adversarial", "cycle" and "identity", sums over
  both directions without their weights; the discriminators their mean scores "real_x", "fake_x", "real_y" and "fake_y".

  Args:
    x_to_y: G, images [B, *shape] of domain X to images of domain Y, the same shape.
    y_to_x: F, the other way.
    discriminator_x: images of domain X to raw scores [B, ...], one for each patch.
    discriminator_y: the same for domain Y.
    loss: of scores, patches taken like images. The paper's is least squares with `scale` 1, its section 4.
    tx: one optimiser for both players, or a mapping with one for "generators" and one for "discriminators".
    shape: of one image, for the pools.
    cycle_weight: lambda of eq. 3, of ||F(G(x)) - x||_1 + ||G(F(y)) - y||_1, norms being means over pixels.
    identity_weight: of ||G(y) - y||_1 + ||F(x) - x||_1, times lambda.
    pool_size: images in each discriminator's history, `pool.exchange`; 0 for none.
    discriminator_steps: discriminator moves a round, each with a batch of its own.

  Returns:
    The game. Its `sample` takes `x`, images [n, *shape] that it translates to Y, or `y`, which it translates to X.

  Raises:
    ValueError: if `pool_size` is below 0, or `discriminator_steps` below 1.
  """
  if discriminator_steps < 1:
    raise ValueError(f"discriminator_steps is {discriminator_steps}; it has to be at least 1")
  if pool_size < 0:
    raise ValueError(f"pool_size is {pool_size}; it has to be at least 0, which switches the pools off")
  nets = dict(zip((*GENERATORS, *DISCRIMINATORS), (x_to_y, y_to_x, discriminator_x, discriminator_y)))
  frame = _Frame(nets, loss)
  losses = {
    "discriminators": (DISCRIMINATORS, _discriminators_loss(frame)),
    "generators": (GENERATORS, _generators_loss(frame, cycle_weight, identity_weight)),
  }
  return Game(
    nets=nets,
    players={name: Player(owns, loss_of, optimizer_of(tx, name)) for name, (owns, loss_of) in losses.items()},
    moves=(Move(("discriminators",), discriminator_steps), Move(("generators",), draws=False)),
    sample=frame.sample,
    init_memory=lambda key: {domain: pool.init(tuple(shape), pool_size) for domain in "xy"},
    averaged=GENERATORS,
  )


class _Frame(NamedTuple):
  """What both losses are made of."""

  nets: dict[str, Net]
  loss: AdversarialLoss

  def sample(self, params, stats, key, n, x=None, y=None):
    if (x is None) == (y is None):
      raise ValueError("a translation starts from images: give x, to be translated to Y, or y, to be translated to X")
    net, images = ("x_to_y", x) if y is None else ("y_to_x", y)
    chex.assert_axis_dimension(images, 0, n)
    return self.nets[net].apply(params[net], stats[net], images, key=key, train=False)[0]

  def user(self, params, state, key):
    """A function `(net, images) -> output`, and the statistics that its calls have moved, a list for each net."""
    moved: dict[str, list] = {net: [] for net in self.nets}

    def use(net, images):
      count = sum(map(len, moved.values()))
      output, stats = self.nets[net].apply(params[net], state.stats[net], images, key=jax.random.fold_in(key, count))
      moved[net].append(stats)
      return output

    return use, moved


def _generators_loss(frame: _Frame, cycle_weight: Number, identity_weight: Number) -> Callable[..., Any]:
  """Eq. 3 and section 5.2, as G and F see them."""

  def generators_loss(params, state, batch, key):
    use, moved = frame.user(params, state, key)
    x, y = batch["x"], batch["y"]
    fake_y, fake_x = use("x_to_y", x), use("y_to_x", y)
    chex.assert_equal_shape([x, y, fake_x, fake_y])
    score = lambda domain, images: jnp.ravel(use(f"discriminator_{domain}", images))
    adversarial = sum(
      frame.loss.generator(score(domain, fake), score(domain, real))
      for domain, fake, real in (("y", fake_y, y), ("x", fake_x, x))
    )
    cycle = l1(use("y_to_x", fake_y), x) + l1(use("x_to_y", fake_x), y)
    identity = l1(use("x_to_y", y), y) + l1(use("y_to_x", x), x)
    value = adversarial + cycle_weight * (cycle + identity_weight * identity)
    metrics = {"adversarial": adversarial, "cycle": cycle, "identity": identity}
    return value, Aux({net: statistics.mean(*moved[net]) for net in GENERATORS}, metrics=metrics)

  return generators_loss


def _discriminators_loss(frame: _Frame) -> Callable[..., Any]:
  """Half of each adversarial loss, as section 7.1 has it, on images that went through the pools."""

  def discriminators_loss(params, state, batch, key):
    use_key, *pool_keys = jax.random.split(key, 3)
    use, moved = frame.user(params, state, use_key)
    fakes = {"x": use("y_to_x", batch["y"]), "y": use("x_to_y", batch["x"])}
    value, metrics, memory = 0.0, {}, {}
    for domain, pool_key in zip("xy", pool_keys):
      memory[domain], shown = pool.exchange(state.memory[domain], pool_key, jax.lax.stop_gradient(fakes[domain]))
      real, fake = (jnp.ravel(use(f"discriminator_{domain}", images)) for images in (batch[domain], shown))
      value += 0.5 * frame.loss.discriminator(real, fake)
      metrics |= {f"real_{domain}": real.mean(), f"fake_{domain}": fake.mean()}
    return value, Aux({net: statistics.mean(*moved[net]) for net in DISCRIMINATORS}, memory, metrics)

  return discriminators_loss
