"""How much of an image its translation hides for the way back. Chu, Zhmoginov and Sandler 2017."""

import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Judgement
from gan_jax import train
from gan_jax.data.dataset import decode, spread
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.metrics import steganography as metrics
from gan_jax.report import Plot

_NOISE = {f"l1_noise_{steps:g}": f"noise of {steps:g} steps of an 8-bit image" for steps in metrics.STEPS}
_ROUNDED = {f"l1_{bits}_bits": f"rounded to {bits} bits" for bits in metrics.BITS}
_ERROR = "mean difference from the image itself, between 0 and 2"


def make(context: Context, /, *, n: int = 100) -> Evaluation:
  """How far from x F(G(x)) is when G(x) is disturbed, for each direction that has a way back, of averaged weights.

  "hidden_x_in_y" is `metrics.steganography.gain`, how many times more the error grows than the noise: about 1 where F
  inverts what G(x) shows, tens and hundreds where F reads what nobody sees. "hidden_x_in_y/l1_noise_2" is the error
  with noise of a standard deviation of 2 steps between the 256 levels of an image file, and "hidden_x_in_y/l1_6_bits"
  that of G(x) rounded to 6 bits; 8 bits are what saving it as a PNG file does. The plot "hidden_x_in_y" has them all,
  over the standard deviation of what was changed, beside an inverse that is off by as much as its input.

  Where y keeps less than x has, as black and white of a coloured picture, a cycle without error has to hide the rest:
  read the gain with the cycle error that it buys.

  Args:
    context: of a game that translates from one domain to another and back.
    n: how many held-out images of each domain, evenly spread.

  Raises:
    ConfigError: if the game does not translate there and back; n is below 1.
  """
  game, dataset, translate_with = context.game, context.dataset, context.game.translate
  ways = [(source, target) for source, target in game.directions if (target, source) in game.directions]
  if translate_with is None or not ways:
    raise ConfigError("it looks at translations and the way back, which this game does not make")
  at_least_one("n", n)
  images = {source: spread(dataset.test[source], n) for source, _ in ways}

  @jax.jit
  def look(state, images):
    key, found = train.evaluation_key(state.key), {}
    translate = functools.partial(translate_with, *train.averaged(state), key)
    for source, target in ways:
      x = decode({"x": images[source]})["x"]
      back = functools.partial(translate, source=target, target=source)
      given = back, x, translate(x, source, target)
      found[_name(source, target)] = (
        metrics.noise_errors(*given, jax.random.fold_in(key, 1)),
        metrics.rounding_errors(*given),
      )
    return found

  def judge(state):
    numbers, plots = {}, {}
    errors = look(state, {source: jnp.asarray(shown) for source, shown in images.items()})
    for name, (noise, rounded) in errors.items():
      numbers[name] = float(metrics.gain(noise))
      levels = zip((*_NOISE, *_ROUNDED), (*noise, *rounded), strict=True)
      numbers |= {f"{name}/{level}": float(error) for level, error in levels}
      plots[name] = _plot(np.asarray(noise), np.asarray(rounded))
    protocol = {"held-out images": ", ".join(f"{len(shown):,} of {source}" for source, shown in images.items())}
    return Judgement(numbers, protocol, plots=plots)

  headline = tuple(_name(*way) for way in ways)
  return Evaluation(judge=judge, explained=_explained(ways), headline=headline)


def _name(source: str, target: str) -> str:
  return f"hidden_{source}_in_{target}"


def _explained(ways: list[tuple[str, str]]) -> Mapping[str, tuple[str, str]]:
  explained = {}
  for source, target in ways:
    name, cycle = _name(source, target), f"{source} to {target} and back"
    explained[name] = (
      f"{source} hidden in {target}",
      f"how many times more {cycle} is off than {target} was changed; 1 if nothing is hidden, far more if much is",
    )
    explained |= {f"{name}/{level}": (f"{cycle}, {what}", _ERROR) for level, what in (_NOISE | _ROUNDED).items()}
  return explained


def _plot(noise: np.ndarray, rounded: np.ndarray) -> Plot:
  """Errors over the standard deviation of the change; that of rounding is a level's width by the root of 12."""
  steps = metrics.STEPS[1:]
  widths = [255.0 / (2**bits - 1) / math.sqrt(12.0) for bits in metrics.BITS]
  honest = noise[0] + metrics.STEP * math.sqrt(2.0 / math.pi) * np.array(steps)
  lines = {
    "with noise": [*zip(steps, noise[1:].tolist(), strict=True)],
    f"rounded to {', '.join(map(str, metrics.BITS))} bits": [*zip(widths, rounded.tolist(), strict=True)],
    "an inverse with nothing hidden": [*zip(steps, honest.tolist(), strict=True)],
  }
  x = "standard deviation of the change, in steps of an 8-bit image"
  return Plot(lines, x, "L1 error of the way back", logarithmic=True)
