"""Non-saturating games in PyTorch, for the bench: the same networks, losses, optimisers and batches, checked to be that."""

import jax
import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn
from torch.nn.functional import softplus

from experiments.build import PRIORS, Experiment
from gan_jax import train
from gan_jax.game import TrainState


def dense(sizes: list[int], activation: type[nn.Module], *settings) -> list[nn.Module]:
  """As the layers of `gan_jax.nets.mlp`, without batch norm."""
  layers = []
  for before, after in zip(sizes, sizes[1:]):
    layers += [nn.Linear(before, after), activation(*settings)]
  return layers[:-1]


def networks(experiment: Experiment, config: ConfigDict) -> dict[str, nn.Module]:
  """Both networks of a config whose nets are dense, on points, or DCGAN's."""
  if config.nets.generator.name == "mlp_generator":
    (dimension,) = experiment.dataset.shape
    hidden = {role: list(config.nets[role].hidden) for role in ("generator", "discriminator")}
    return {
      "generator": nn.Sequential(*dense([config.game.latent_dim, *hidden["generator"], dimension], nn.ReLU)),
      "discriminator": nn.Sequential(*dense([dimension, *hidden["discriminator"], 1], nn.LeakyReLU, 0.2), nn.Flatten(0)),
    }
  resolution, _, channels = experiment.dataset.shape
  width = {role: config.nets[role].width for role in ("generator", "discriminator")}
  return {
    "generator": nn.Sequential(
      nn.Unflatten(1, (config.game.latent_dim, 1, 1)),
      generator(config.game.latent_dim, resolution, width["generator"], channels),
    ),
    "discriminator": discriminator(resolution, width["discriminator"], channels),
  }


