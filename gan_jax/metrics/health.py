"""Is a run healthy? Figures of a batch, and what a run's rows of figures warn of.

Thresholds are from runs that are known to be healthy or sick; docs/health.md has the table.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

Row = Mapping[str, Any]

_RANKED, _MARGIN, _VARIETY = "health/real_above_fake", "health/margin", "health/variety"
_SEEN, _MEMORISATION = "health/seen_above_unseen", "memorisation"
ROWS = 8  # with figures that have to agree, so that no single batch is warned of
_GROWN, _HUGE = 100.0, 1e5
_VANISHED, _SURE = 0.01, 0.95
_PERFECT, _FOOLED = 0.999, 0.2
_ONE_SIDED, _TURNS = 0.4, 4
_SETTLING, _SETTLED = 0.8, 0.02
_COLLAPSED = 0.1
_EARLY = 500  # rounds, before which samples of any run are poor, and easily told apart
_KNOWN, _COPIES = 0.99, 0.5


def signals(
  real: jax.Array,
  fake: jax.Array,
  averaged: jax.Array,
  real_scores: jax.Array,
  fake_scores: jax.Array,
  unseen_scores: jax.Array,
) -> dict[str, jax.Array]:
  """Figures of one batch that mean the same for every loss.

  A critic's scores have no threshold, so what takes the place of the discriminator's accuracy is how it ranks: the
  chance that of one real and one generated example it scores the real one higher, which is the area under the ROC
  curve. Scores of patches are averaged over each example first.

  Args:
    real: training examples, [N, ...].
    fake: generated ones, [N, ...].
    averaged: what the moving average of the generator makes of the latents of `fake`, [N, ...].
    real_scores: of `real`, [N, ...].
    fake_scores: of `fake`, [N, ...].
    unseen_scores: of held-out examples, [M, ...].

  Returns:
    Scalars:
      real_above_fake: P(score of a real example > score of a generated one), equal scores counted half. 1/2 where the
        discriminator cannot tell them apart, 1 where it always can.
      seen_above_unseen: the same of training examples and held-out ones; 1/2 unless it knows its examples by heart.
      margin: mean score of real examples less that of generated ones.
      variety: how alike two examples are on average, exp(-8 d^2 / m) for examples at distance d, real ones over
        generated ones; m is the mean of d^2 over pairs of real examples. An example is a pair with itself, so that it
        is the number of generated kinds over the number of real kinds, where kinds are far apart. About 1 if samples
        are as varied as the data, and 1 / N and more if all are one. NaN if all real examples are equal.
      saturation: share of generated values within 1% of the ends of [-1, 1], less that of the real ones: where an
        output saturates the generator no longer learns. NaN of what is no image.
      change: root mean square distance between `fake` and `averaged`, over the square root of m: how far samples have
        moved in as many rounds as the average goes back. 1 is the distance between two real examples.
  """
  chex.assert_equal_shape([real, fake, averaged])
  at_an_end = lambda x: jnp.mean(jnp.abs(x) > 0.99) if x.ndim == 4 else jnp.float32(jnp.nan)
  saturation = at_an_end(fake) - at_an_end(real)
  real, fake, averaged = (_flat(x) for x in (real, fake, averaged))
  real_scores, fake_scores, unseen_scores = (jnp.mean(_flat(s), 1) for s in (real_scores, fake_scores, unseen_scores))
  of_real, of_fake = _square_distances(real), _square_distances(fake)
  scale = jnp.mean(of_real)
  alike = lambda squares: jnp.mean(jnp.exp(-8.0 * squares / scale))
  return {
    "real_above_fake": _above(real_scores, fake_scores),
    "seen_above_unseen": _above(real_scores, unseen_scores),
    "margin": jnp.mean(real_scores) - jnp.mean(fake_scores),
    "variety": alike(of_real) / alike(of_fake),
    "saturation": saturation,
    "change": jnp.sqrt(jnp.mean(jnp.sum(jnp.square(fake - averaged), 1)) / scale),
  }


def _above(first: jax.Array, second: jax.Array) -> jax.Array:
  return 0.5 + 0.5 * jnp.mean(jnp.sign(first[:, None] - second[None]))


def _flat(x: jax.Array) -> jax.Array:
  return x.reshape(len(x), -1)


def _square_distances(x: jax.Array) -> jax.Array:
  """Between all rows of x [N, d], [N, N]."""
  x = x - jnp.mean(x, 0, keepdims=True)  # rounding is then relative to the spread
  squares = jnp.sum(jnp.square(x), 1)
  return jnp.maximum(squares[:, None] + squares[None] - 2.0 * x @ x.T, 0.0)


class HealthWarning(NamedTuple):
  """Something is wrong with a run.

  Attributes:
    name: which warning it is, such as "modes are collapsing".
    round: since when.
    figure: the name of the figure that shows it.
    value: what that is now.
    message: all of this in a sentence, and two settings to try.
  """

  name: str
  round: int
  figure: str
  value: float
  message: str


def warnings(
  rows: Sequence[Row], settings: Mapping[str, Any], generator: str = "generator", discriminator: str = "discriminator"
) -> list[HealthWarning]:
  """What is wrong at the last of `rows`. A warning that lasts is found again at each row.

  Args:
    rows: of a run's metrics, oldest first: "step", the round, and by name "PLAYER/gradient", "health/..." as `signals`
      has them, and "memorisation", the ratio of `metrics.memorisation`. A figure that a row lacks, or that is None
      there, is not judged.
    settings: the config, flat: "game.instance_noise" -> None. What to try is chosen from what it has.
    generator: the name of the player whose samples are judged.
    discriminator: the name of the player whose scores are judged.
  """
  players, found = _Players(generator, discriminator), []
  for name, rule, remedies in _RULES:
    sign = rule(rows, players)
    if sign is not None:
      tried = [setting for setting in (remedy(settings, players) for remedy in remedies) if setting is not None]
      message = f"{name} since round {sign.round:,}: {sign.words}."
      message += f" Try {' or '.join(tried[:2])}" if tried else ""
      found.append(HealthWarning(name, sign.round, sign.figure, sign.value, message))
  return found


class _Players(NamedTuple):
  generator: str
  discriminator: str


class _Sign(NamedTuple):
  """What a rule has found: since which round, by which figure, its value, and both in words."""

  round: int
  figure: str
  value: float
  words: str


_Remedy = Callable[[Mapping[str, Any], _Players], str | None]  # None where the config lacks it, or has it already


def _infinite(rows: Sequence[Row], players: _Players) -> _Sign | None:
  """A number that is not finite, in one of the last rows: a chunk has several."""
  for row in rows[-ROWS:]:
    for name, value in row.items():
      if value is not None and not math.isfinite(value):
        return _Sign(_step(row), name, value, f"{name} is {value}")
  return None


def _diverging(rows: Sequence[Row], players: _Players) -> _Sign | None:
  for player in players:
    figure = f"{player}/gradient"
    first, last = _at_first(rows, figure), _latest(rows, figure)
    if last and first and min(row[figure] for row in last) > min(_GROWN * first, _HUGE):
      value = last[-1][figure]
      words = f"the norm of the {player}'s gradient is {value:.3g}, and at first it was {first:.3g} at most"
      return _Sign(_step(last[0]), figure, value, words)
  return None


def _vanishing(rows: Sequence[Row], players: _Players) -> _Sign | None:
  figure = f"{players.generator}/gradient"
  first, last = _at_first(rows, figure), _latest(rows, figure, _RANKED)
  if not last or max(row[figure] for row in last) > _VANISHED * first or min(row[_RANKED] for row in last) < _SURE:
    return None
  value = last[-1][figure]
  of_first = f"{value / first:.1g} of what it was at first" if first else "as it was from the start"
  words = f"the norm of the generator's gradient is {value:.2g}, {of_first}"
  return _Sign(_step(last[0]), figure, value, f"{words}, and {_ranking(last[-1])}")


def _strong(rows: Sequence[Row], players: _Players) -> _Sign | None:
  last = _latest(rows, _RANKED, count=2 * ROWS)
  if not last or _step(last[-1]) < _EARLY or min(row[_RANKED] for row in last) < _PERFECT:
    return None
  return _Sign(_step(last[0]), _RANKED, last[-1][_RANKED], _ranking(last[-1]))


def _weak(rows: Sequence[Row], players: _Players) -> _Sign | None:
  last = _latest(rows, _RANKED)
  if not last or max(row[_RANKED] for row in last) > _FOOLED:
    return None
  return _Sign(_step(last[0]), _RANKED, last[-1][_RANKED], f"{_ranking(last[-1])}, and guessing gives 50%")


def _oscillating(rows: Sequence[Row], players: _Players) -> _Sign | None:
  """The discriminator is right about nearly all, then wrong about nearly all, again and again, and not ever less so."""
  last = _latest(rows, _RANKED, _MARGIN, count=3 * ROWS)
  one_sided = [row for row in last if abs(row[_RANKED] - 0.5) > _ONE_SIDED]
  turns = [b for a, b in zip(one_sided, one_sided[1:]) if (a[_RANKED] > 0.5) != (b[_RANKED] > 0.5)]
  if len(turns) < _TURNS:
    return None
  before, after = (max(abs(row[_MARGIN]) for row in half) for half in _halves(last))
  if after < max(_SETTLING * before, _SETTLED * max(abs(row[_MARGIN]) for row in _having(rows, [_MARGIN]))):
    return None
  words = (
    f"the share of pairs that the {players.discriminator} ranks rightly went from one side of 50% to the other "
    f"{len(turns)} times up to round {_step(turns[-1]):,}"
  )
  return _Sign(_step(turns[0]), _RANKED, last[-1][_RANKED], words)


def _collapsing(rows: Sequence[Row], players: _Players) -> _Sign | None:
  """Few kinds of samples, and not more and more, as in the first rounds, before the generator has learnt any."""
  last = _latest(rows, _VARIETY)
  if not last or _step(last[-1]) < _EARLY or max(row[_VARIETY] for row in last) > _COLLAPSED:
    return None
  value = last[-1][_VARIETY]
  if value > 1.5 * last[0][_VARIETY]:
    return None
  return _Sign(_step(last[0]), _VARIETY, value, f"a batch of samples has {value:.1%} of the variety of one of the data")


def _by_heart(rows: Sequence[Row], players: _Players) -> _Sign | None:
  """The discriminator knows its training examples."""
  last = _latest(rows, _SEEN)
  if not last or min(row[_SEEN] for row in last) < _KNOWN:
    return None
  value = last[-1][_SEEN]
  words = f"the discriminator scores a training example higher than a held-out one in {value:.1%} of all pairs"
  return _Sign(_step(last[0]), _SEEN, value, words)


def _memorising(rows: Sequence[Row], players: _Players) -> _Sign | None:
  last = _latest(rows, _MEMORISATION, count=1)
  if not last or last[0][_MEMORISATION] > _COPIES:
    return None
  value = last[0][_MEMORISATION]
  words = f"samples are {value:.2g} times as far from training examples as new data would be"
  return _Sign(_step(last[0]), _MEMORISATION, value, words)


def _ranking(row: Row) -> str:
  return f"the discriminator ranks {row[_RANKED]:.1%} of all pairs of a real and a generated example rightly"


def _halves(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
  return rows[: len(rows) // 2], rows[len(rows) // 2 :]


def _step(row: Row) -> int:
  return int(row["step"])


def _latest(rows: Sequence[Row], *figures: str, count: int = ROWS) -> list[Row]:
  """The last `count` rows that have all of these figures, oldest first; none if there are not so many."""
  found = list(itertools.islice(_having(reversed(rows), figures), count))
  return found[::-1] if len(found) == count else []


def _at_first(rows: Sequence[Row], figure: str) -> float:
  """The largest of a figure's first few values."""
  return max((row[figure] for row in itertools.islice(_having(rows, [figure]), ROWS)), default=math.nan)


