"""InfoGAN: latent codes that the images tell. Chen et al. 2016, "InfoGAN: interpretable representation learning by
information maximizing generative adversarial nets", eq. 6:

    min_{G, Q} max_D V(D, G) - lambda L_I(G, Q),    L_I = E[log Q(c | G(z, c))] + H(c).

D and Q are heads on one trunk. Two variants are published, and differ in who owns Q. In the equation the generator does:
the trunk then learns from V alone. In the authors' code the discriminator does, and the trunk learns from both; the
generator minimises the same loss in each.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax.game import Aux, Game, Move, Net, Optimizers, Player, optimizer_of
from gan_jax.games import statistics
from gan_jax.games.two_player import Number, Prior, Scheduled, noisy
from gan_jax.losses import information
from gan_jax.losses.adversarial import AdversarialLoss


class Codes(NamedTuple):
  """The part c of a latent, and how the recognition head's output is read.

  Attributes:
    categorical: classes of each categorical code, uniform.
    continuous: how many continuous codes, uniform on [-1, 1].
    learnt_variance: whether Q gives a continuous code's log-variance beside its mean; otherwise the variance is one.
  """

  categorical: tuple[int, ...]
  continuous: int
  learnt_variance: bool = True

  @property
  def size(self) -> int:
    """Entries of a latent that are codes: one-hot for the categorical ones, then the continuous ones."""
    return sum(self.categorical) + self.continuous

  @property
  def outputs(self) -> int:
    """Numbers that the recognition head gives: logits, then means, then log-variances where they are learnt."""
    return self.size + (self.continuous if self.learnt_variance else 0)

  def draw(self, key: jax.Array, n: int) -> tuple[list[jax.Array], jax.Array]:
    """Codes from their prior: int32 [n] for each categorical one, and [n, continuous]."""
    *keys, last = jax.random.split(key, len(self.categorical) + 1)
    categories = [jax.random.randint(k, (n,), 0, classes) for k, classes in zip(keys, self.categorical)]
    return categories, jax.random.uniform(last, (n, self.continuous), minval=-1.0, maxval=1.0)

  def encode(self, categories: list[jax.Array], continuous: jax.Array) -> jax.Array:
    """Codes as the generator takes them, [n, size]."""
    hot = [jax.nn.one_hot(c, classes) for c, classes in zip(categories, self.categorical, strict=True)]
    return jnp.concatenate([*hot, continuous], axis=1)

  def read(self, outputs: jax.Array) -> tuple[list[jax.Array], jax.Array, jax.Array | float]:
    """Q(c | x) out of the head's output [n, outputs]: logits [n, K] of each categorical code, means and log-variances.

    The latter are [n, continuous] each; a fixed log-variance is 0. A learnt variance has a floor of 1e-4: see
    `information.floor_variance`.
    """
    chex.assert_shape(outputs, (None, self.outputs))
    ends = [sum(self.categorical[: i + 1]) for i in range(len(self.categorical))]
    logits = [outputs[:, end - classes : end] for end, classes in zip(ends, self.categorical)]
    start = sum(self.categorical)
    mean, spread = outputs[:, start : self.size], outputs[:, self.size :]
    return logits, mean, information.floor_variance(spread) if self.learnt_variance else 0.0


def make(
  *,
  generator: Net,
  trunk: Net,
  discriminator: Net,
  recognition: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  latent_dim: int = 74,
  categorical: tuple[int, ...] = (10,),
  continuous: int = 2,
  learnt_variance: bool = True,
  categorical_weight: Number = 1.0,
  continuous_weight: Number = 0.1,
  recognition_owner: str = "discriminator",
  discriminator_steps: int = 1,
  instance_noise: Scheduled | None = None,
  prior: Prior = jax.random.normal,
) -> Game:
  """The game of a generator against a trunk with two heads.

  Both players log, in nats, the bound L_I of each code: "information_categorical_0", "information_continuous_0" and so on.
  Of a continuous code it is stated with the variance that fits the batch best where the loss has it fixed to one.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    trunk: data [B, ...] to features [B, F].
    discriminator: features [B, F] to raw scores [B].
    recognition: features [B, F] to [B, Codes.outputs], Q.
    loss: V, what generator and discriminator minimise of it.
    tx: one optimiser for both players, or a mapping with one for "discriminator" and one for "generator".
    latent_dim: size of the whole latent: noise z first, codes c behind it, as `Codes` has them.
    categorical: classes of each categorical code.
    continuous: how many continuous codes.
    learnt_variance: whether Q gives a variance for each continuous code, or all have one.
    categorical_weight: lambda of the categorical codes.
    continuous_weight: lambda of the continuous codes.
    recognition_owner: "discriminator", as in the authors' code: it owns trunk, discriminator and recognition, and
      minimises its side of V - lambda L_I. "generator", eq. 6 to the letter: the generator owns generator and recognition,
      the discriminator trunk and discriminator, and minimises V alone.
    discriminator_steps: discriminator moves a round, each with a batch and latents of its own.
    instance_noise: standard deviation, in units of the data, of Gaussian noise on all that the trunk is shown in training,
      real and generated, in both players' moves; a number, a schedule of the round, or None for no noise. Q learns from
      generated data alone: where D tells the two kinds apart, what Q has learnt need not hold for real data.
    prior: `(key, shape) -> z`, of the noise.

  Returns:
    The game. Its `sample` takes `codes`, [n, Codes.size] as `Codes.encode` makes them, in place of drawing them.

  Raises:
    ValueError: if there is no code, the codes do not fit into the latent, or the owner is not one of the two.
  """
  codes = Codes(tuple(categorical), continuous, learnt_variance)
  if not codes.size or continuous < 0 or any(classes < 2 for classes in categorical):
    raise ValueError(
      f"categorical is {tuple(categorical)}, continuous {continuous}; at least one code is needed, and 2 classes in each"
    )
  if latent_dim < codes.size:
    raise ValueError(f"latent_dim is {latent_dim}, but the codes alone take {codes.size} entries")
  if recognition_owner not in ("discriminator", "generator"):
    raise ValueError(f"recognition_owner is {recognition_owner!r}; it is 'discriminator' or 'generator'")
  if discriminator_steps < 1:
    raise ValueError(f"discriminator_steps is {discriminator_steps}; it has to be at least 1")
  nets = {"generator": generator, "trunk": trunk, "discriminator": discriminator, "recognition": recognition}
  owns = {"discriminator": ("trunk", "discriminator"), "generator": ("generator",)}
  owns[recognition_owner] += ("recognition",)
  frame = _Frame(nets, codes, latent_dim, prior, (categorical_weight, continuous_weight), instance_noise)
  losses = {"discriminator": _discriminator_loss, "generator": _generator_loss}
  return Game(
    nets=nets,
    players={
      name: Player(owned, losses[name](frame, loss, owned), optimizer_of(tx, name)) for name, owned in owns.items()
    },
    moves=(Move(("discriminator",), discriminator_steps), Move(("generator",), draws=False)),
    sample=frame.sample,
  )


class _Frame(NamedTuple):
  """What both losses are made of."""

  nets: dict[str, Net]
  codes: Codes
  latent_dim: int
  prior: Prior
  weights: tuple[Number, Number]
  instance_noise: Scheduled | None

  def latent(self, key, codes):
    """Latents with these codes [n, Codes.size], and noise before them."""
    chex.assert_shape(codes, (None, self.codes.size))
    noise = self.prior(key, (len(codes), self.latent_dim - self.codes.size))
    return jnp.concatenate([noise, codes], axis=1)

  def sample(self, params, stats, key, n, codes=None):
    noise_key, codes_key = jax.random.split(key)
    codes = self.codes.encode(*self.codes.draw(codes_key, n)) if codes is None else codes
    latent = self.latent(noise_key, codes)
    return self.nets["generator"].apply(params["generator"], stats["generator"], latent, train=False)[0]

  def play(self, params, state, batch, key):
    """Scores of real and generated data, the bound of each code, and the statistics that this moved."""
    noise_key, codes_key, *keys, shown_key = jax.random.split(key, 9)
    use = lambda net, x, key: self.nets[net].apply(params[net], state.stats[net], x, key=key)
    c = self.codes.draw(codes_key, len(batch["x"]))
    fake, generator_stats = use("generator", self.latent(noise_key, self.codes.encode(*c)), keys[0])
    chex.assert_equal_shape([fake, batch["x"]])
    shown = noisy((batch["x"], fake), self.instance_noise, state.step, shown_key)
    real_features, real_trunk = use("trunk", shown[0], keys[1])
    fake_features, fake_trunk = use("trunk", shown[1], keys[2])
    real, real_head = use("discriminator", real_features, keys[3])
    fake, fake_head = use("discriminator", fake_features, keys[4])
    outputs, recognition_stats = use("recognition", fake_features, keys[5])
    moved = {
      "generator": generator_stats,
      "trunk": statistics.mean(real_trunk, fake_trunk),
      "discriminator": statistics.mean(real_head, fake_head),
      "recognition": recognition_stats,
    }
    return (real, fake), self._information(outputs, *c), moved

  def _information(self, outputs, categories, continuous):
    """lambda L_I, and L_I of each code, in nats."""
    logits, mean, log_variance = self.codes.read(outputs)
    of_classes = [
      information.bound(information.categorical_log_likelihood(*pair), information.categorical_entropy(k))
      for *pair, k in zip(logits, categories, self.codes.categorical)
    ]
    entropy = information.uniform_entropy()
    of_numbers = information.bound(information.gaussian_log_likelihood(continuous, mean, log_variance), entropy)
    weighted = self.weights[0] * sum(of_classes) + self.weights[1] * jnp.sum(of_numbers)
    if not self.codes.learnt_variance:
      fitted = information.floor_variance(information.fitted_log_variance(continuous, mean))
      of_numbers = information.bound(information.gaussian_log_likelihood(continuous, mean, fitted), entropy)
    told = {f"information_categorical_{i}": value for i, value in enumerate(of_classes)}
    return weighted, told | {f"information_continuous_{i}": of_numbers[i] for i in range(self.codes.continuous)}


def _discriminator_loss(frame: _Frame, loss: AdversarialLoss, owns: tuple[str, ...]) -> Callable[..., Any]:
  """Its side of V, less lambda L_I where it owns Q."""

  def discriminator_loss(params, state, batch, key):
    (real, fake), (weighted, told), moved = frame.play(params, state, batch, key)
    value = loss.discriminator(real, fake) - (weighted if "recognition" in owns else 0.0)
    return value, Aux({net: moved[net] for net in owns}, metrics={"real": real.mean(), "fake": fake.mean()} | told)

  return discriminator_loss


def _generator_loss(frame: _Frame, loss: AdversarialLoss, owns: tuple[str, ...]) -> Callable[..., Any]:
  """Its side of V, less lambda L_I."""

  def generator_loss(params, state, batch, key):
    (real, fake), (weighted, told), moved = frame.play(params, state, batch, key)
    return loss.generator(fake, real) - weighted, Aux({net: moved[net] for net in owns}, metrics=told)

  return generator_loss