def generator(latent_dim: int, resolution: int, width: int, channels: int) -> nn.Sequential:
  """As `gan_jax.nets.dcgan.Generator`."""
  features = width * resolution // 8
  layers = [nn.ConvTranspose2d(latent_dim, features, 4, bias=False), nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
  while features > width:
    layers += [nn.ConvTranspose2d(features, features // 2, 4, stride=2, padding=1, bias=False)]
    features //= 2
    layers += [nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
  return nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Tanh())


def discriminator(resolution: int, width: int, channels: int) -> nn.Sequential:
  """As `gan_jax.nets.dcgan.Discriminator`."""
  features = width
  layers = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
  while features < width * resolution // 8:
    layers += [nn.Conv2d(features, 2 * features, 4, stride=2, padding=1, bias=False)]
    features *= 2
    layers += [nn.BatchNorm2d(features), nn.LeakyReLU(0.2, inplace=True)]
  return nn.Sequential(*layers, nn.Conv2d(features, 1, 4), nn.Flatten(0))


class Round:
  """Both networks with their optimisers; calling it plays one round, a discriminator move and a generator move."""

  def __init__(self, experiment: Experiment, config: ConfigDict, channels_last: bool = False):
    self.layout = torch.channels_last if channels_last else torch.contiguous_format
    nets = networks(experiment, config)
    self.generator, self.discriminator = (nets[role].to(memory_format=self.layout) for role in ("generator", "discriminator"))
    self.optimizers = {role: self._adam(role, config) for role in ("generator", "discriminator")}

  def _adam(self, role: str, config: ConfigDict) -> torch.optim.Adam:
    settings = config.optimizer[role]
    betas = (settings.b1, settings.b2)
    return torch.optim.Adam(getattr(self, role).parameters(), settings.learning_rate, betas)

  def __call__(self, x: torch.Tensor, z: torch.Tensor, next_z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x: images [B, C, H, W] or points [B, D]; z, next_z: latents [B, latent] of the two moves. Returns both losses."""
    with torch.no_grad():
      fake = self.generator(z)
    loss = softplus(-self.discriminator(x)).mean() + softplus(self.discriminator(fake)).mean()
    self._descend("discriminator", loss)
    generator_loss = softplus(-self.discriminator(self.generator(next_z))).mean()
    self._descend("generator", generator_loss)
    return loss.detach(), generator_loss.detach()

  def _descend(self, role: str, loss: torch.Tensor) -> None:
    parameters = list(getattr(self, role).parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
      parameter.grad = gradient
    self.optimizers[role].step()

  def load(self, state: TrainState) -> None:
    """Takes over the parameters of a state."""
    for role in ("generator", "discriminator"):
      for parameter, value in zip(getattr(self, role).parameters(), parameters_of(state, role), strict=True):
        with torch.no_grad():
          parameter.copy_(torch.from_numpy(np.array(value)))


def parameters_of(state: TrainState, role: str) -> list[np.ndarray]:
  """The parameters of one of our networks in the order and the form of PyTorch's."""
  layers = jax.tree.map(np.asarray, state.params[role])
  if "Dense_0" in layers:
    named = (layers[name] for name in _numbered(layers, "Dense"))
    return [value for layer in named for value in (layer["kernel"].T, layer["bias"])]
  norms: list = [layers[name] for name in _numbered(layers, "BatchNorm")]
  if role == "generator":
    convolutions = [{"kernel": layers["kernel"]}]
    convolutions += [_turned(layers[name]) for name in _numbered(layers, "UpsampleConv")]
    axes = (2, 3, 0, 1)
  else:
    convolutions = [layers[name] for name in _numbered(layers, "Conv")]
    convolutions += [{"kernel": layers["kernel"], "bias": layers["bias"]}]
    axes, norms = (3, 2, 0, 1), [None, *norms]
  norms += [None] * (len(convolutions) - len(norms))
  ordered = []
  for convolution, norm in zip(convolutions, norms, strict=True):
    ordered += [convolution["kernel"].transpose(axes)]
    ordered += [convolution["bias"]] if "bias" in convolution else []
    ordered += [] if norm is None else [norm["scale"], norm["bias"]]
  return ordered


def _turned(layer: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """PyTorch's transposed convolution has its kernel turned by half a circle."""
  return layer | {"kernel": layer["kernel"][::-1, ::-1]}


def check(experiment: Experiment, config: ConfigDict, tolerance: float = 1e-4) -> None:
  """Plays one round on both sides from the same weights, images and latents.

  Raises:
    ValueError: if a loss or a parameter differs by more than `tolerance`.
  """
  game = experiment.game
  state = train.init(game, jax.random.key(1))
  batches = train.draw_round(game, experiment.draw, state)
  z, next_z = (_latents(experiment, config, state, position) for position in (0, 1))
  ours, metrics = jax.jit(train.make_step(game))(state, batches)
  theirs = Round(experiment, config)
  theirs.load(state)
  losses = theirs(torch.from_numpy(_channels_first(np.array(batches["x"][0]))), z, next_z)
  for name, loss in zip(("discriminator", "generator"), losses, strict=True):
    _close(f"{name}/loss", float(metrics[f"{name}/loss"]), float(loss), tolerance)
  for role in ("generator", "discriminator"):
    for place, (mine, other) in enumerate(zip(parameters_of(ours, role), getattr(theirs, role).parameters(), strict=True)):
      _close(f"{role} parameter {place}", mine, other.detach().numpy(), tolerance)


def contender(experiment: Experiment, config: ConfigDict, channels_last: bool = False):
  """Returns `play(rounds)`, which draws images from bytes or points from the mixture, and latents, as our rounds do."""
  side = Round(experiment, config, channels_last)
  source = {k: torch.from_numpy(_channels_first(np.array(v))) for k, v in experiment.draw.args[0].args[0].items()}
  batch, latent_dim = config.data.batch_size, config.game.latent_dim
  uniform = config.game.prior == "uniform"

  def draw() -> torch.Tensor:
    if "means" in source:
      mode = torch.randint(len(source["means"]), (batch,))
      return source["means"][mode] + source["scales"][mode, None] * torch.randn(batch, *experiment.dataset.shape)
    images = source["x"][torch.randint(len(source["x"]), (batch,))].float() / 127.5 - 1.0
    return images.contiguous(memory_format=side.layout)

  def latents() -> torch.Tensor:
    return 2.0 * torch.rand(batch, latent_dim) - 1.0 if uniform else torch.randn(batch, latent_dim)

  def play(rounds: int) -> None:
    for _ in range(rounds):
      side(draw(), latents(), latents())

  return play


def _channels_first(x: np.ndarray) -> np.ndarray:
  return x.transpose(0, 3, 1, 2).copy() if x.ndim == 4 else x


def _latents(experiment: Experiment, config: ConfigDict, state: TrainState, position: int) -> torch.Tensor:
  """The latents that our round draws in the move at `position`."""
  key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), position)  # of the move
  key = jax.random.fold_in(jax.random.fold_in(key, 0), 0)  # of its only repetition, of its only player
  parts = (6, 4)[position]  # games/two_player.py: of the discriminator's key and of the generator's; the first generates
  z_key = jax.random.split(jax.random.split(key, parts)[0])[0]
  shape = (config.data.batch_size, config.game.latent_dim)
  prior = PRIORS[config.game.prior]
  return torch.from_numpy(np.array(prior(z_key, shape)))


def _numbered(layers: dict, kind: str) -> list[str]:
  return sorted((name for name in layers if name.rpartition("_")[0] == kind), key=lambda name: int(name.rpartition("_")[2]))


def _close(what: str, ours, theirs, tolerance: float) -> None:
  difference = float(np.max(np.abs(np.asarray(ours) - np.asarray(theirs))))
  if not difference <= tolerance:
    raise ValueError(f"the PyTorch side is not the same game: {what} differs by {difference:.2g}")
