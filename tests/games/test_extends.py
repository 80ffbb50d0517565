"""A game that extends another one: the settings of both in its signature, its own first."""

import inspect

import pytest

from experiments.lab import names
from gan_jax.games import gan
from gan_jax.games._extends import extends

EMPTY = inspect.Parameter.empty


def base(nets, steps=1, *, tx, latent_dim, noise=None, weight=1.0):
  return {"nets": nets, "steps": steps, "tx": tx, "latent_dim": latent_dim, "noise": noise, "weight": weight}


@extends(base)
def own(*, net, weight=2.0, **shared):
  return base(net, 3, weight=weight, **shared)


def test_the_signature_has_the_settings_of_both():
  """Own ones first, with their own defaults; what is not keyword-only in the base is no setting."""
  parameters = inspect.signature(own).parameters
  assert {name: p.default for name, p in parameters.items()} == {
    "net": EMPTY,
    "weight": 2.0,
    "tx": EMPTY,
    "latent_dim": EMPTY,
    "noise": None,
  }
  assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters.values())


def test_shared_settings_go_on_to_the_base():
  given = own(net="n", tx="sgd", latent_dim=2, noise=0.5)
  assert given == {"nets": "n", "steps": 3, "tx": "sgd", "latent_dim": 2, "noise": 0.5, "weight": 2.0}
  with pytest.raises(TypeError, match="nonsense"):
    own(net="n", tx="sgd", latent_dim=2, nonsense=1)


@pytest.mark.parametrize("name", names.known(names.GAME))
def test_games_of_a_pair_have_its_settings(name):
  parameters = inspect.signature(names.known(names.GAME)[name].make).parameters
  if "extra_gradient" not in parameters:
    pytest.skip("it is no game of a pair")
  shared = inspect.signature(gan.pair).parameters
  options = {name for name, p in shared.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
  assert options == {
    "tx",
    "latent_dim",
    "prior",
    "augment",
    "instance_noise",
    "noise_conditional",
    "simultaneous",
    "extra_gradient",
  }
  assert all(parameters[name] == shared[name] for name in options)
  assert not {"nets", "critic_loss", "generator_loss", "project", "shared"} & set(parameters)
  (critic,) = {"critic", "discriminator"} & set(parameters)
  assert {"generator", critic, f"{critic}_steps"} < set(parameters)
  assert parameters["latent_dim"].default is EMPTY  # shapes depend on it
