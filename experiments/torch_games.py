"""Our games in PyTorch, for the bench: the same networks, losses, optimisers and batches, checked to be that.

It is written as PyTorch is at its fastest: fused optimisers, no gradient that nobody asked for, no waiting for a device, and
CycleGAN's first translations made once for both players. It is spared the moving average of the generator and the metrics
beside the losses, which our rounds have.
"""

import contextlib
import functools
import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn
from torch.nn.functional import cross_entropy, l1_loss, one_hot, softplus

from experiments import torch_nets
from experiments.build import PRIORS, Experiment, Surroundings, surroundings
from gan_jax import train
from gan_jax.game import TrainState

Nets = dict[str, nn.Module]
Inputs = dict[str, Any]  # what one move is given: "x", "y": the batch; and what it draws
Turns = list[tuple[str, Inputs]]  # of one round: a player, and the inputs of its move


class Rules(NamedTuple):
  """A game.

  Attributes:
    losses: `config -> {player: (nets, inputs) -> loss}`.
    draw: `(config, player, around, device) -> inputs` that a move draws, beside the batch.
    draw_as_ours: `(config, player, around, key) -> inputs`, the same as our loss draws them from its key.
  """

  losses: Callable[[ConfigDict], dict[str, Callable[[Nets, Inputs], torch.Tensor]]]
  draw: Callable[..., Inputs]
  draw_as_ours: Callable[..., Inputs]


class Side:
  """PyTorch's side of an experiment.

  Args:
    experiment: ours.
    config: that it was built from. Its dtype "bfloat16" is PyTorch's autocast.
    channels_last: the layout of images in memory; otherwise contiguous.
    compiled: the mode of torch.compile for the losses; None for eager.
  """

  def __init__(
    self, experiment: Experiment, config: ConfigDict, channels_last: bool = False, compiled: str | None = None
  ):
    self.config, self.moves = config, experiment.game.moves
    self.around = surroundings(config, experiment.dataset.shape)
    self.rules = RULES[config.game.name]
    self.device = torch.device("cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu")
    self.layout = torch.channels_last if channels_last else torch.contiguous_format
    nets = torch_nets.networks(config, self.around)
    self.nets = {role: net.to(self.device, memory_format=self.layout) for role, net in nets.items()}
    self.owns = {name: player.owns for name, player in experiment.game.players.items()}
    self.optimizers = {name: self._adam(name) for name in self.owns}
    self.losses = {name: self._loss(name, loss) for name, loss in self.rules.losses(config).items()}
    self.pools = {domain: Pool(config.game.pool_size) for domain in "xy"} if "pool_size" in config.game else {}
    self.sources = {
      domain: {k: self.tensor(v) for k, v in arrays.items() if not k.startswith("label")}
      for domain, arrays in _arrays(experiment).items()
    }
    if compiled:
      torch.compiler.reset()
      self.losses = {name: torch.compile(loss, mode=compiled) for name, loss in self.losses.items()}

  def _adam(self, player: str) -> torch.optim.Adam:
    settings = self.config.optimizer[player]
    parameters = [parameter for role in self.owns[player] for parameter in self.nets[role].parameters()]
    return torch.optim.Adam(parameters, settings.learning_rate, (settings.b1, settings.b2), fused=True)

  def _loss(self, player: str, loss: Callable[[Nets, Inputs], torch.Tensor]) -> Callable[[Inputs], torch.Tensor]:
    """The loss as its player sees the nets: those of the others do not move."""
    owns = self.owns.get(player, self.nets)
    seen = {role: net if role in owns else torch_nets.frozen(net) for role, net in self.nets.items()}
    half = self.config.dtype == "bfloat16"

    def of(inputs):
      with torch.autocast(self.device.type, torch.bfloat16) if half else contextlib.nullcontext():
        return loss(seen, inputs)

    return of

  def play(self, turns: Turns) -> dict[str, torch.Tensor]:
    """Plays one round; returns each player's last loss."""
    told = {}
    if self.pools:
      self._translate(turns)
    for player, inputs in turns:
      loss = self.losses[player](inputs)
      self.optimizers[player].zero_grad()
      loss.backward()
      self.optimizers[player].step()
      told[player] = loss.detach()
    return told

  def _translate(self, turns: Turns) -> None:
    """Both moves see the same translations, for the generators have not moved in between; the first out of the pools."""
    (_, first), (_, second) = turns
    fakes = self.losses["translations"](first)
    second |= fakes
    for domain, pool in self.pools.items():
      first[f"shown_{domain}"] = pool.exchange(fakes[f"fake_{domain}"].detach(), *first.pop(f"exchange_{domain}"))

  def turns(self) -> Turns:
    """A round's moves, with examples drawn from the data, and latents, as ours are."""
    turns = []
    for move in self.moves:
      (player,) = move.players
      for _ in range(move.repeat):
        batch = {domain: self._examples(source) for domain, source in self.sources.items()} if move.draws else batch
        drawn = self.rules.draw(self.config, player, self.around, self.device)
        turns.append((player, batch | drawn))
    return turns

  def _examples(self, source: dict[str, torch.Tensor]) -> torch.Tensor:
    """Points of the mixture, or images out of the bytes that lie on the device."""
    shape = (self.config.data.batch_size,)
    if "means" in source:
      mode = torch.randint(len(source["means"]), shape, device=self.device)
      means = source["means"][mode]
      return means + source["scales"][mode, None] * torch.randn_like(means)
    (pixels,) = source.values()
    images = pixels[torch.randint(len(pixels), shape, device=self.device)].float() / 127.5 - 1.0
    return images.contiguous(memory_format=self.layout)

  def load(self, state: TrainState) -> None:
    """Takes over the parameters of a state, and its pools, which are full."""
    for role, net in self.nets.items():
      torch_nets.take_over(net, state.params[role])
    for domain, pool in self.pools.items():
      pool.images = list(self.tensor(state.memory[domain].images))

  def tensor(self, value: Any) -> torch.Tensor:
    """An array of ours; images in PyTorch's order, and in this side's layout."""
    array = np.array(value)
    if array.ndim != 4:
      return torch.from_numpy(array).to(self.device)
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy()).to(self.device, memory_format=self.layout)


