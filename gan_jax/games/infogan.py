"""InfoGAN: latent codes that can be read off the images. Chen et al. 2016, "InfoGAN: interpretable representation
learning by information maximizing generative adversarial nets":

    min_{G, Q} max_D V(D, G) - lambda L_I(G, Q),    L_I = E[log Q(c | G(z, c))] + H(c).

D and Q are heads on one trunk. Two variants are published, and differ in who owns Q. In the equation the generator
does: the trunk then learns from V alone. In the authors' code the discriminator does, and the trunk learns from both;
the generator minimises the same loss in each.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax import priors
from gan_jax.augment import Augment
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.forward import forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Number, Optimizers, Player, Scheduled, optimizer_of
from gan_jax.games._abilities import evaluated, judgements
from gan_jax.games.gan import augmented, noisy
from gan_jax.losses import information
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.optim import at


def specs(
  data: DataSpec, *, latent_dim: int, categorical: tuple[int, ...], continuous: int, learnt_variance: bool, **_: Any
) -> dict[str, NetSpec]:
  """A generator (z, c) -> x, a trunk x -> features, and two heads on it: D's score, and what Q says of the codes."""
  codes = Codes(tuple(categorical), continuous, learnt_variance)
  return {
    "generator": NetSpec(((latent_dim,),), data.x),
    "trunk": NetSpec((data.x,), None),
    "discriminator": NetSpec(("trunk",), ()),
    "recognition": NetSpec(("trunk",), (codes.outputs,)),
  }


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


class LatentCodes(NamedTuple):
  """What a trained InfoGAN can be asked for beside samples.

  Attributes:
    codes: which there are; `sample(..., codes=codes.encode(...))` generates with them.
    read: `(params, stats, x) -> (logits, means, log-variances)`, Q(c | x) of data as `Codes.read` has it.
  """

  codes: Codes
  read: Callable[..., tuple[list[jax.Array], jax.Array, jax.Array | float]]


def make(
  *,
  generator: Net,
  trunk: Net,
  discriminator: Net,
  recognition: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  latent_dim: int,
  categorical: tuple[int, ...],
  continuous: int,
  learnt_variance: bool,
  categorical_weight: Scheduled = 1.0,
  continuous_weight: Scheduled = 0.1,
  paired_weight: Scheduled | None = None,
  recognition_owner: str = "discriminator",
  discriminator_steps: int = 1,
  augment: Augment | None = None,
  instance_noise: Scheduled | None = None,
  prior: priors.Prior = priors.normal,
) -> Game:
  """The game of a generator against a trunk with two heads.

  Both players log L_I of each code in nats, "information_categorical_0", "information_continuous_0", ...: of a fixed
  variance, which the loss keeps, with the one that fits the batch best. `sample` takes `codes`, [n, Codes.size].

  Args:
    generator, trunk: latents [B, latent_dim] to data [B, ...]; data to features [B, F].
    discriminator, recognition: features to scores [B], and to what Q says of the codes, [B, Codes.outputs].
    loss: V, what generator and discriminator minimise of it.
    tx: one optimizer for both players, or a mapping by name.
    latent_dim, categorical, continuous, learnt_variance: size of the whole latent, z and then c; c as in `Codes`.
    categorical_weight, continuous_weight: lambda of each kind; a number, or a schedule.
    paired_weight: of `information.paired_information` of each categorical code in two augmentations of a real example,
      which Q's owner maximises too, so that codes are classes of the data; a number, a schedule, or None.
    recognition_owner: "discriminator", as in the authors' code: it owns Q beside trunk and discriminator, and minimises
      its side of V - lambda L_I. "generator", the equation above to the letter: the discriminator minimises V alone.
    discriminator_steps: its moves a round, with a batch and latents each.
    augment, instance_noise: of all that the trunk sees in training, as in `gan.pair`. What Q learns of generated data
      then holds for real data more, and it reads codes that the augmentation does not change.
    prior: `(key, shape) -> z`, of the noise.

  Raises:
    ConfigError: if there is no code, the codes do not fit into the latent, or the owner is not one of the two.
  """
  codes = Codes(tuple(categorical), continuous, learnt_variance)
  _check(codes, latent_dim, recognition_owner, discriminator_steps)
  nets = {"generator": generator, "trunk": trunk, "discriminator": discriminator, "recognition": recognition}
  owns = {"discriminator": ("trunk", "discriminator"), "generator": ("generator",)}
  owns[recognition_owner] += ("recognition",)
  latent = lambda key, c: jnp.concatenate([prior(key, (len(c), latent_dim - codes.size)), c], axis=1)
  play = _play(nets, codes, latent, (categorical_weight, continuous_weight), augment, instance_noise)
  losses = _losses(play, _pairs(codes, paired_weight, augment, instance_noise), loss, recognition_owner)
  return Game(
    nets=nets,
    players={name: Player(owned, losses[name], optimizer_of(tx, name)) for name, owned in owns.items()},
    moves=(Move(("discriminator",), discriminator_steps), Move(("generator",), draws=False)),
    averaged=tuple(nets),  # Q too, so that what it reads off data does not follow the last rounds' batches
    **_abilities(nets, codes, latent),
  )


