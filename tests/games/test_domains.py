"""Nets of several domains under one name: each by itself, and one array where they share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import ConfigError
from gan_jax.forward import forward
from gan_jax.game import DataSpec, Net, TrainState
from gan_jax.games import _domains
from gan_jax.losses import adversarial

KEY = jax.random.key(2)


def counting() -> Net:
  """w x, and how often it was applied."""

  def apply(p, s, x, key=None, train=True):
    return p["w"] * x, {"calls": s["calls"] + 1.0} if train else s

  return Net(lambda key: ({"w": jax.random.normal(key)}, {"calls": jnp.zeros(())}), apply)


def test_each_domain_has_a_net_of_its_own():
  net = _domains.each(counting(), 3)
  params, stats = net.init(KEY)
  assert params["w"].shape == stats["calls"].shape == (3,) and len({*np.asarray(params["w"]).tolist()}) == 3
  for domain in (1, jnp.int32(1)):
    y, moved = net.apply(params, stats, jnp.ones(2), domain)
    np.testing.assert_allclose(y, params["w"][1])
    np.testing.assert_allclose(moved["calls"], [0.0, 1.0, 0.0])
  slopes = jax.grad(lambda p: net.apply(p, stats, jnp.array([2.0]), jnp.int32(2))[0].sum())(params)
  np.testing.assert_allclose(slopes["w"], [0.0, 0.0, 2.0])


def test_domain_loss_is_the_mean_cross_entropy_over_domains():
  logits = np.array(
    [[[0.5, -1.0, 0.0], [2.0, 0.0, 1.0]], [[1.0, 0.3, 0.1], [0.0, 0.0, 0.0]], [[0.0, 1.0, 3.0], [1, 1, 1]]]
  )
  nets = {_domains.DOMAIN_DISCRIMINATOR: Net(lambda key: ({}, {}), lambda p, s, x, key=None, train=True: (x, s))}
  state = TrainState(
    step=jnp.zeros((), jnp.int32),
    key=KEY,
    params={_domains.DOMAIN_DISCRIMINATOR: {}},
    stats={_domains.DOMAIN_DISCRIMINATOR: {}},
    opt={},
    ema={},
    memory=(),
  )
  use = forward(nets, state.params, state, KEY)
  log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  found = _domains.domain_loss(use, [jnp.asarray(each, jnp.float32) for each in logits])
  np.testing.assert_allclose(found, -np.mean([log_p[i, :, i] for i in range(3)]), rtol=1e-6)
  flat = _domains.domain_loss(use, [jnp.zeros((4, 3))] * 3)
  np.testing.assert_allclose(flat, np.log(3.0), rtol=1e-6)


def test_judgement_pairs_translations_with_data_of_their_domain():
  """By the relativistic loss softplus(fake - real), which sees the pairs, of images that are their own scores."""
  x, scales = np.array([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.1]], np.float32), [0.5, -2.0, 3.0]

  def use(name, value, domain=None):
    return {"discriminator": lambda: value, "generator_first": lambda: value}.get(
      name, lambda: scales[domain] * value
    )()

  value, metrics = _domains.judgement(use, adversarial.relativistic(), x, x)
  pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
  truth = sum(np.log1p(np.exp(scales[j] * x[i] - x[j])).mean() for i, j in pairs)
  np.testing.assert_allclose(value, truth, rtol=1e-6)
  fakes = np.mean([scales[j] * x[i] for i, j in pairs])
  np.testing.assert_allclose([metrics["real"], metrics["fake"]], [x.mean(), fakes], rtol=1e-5)


def test_all_ways_name_their_domains():
  ways = _domains.all_ways(("x", "y", "z"), lambda params, stats, x, here, there: x + 10 * here + there)
  assert len(ways["directions"]) == 6
  assert float(ways["translate"]({}, {}, KEY, jnp.zeros(()), "z", "y")) == 21.0
  with pytest.raises(ConfigError, match="no translation from 'x' to 'x'"):
    ways["translate"]({}, {}, KEY, jnp.zeros(()), "x", "x")


def test_one_domain_is_not_several():
  with pytest.raises(ConfigError, match="two domains or more"):
    _domains.several(DataSpec((8, 8, 1)), "unit")