class Pool:
  """As `gan_jax.pool`, image by image like the authors' code."""

  def __init__(self, size: int):
    self.size, self.images = size, []

  def exchange(self, images: torch.Tensor, swaps: list[bool], places: list[int]) -> torch.Tensor:
    shown = []
    for image, swap, place in zip(images, swaps, places, strict=True):
      if len(self.images) < self.size:
        self.images.append(image.clone())
      elif swap:
        image, self.images[place] = self.images[place], image.clone()
      shown.append(image)
    return torch.stack(shown)


def check(experiment: Experiment, config: ConfigDict, tolerance: float = 1e-4) -> None:
  """Plays one round on both sides, in float32, from the same parameters, batches, latents, codes, interpolates and pools.

  Losses and the parameters after it have to agree to `tolerance`; and, since Adam's first steps hide how large a gradient is,
  so do its averages of the gradients, as shares of the largest in an array.

  Raises:
    ValueError: if they do not, with the first difference.
  """
  game = experiment.game
  state = _with_full_pools(jax.jit(functools.partial(train.init, game))(jax.random.key(1)))
  batches = train.draw_round(game, experiment.draw, state)
  side = Side(experiment, config)
  side.load(state)
  with jax.default_matmul_precision("highest"):
    ours, metrics = jax.jit(train.make_step(game))(state, batches)
    turns = our_turns(side, state, batches)
  losses = side.play(turns)
  for player, loss in losses.items():
    expected = float(metrics[f"{player}/loss"])
    _close(f"{player}/loss", expected, loss, tolerance * max(1.0, abs(expected)))
  for player, roles in side.owns.items():
    averages = ours.opt[player][0].mu
    for role in roles:
      gradients = torch_nets.as_in_torch(side.nets[role], averages[role])
      values = torch_nets.as_in_torch(side.nets[role], ours.params[role])
      for place, (parameter, value, average) in enumerate(zip(side.nets[role].parameters(), values, gradients, strict=True)):
        of = f"parameter {place} of {role}"
        theirs = side.optimizers[player].state[parameter]["exp_avg"]
        _close(f"the gradient of {of}", average, theirs, tolerance * max(np.max(np.abs(average)), 1e-6))
        _close(of, value, parameter, tolerance)
  for domain, pool in side.pools.items():
    _close(f"the pool of {domain}", side.tensor(ours.memory[domain].images).cpu(), torch.stack(pool.images), tolerance)


def our_turns(side: Side, state: TrainState, batches: dict[str, jax.Array]) -> Turns:
  """The moves of the round that our side plays from `state`, in PyTorch."""
  round_key = jax.random.fold_in(state.key, state.step)
  turns, used = [], 0
  for position, move in enumerate(side.moves):
    (player,) = move.players
    for number in range(move.repeat):
      used += move.draws
      batch = {domain: side.tensor(batches[domain][used - 1]) for domain in side.sources}
      key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(round_key, position), number), 0)  # as gan_jax.train
      drawn = side.rules.draw_as_ours(side.config, player, side.around, key)
      drawn = {k: v if k.startswith("exchange") else side.tensor(v) for k, v in drawn.items()}
      turns.append((player, batch | drawn))
  return turns


