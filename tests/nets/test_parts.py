"""DCGAN's networks in parts: the parts make the whole, with the same weights."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import ConfigError
from gan_jax.game import NetSpec
from gan_jax.nets import dcgan, parts

KEY = jax.random.key(0)


def random(variables):
  rng = np.random.default_rng(1)
  return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0.1, 0.3, leaf.shape), jnp.float32), variables)


def weights(variables, *names):
  """Those of these modules or arrays; modules are numbered from 0 on, as a part numbers its own."""
  counts, found = collections.Counter(), {}
  for name in names:
    kind, _, number = name.rpartition("_")
    found[f"{kind}_{counts[kind]}" if number.isdigit() else name] = variables[name]
    counts[kind] += 1
  return found


@pytest.mark.parametrize("train", [True, False])
def test_two_parts_of_a_generator_are_the_generator(train):
  whole = dcgan.Generator(resolution=32, width=4, channels=3)
  z = jax.random.normal(KEY, (6, 5))
  shapes = jax.eval_shape(whole.init, KEY, z)
  variables = {"params": random(shapes["params"]), "batch_stats": jax.tree.map(jnp.abs, random(shapes["batch_stats"]))}
  truth, _ = whole.apply(variables, z, train=train, mutable=["batch_stats"])
  first, last = parts.FirstDoublings(width=16, doublings=1), parts.LastDoublings(resolution=32, channels=3)
  p, s = variables["params"], variables["batch_stats"]
  of_first = {
    "params": weights(p, "kernel", "BatchNorm_0", "UpsampleConv_0", "BatchNorm_1"),
    "batch_stats": weights(s, "BatchNorm_0", "BatchNorm_1"),
  }
  of_last = {
    "params": weights(p, "UpsampleConv_1", "BatchNorm_2", "UpsampleConv_2"),
    "batch_stats": weights(s, "BatchNorm_2"),
  }
  maps, _ = first.apply(of_first, z, train=train, mutable=["batch_stats"])
  assert maps.shape == (6, 8, 8, 8)
  found, _ = last.apply(of_last, maps, train, mutable=["batch_stats"])
  np.testing.assert_allclose(found, truth, atol=1e-6)
  assert np.std(truth) > 0.05


def test_two_parts_of_a_discriminator_are_the_discriminator():
  whole = dcgan.Discriminator(resolution=32, width=4, channels=3)
  x = jax.random.normal(KEY, (6, 32, 32, 3))
  shapes = jax.eval_shape(whole.init, KEY, x)
  variables = {"params": random(shapes["params"]), "batch_stats": jax.tree.map(jnp.abs, random(shapes["batch_stats"]))}
  truth, _ = whole.apply(variables, x, mutable=["batch_stats"])
  p, s = variables["params"], variables["batch_stats"]
  maps = parts.FirstHalvings(width=4, halvings=1).apply({"params": weights(p, "Conv_0")}, x)
  assert maps.shape == (6, 16, 16, 4)
  of_last = weights(p, "Conv_1", "BatchNorm_0", "Conv_2", "BatchNorm_1") | {
    "Score_0": {"kernel": p["kernel"], "bias": p["bias"]}
  }
  found, _ = parts.LastHalvings().apply({"params": of_last, "batch_stats": s}, maps, mutable=["batch_stats"])
  np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-4)


def test_without_batch_norm_too():
  whole = dcgan.Discriminator(resolution=32, width=4, channels=3, batch_norm=False)
  x = jax.random.normal(KEY, (6, 32, 32, 3))
  p = random(jax.eval_shape(whole.init, KEY, x)["params"])
  first, last = parts.FirstHalvings(4, 2, batch_norm=False), parts.LastHalvings(batch_norm=False)
  maps = first.apply({"params": weights(p, "Conv_0", "Conv_1")}, x)
  of_last = {"Conv_0": p["Conv_2"], "Score_0": {"kernel": p["kernel"], "bias": p["bias"]}}
  found = last.apply({"params": of_last}, maps)
  np.testing.assert_allclose(found, whole.apply({"params": p}, x), rtol=1e-4, atol=1e-4)
  for build, spec in (
    (parts.first_halvings, NetSpec(((32, 32, 3),), None)),
    (parts.last_halvings, NetSpec(((16, 16, 4),), ())),
  ):
    names = [{*build(spec, **given).init(KEY)[0]} for given in ({}, {"batch_norm": False})]
    assert names[1] == {name for name in names[0] if not name.startswith("BatchNorm")}


def test_vectors_are_a_layer_on_the_last_maps():
  x = jax.random.normal(KEY, (6, 4, 4, 3))
  net = parts.last_halvings(NetSpec(((4, 4, 3),), (7,)))
  params, stats = net.init(KEY)
  found, _ = net.apply(params, stats, x)
  truth = np.asarray(x).reshape(6, -1) @ np.asarray(params["Dense_0"]["kernel"]) + np.asarray(params["Dense_0"]["bias"])
  np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-5)


def test_the_encoder_is_the_discriminators_convolutions_and_a_layer():
  net = dcgan.encoder(NetSpec(((8, 8, 1),), (5,)), width=4)
  x = jax.random.normal(KEY, (6, 8, 8, 1))
  params, stats = net.init(KEY)
  maps = parts.FirstHalvings(width=4, halvings=1).apply({"params": {"Conv_0": params["Conv_0"]}}, x)
  found, _ = net.apply(params, stats, x)
  truth = np.asarray(maps).reshape(6, -1) @ np.asarray(params["Dense_0"]["kernel"]) + np.asarray(
    params["Dense_0"]["bias"]
  )
  np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-5)
  with pytest.raises(ConfigError, match="gives a vector"):
    dcgan.encoder(NetSpec(((8, 8, 1),), ()))


def test_refusals():
  with pytest.raises(ConfigError, match="multiple of 4, to be halved 2 times"):
    parts.first_doublings(NetSpec(((5,),), None), width=6, doublings=2)
  with pytest.raises(ConfigError, match="does not come to images of 8x8"):
    parts.last_doublings(NetSpec(((8, 8, 4),), (8, 8, 3)))
  with pytest.raises(ConfigError, match="have 3 channels"):
    parts.last_doublings(NetSpec(((8, 8, 3),), (32, 32, 3)))
  with pytest.raises(ConfigError, match="cannot be halved 2 times"):
    parts.first_halvings(NetSpec(((6, 6, 3),), None), halvings=2)
  with pytest.raises(ConfigError, match="down to 4x4"):
    parts.last_halvings(NetSpec(((6, 6, 3),), ()))
  with pytest.raises(ConfigError, match="a score or a vector"):
    parts.last_halvings(NetSpec(((8, 8, 3),), (4, 4, 3)))
