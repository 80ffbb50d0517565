"""Nets of one number each, for games of several domains whose losses are then a line of arithmetic."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import train
from gan_jax.game import Game, Net, TrainState

X = {"x": [0.5, -1.0, 2.0], "y": [0.25, 0.75, -0.5]}
DOMAIN_LOGITS = np.array([1.0, -1.0])  # of u, for one of two domains

# Of autoencoders with a shared latent: one number for a net that domains share, two for those of their own.
SLOPES = {
  "encoder_first": [0.6, -0.4],
  "encoder_last": 1.2,
  "generator_first": 0.8,
  "generator_last": [1.5, -0.5],
  "discriminator": [0.6, 0.9],
}


def slope(score: bool = False) -> Net:
  """a u of [B, 1], or with `score` of [B]."""
  apply = lambda p, s, u, key=None, train=True: ((p["a"] * u)[:, 0] if score else p["a"] * u, s)
  return Net(lambda key: ({"a": jnp.zeros(())}, {}), apply)


def logits(start: Any = DOMAIN_LOGITS) -> Net:
  """[B, 1] to logits u a of [B, len(a)]."""
  apply = lambda p, s, u, key=None, train=True: (u * p["a"][None], s)
  return Net(lambda key: ({"a": jnp.asarray(start, jnp.float32)}, {}), apply)


def start_of(game: Game, slopes: Mapping[str, Any], key: jax.Array) -> TrainState:
  """A state with these slopes, and all other nets as they start."""
  state = train.init(game, key)
  return state.replace(params={**state.params} | {name: {"a": jnp.array(v)} for name, v in slopes.items()})


def batch_of(values: Mapping[str, Any] = X) -> dict[str, jax.Array]:
  return {name: jnp.array(v)[:, None] for name, v in values.items()}


def encode(u: np.ndarray, i: int) -> np.ndarray:
  return SLOPES["encoder_last"] * SLOPES["encoder_first"][i] * u


def generate(z: np.ndarray, i: int) -> np.ndarray:
  return SLOPES["generator_last"][i] * SLOPES["generator_first"] * z


def judge(u: np.ndarray, i: int) -> np.ndarray:
  return SLOPES["discriminator"][i] * u


def cross_entropy(latents: list[np.ndarray]) -> float:
  """Of `DOMAIN_LOGITS`, the mean over domains."""
  log_p = lambda z, i: z * DOMAIN_LOGITS[i] - np.log(np.exp(z[:, None] * DOMAIN_LOGITS).sum(1))
  return -np.mean([log_p(z, i).mean() for i, z in enumerate(latents)])
