"""Our games in PyTorch, for the bench: the same networks, losses, optimizers and batches, checked to be that.

They are written as PyTorch is at its fastest: fused optimizers, no gradient that nobody asks for, no waiting for a
device, and CycleGAN's first translations made once for both players, where ours makes them in each move and XLA shares
them. They are spared what our rounds have beside: the moving average of the generator, and all metrics but the
losses. What runs on a GPU has not been tried on one.
"""

import contextlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn
from torch.nn.functional import cross_entropy, l1_loss, one_hot, softplus

from experiments.lab.build import Experiment, build_nets, data_spec, find_game
from experiments.pytorch import nets as torch_nets
from gan_jax import train
from gan_jax.game import TrainState

Nets = dict[str, nn.Module]
Inputs = dict[str, Any]  # of one move: its batch, "x" and perhaps "y", and what it draws
Losses = dict[str, Callable[[Nets, Inputs], torch.Tensor]]


class Noise(NamedTuple):
  """Something that a move draws: a kind out of `DRAWS`, its shape, and the values of an integer or a uniform number."""

  kind: str
  shape: tuple[int, ...]
  values: Any = 2


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
    self.config, self.game = config, experiment.game
    self.device = torch.device("cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu")
    self.layout = torch.channels_last if channels_last else torch.contiguous_format
    _, _, specs = find_game(config, data_spec(experiment.dataset))
    nets = torch_nets.networks(config, build_nets(config, specs)[1])
    self.nets = {role: net.to(self.device, memory_format=self.layout) for role, net in nets.items()}
    self.noise = {player: _noise(player, config, experiment.dataset.shape) for player in self.game.players}
    self.sources = {
      domain: {k: self.tensor(v) for k, v in arrays.items()} for domain, arrays in _arrays(experiment).items()
    }
    self.optimizers = {player: self._adam(player) for player in self.game.players}
    self.losses = {
      name: self._seen_by(name, loss) for name, loss in globals()[f"_{config.game.name}"](config.game).items()
    }
    if compiled:
      torch.compiler.reset()
      self.losses = {name: torch.compile(loss, mode=compiled) for name, loss in self.losses.items()}
    self.pools: dict[str, list[torch.Tensor]] = {"x": [], "y": []} if "pool_size" in config.game else {}

  def _adam(self, player: str) -> torch.optim.Adam:
    settings = self.config.optimizer[player]
    parameters = [parameter for role in self.game.players[player].owns for parameter in self.nets[role].parameters()]
    return torch.optim.Adam(parameters, settings.learning_rate, (settings.b1, settings.b2), fused=True)

  def _seen_by(self, player: str, loss: Callable[[Nets, Inputs], Any]) -> Callable[[Inputs], Any]:
    """A player's loss, in which the nets of others do not move. What is no player's is seen by all."""
    owns = self.game.players[player].owns if player in self.game.players else self.nets
    nets = {role: net if role in owns else torch_nets.frozen(net) for role, net in self.nets.items()}
    half = self.config.dtype == "bfloat16"

    def seen(inputs):
      with torch.autocast(self.device.type, torch.bfloat16) if half else contextlib.nullcontext():
        return loss(nets, inputs)

    return seen

  def round_products(self, rounded: bool) -> None:
    """Whether a GPU's float32 products are of factors rounded to TensorFloat32."""
    if self.device.type == "cuda":
      torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = rounded

  def play(self, turns: list[tuple[str, Inputs]]) -> dict[str, torch.Tensor]:
    """Plays one round, players with the inputs of their moves; returns the last loss of each."""
    losses = {}
    if self.device.type == "cuda":
      torch.compiler.cudagraph_mark_step_begin()
    if self.pools:
      self._translate(*(inputs for _, inputs in turns))
    for player, inputs in turns:
      loss = self.losses[player](inputs)
      self.optimizers[player].zero_grad()
      loss.backward()
      self.optimizers[player].step()
      losses[player] = loss.detach()
    return losses

  def _translate(self, first: Inputs, second: Inputs) -> None:
    """Gives both moves the same translations, the first out of the pools: no generator has moved in between."""
    fakes = self.losses["translations"](first)
    second |= fakes
    for domain in self.pools:
      first[f"shown_{domain}"] = self._exchange(domain, fakes[f"fake_{domain}"].detach(), first)

  def _exchange(self, domain: str, images: torch.Tensor, inputs: Inputs) -> torch.Tensor:
    """As `pool.exchange`, image by image, as the authors' code."""
    pool, shown = self.pools[domain], []
    swaps, places = (inputs.pop(f"{what}_{domain}").tolist() for what in ("swap", "place"))
    for image, swap, place in zip(images, swaps, places, strict=True):
      if len(pool) < self.config.game.pool_size:
        pool.append(image.clone())
      elif swap:
        image, pool[place] = pool[place], image.clone()
      shown.append(image)
    return torch.stack(shown)

  def turns(self, batch: Callable[[int], Inputs], draw: Callable[..., torch.Tensor]) -> list[tuple[str, Inputs]]:
    """A round's moves, of `batch(i)`, the i-th batch, and what `draw(noise, name, player, position, number)` adds."""
    turns, used = [], 0
    for position, move in enumerate(self.game.moves):
      (player,) = move.players
      for number in range(move.repeat):
        if move.draws:
          shown, used = batch(used), used + 1
        drawn = {name: draw(noise, name, player, position, number) for name, noise in self.noise[player].items()}
        turns.append((player, shown | drawn))
    return turns

  def examples(self, source: dict[str, torch.Tensor]) -> torch.Tensor:
    """A batch of points of a mixture, or of images out of the bytes that lie on the device."""
    n = (self.config.data.batch_size,)
    if "means" in source:
      mode = torch.randint(len(source["means"]), n, device=self.device)
      means = source["means"][mode]
      return means + source["scales"][mode, None] * torch.randn_like(means)
    (pixels,) = source.values()
    images = pixels[torch.randint(len(pixels), n, device=self.device)].float() / 127.5 - 1.0
    return images.contiguous(memory_format=self.layout)

  def tensor(self, array: Any) -> torch.Tensor:
    """An array of ours; images in PyTorch's order of axes, and in this side's layout."""
    array = np.array(array)
    if array.ndim != 4:
      return torch.from_numpy(array).to(self.device)
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy()).to(self.device, memory_format=self.layout)


