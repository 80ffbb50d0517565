"""Dynamics: the DiracGAN's eigenvalues and paths, as theory has them, and a real game against its own simulation."""

from collections import ChainMap

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp

from gan_jax import train
from gan_jax.game import Net
from gan_jax.games import gan
from gan_jax.losses import adversarial
from gan_jax.metrics import dynamics

import dirac

MINIMAX, NON_SATURATING = adversarial.minimax(), adversarial.non_saturating()
RELATIVISTIC, WASSERSTEIN = adversarial.relativistic(), adversarial.wasserstein()
TURNS = ("discriminator", "generator")


@pytest.fixture(autouse=True)
def double_precision():
  with jax.enable_x64(True):
    yield


def dirac_field(*arguments, **settings):
  return dynamics.vector_field(dirac.losses(*arguments, **settings))


def pair(real, square):
  """The numbers real +- sqrt(square)."""
  root = np.sqrt(complex(square))
  return np.sort_complex([real - root, real + root])


# name: (pair of losses, other settings, eigenvalues)
EIGENVALUES = {
  "minimax": (MINIMAX, {}, pair(0, -1 / 4)),
  "non-saturating": (NON_SATURATING, {}, pair(0, -1 / 4)),
  "relativistic": (RELATIVISTIC, {}, pair(0, -1 / 4)),
  "wasserstein": (WASSERSTEIN, {}, pair(0, -1)),
} | {
  f"{name} {weight}": (loss, settings, pair(real, square))
  for weight in (0.3, 0.8, 2.5)
  for name, loss, settings, real, square in [
    ("minimax r1", MINIMAX, {"penalty": dirac.r1(weight)}, -weight / 2, (weight**2 - 1) / 4),
    ("non-saturating r1", NON_SATURATING, {"penalty": dirac.r1(weight)}, -weight / 2, (weight**2 - 1) / 4),
    ("wasserstein r1", WASSERSTEIN, {"penalty": dirac.r1(weight)}, -weight / 2, weight**2 / 4 - 1),
    ("relativistic r1 r2", RELATIVISTIC, {"penalty": dirac.r1_r2(weight)}, -weight, weight**2 - 1 / 4),
    ("minimax noise", MINIMAX, {"noise": dirac.gaussian(weight)}, -(weight**2) / 4, (weight**4 - 4) / 16),
    ("non-saturating noise", NON_SATURATING, {"noise": dirac.gaussian(weight)}, -(weight**2) / 4, (weight**4 - 4) / 16),
  ]
}


@pytest.mark.parametrize("name", EIGENVALUES)
def test_eigenvalues_of_the_dirac_gan(name):
  loss, settings, expected = EIGENVALUES[name]
  found = dynamics.eigenvalues(dirac_field(loss, **settings), dirac.point(0.0, 0.0))
  assert found.dtype == np.complex128
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("weight", [0.3, 2.5])
def test_eigenvalues_under_consensus(weight):
  field = dirac.consensus(dirac_field(NON_SATURATING), weight)
  np.testing.assert_allclose(
    dynamics.eigenvalues(field, dirac.point(0.0, 0.0)), pair(-weight / 4, -1 / 4), rtol=0, atol=1e-9
  )


def test_field_and_jacobian_by_hand():
  """a minimises a b^2 + |c|^2, where c is a's too; b minimises 3 a b: v = (-b^2, -2 c, -3 a)."""
  losses = {
    "first": lambda p: p["first"]["a"] * p["second"] ** 2 + jnp.sum(p["first"]["c"] ** 2),
    "second": lambda p: 3 * p["first"]["a"] * p["second"],
  }
  point = {"second": jnp.array(5.0), "first": {"a": jnp.array(2.0), "c": jnp.array([1.0, -1.0])}}
  field = dynamics.vector_field(losses)
  v = field(point)
  assert v["first"]["a"] == -25 and v["second"] == -6
  np.testing.assert_array_equal(v["first"]["c"], [-2.0, 2.0])
  expected = [[0, 0, 0, -10], [0, -2, 0, 0], [0, 0, -2, 0], [-3, 0, 0, 0]]
  np.testing.assert_allclose(dynamics.jacobian(field, point), expected)
  np.testing.assert_allclose(dynamics.eigenvalues(field, point), np.sort_complex([30**0.5, -(30**0.5), -2, -2]))


def test_wrong_names_are_told():
  field = dirac_field(MINIMAX)
  with pytest.raises(ValueError, match=r"names the players \['discriminator'\], .* \['discriminator', 'generator'\]"):
    field({"discriminator": jnp.array(0.0)})
  with pytest.raises(ValueError, match=r"turns names \['critic'\]; the players are \['discriminator', 'generator'\]"):
    dynamics.simulate(field, dirac.point(0.0, 1.0), 0.1, 3, ("critic", "generator"))