def contender(experiment: Experiment, config: ConfigDict, channels_last: bool = False, compiled: str | None = None):
  """Returns `play(rounds)`, which returns when they have been played."""
  side = Side(experiment, config, channels_last, compiled)

  def play(rounds: int) -> None:
    for _ in range(rounds):
      side.play(side.turns())
    if side.device.type == "cuda":
      torch.cuda.synchronize()

  return play


def _gan_losses(config: ConfigDict):
  def discriminator(nets, inputs):
    real, fake = nets["discriminator"](inputs["x"]), nets["discriminator"](nets["generator"](inputs["z"]))
    return softplus(-real).mean() + softplus(fake).mean()

  def generator(nets, inputs):
    return softplus(-nets["discriminator"](nets["generator"](inputs["z"]))).mean()

  return {"discriminator": discriminator, "generator": generator}


def _wgan_gp_losses(config: ConfigDict):
  def critic(nets, inputs):
    x, fake = inputs["x"], nets["generator"](inputs["z"])
    between = fake + inputs["alpha"] * (x - fake)
    total = lambda between: nets["critic"](between).sum()
    if torch.compiler.is_compiling():  # which traces no other second derivative
      slope = torch.func.grad(total)(between)
    else:
      (slope,) = torch.autograd.grad(total(between.requires_grad_()), between, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1.0).square().mean()
    return nets["critic"](fake).mean() - nets["critic"](x).mean() + config.game.penalty_weight * penalty

  def generator(nets, inputs):
    return -nets["critic"](nets["generator"](inputs["z"])).mean()

  return {"critic": critic, "generator": generator}


def _infogan_losses(config: ConfigDict):
  (classes,), continuous = config.game.categorical, config.game.continuous

  def generate(nets, inputs):
    codes = one_hot(inputs["category"], classes).float(), inputs["continuous"]
    return nets["generator"](torch.cat([inputs["z"], *codes], 1))

  def discriminator(nets, inputs):
    score = lambda images: nets["discriminator"](nets["trunk"](images))
    return softplus(-score(inputs["x"])).mean() + softplus(score(generate(nets, inputs))).mean()

  def generator(nets, inputs):
    features = nets["trunk"](generate(nets, inputs))
    logits, mean, spread = nets["recognition"](features).split([classes, continuous, continuous], 1)
    log_variance = torch.logaddexp(spread, spread.new_tensor(1e-4).log())
    squares = (inputs["continuous"] - mean).square() * torch.exp(-log_variance)
    told = math.log(classes) - cross_entropy(logits, inputs["category"])
    told_continuous = math.log(2) - 0.5 * (math.log(2 * math.pi) + log_variance + squares).mean(0).sum()
    weighted = config.game.categorical_weight * told + config.game.continuous_weight * told_continuous
    return softplus(-nets["discriminator"](features)).mean() - weighted

  return {"discriminator": discriminator, "generator": generator}


def _cyclegan_losses(config: ConfigDict):
  square = lambda score, target: (score - target).square().mean()

  def translations(nets, inputs):
    return {"fake_y": nets["x_to_y"](inputs["x"]), "fake_x": nets["y_to_x"](inputs["y"])}

  def discriminators(nets, inputs):
    real, fake = ({d: nets[f"discriminator_{d}"](inputs[of + d]) for d in "xy"} for of in ("", "shown_"))
    return 0.5 * sum(square(real[d], 1.0) + square(fake[d], 0.0) for d in "xy")

  def generators(nets, inputs):
    x, y, fake_x, fake_y = (inputs[name] for name in ("x", "y", "fake_x", "fake_y"))
    adversarial = square(nets["discriminator_y"](fake_y), 1.0) + square(nets["discriminator_x"](fake_x), 1.0)
    cycle = l1_loss(nets["y_to_x"](fake_y), x) + l1_loss(nets["x_to_y"](fake_x), y)
    identity = l1_loss(nets["x_to_y"](y), y) + l1_loss(nets["y_to_x"](x), x)
    return adversarial + config.game.cycle_weight * (cycle + config.game.identity_weight * identity)

  return {"translations": translations, "discriminators": discriminators, "generators": generators}


