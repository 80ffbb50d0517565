"""What InfoGAN's latent codes mean: against what is known of held-out images, and in traversals."""

from collections.abc import Callable, Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from experiments.evaluators import Context, Evaluation, Picture
from gan_jax import train
from gan_jax.data import sprites
from gan_jax.data.dataset import decode
from gan_jax.errors import ConfigError
from gan_jax.game import TrainState
from gan_jax.games.infogan import Codes


def make(context: Context, /, *, rows: int = 8, steps: int = 10) -> Evaluation:
  """What the recognition head reads off held-out images, and a grid for each code along which it alone changes.

  All of it is of averaged weights where an average is kept.

  "accuracy_I" of the I-th categorical code against labels, after the best one-to-one assignment. Where the data's
  factors are known: "continuous_I/FACTOR", the mutual information of the I-th continuous code with each, in nats, and
  "gap", the mutual information gap of all codes. A continuous code is drawn from Q(c | x), or, where its variance is
  fixed, is Q's mean. That is a function of the image alone, so it can tell much of a factor that hardly changes it.
  Without labels and factors there are the pictures alone.

  Args:
    context: of a game that has codes and samples.
    rows: of a traversal, latents that it holds.
    steps: columns of a continuous code's traversal, from -1 to 1, where it was in training.

  Raises:
    ConfigError: if the game has no codes.
  """
  game, test = context.game, context.dataset.test
  sample, known = game.sample, game.codes
  if known is None or sample is None:
    raise ConfigError("it looks at latent codes, which this game does not have")
  codes = known.codes
  pictures = _traversals(sample, codes, rows, steps)
  if not {"label", "factors"} & set(test):
    return Evaluation(pictures=pictures)
  compare = _comparison(codes, test)
  nothing = (np.zeros((len(test["x"]), k)) for k in (len(codes.categorical), codes.continuous))
  scalars = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in compare(*nothing)}

  def compare_finite(categories, continuous):
    finite = np.isfinite(continuous).all()
    found = compare(np.asarray(categories), np.asarray(continuous)) if finite else dict.fromkeys(scalars, np.nan)
    return {name: np.float32(value) for name, value in found.items()}

  def measure(state):
    x = decode({"x": jnp.asarray(test["x"])})["x"]
    logits, continuous, log_variance = known.read(*train.averaged(state), x)
    classes = jnp.stack([jnp.argmax(each, 1) for each in logits], 1) if logits else jnp.zeros((len(x), 0), jnp.int32)
    if codes.learnt_variance:
      noise = jax.random.normal(train.evaluation_key(state.key), continuous.shape)
      continuous = continuous + jnp.exp(0.5 * log_variance) * noise
    return jax.pure_callback(compare_finite, scalars, classes, continuous, vmap_method="sequential")

  protocol = {"reference": f"{len(test['x']):,} held-out images, and what is known of them"}
  return Evaluation(measure, pictures, explained=_explained(scalars), headline=_headline(scalars), protocol=protocol)


def _explained(names: Iterable[str]) -> dict[str, tuple[str, str]]:
  explained = {}
  for name in names:
    kind, _, factor = name.partition("/")
    code = kind.replace("_", " ")
    if factor:
      explained[name] = (f"{code} code and {factor}", "their mutual information in nats: what the code tells of it")
    elif kind.startswith("accuracy"):
      explained[name] = (code, "how often the categorical code is the label, after the best one-to-one assignment")
    else:
      explained[name] = ("gap", "how much more one code tells of each factor than the next one does; 1 is the most")
  return explained


def _headline(names: Iterable[str]) -> tuple[str, ...]:
  return tuple(name for name in names if "/" not in name)


def _comparison(codes: Codes, test: Mapping[str, np.ndarray]) -> Callable[..., dict[str, float]]:
  """`(categories [N, K], continuous [N, D]) -> {name: value}`, against the labels and factors of `test`."""
  from gan_jax.metrics import codes as metrics  # here, so that other experiments do not wait for scikit-learn

  def compare(categories, continuous):
    found = {}
    if "label" in test:
      found |= {f"accuracy_{i}": metrics.accuracy(code, test["label"])[0] for i, code in enumerate(categories.T)}
    if "factors" in test:
      kind = (sprites.FACTORS.index("kind"),)
      known = metrics.mutual_information(continuous, test["factors"], (), kind)
      pairs = [(i, j, name) for i in range(codes.continuous) for j, name in enumerate(sprites.FACTORS)]
      found |= {f"continuous_{i}/{name}": known[i, j] for i, j, name in pairs}
      binned = metrics.discretise(test["factors"], kind)
      everything, discrete = np.concatenate([categories, continuous], 1), range(categories.shape[1])
      information = metrics.mutual_information(everything, binned, discrete, range(binned.shape[1]))
      found["gap"] = metrics.gap(information, metrics.entropies(binned))[0]
    return found

  return compare


def _traversals(sample: Callable[..., jax.Array], codes: Codes, rows: int, steps: int) -> tuple[Picture, ...]:
  """For each code a grid: the code along the columns, noise and all other codes fixed along the rows."""
  values = {f"categorical_{i}": jnp.eye(classes) for i, classes in enumerate(codes.categorical)}
  values |= {f"continuous_{i}": jnp.linspace(-1.0, 1.0, steps)[:, None] for i in range(codes.continuous)}
  drawn, start = [], 0
  for name, along in values.items():
    end = start + along.shape[1]
    drawn.append(Picture(name, _traversal(sample, codes, rows, slice(start, end), along), len(along)))
    start = end
  return tuple(drawn)


def _traversal(
  sample: Callable[..., jax.Array], codes: Codes, rows: int, place: slice, along: jax.Array
) -> Callable[[TrainState], jax.Array]:
  """Samples row by row: in each the noise and the codes of one draw, but for `along` [columns, ...] at `place`."""

  def draw(state):
    key, codes_key = jax.random.split(train.evaluation_key(state.key))
    fixed = codes.encode(*codes.draw(codes_key, rows))
    latents = jnp.tile(fixed[:, None], (1, len(along), 1)).at[:, :, place].set(along[None])
    one = lambda key, code: sample(*train.averaged(state), key, 1, codes=code[None])[0]
    images = jax.vmap(jax.vmap(one, (None, 0)))(jax.random.split(key, rows), latents)
    return images.reshape(-1, *images.shape[2:])

  return draw