def test_steps_by_hand():
  """psi loses h theta, theta gains h psi; in turns the generator sees the new psi, moved twice here."""
  field, start = dirac_field(WASSERSTEIN), dirac.point(2.0, 1.0)
  at_once = dynamics.simulate(field, start, 0.5, 2)
  np.testing.assert_allclose(at_once["discriminator"], [1.5, 0.5])
  np.testing.assert_allclose(at_once["generator"], [2.0, 2.75])
  in_turn = dynamics.simulate(field, start, 0.5, 1, ("discriminator", "discriminator", "generator"))
  np.testing.assert_allclose([in_turn["discriminator"][0], in_turn["generator"][0]], [1.0, 1.5])
  other_order = dynamics.simulate(field, start, 0.5, 1, ("generator", "discriminator"))
  np.testing.assert_allclose([other_order["discriminator"][0], other_order["generator"][0]], [1.0, 2.0])


@pytest.mark.parametrize("step_size", [0.05, 0.2])
def test_minimax_grows_when_players_move_at_once(step_size):
  path = dynamics.simulate(dirac_field(MINIMAX), dirac.point(1e-3, 0.0), step_size, 100)
  growth = (dirac.radius(path)[-1] / 1e-3) ** (1 / 100)
  assert growth == pytest.approx(abs(1 + 0.5j * step_size), rel=1e-7)


@pytest.mark.parametrize("start", [1e-3, 1.0])
def test_minimax_keeps_its_radius_in_turns(start):
  """The linear map has the invariant psi^2 + theta^2 - (h/2) psi theta, an ellipse with axes 1 +- h/4."""
  h = 0.1
  path = dynamics.simulate(dirac_field(MINIMAX), dirac.point(start, 0.0), h, 20_000, TURNS)
  radius = dirac.radius(path) / start
  bound = np.sqrt((1 + h / 4) / (1 - h / 4))
  assert 1 / bound < radius.min() < 1 - 0.4 * (bound - 1) and 1 + 0.4 * (bound - 1) < radius.max() < bound
  if start < 0.01:
    psi, theta = path["discriminator"] / start, path["generator"] / start
    np.testing.assert_allclose(psi**2 + theta**2 - h / 2 * psi * theta, 1.0, rtol=1e-5)


@pytest.mark.parametrize("start", [0.1, 2.0])
@pytest.mark.parametrize("step_size", [0.02, 0.1])
def test_non_saturating_settles_on_a_cycle_when_players_move_at_once(start, step_size):
  """(r^2)' = -r^4/8 + h r^2/4 to lowest order: the cycle has radius sqrt(2h), from within and from without."""
  path = dynamics.simulate(dirac_field(NON_SATURATING), dirac.point(start, 0.0), step_size, int(400 / step_size**1.5))
  radius = dirac.radius(path)[-int(4 * np.pi / step_size) :]
  np.testing.assert_allclose(radius, np.sqrt(2 * step_size), rtol=0.01)


def test_non_saturating_decays_slowly_in_turns():
  path = dynamics.simulate(dirac_field(NON_SATURATING), dirac.point(1.0, 0.0), 0.05, 40_000, TURNS)
  time = 0.05 * np.arange(1, 40_001)
  np.testing.assert_allclose(dirac.radius(path)[10_000:], np.sqrt(8 / time[10_000:]), rtol=0.02)


