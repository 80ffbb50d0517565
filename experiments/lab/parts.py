"""What a trained game maps, as functions of arrays alone: its nets, and what it makes of several of them."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import export

from experiments.lab import trained
from experiments.lab.build import Experiment, build_nets, data_spec, find_game
from experiments.lab.configs import Config
from gan_jax import train
from gan_jax.errors import ConfigError, nearest
from gan_jax.game import Net, NetSpec, Shape, TrainState


class Run(NamedTuple):
  """A run that has been loaded.

  Attributes:
    workdir: its folder.
    config: of the stage that the state belongs to.
    experiment: what it describes.
    state: at one of its checkpoints.
  """

  workdir: Path
  config: Config
  experiment: Experiment
  state: TrainState


class Part(NamedTuple):
  """Something that a game maps.

  Attributes:
    name: of a net; SOURCE_to_TARGET for a translation; sample_DOMAIN for latents to images of a domain.
    apply: `(params, stats, key, *inputs) -> output`, as after training, with parameters and statistics of all nets.
    inputs: shapes of one example; inputs are float32 [B, *shape].
  """

  name: str
  apply: Callable[..., jax.Array]
  inputs: tuple[Shape, ...]

  def examples(self, batch: Any) -> tuple[jax.ShapeDtypeStruct, ...]:
    """What it takes for a batch of a size, which may be symbolic."""
    return tuple(jax.ShapeDtypeStruct((batch, *shape), jnp.float32) for shape in self.inputs)


def load(workdir: str | Path, checkpoint: str = "newest") -> Run:
  """Loads a run as `trained.load` does, and raises as it does."""
  config, _, _ = trained.stage_of(workdir, checkpoint)
  return Run(Path(workdir), config, *trained.load(workdir, checkpoint))


def parts(run: Run) -> dict[str, Part]:
  """All that the game of a run maps, by name.

  A net that the game keeps several of under one name, one for each domain or the members of an ensemble, is none of
  them: its spec does not say which of them maps what. What the game makes of such nets is: translations, and samples of
  a domain.
  """
  game, dataset = run.experiment.game, run.experiment.dataset
  found = {}
  for name, (net, spec) in _built(run).items():
    if name not in game.nets:
      continue
    made, kept = (jax.eval_shape(each.init, jax.random.key(0))[0] for each in (net, game.nets[name]))
    if jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, kept):
      inputs = cast(tuple[Shape, ...], spec.inputs)  # a built net's are shapes
      found[name] = Part(name, functools.partial(_net, game.nets[name], name), inputs)
  for source, target in game.directions:
    name, shape = f"{source}_to_{target}", dataset.condition if source == "condition" else dataset.shape
    assert shape is not None
    found.setdefault(name, Part(name, functools.partial(_translated, game.translate, source, target), (shape,)))
  for domain in game.domains:
    latent = (run.config.game.latent_dim,)
    found.setdefault(f"sample_{domain}", Part(f"sample_{domain}", _sampled(game.sample, domain), (latent,)))
  return found


def choose(run: Run, name: str | None = None) -> Part:
  """The part of that name; without a name, what the game samples by, or where it does not sample, translates by.

  That is the net that makes samples, where it is a single one, or else all of them together, of the first domain.

  Raises:
    ConfigError: if there is none.
  """
  known = parts(run)
  name = _default(run, known) if name is None else name
  if name not in known:
    several = "is several nets under one name, for domains or members, and no program by itself; choose with --net"
    what = (
      several if name in run.experiment.game.nets else "is not there; --net takes nets, and what they make together"
    )
    raise ConfigError(f"the net {name!r} {what}.{nearest(name, known)}")
  return known[name]


def draws(part: Part, params: Any, stats: Any) -> bool:
  """Whether a part draws random numbers after training too, such as a dropout that is the noise."""
  abstract = lambda tree: jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
  keyed = jax.jit(lambda key, params, stats, *inputs: part.apply(params, stats, key, *inputs))
  key = jax.eval_shape(jax.random.key, 0)
  exported = export.export(keyed)(key, abstract(params), abstract(stats), *part.examples(2))
  return 0 in exported.module_kept_var_idx


def _net(net: Net, name: str, params: Any, stats: Any, key: jax.Array, *inputs: jax.Array) -> jax.Array:
  return net.apply(params[name], stats[name], *inputs, key=key, train=False)[0]


def _translated(translate: Any, source: str, target: str, params: Any, stats: Any, key: jax.Array, x: jax.Array):
  return translate(params, stats, key, x, source, target)


def _sampled(sample: Any, domain: str) -> Callable[..., jax.Array]:
  return lambda params, stats, key, z: sample(params, stats, key, z.shape[0], latents=z, domain=domain)


def _default(run: Run, known: Mapping[str, Part]) -> str:
  game, read = run.experiment.game, _read(run)
  whole = [f"sample_{domain}" for domain in game.domains] + [f"{here}_to_{there}" for here, there in game.directions]
  if len(read) == 1 and (read[0] in known or not whole):
    return read[0]
  if not whole:
    what = f"{', '.join(read)} make samples together" if read else "this game neither samples nor translates"
    raise ConfigError(f"{what}; choose one with --net.{nearest('', known)}")
  return whole[0]


def _read(run: Run) -> list[str]:
  """The nets whose parameters the game reads to sample, or where it does not sample, to translate at first."""
  game, dataset = run.experiment.game, run.experiment.dataset
  found: list[str] = []

  class Reader(dict):
    def __getitem__(self, name: str) -> Any:
      found.append(name)
      return super().__getitem__(name)

  def made(params: Any, stats: Any) -> Any:
    key = jax.random.key(0)
    if game.sample is not None:
      return game.sample(Reader(params), stats, key, 2)
    if game.translate is not None:
      source, target = game.directions[0]
      shape = dataset.condition if source == "condition" else dataset.shape
      return game.translate(Reader(params), stats, key, jnp.zeros((2, *(shape or ()))), source, target)

  jax.eval_shape(made, *train.averaged(run.state))
  return list(dict.fromkeys(found))


def _built(run: Run) -> Mapping[str, tuple[Net, NetSpec]]:
  """The nets as their builders make them, each with its spec, in which every input is a shape."""
  _, _, specs = find_game(run.config, data_spec(run.experiment.dataset))
  nets, specs = build_nets(run.config, specs)
  return {name: (net, specs[name]) for name, net in nets.items()}