def _draw_latents(config: ConfigDict, player: str, around: Surroundings, device: torch.device) -> Inputs:
  shape = (config.data.batch_size, around.latent_dim - (around.codes.size if around.codes else 0))
  z = torch.randn(shape, device=device) if _prior(config) == "normal" else 2 * torch.rand(shape, device=device) - 1
  return {"z": z}


def _draw_interpolates(config: ConfigDict, player: str, around: Surroundings, device: torch.device) -> Inputs:
  alpha = {"alpha": torch.rand(_one_each(config, around), device=device)} if player == "critic" else {}
  return _draw_latents(config, player, around, device) | alpha


def _draw_codes(config: ConfigDict, player: str, around: Surroundings, device: torch.device) -> Inputs:
  (classes,), n = config.game.categorical, config.data.batch_size
  category = torch.randint(classes, (n,), device=device)
  continuous = 2 * torch.rand(n, config.game.continuous, device=device) - 1
  return _draw_latents(config, player, around, device) | {"category": category, "continuous": continuous}


def _draw_exchanges(config: ConfigDict, player: str, around: Surroundings, device: torch.device) -> Inputs:
  n, size = config.data.batch_size, config.game.pool_size
  exchange = lambda: (random.choices((False, True), k=n), random.choices(range(size), k=n))
  return {f"exchange_{domain}": exchange() for domain in "xy"} if player == "discriminators" else {}


def _our_latents(config: ConfigDict, player: str, around: Surroundings, key: jax.Array) -> Inputs:
  """As games/two_player.py."""
  generate_key, *_, penalty_key = jax.random.split(key, 4 if player == "generator" else 6)
  z_key, _ = jax.random.split(generate_key)
  z = PRIORS[_prior(config)](z_key, (config.data.batch_size, around.latent_dim))
  return {"z": z, "alpha": jax.random.uniform(penalty_key, _one_each(config, around))}


def _our_codes(config: ConfigDict, player: str, around: Surroundings, key: jax.Array) -> Inputs:
  """As games/infogan.py."""
  noise_key, codes_key, *_ = jax.random.split(key, 8)
  (category,), continuous = around.codes.draw(codes_key, config.data.batch_size)
  z = PRIORS[_prior(config)](noise_key, (config.data.batch_size, around.latent_dim - around.codes.size))
  return {"z": z, "category": np.asarray(category, np.int64), "continuous": continuous}


def _our_exchanges(config: ConfigDict, player: str, around: Surroundings, key: jax.Array) -> Inputs:
  """As games/cyclegan.py and pool.py."""
  n, size = config.data.batch_size, config.game.pool_size
  exchanges = {}
  for domain, pool_key in zip("xy", jax.random.split(key, 3)[1:]):
    first, second = jax.random.split(pool_key)
    swaps, places = jax.random.bernoulli(first, 0.5, (n,)), jax.random.randint(second, (n,), 0, size)
    exchanges[f"exchange_{domain}"] = swaps.tolist(), places.tolist()
  return exchanges if player == "discriminators" else {}


def _prior(config: ConfigDict) -> str:
  return config.game.get("prior", "normal")


def _one_each(config: ConfigDict, around: Surroundings) -> tuple[int, ...]:
  """The shape of one number for each example."""
  return (config.data.batch_size, *[1] * len(around.shape))


def _arrays(experiment: Experiment) -> dict[str, Any]:
  """What the examples of each domain are drawn from."""
  first, *second = experiment.dataset.draw.args
  return {"x": first.args[0], "y": second[0].args[0]} if second else {"x": first}


def _with_full_pools(state: TrainState) -> TrainState:
  """As it may be in the midst of training: with images that were generated earlier."""
  full = lambda pool, key: pool._replace(images=jax.random.uniform(key, pool.images.shape), count=pool.count + len(pool.images))
  pools = {domain: full(pool, jax.random.key(i)) for i, (domain, pool) in enumerate(dict(state.memory).items())}
  return state.replace(memory=pools) if pools else state


def _close(what: str, ours: Any, theirs: Any, tolerance: float) -> None:
  theirs = torch.as_tensor(theirs).detach().cpu().numpy()
  difference = float(np.max(np.abs(np.asarray(ours) - theirs)))
  if not difference <= tolerance:
    raise ValueError(f"the PyTorch side is not the same game: {what} differs by {difference:.2g}, above {tolerance:.2g}")


RULES = {
  "gan": Rules(_gan_losses, _draw_latents, _our_latents),
  "wgan_gp": Rules(_wgan_gp_losses, _draw_interpolates, _our_latents),
  "infogan": Rules(_infogan_losses, _draw_codes, _our_codes),
  "cyclegan": Rules(_cyclegan_losses, _draw_exchanges, _our_exchanges),
}
