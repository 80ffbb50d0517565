"""A game small enough to follow by hand, and one with dense networks, for the tests of the engine."""

import jax
import jax.numpy as jnp
import optax

from gan_jax.game import Aux, Game, Move, Net, Player
from gan_jax.games import gan
from gan_jax.losses import adversarial
from gan_jax.nets import mlp
from gan_jax.nets.adapt import from_linen

SPEC = jax.ShapeDtypeStruct


def scalar_net() -> Net:
  """One number as parameter, and one as statistic: how often it was applied in training."""

  def init(key):
    return {"w": jax.random.normal(key)}, {"calls": jnp.zeros(())}

  def apply(params, stats, x, key=None, train=True):
    return params["w"] * x, {"calls": stats["calls"] + 1.0} if train else stats

  return Net(init, apply)


def scalar_game(moves: tuple[Move, ...], rate: float = 0.1, **changes) -> Game:
  """Players a and b, each with one number of its own; a minimises (a x)^2 / 2 + a b, b minimises (b x)^2 / 2 - a b."""
  nets = {"a": scalar_net(), "b": scalar_net()}

  def loss(own, other, sign):
    def value(params, state, batch, key):
      y, stats = nets[own].apply(params[own], state.stats[own], batch["x"])
      z = jax.random.normal(key)
      coupling = sign * params[own]["w"] * params[other]["w"]
      metrics = {"x": jnp.mean(batch["x"]), "z": z}
      return 0.5 * jnp.mean(y**2) + coupling, Aux({own: stats}, metrics=metrics)

    return value

  players = {
    "a": Player(("a",), loss("a", "b", 1.0), optax.sgd(rate)),
    "b": Player(("b",), loss("b", "a", -1.0), optax.sgd(rate)),
  }
  return Game(nets, players, moves, sample=lambda *_: jnp.zeros(1), averaged=("a",))._replace(**changes)


def normal_batch(key: jax.Array, n: int = 8) -> dict[str, jax.Array]:
  return {"x": jax.random.normal(key, (n,))}


def ring_batch(key: jax.Array, n: int = 16) -> dict[str, jax.Array]:
  angle = jax.random.uniform(key, (n,), maxval=2 * jnp.pi)
  return {"x": jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)}


def ring_game(tx=None, loss=None, **settings) -> Game:
  return gan.make(
    generator=from_linen(mlp.Generator(shape=(2,), hidden=(16,)), SPEC((1, 4), jnp.float32)),
    discriminator=from_linen(mlp.Discriminator(hidden=(16,)), SPEC((1, 2), jnp.float32)),
    loss=loss or adversarial.non_saturating(),
    tx=optax.adam(1e-2, b1=0.5) if tx is None else tx,
    latent_dim=4,
    **settings,
  )