def player(side: Side) -> Callable[[int], None]:
  """Returns `play(rounds)`, which returns when they have been played, on what the side draws for itself."""
  side.round_products(True)  # as XLA does
  batch = lambda _: {domain: side.examples(source) for domain, source in side.sources.items()}
  draw = lambda noise, *_: DRAWS[noise.kind](noise, side.device)

  def play(rounds: int) -> None:
    for _ in range(rounds):
      side.play(side.turns(batch, draw))
    if side.device.type == "cuda":
      torch.cuda.synchronize()

  return play


def check(experiment: Experiment, config: ConfigDict, state: TrainState, kinks: float = 0.0) -> None:
  """Plays one round on both sides, in float32, from the same parameters, pools, batches and draws.

  Losses and the parameters after the round have to agree to 1e-4. Adam's first steps hide how large a gradient is, so
  its averages of the gradients have to agree too, to 1e-4 of their size in each array.

  Args:
    experiment: ours.
    config: that it was built from.
    state: where the round starts from; pools are filled with noise.
    kinks: the share that gradients may differ by, and the share of parameters that may be further off. Of millions of
      inputs of ReLUs some are zero but for rounding, and each side takes a slope of its own there: in CycleGAN's first
      round at 64x64 PyTorch's gradients were up to 1.2% off those that it finds in float64, ours 0.4%.

  Raises:
    ValueError: if they do not agree, with the first difference.
  """
  state = _with_full_pools(state)
  batches = train.draw_round(experiment.game, experiment.draw, state)
  side = Side(experiment, config)
  side.round_products(False)
  for role, net in side.nets.items():
    torch_nets.take_over(net, state.params[role])
  side.pools = {domain: list(side.tensor(state.memory[domain].images)) for domain in side.pools}
  round_key = jax.random.fold_in(state.key, state.step)

  def draw(noise, name, player, position, number):
    key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(round_key, position), number), 0)  # as gan_jax.train
    return side.tensor(OUR_DRAWS[noise.kind](globals()[f"_{config.game.name}_keys"](player, key)[name], noise))

  losses = side.play(side.turns(lambda i: {domain: side.tensor(batches[domain][i]) for domain in side.sources}, draw))
  with jax.default_matmul_precision("highest"):
    ours, metrics = jax.jit(train.make_step(experiment.game))(state, batches)
  for player, loss in losses.items():
    expected = float(metrics[f"{player}/loss"])
    _within(f"{player}/loss differs by", abs(expected - float(loss)), 1e-4 * max(1.0, abs(expected)))
  for player, optimizer in side.optimizers.items():
    for role in experiment.game.players[player].owns:
      net, averages = side.nets[role], ours.opt[player][0].mu[role]
      pairs = zip(torch_nets.as_in_torch(net, ours.params[role]), torch_nets.as_in_torch(net, averages), strict=True)
      for (name, parameter), (value, average) in zip(net.named_parameters(), pairs, strict=True):
        size, off = _size(average), _size(average - _array(optimizer.state[parameter]["exp_avg"]))
        _within(f"the gradient of {role}.{name} differs by", off, (1e-4 + kinks) * max(size, 1e-6))
        _within(f"the share of {role}.{name} that differs is", np.mean(np.abs(value - _array(parameter)) > 1e-4), kinks)
  for domain, pool in side.pools.items():
    kept = _array(side.tensor(ours.memory[domain].images))
    _within(f"the pool of {domain} differs by", np.max(np.abs(kept - _array(torch.stack(pool)))), 1e-4)


