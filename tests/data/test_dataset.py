"""The contract of a source, held against one of each kind: a pure draw whose arrays are leaves, pixels in [-1, 1]."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import mnist, synthetic
from gan_jax.data.dataset import decode, from_arrays

SOURCES = [mnist.digits, synthetic.ring8]


@pytest.fixture(scope="module", params=SOURCES, ids=lambda source: source.__name__)
def dataset(request):
  return request.param()


def assert_same(batch, other, index=()):
  for name, value in batch.items():
    np.testing.assert_allclose(value, other[name][index], atol=1e-6)  # a compiler may fuse a product into a sum


def test_name_shape_classes_and_types(dataset):
  batch = dataset.draw(jax.random.key(0), 7)
  assert dataset.name in [source.__name__ for source in SOURCES]
  assert batch["x"].shape == (7, *dataset.shape) and batch["x"].dtype == jnp.float32
  assert batch["label"].shape == (7,) and batch["label"].dtype == dataset.test["label"].dtype == jnp.int32
  assert dataset.test["x"].shape[1:] == dataset.shape and len(dataset.test["x"]) == len(dataset.test["label"])
  assert set(dataset.test["label"].tolist()) == set(range(dataset.classes))
  assert all(isinstance(value, np.ndarray) for value in dataset.test.values())


def test_images_fill_the_unit_interval_and_points_do_not(dataset):
  x = jax.jit(lambda draw, key: draw(key, 2048))(dataset.draw, jax.random.key(1))["x"]
  if len(dataset.shape) == 3:
    assert x.min() == -1.0 and x.max() == 1.0
  else:
    assert jnp.abs(x).max() > 1.5


def test_draw_is_pure(dataset):
  first, again, other = (dataset.draw(jax.random.key(seed), 32)["x"] for seed in (3, 3, 4))
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)


def test_draw_is_the_same_compiled_scanned_and_batched(dataset):
  keys = jax.random.split(jax.random.key(5), 3)
  draw = lambda key: dataset.draw(key, 16)
  _, scanned = jax.jit(lambda keys: jax.lax.scan(lambda carry, key: (carry, draw(key)), 0, keys))(keys)
  compiled, batched = jax.jit(draw), jax.vmap(draw)(keys)
  for i, batch in enumerate(map(draw, keys)):
    assert_same(batch, compiled(keys[i]))
    assert_same(batch, scanned, i)
    assert_same(batch, batched, i)


def test_arrays_are_leaves_and_no_constants(dataset):
  program = jax.make_jaxpr(lambda draw, key: draw(key, 4))(dataset.draw, jax.random.key(0))
  leaves = jax.tree.leaves(dataset.draw)
  assert all(isinstance(leaf, jax.Array) for leaf in leaves)
  assert len(program.jaxpr.invars) == len(leaves) + 1 and not program.consts
  changed = jax.tree.map(jnp.zeros_like, dataset.draw)(jax.random.key(0), 4)
  assert not np.array_equal(changed["x"], dataset.draw(jax.random.key(0), 4)["x"], equal_nan=True)


@pytest.mark.parametrize("make", [mnist.mnist5k, mnist.digits])
def test_draw_never_sees_the_test_split(make):
  dataset = make()
  drawn = {x.tobytes() for x in np.asarray(dataset.draw(jax.random.key(6), 4000)["x"])}
  held_out = {x.tobytes() for x in np.asarray(decode({"x": jnp.asarray(dataset.test["x"])})["x"])}
  assert len(held_out) == len(dataset.test["x"])
  assert not drawn & held_out


def test_decode_is_exact_and_the_same_compiled():
  pixels = jnp.arange(256, dtype=jnp.uint8)
  eager, compiled = decode({"x": pixels})["x"], jax.jit(decode)({"x": pixels})["x"]
  np.testing.assert_array_equal(eager, compiled)
  np.testing.assert_allclose(eager, np.arange(256) / 127.5 - 1, rtol=0, atol=1e-7)
  assert eager[0] == -1.0 and eager[255] == 1.0
  np.testing.assert_array_equal(eager, -eager[::-1])


def test_decode_leaves_the_rest_alone():
  batch = {"points": jnp.array([3.5]), "label": jnp.array([200])}
  assert decode(batch)["points"].tolist() == [3.5] and decode(batch)["label"].tolist() == [200]


def test_from_arrays_draws_each_example_alike_and_keeps_rows_together():
  x = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1) * 51
  train = {"x": x, "label": np.arange(5, dtype=np.int32), "extra": np.arange(5, dtype=np.float32) / 2}
  batch = from_arrays("five", train, train, classes=5).draw(jax.random.key(0), 10_000)
  label = np.asarray(batch["label"])
  np.testing.assert_allclose(batch["x"][:, 0, 0, 0], label * 0.4 - 1, atol=1e-6)
  np.testing.assert_array_equal(batch["extra"], label / 2)
  expected = 10_000 / 5
  assert ((np.bincount(label, minlength=5) - expected) ** 2 / expected).sum() < 20  # chi-squared, 4 degrees: p < 0.001