def _having(rows: Iterable[Row], figures: Iterable[str]) -> Iterator[Row]:
  return (row for row in rows if all(row.get(figure) is not None for figure in figures))


def _value(field: str, value: Any, *instead_of: Any) -> _Remedy:
  """A value in place of one of others."""

  def remedy(settings, players):
    name = field.format(**players._asdict())
    return f"--config.{name}={value}" if name in settings and settings[name] in instead_of else None

  return remedy


def _times(field: str, factor: float) -> _Remedy:
  """A multiple of what is there."""

  def remedy(settings, players):
    name = field.format(**players._asdict())
    value = settings.get(name)
    if value is None:
      return None
    return f"--config.{name}={max(round(value * factor), 1) if isinstance(value, int) else f'{value * factor:.6g}'}"

  return remedy


def _no_slower(player: str, than: str) -> _Remedy:
  """The other player's learning rate for one whose own is lower."""

  def remedy(settings, players):
    own, other = (f"optimizer.{getattr(players, each)}.learning_rate" for each in (player, than))
    slower = own in settings and other in settings and settings[own] < settings[other]
    return f"--config.{own}={settings[other]:.6g}" if slower else None

  return remedy


def _penalised(settings: Mapping[str, Any], players: _Players) -> str | None:
  unpenalised = "game.penalty" in settings and settings["game.penalty"] is None
  return "--config.game.penalty.name=penalties.r1" if unpenalised else None


