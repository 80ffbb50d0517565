"""Our networks in PyTorch, as the bench needs them: made from a config's settings, with our parameters taken over."""

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn

from experiments.lab import names
from gan_jax.game import NetSpec


class ToImages(nn.Linear):
  """Latents [B, C] to images of 4x4 pixels: the transposed convolution of a single pixel, as a matrix product."""

  def forward(self, z: torch.Tensor) -> torch.Tensor:
    return super().forward(z).unflatten(1, (-1, 4, 4))


class FromImages(nn.Linear):
  """Images of 4x4 pixels to numbers [B, O]: the convolution that leaves a single pixel, as a matrix product."""

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return super().forward(x.flatten(1))


class Residual(nn.Sequential):
  """x + f(x)."""

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return x + super().forward(x)


def networks(config: ConfigDict, specs: Mapping[str, NetSpec]) -> dict[str, nn.Module]:
  """The nets of a config, by name, each by the function here that is called like its builder. Images are [B, C, H, W].

  Args:
    config: the experiment's.
    specs: what the nets map; inputs are shapes, as our nets have them.

  Raises:
    ValueError: if a setting that PyTorch's side does not know is not at its default.
  """
  nets = {}
  for role, section in config.nets.items():
    builder = globals()[section.name.replace(".", "_")]
    known = inspect.signature(builder).parameters
    settings = {k: v for k, v in section.items() if k in known}
    _, ours = names.find(names.NET, section.name, f"nets.{role}")
    default = ConfigDict({"name": section.name})
    names.fill(default, names.settings_of(ours), f"nets.{role}")
    for setting, value in section.items():
      if setting not in (*known, "name") and value != default[setting]:
        raise ValueError(f"PyTorch's {section.name} has no {setting}, which is {value} in nets.{role}")
    nets[role] = builder(specs[role], **settings)
  return nets


def frozen(net: nn.Module) -> nn.Module:
  """The same network as one that does not move it sees it: it shares the parameters' memory, and gathers no gradient.

  Nor does its batch norm keep moving averages, for they do not move during another player's move.
  """
  seen = copy.deepcopy(net).requires_grad_(False)
  for shared, parameter in zip(seen.parameters(), net.parameters(), strict=True):
    shared.data = parameter.data
  for module in seen.modules():
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
      module.track_running_stats, module.running_mean, module.running_var = False, None, None
  return seen


def mlp_generator(spec, hidden) -> nn.Module:
  (latent,), (dimension,) = spec.inputs[0], spec.output
  return nn.Sequential(*_dense([latent, *hidden, dimension], nn.ReLU))


def mlp_discriminator(spec, hidden) -> nn.Module:
  (dimension,) = spec.inputs[0]
  return nn.Sequential(*_dense([dimension, *hidden, 1], nn.LeakyReLU, 0.2), nn.Flatten(0))


def mlp_head(spec, hidden) -> nn.Module:
  (features,), (outputs,) = spec.inputs[0], spec.output
  layers = []
  for before, after in zip([features, *hidden], hidden):
    layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.LeakyReLU(0.2, inplace=True)]
  return nn.Sequential(*layers, nn.Linear([features, *hidden][-1], outputs))