def _gan(settings: ConfigDict) -> Losses:
  def discriminator(nets, inputs):
    real, fake = nets["discriminator"](inputs["x"]), nets["discriminator"](nets["generator"](inputs["z"]))
    return softplus(-real).mean() + softplus(fake).mean()

  def generator(nets, inputs):
    return softplus(-nets["discriminator"](nets["generator"](inputs["z"]))).mean()

  return {"discriminator": discriminator, "generator": generator}


def _wgan_gp(settings: ConfigDict) -> Losses:
  def critic(nets, inputs):
    x, fake = inputs["x"], nets["generator"](inputs["z"])
    between = fake + inputs["alpha"] * (x - fake)
    total = lambda between: nets["critic"](between).sum()
    if torch.compiler.is_compiling():  # which differentiates twice in this form alone
      slope = torch.func.grad(total)(between)
    else:
      (slope,) = torch.autograd.grad(total(between.requires_grad_()), between, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1.0).square().mean()
    return nets["critic"](fake).mean() - nets["critic"](x).mean() + settings.penalty_weight * penalty

  def generator(nets, inputs):
    return -nets["critic"](nets["generator"](inputs["z"])).mean()

  return {"critic": critic, "generator": generator}


def _infogan(settings: ConfigDict) -> Losses:
  (classes,), continuous = settings.categorical, settings.continuous

  def generate(nets, inputs):
    codes = one_hot(inputs["category"], classes).float(), inputs["continuous"]
    return nets["generator"](torch.cat([inputs["z"], *codes], 1))

  def discriminator(nets, inputs):
    real, fake = (nets["discriminator"](nets["trunk"](images)) for images in (inputs["x"], generate(nets, inputs)))
    return softplus(-real).mean() + softplus(fake).mean()

  def generator(nets, inputs):
    features = nets["trunk"](generate(nets, inputs))
    logits, mean, spread = nets["recognition"](features).split([classes, continuous, continuous], 1)
    log_variance = torch.logaddexp(spread, spread.new_tensor(math.log(1e-4)))
    squares = (inputs["continuous"] - mean).square() * torch.exp(-log_variance)
    of_classes = math.log(classes) - cross_entropy(logits, inputs["category"])
    of_numbers = (math.log(2) - 0.5 * (math.log(2 * math.pi) + log_variance + squares)).mean(0).sum()
    weighted = settings.categorical_weight * of_classes + settings.continuous_weight * of_numbers
    return softplus(-nets["discriminator"](features)).mean() - weighted

  return {"discriminator": discriminator, "generator": generator}


def _cyclegan(settings: ConfigDict) -> Losses:
  square = lambda scores, target: (scores - target).square().mean()

  def translations(nets, inputs):
    return {"fake_y": nets["x_to_y"](inputs["x"]), "fake_x": nets["y_to_x"](inputs["y"])}

  def discriminators(nets, inputs):
    real, fake = ([nets[f"discriminator_{d}"](inputs[of + d]) for d in "xy"] for of in ("", "shown_"))
    return 0.5 * (sum(square(scores, 1.0) for scores in real) + sum(square(scores, 0.0) for scores in fake))

  def generators(nets, inputs):
    x, y, fake_x, fake_y = (inputs[name] for name in ("x", "y", "fake_x", "fake_y"))
    adversarial = square(nets["discriminator_y"](fake_y), 1.0) + square(nets["discriminator_x"](fake_x), 1.0)
    cycle = l1_loss(nets["y_to_x"](fake_y), x) + l1_loss(nets["x_to_y"](fake_x), y)
    identity = l1_loss(nets["x_to_y"](y), y) + l1_loss(nets["y_to_x"](x), x)
    return adversarial + settings.cycle_weight * (cycle + settings.identity_weight * identity)

  return {"translations": translations, "discriminators": discriminators, "generators": generators}