def _losses(play: Callable[..., tuple], pairs: Callable, loss: AdversarialLoss, owner: str) -> dict[str, Callable]:
  """Each player's side of V, less lambda L_I where it owns Q; the generator minimises -lambda L_I in any case."""

  def discriminator(params, state, batch, key):
    use, real, fake, weighted, by_code = play(params, state, batch, key)
    value, by_pair = loss.discriminator(real, fake), {}
    if owner == "discriminator":
      of_pairs, by_pair = pairs(use, state, batch, key)
      value -= weighted + of_pairs
    return value, Aux(use.stats, metrics={"real": real.mean(), "fake": fake.mean()} | by_code | by_pair)

  def generator(params, state, batch, key):
    use, real, fake, weighted, by_code = play(params, state, batch, key)
    of_pairs, by_pair = pairs(use, state, batch, key) if owner == "generator" else (0.0, {})
    return loss.generator(fake, real) - weighted - of_pairs, Aux(use.stats, metrics=by_code | by_pair)

  return {"discriminator": discriminator, "generator": generator}


def _check(codes: Codes, latent_dim: int, recognition_owner: str, discriminator_steps: int) -> None:
  if not codes.size or codes.continuous < 0 or any(classes < 2 for classes in codes.categorical):
    raise ConfigError(
      f"categorical is {codes.categorical}, continuous {codes.continuous}; at least one code is needed, and 2 classes "
      "in each"
    )
  if latent_dim < codes.size:
    raise ConfigError(f"latent_dim is {latent_dim}, but the codes alone take {codes.size} entries")
  if recognition_owner not in ("discriminator", "generator"):
    raise ConfigError(f"recognition_owner is {recognition_owner!r}; it is 'discriminator' or 'generator'")
  at_least_one("discriminator_steps", discriminator_steps)


def _play(
  nets: Mapping[str, Net],
  codes: Codes,
  latent: Callable[[jax.Array, jax.Array], jax.Array],
  weights: tuple[Scheduled, Scheduled],
  augment: Augment | None,
  instance_noise: Scheduled | None,
) -> Callable[..., tuple]:
  """`(params, state, batch, key) -> (use, D's real and fake scores, lambda L_I, L_I by code)`, for both losses."""

  def play(params, state, batch, key):
    z_key, codes_key, net_key, *_, augment_key, noise_key = jax.random.split(key, 9)  # runs keep their numbers
    use = forward(nets, params, state, net_key)
    c = codes.draw(codes_key, len(batch["x"]))
    fake = use("generator", latent(z_key, codes.encode(*c)))
    chex.assert_equal_shape([fake, batch["x"]])
    x, fake = noisy(augmented((batch["x"], fake), augment, augment_key), instance_noise, state.step, noise_key)
    real_features, fake_features = use("trunk", x), use("trunk", fake)
    real, fake = use("discriminator", real_features), use("discriminator", fake_features)
    of_kinds = tuple(at(weight, state.step) for weight in weights)
    return use, real, fake, *_information(codes, of_kinds, use("recognition", fake_features), *c)

  return play


def _pairs(
  codes: Codes, weight: Scheduled | None, augment: Augment | None, instance_noise: Scheduled | None
) -> Callable[..., tuple]:
  """`(use, state, batch, key) -> (weighted, by code)`: information of two views in nats, which Q's owner maximises."""

  def pairs(use, state, batch, key):
    if weight is None:
      return 0.0, {}
    keys = jax.random.split(jax.random.fold_in(key, 9))  # of which `play` has those up to 8
    views = noisy(augmented((batch["x"], batch["x"]), augment, keys[0]), instance_noise, state.step, keys[1])
    first, second = (codes.read(use("recognition", use("trunk", view)))[0] for view in views)
    values = [information.paired_information(*map(jax.nn.log_softmax, pair)) for pair in zip(first, second)]
    by_code = {f"paired_categorical_{i}": value for i, value in enumerate(values)}
    return at(weight, state.step) * sum(values), by_code

  return pairs


def _abilities(nets: Mapping[str, Net], known: Codes, latent: Callable) -> dict[str, Any]:
  """Samples, codes, and what the discriminator makes of data: both heads read what the trunk gives."""
  use = evaluated(nets)

  def sample(params, stats, key, n, latents=None, codes=None):
    noise_key, codes_key = jax.random.split(key)
    if latents is None:
      c = known.encode(*known.draw(codes_key, n)) if codes is None else codes
      chex.assert_shape(c, (n, known.size))
      latents = latent(noise_key, c)
    return use("generator", params, stats, latents)

  trunk = lambda params, stats, x: (use("trunk", params, stats, x),)
  read = lambda params, stats, x: known.read(use("recognition", params, stats, *trunk(params, stats, x)))
  return {"sample": sample, "codes": LatentCodes(known, read), **judgements(nets, "discriminator", trunk, "trunk")}


def _information(codes: Codes, weights: tuple[Number, ...], outputs, categories, continuous):
  """lambda L_I, and L_I of each code by name, in nats."""
  logits, mean, log_variance = codes.read(outputs)
  of_classes = [
    information.bound(information.categorical_log_likelihood(*pair), information.categorical_entropy(k))
    for *pair, k in zip(logits, categories, codes.categorical)
  ]
  entropy = information.uniform_entropy()
  of_numbers = information.bound(information.gaussian_log_likelihood(continuous, mean, log_variance), entropy)
  weighted = weights[0] * sum(of_classes) + weights[1] * jnp.sum(of_numbers)
  if not codes.learnt_variance:
    fitted = information.floor_variance(information.fitted_log_variance(continuous, mean))
    of_numbers = information.bound(information.gaussian_log_likelihood(continuous, mean, fitted), entropy)
  by_code = {f"information_categorical_{i}": value for i, value in enumerate(of_classes)}
  return weighted, by_code | {f"information_continuous_{i}": of_numbers[i] for i in range(codes.continuous)}