def test_non_saturating_decays_slowly_in_continuous_time():
  field = jax.jit(dirac_field(NON_SATURATING))

  def flow(_, state):
    v = field(dirac.point(*state))
    return [v["discriminator"], v["generator"]]

  times = np.array([250.0, 500.0, 1000.0])
  path = solve_ivp(flow, (0, 1000), [1.0, 0.0], "DOP853", times, rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(np.hypot(*path.y), np.sqrt(8 / times), rtol=0.02)


CONVERGENT = {
  "r1": dict(penalty=dirac.r1(0.5)),
  "strong r1": dict(penalty=dirac.r1(2.5)),
  "instance noise": dict(noise=dirac.gaussian(1.0)),
}


@pytest.mark.parametrize("name", CONVERGENT)
def test_linear_convergence(name):
  """A step shrinks the distance by |1 + h lambda|, lambda the slowest eigenvalue; 708 steps are ten half turns."""
  field = dirac_field(NON_SATURATING, **CONVERGENT[name])
  radius = dirac.radius(dynamics.simulate(field, dirac.point(1.0, 0.0), 0.1, 1_000))
  slowest = np.abs(1 + 0.1 * dynamics.eigenvalues(field, dirac.point(0.0, 0.0))).max()
  assert (radius[-1] / radius[-709]) ** (1 / 708) == pytest.approx(slowest, rel=1e-5)


def test_r1_converges_without_end():
  """|1 - 0.025 + 0.0433i|^5000 = 1e-53. Instance noise ends near 1e-17, where a sigmoid no longer differs from 1/2."""
  path = dynamics.simulate(dirac_field(NON_SATURATING, dirac.r1(0.5)), dirac.point(1.0, 0.0), 0.1, 5_000)
  assert 3e-54 < dirac.radius(path)[-1] < 3e-52


def test_wgan_gp_never_arrives():
  """With weight below 2 it ends on a cycle, at weight * target * coth(weight * pi / (2 sqrt(4 - weight^2))).

  While psi > 0, theta swings about +weight * target like a spring with friction `weight`, while psi < 0 about minus
  that; half a swing shrinks the distance from the centre by q = exp(-weight * pi / sqrt(4 - weight^2)), and the
  amplitude that reproduces itself is weight * target * (1 + q) / (1 - q).
  """
  for weight, target in [(0.3, 1.0), (1.0, 1.0), (1.0, 0.25), (1.9, 1.0)]:
    expected = weight * target / np.tanh(weight * np.pi / (2 * np.sqrt(4 - weight**2)))
    field = dirac_field(WASSERSTEIN, dirac.wgan_gp(weight, target))
    for start in (0.1, 4.0):
      path = dynamics.simulate(field, dirac.point(0.0, start), 2e-3, 40_000, TURNS)
      last_cycle = path["generator"][-15_000:]
      np.testing.assert_allclose([-last_cycle.min(), last_cycle.max()], expected, rtol=0.01)


def test_wgan_gp_with_much_weight_rests_beside_the_data():
  """With weight above 2 the springs are overdamped: theta comes to rest at weight * target, not at the data."""
  path = dynamics.simulate(dirac_field(WASSERSTEIN, dirac.wgan_gp(3.0, 0.5)), dirac.point(0.0, -1.0), 0.01, 5_000)
  assert abs(path["generator"][-1]) == pytest.approx(3.0 * 0.5, rel=1e-6)
  assert path["discriminator"][-1] == pytest.approx(0.0, abs=1e-6)


def dirac_game(loss, rate, simultaneous):
  """The same game of networks with one parameter each."""
  generator = Net(
    lambda key: ({"theta": jnp.array(1.0)}, {}), lambda p, s, z, key=None, train=True: (p["theta"] + 0 * z, s)
  )
  discriminator = Net(
    lambda key: ({"psi": jnp.array(0.5)}, {}), lambda p, s, x, key=None, train=True: (p["psi"] * x[:, 0], s)
  )
  return gan.make(
    generator=generator,
    discriminator=discriminator,
    loss=loss,
    tx=optax.sgd(rate),
    latent_dim=1,
    simultaneous=simultaneous,
  )


@pytest.mark.parametrize("simultaneous", [True, False])
def test_a_real_game_is_what_its_field_says(simultaneous):
  """From a `Game` to plain losses: its eigenvalues are theory's, and its training is the field's path."""
  game = dirac_game(NON_SATURATING, 0.1, simultaneous)
  state, batch = train.init(game, jax.random.key(0)), {"x": jnp.zeros((3, 1))}

  def loss_of(player):
    return lambda point: player.loss({**state.params, **ChainMap(*point.values())}, state, batch, state.key)[0]

  field = dynamics.vector_field({name: loss_of(player) for name, player in game.players.items()})
  point = {name: {net: state.params[net] for net in player.owns} for name, player in game.players.items()}
  zero = jax.tree.map(jnp.zeros_like, point)
  np.testing.assert_allclose(dynamics.eigenvalues(field, zero), pair(0, -1 / 4), atol=1e-9)

  path = dynamics.simulate(field, point, 0.1, 50, () if simultaneous else TURNS)
  trained, _ = jax.jit(train.make_scan(game, 50, lambda key: batch))(state)
  np.testing.assert_allclose(trained.params["generator"]["theta"], path["generator"]["generator"]["theta"][-1])
  np.testing.assert_allclose(trained.params["discriminator"]["psi"], path["discriminator"]["discriminator"]["psi"][-1])


def test_sweep_over_starts_and_step_sizes():
  field = dirac_field(NON_SATURATING)
  run = jax.jit(jax.vmap(lambda psi, h: dirac.radius(dynamics.simulate(field, dirac.point(psi, 0.0), h, 10))))
  alone = dirac.radius(dynamics.simulate(field, dirac.point(0.7, 0.0), 0.2, 10))
  np.testing.assert_allclose(run(jnp.array([0.1, 0.7]), jnp.array([0.1, 0.2]))[1], alone, rtol=1e-12)