def _noise(player: str, config: ConfigDict, shape: tuple[int, ...]) -> dict[str, Noise]:
  """What a move of a player draws beside its batch, of examples of a shape."""
  game, n, noise = config.game, config.data.batch_size, {}
  codes = sum(game.get("categorical", ())) + game.get("continuous", 0)
  if "latent_dim" in game:
    prior = game.prior
    ends = (prior.low, prior.high) if prior.name == "priors.uniform" else ()
    noise["z"] = Noise(prior.name.removeprefix("priors."), (n, game.latent_dim - codes), ends)
  if codes:
    (classes,) = game.categorical
    noise |= {"category": Noise("integer", (n,), classes)}
    noise |= {"continuous": Noise("uniform", (n, game.continuous), (-1.0, 1.0))}
  if player == "critic":
    noise["alpha"] = Noise("uniform", (n, *[1] * len(shape)), (0.0, 1.0))
  if player == "discriminators":
    noise |= {f"swap_{domain}": Noise("coin", (n,)) for domain in "xy"}
    noise |= {f"place_{domain}": Noise("place", (n,), game.pool_size) for domain in "xy"}
  return noise


def _between(low: float, high: float, unit: torch.Tensor) -> torch.Tensor:
  return low + (high - low) * unit


def _gan_keys(player: str, key: jax.Array) -> dict[str, jax.Array]:
  """As games/gan.py."""
  generate_key, *_, penalty_key = jax.random.split(key, 6)
  return {"z": jax.random.split(generate_key)[0], "alpha": penalty_key}


_wgan_gp_keys = _gan_keys


def _infogan_keys(player: str, key: jax.Array) -> dict[str, jax.Array]:
  """As games/infogan.py, with one categorical code."""
  noise_key, codes_key, *_ = jax.random.split(key, 9)
  return dict(zip(("z", "category", "continuous"), (noise_key, *jax.random.split(codes_key))))


def _cyclegan_keys(player: str, key: jax.Array) -> dict[str, jax.Array]:
  """As games/cyclegan.py and pool.py."""
  _, *pool_keys = jax.random.split(key, 3)
  halves = {domain: jax.random.split(pool_key) for domain, pool_key in zip("xy", pool_keys)}
  return {f"{what}_{domain}": both[i] for domain, both in halves.items() for i, what in enumerate(("swap", "place"))}


def _arrays(experiment: Experiment) -> dict[str, dict[str, jax.Array]]:
  """What the examples of each domain are drawn from: its images, or the parameters of a mixture."""
  data = experiment.dataset
  if "means" in data.arrays:
    return {"x": dict(data.arrays)}
  return {domain: {domain: data.arrays[domain]} for domain in data.domains}


def _with_full_pools(state: TrainState) -> TrainState:
  """As in the midst of training, where the pools are full."""
  noise = lambda pool: jax.random.uniform(jax.random.key(2), pool.images.shape)
  full = lambda pool: pool._replace(images=noise(pool), count=jnp.int32(len(pool.images)))
  return state.replace(memory={domain: full(pool) for domain, pool in state.memory.items()}) if state.memory else state


def _array(tensor: torch.Tensor) -> np.ndarray:
  return tensor.detach().cpu().numpy()


def _size(array: np.ndarray) -> float:
  """Root mean square."""
  return float(np.sqrt(np.mean(np.square(array))))


def _within(what: str, value: float, tolerance: float) -> None:
  if not value <= tolerance:
    raise ValueError(f"the PyTorch side is not the same game: {what} {value:.2g}, above {tolerance:.2g}")


DRAWS = {  # (noise, device); the host decides about pools, so that it need not wait for the device
  "normal": lambda noise, device: torch.randn(noise.shape, device=device),
  "uniform": lambda noise, device: _between(*noise.values, torch.rand(noise.shape, device=device)),
  "integer": lambda noise, device: torch.randint(noise.values, noise.shape, device=device),
  "coin": lambda noise, device: torch.rand(noise.shape) < 0.5,
  "place": lambda noise, device: torch.randint(noise.values, noise.shape),
}
OUR_DRAWS = {
  "normal": lambda key, noise: jax.random.normal(key, noise.shape),
  "uniform": lambda key, noise: jax.random.uniform(key, noise.shape, minval=noise.values[0], maxval=noise.values[1]),
  "integer": lambda key, noise: np.int64(jax.random.randint(key, noise.shape, 0, noise.values)),
  "coin": lambda key, noise: jax.random.bernoulli(key, 0.5, noise.shape),
  "place": lambda key, noise: jax.random.randint(key, noise.shape, 0, noise.values),
}