def dcgan_generator(spec, width) -> nn.Module:
  (latent,), (resolution, _, channels) = spec.inputs[0], spec.output
  features = width * resolution // 8
  layers = [ToImages(latent, 16 * features, bias=False), nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
  while features > width:
    layers += [nn.ConvTranspose2d(features, features // 2, 4, stride=2, padding=1, bias=False)]
    features //= 2
    layers += [nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
  return nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Tanh())


def dcgan_discriminator(spec, width, batch_norm=True) -> nn.Module:
  layers, features = _halvings(spec.inputs[0], width, batch_norm)
  return nn.Sequential(*layers, FromImages(16 * features, 1), nn.Flatten(0))


def dcgan_trunk(spec, width, features) -> nn.Module:
  layers, channels = _halvings(spec.inputs[0], width, batch_norm=True)
  last = [FromImages(16 * channels, features, bias=False), nn.BatchNorm1d(features), nn.LeakyReLU(0.2, inplace=True)]
  return nn.Sequential(*layers, *last)


def translation_resnet(spec, width, blocks) -> nn.Module:
  channels, inner = spec.output[2], 4 * width
  norm = lambda features: [nn.InstanceNorm2d(features), nn.ReLU(inplace=True)]
  same = lambda: nn.Conv2d(inner, inner, 3, padding=1, padding_mode="reflect", bias=False)
  layers = [nn.Conv2d(channels, width, 7, padding=3, padding_mode="reflect", bias=False), *norm(width)]
  for features in (width, 2 * width):
    layers += [nn.Conv2d(features, 2 * features, 3, stride=2, padding=1, bias=False), *norm(2 * features)]
  layers += [Residual(same(), *norm(inner), same(), nn.InstanceNorm2d(inner)) for _ in range(blocks)]
  for features in (4 * width, 2 * width):
    up = nn.ConvTranspose2d(features, features // 2, 3, stride=2, padding=1, output_padding=1, bias=False)
    layers += [up, *norm(features // 2)]
  return nn.Sequential(*layers, nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect"), nn.Tanh())


def translation_patches(spec, width, layers) -> nn.Module:
  widths = [spec.inputs[0][2], *(width * min(2**i, 8) for i in range(layers + 1))]
  stack = []
  for i, (before, after) in enumerate(zip(widths, widths[1:])):
    stack += [nn.Conv2d(before, after, 4, stride=2 if i < layers else 1, padding=1, bias=i == 0)]
    stack += [nn.InstanceNorm2d(after)] if i else []
    stack += [nn.LeakyReLU(0.2, inplace=True)]
  return nn.Sequential(*stack, nn.Conv2d(widths[-1], 1, 4, padding=1))


def take_over(net: nn.Module, params: Any) -> None:
  """Gives a network the parameters of ours."""
  for parameter, value in zip(net.parameters(), as_in_torch(net, params), strict=True):
    parameter.data.copy_(torch.from_numpy(value.copy()))


def as_in_torch(net: nn.Module, params: Any) -> Iterator[np.ndarray]:
  """The parameters of our network, or what has their structure, in the order and the form of those of `net`."""
  params = jax.tree.map(np.asarray, params)
  passed: Counter[str] = Counter()
  for layer in net.modules():
    if (counterpart := _counterpart(layer)) is None:
      continue
    kind, weight = counterpart
    ours = params.get(f"{kind}_{passed[kind]}", params)  # DCGAN's first and last kernels stand outside of a layer
    passed[kind] += 1
    yield weight(ours)
    if layer.bias is not None:
      yield ours["bias"]


def _counterpart(layer: nn.Module) -> tuple[str, Callable[[Any], np.ndarray]] | None:
  """The kind of our layer, and how its parameters make PyTorch's weight; None for a layer without any."""
  match layer:
    case ToImages():
      return "Dense", lambda ours: ours["kernel"].transpose(3, 0, 1, 2).reshape(layer.weight.shape)
    case FromImages():
      to_pixels = lambda kernel: kernel.reshape(4, 4, -1, kernel.shape[-1])
      return "Dense", lambda ours: to_pixels(ours["kernel"]).transpose(3, 2, 0, 1).reshape(layer.weight.shape)
    case nn.Linear():
      return "Dense", lambda ours: ours["kernel"].T
    case nn.Conv2d():
      return "Conv", lambda ours: ours["kernel"].transpose(3, 2, 0, 1)
    case nn.ConvTranspose2d():  # whose kernel is turned by half a circle
      kind = "UpsampleConv" if layer.kernel_size == (4, 4) else "FractionalConv"
      return kind, lambda ours: ours["kernel"][::-1, ::-1].transpose(2, 3, 0, 1)
    case nn.BatchNorm1d() | nn.BatchNorm2d():
      return "BatchNorm", lambda ours: ours["scale"]
  return None


def _dense(sizes: list[int], activation: type[nn.Module], *settings) -> list[nn.Module]:
  layers = []
  for before, after in zip(sizes, sizes[1:]):
    layers += [nn.Linear(before, after), activation(*settings)]
  return layers[:-1]


def _halvings(shape, width, batch_norm):
  """The strided convolutions of a DCGAN's discriminator, down to 4x4 pixels, and the channels that they end with."""
  resolution, _, features = shape
  layers = []
  for i in range((resolution // 4).bit_length() - 1):
    normed = batch_norm and i > 0
    layers += [nn.Conv2d(features, width * 2**i, 4, stride=2, padding=1, bias=not normed)]
    features = width * 2**i
    layers += [nn.BatchNorm2d(features)] if normed else []
    layers += [nn.LeakyReLU(0.2, inplace=True)]
  return layers, features
