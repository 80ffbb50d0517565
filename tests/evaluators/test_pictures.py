"""What the pictures of a state show, number by number, from generators that show what they are given."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.evaluators import Context, samples, translation
from experiments.evaluators import codes as evaluator
from gan_jax import train
from gan_jax.data.dataset import Dataset
from gan_jax.errors import ConfigError
from gan_jax.game import DataSpec, Game, Net
from gan_jax.games import cyclegan, gan, infogan
from gan_jax.games.infogan import Codes
from gan_jax.losses import adversarial

KEY = jax.random.key(1)
SHARED = {"loss": adversarial.least_squares(), "tx": optax.sgd(0.1)}


def shown(images) -> Net:
  """A net that gives `images(scale, x)`: its scale is 1, its moving average's 1 too unless a test says otherwise."""

  def apply(p, s, x, key=None, train=True):
    assert not train, "pictures are drawn outside of training"
    return images(p["scale"], x), s

  return Net(lambda key: ({"scale": jnp.ones(())}, {}), apply)


SCORES = shown(lambda scale, x: scale * x.sum(1))


def state_of(game, **averages):
  """A state with other weights than their averages, of which pictures are drawn."""
  state = train.init(game, KEY)
  ema = {net: {"params": {"scale": jnp.array(averages.get(net, 1.0))}, "stats": {}} for net in state.ema}
  return state.replace(params=jax.tree.map(lambda w: 50.0 * w, state.params), ema=ema)


def dataset(shape, test=()):
  return Dataset("toy", shape, 0, None, None, dict(test))


@pytest.mark.parametrize(("shape", "n"), [((2, 2, 1), 5), ((2,), 160)])
def test_samples_are_of_the_average_and_the_same_each_time(shape, n):
  generator = shown(lambda scale, z: scale * z.reshape(len(z), *shape))
  game = gan.make(generator=generator, discriminator=SCORES, latent_dim=int(np.prod(shape)), **SHARED)
  (picture,) = samples.make(Context(game, dataset(shape), {}), n=5).pictures
  assert picture.name == "" and picture.columns is None
  once, twice, doubled = (jax.jit(picture.draw)(state_of(game, generator=scale)) for scale in (1.0, 1.0, 2.0))
  assert once.shape == (n, *shape)
  np.testing.assert_array_equal(once, twice)
  np.testing.assert_allclose(doubled, 2.0 * once, rtol=1e-6)
  assert 0.5 < once.std() < 1.5


def traversals(categorical, continuous):
  """Images [rows, columns, latent] by name: the generator shows its latent, 3 entries of noise before the codes."""
  codes = Codes(categorical, continuous)
  game = infogan.make(
    generator=shown(lambda scale, z: scale * z[:, None, :, None]),
    trunk=SCORES,
    discriminator=SCORES,
    recognition=SCORES,
    latent_dim=3 + codes.size,
    categorical=categorical,
    continuous=continuous,
    learnt_variance=True,
    **SHARED,
  )
  drawn = evaluator.make(Context(game, dataset((1, 3 + codes.size, 1)), {})).pictures
  found = {}
  for picture in drawn:
    images = jax.jit(picture.draw)(state_of(game))
    assert images.shape[1:] == (1, 3 + codes.size, 1)
    found[picture.name] = np.asarray(images).reshape(-1, picture.columns, 3 + codes.size)
  return found


def test_a_traversal_moves_one_code_and_holds_all_else():
  grids = traversals((4, 2), 2)
  along = {
    "categorical_0": (slice(3, 7), np.eye(4)),
    "categorical_1": (slice(7, 9), np.eye(2)),
    "continuous_0": (slice(9, 10), np.linspace(-1.0, 1.0, 10)[:, None]),
    "continuous_1": (slice(10, 11), np.linspace(-1.0, 1.0, 10)[:, None]),
  }
  assert list(grids) == list(along)
  for name, (place, values) in along.items():
    grid = grids[name]
    assert grid.shape == (8, len(values), 11)
    np.testing.assert_allclose(grid[:, :, place], np.broadcast_to(values, (8, *values.shape)), atol=1e-6)
    held = np.delete(grid, place, axis=2)
    np.testing.assert_array_equal(held, np.broadcast_to(held[:, :1], held.shape))
    assert len(np.unique(grid[:, 0, 0])) == 8  # each row has noise of its own
    # The noise and the codes that are held are the same in all grids, and codes are such as are drawn.
    np.testing.assert_array_equal(grid[:, 0, :3], grids["categorical_0"][:, 0, :3])
  fixed = grids["continuous_0"][:, 0]
  np.testing.assert_array_equal(fixed[:, 3:9], grids["continuous_1"][:, 0, 3:9])
  np.testing.assert_array_equal(fixed[:, 3:7].sum(1), 1.0)
  np.testing.assert_array_equal(fixed[:, 7:9].sum(1), 1.0)
  assert len(np.unique(fixed[:, 10])) == 8 and np.abs(fixed[:, 10]).max() <= 1.0


def test_games_of_one_kind_of_code_have_its_traversals():
  assert {name: grid.shape for name, grid in traversals((), 1).items()} == {"continuous_0": (8, 10, 4)}
  assert {name: grid.shape for name, grid in traversals((3,), 0).items()} == {"categorical_0": (8, 3, 6)}


def translating_game():
  """G doubles, F halves and subtracts 0.25; averages are 2 and 0.5."""
  return cyclegan.make(
    x_to_y=shown(lambda scale, x: scale * x),
    y_to_x=shown(lambda scale, x: scale * x - 0.25),
    discriminator_x=SCORES,
    discriminator_y=SCORES,
    data=DataSpec((2, 2, 1), 0, ("x", "y")),
    **SHARED,
  )


def test_translations_are_rows_of_sources_translations_and_ways_back():
  """Of 30 held-out images of X 12 are shown, evenly spread, and of 5 of Y all."""
  pixels = lambda n: np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
  game = translating_game()
  images = dataset((2, 2, 1), {"x": pixels(30), "y": 100 + pixels(5)})._replace(domains=("x", "y"))
  drawn = translation.make(Context(game, images, {})).pictures
  assert [(p.name, p.columns) for p in drawn] == [("x_to_y", 12), ("y_to_x", 5)]
  state = state_of(game, x_to_y=2.0, y_to_x=0.5)
  to_y, to_x = (np.asarray(jax.jit(p.draw)(state)).reshape(3, p.columns, 4) for p in drawn)
  x, y = (
    np.tile(values[:, None] / 127.5 - 1.0, 4) for values in (np.linspace(0, 29, 12).astype(int), np.arange(100, 105))
  )
  for found, expected in ((to_y, (x, 2 * x, x - 0.25)), (to_x, (y, y / 2 - 0.25, y - 0.5))):
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pictures_of_another_game_are_refused():
  with pytest.raises(ConfigError, match="it draws samples, which this game does not make"):
    samples.make(Context(translating_game(), dataset((2,)), {}))
  with pytest.raises(ConfigError, match="n is 0; it has to be at least 1"):
    samples.make(Context(Game({}, {}, (), sample=lambda *_: None), dataset((2,)), {}), n=0)