_NOISE = _value("game.instance_noise", 0.1, None)
_SLOWER, _FASTER = (_times("optimizer.{discriminator}.learning_rate", factor) for factor in (0.25, 4.0))
_SLOWER_GENERATOR = _times("optimizer.{generator}.learning_rate", 0.25)
_MORE_STEPS = _times("game.{discriminator}_steps", 2)
_LARGER_BATCH = _times("data.batch_size", 2)
_FASTER_GENERATOR = _times("optimizer.{generator}.learning_rate", 2.0)
_AGAINST_MEMORISING = (_NOISE, _penalised, _times("train.rounds", 0.5), _SLOWER)
_AGAINST_STRENGTH = (_no_slower("generator", "discriminator"), _NOISE, _penalised, _SLOWER, _FASTER_GENERATOR)
_AGAINST_WEAKNESS = (_no_slower("discriminator", "generator"), _MORE_STEPS, _FASTER, _SLOWER_GENERATOR)
_RULES: tuple[tuple[str, Callable[[Sequence[Row], _Players], _Sign | None], tuple[_Remedy, ...]], ...] = (
  ("divergence", _infinite, (_SLOWER, _SLOWER_GENERATOR)),
  ("divergence", _diverging, (_SLOWER, _SLOWER_GENERATOR)),
  (
    "the generator's gradient is vanishing",
    _vanishing,
    (
      _value("game.loss.name", "adversarial.non_saturating", "adversarial.minimax"),
      _value("game.generator_step", "alternative", "minimax"),
      _NOISE,
      _SLOWER,
      _LARGER_BATCH,
    ),
  ),
  ("the discriminator is too strong", _strong, _AGAINST_STRENGTH),
  ("the discriminator is too weak", _weak, _AGAINST_WEAKNESS),
  ("the players oscillate", _oscillating, (_penalised, _NOISE, _SLOWER, _SLOWER_GENERATOR)),
  ("modes are collapsing", _collapsing, (_penalised, _NOISE, _SLOWER_GENERATOR, _LARGER_BATCH)),
  ("memorising", _by_heart, _AGAINST_MEMORISING),
  ("memorising", _memorising, _AGAINST_MEMORISING),
)
