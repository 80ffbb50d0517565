"""Progressive growing: WGAN-GP on networks that grow, and data that grows along. Karras et al. 2018.

A stage of a run plays at one resolution, and the next one, at twice that, starts from its weights: `train.carry`. What
a stage adds fades in by alpha, of generated and real images alike. To the outside the data's resolution is the only
one: real images are reduced to the stage's, generated ones enlarged, as the authors' code does it.

Samples are clipped to [-1, 1]. They, and scores, are at the alpha of the last round, which the critic's statistics
remember; a moving average of the generator is of its weights alone. Scored images are not faded as real ones are in
training, for generated ones are already.
"""

from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gan_jax import priors
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.forward import Forward, forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Optimizers, Player, Scheduled, optimizer_of
from gan_jax.games._abilities import evaluated, judgements
from gan_jax.losses.penalties import gradient_penalty
from gan_jax.optim import at
from gan_jax.pyramid import enlarged, faded, reduced


def specs(data: DataSpec, *, latent_dim: int, resolution: int, **_: Any) -> dict[str, NetSpec]:
  """A generator (z, alpha) -> x and a critic (x, alpha) -> score, of images at the stage's resolution.

  Raises:
    ConfigError: if `latent_dim` is below 1, or `resolution` is odd or does not divide the side of square images.
  """
  at_least_one("latent_dim", latent_dim)
  if len(data.x) != 3 or data.x[0] != data.x[1]:
    raise ConfigError(f"it plays on square images [H, H, C], and the data are {list(data.x)}")
  if resolution < 2 or resolution % 2 or data.x[0] % resolution:
    raise ConfigError(f"resolution is {resolution}; it has to be even, and divide the side of the data, {data.x[0]}")
  x = (resolution, resolution, data.x[2])
  return {"generator": NetSpec(((latent_dim,), ()), x), "critic": NetSpec((x, ()), ())}


def make(
  *,
  generator: Net,
  critic: Net,
  tx: Optimizers,
  data: DataSpec,
  latent_dim: int,
  resolution: int,
  prior: priors.Prior = priors.normal,
  fade: Scheduled = 1.0,
  penalty_weight: Scheduled = 10.0,
  drift: Scheduled = 0.001,
  critic_steps: int = 1,
) -> Game:
  """The game of one stage, whose optimizer is Adam(1e-3, b1=0, b2=0.99) for both players, anew in each stage.

  The critic minimises E[D(G(z))] - E[D(x)] + penalty_weight * penalty + drift * E[D(x)^2] and logs "real", "fake",
  "alpha", "w1", E[D(x)] - E[D(G(z))], and "penalty", without its weight. Growth changes none of it: slopes are those
  of images enlarged to the data's side S, which differ by S / resolution times as much as those that the nets see.

  Args:
    generator: latents [B, latent_dim] and alpha [B] to images [B, resolution, resolution, C].
    critic: such images and alpha to raw scores [B].
    tx: one optimizer for both players, or a mapping by name.
    data: its images are [S, S, C], with a multiple of `resolution` for S.
    latent_dim: size of the latent z.
    resolution: of the stage, in pixels.
    prior: `(key, shape) -> z`.
    fade: alpha, from 0, as it was before the stage, to 1; a number, or a schedule of the round.
    penalty_weight: lambda of the gradient penalty; a number, or a schedule of the round.
    drift: holds the critic's scores near 0; a number, or a schedule of the round. Appendix A.1.
    critic_steps: critic moves a round, each with a batch and latents of its own.

  Raises:
    ConfigError: if `critic_steps` is below 1.
  """
  at_least_one("critic_steps", critic_steps)
  factor, name = data.x[0] // resolution, f"alpha_{resolution}"  # named so that it begins anew where a stage does
  nets = {"generator": generator, "critic": _remembering(critic, name, at(fade, jnp.zeros((), jnp.int32)))}
  latent = lambda key, n: prior(key, (n, latent_dim))
  play = _play(nets, latent, fade, factor)

  def critic_loss(params, state, batch, key):
    use, alpha, x, fake, penalty_key = play(params, state, batch, key)
    real, generated = use("critic", x, alpha), use("critic", fake, alpha)
    w1 = jnp.mean(real) - jnp.mean(generated)
    penalty = gradient_penalty(use.function("critic", alpha), x, fake, penalty_key, target=factor) / factor**2
    value = at(penalty_weight, state.step) * penalty + at(drift, state.step) * jnp.mean(jnp.square(real)) - w1
    means = {"real": jnp.mean(real), "fake": jnp.mean(generated)}
    return value, Aux(use.stats, metrics=means | {"w1": w1, "penalty": penalty, "alpha": alpha[0]})

  def generator_loss(params, state, batch, key):
    use, alpha, _, fake, _ = play(params, state, batch, key)
    return -jnp.mean(use("critic", fake, alpha)), Aux(use.stats)

  losses = {"critic": critic_loss, "generator": generator_loss}
  players = {player: Player((player,), loss, optimizer_of(tx, player)) for player, loss in losses.items()}
  moves = (Move(("critic",), critic_steps), Move(("generator",), draws=False))
  return Game(nets, players, moves, **_abilities(nets, latent, name, factor))


def _play(
  nets: Mapping[str, Net], latent: Callable[[jax.Array, int], jax.Array], fade: Scheduled, factor: int
) -> Callable[..., tuple[Forward, jax.Array, jax.Array, jax.Array, jax.Array]]:
  """`(params, state, batch, key) -> (use, alpha, real, fake, key)`: what both losses begin with, faded images."""

  def play(params, state, batch, key):
    z_key, net_key, penalty_key = jax.random.split(key, 3)
    use = forward(nets, params, state, net_key)
    x = reduced(batch["x"], factor)
    alpha = jnp.full(len(x), at(fade, state.step), jnp.float32)
    fake = use("generator", latent(z_key, len(x)), alpha)
    chex.assert_equal_shape([fake, x])
    return use, alpha, faded(enlarged(reduced(x, 2), 2), x, alpha), fake, penalty_key

  return play


def _abilities(
  nets: Mapping[str, Net], latent: Callable[[jax.Array, int], jax.Array], name: str, factor: int
) -> dict[str, Any]:
  """Samples, and what the critic makes of data, at the data's resolution and the alpha that it remembers as `name`."""
  alpha = lambda stats, x: jnp.full(len(x), stats["critic"][name])

  def sample(params, stats, key, n, latents=None):
    z = latent(key, n) if latents is None else latents
    images = evaluated(nets)("generator", params, stats, z, alpha(stats, z))
    return enlarged(jnp.clip(images, -1.0, 1.0), factor)

  seen = lambda params, stats, x: (reduced(x, factor), alpha(stats, x))
  return {"sample": sample, **judgements(nets, "critic", seen)}


def _remembering(net: Net, name: str, start: Any) -> Net:
  """A net of data and alpha with the last alpha that it was trained at, at first `start`, among its statistics."""

  def init(key):
    params, stats = net.init(key)
    return params, {name: jnp.asarray(start, jnp.float32), "net": stats}

  def apply(params, stats, x, alpha, key=None, train=True):
    output, moved = net.apply(params, stats["net"], x, alpha, key=key, train=train)
    # All entries of alpha are the same, and a mean would round.
    return output, {name: jnp.max(alpha) if train else stats[name], "net": moved}

  known = net.features
  features = None if known is None else lambda params, stats, *inputs: known(params, stats["net"], *inputs)
  return Net(init, apply, features)
