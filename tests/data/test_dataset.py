"""The contract of a source, held against one of each kind: a pure draw whose arrays are leaves, pixels in [-1, 1]."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import mnist, synthetic
from gan_jax.data.dataset import augment, check_domains, decode, from_arrays, from_domains, label_of, sides
from gan_jax.errors import ConfigError

KEY = jax.random.key(7)
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


@pytest.mark.parametrize("wrong", [255.0, -1.01, np.nan])
@pytest.mark.parametrize("split", ["train", "test"])
def test_images_that_are_floats_beyond_their_range_are_refused(wrong, split):
  images = {"x": np.zeros((3, 2, 2, 1), np.float32)}
  other = {"x": np.full((3, 2, 2, 1), wrong, np.float32)}
  splits = {"train": images, "test": images} | {split: other}
  with pytest.raises(ConfigError, match=r"mine: x has values from .*; images are uint8, or floats in \[-1, 1\]"):
    from_arrays("mine", **splits)
  points = {"x": np.full((3, 2), 255.0, np.float32)}
  assert from_arrays("mine", points, points).size == 3


def test_from_arrays_draws_each_example_alike_and_keeps_rows_together():
  x = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1) * 51
  train = {"x": x, "label": np.arange(5, dtype=np.int32), "extra": np.arange(5, dtype=np.float32) / 2}
  batch = from_arrays("five", train, train, classes=5).draw(jax.random.key(0), 10_000)
  label = np.asarray(batch["label"])
  np.testing.assert_allclose(batch["x"][:, 0, 0, 0], label * 0.4 - 1, atol=1e-6)
  np.testing.assert_array_equal(batch["extra"], label / 2)
  expected = 10_000 / 5
  assert ((np.bincount(label, minlength=5) - expected) ** 2 / expected).sum() < 20  # chi-squared, 4 degrees: p < 0.001


def coordinates(count, height, width):
  """Images whose pixels are their row and column, so that a crop says whence it comes."""
  return np.broadcast_to(np.stack(np.mgrid[:height, :width], axis=-1).astype(np.uint8), (count, height, width, 2))


def test_one_domain_draws_the_numbers_that_it_always_drew():
  """Runs that were made before are repeated bit for bit: the index is drawn with the key itself."""
  x = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1)
  key = jax.random.key(11)
  batch = from_arrays("seven", {"x": x}, {"x": x}).draw(key, 64)
  np.testing.assert_array_equal(batch["x"], decode({"x": jnp.asarray(x)[jax.random.randint(key, (64,), 0, 7)]})["x"])


def test_domains_are_drawn_independently_and_rows_stay_together():
  x, y = (np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1) for n in (40, 50))
  train = {"x": {"x": x, "label": np.arange(40)}, "y": {"y": y, "label_y": np.arange(50)}}
  dataset = from_domains("two", train, {"x": x, "y": y}, classes=50)
  assert (dataset.shape, dataset.size, dataset.classes, dataset.stream) == ((1, 1, 1), 40, 50, None)
  assert from_domains("two", {"x": {"x": y}, "y": {"y": x}}, {}).size == 40
  batch = {k: np.asarray(v) for k, v in dataset.draw(jax.random.key(0), 10_000).items()}
  for image, label, count in (("x", "label", 40), ("y", "label_y", 50)):
    np.testing.assert_allclose(batch[image][:, 0, 0, 0], batch[label] / 127.5 - 1, atol=1e-6)
    expected = 10_000 / count
    seen = np.bincount(batch[label], minlength=count)
    assert ((seen - expected) ** 2 / expected).sum() < 86  # chi-squared, at most 49 degrees: p < 0.001
  assert abs(np.corrcoef(batch["label"], batch["label_y"])[0, 1]) < 4 / np.sqrt(10_000)


def test_two_equal_domains_are_not_drawn_alike():
  x = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
  dataset = from_domains("same", {"x": {"x": x}, "y": {"y": x}}, {"x": x, "y": x})
  batch = jax.jit(lambda draw, key: draw(key, 10_000))(dataset.draw, jax.random.key(1))
  assert float(jnp.mean(batch["x"] == batch["y"])) < 0.02  # 0.01 expected
  assert len(jax.tree.leaves(dataset.draw)) == 2


def test_two_domains_draw_the_numbers_that_they_always_drew():
  """Runs that were made before are repeated bit for bit: one half of the key for x, one for y."""
  x, y = (np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1) for n in (7, 9))
  key = jax.random.key(11)
  batch = from_domains("two", {"x": {"x": x}, "y": {"y": y}}, {}).draw(key, 64)
  for name, images, own in zip("xy", (x, y), jax.random.split(key)):
    index = jax.random.randint(own, (64,), 0, len(images))
    np.testing.assert_array_equal(batch[name], decode({"x": jnp.asarray(images)[index]})["x"])


def test_each_of_many_domains_is_drawn_by_itself_with_its_labels():
  """Of 30, 40, 50 and 60 images whose grey is their label; every pair of domains is uncorrelated."""
  sizes = {"photo": 30, "x": 40, "Monet": 50, "_": 60}
  images = {d: np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1) for d, n in sizes.items()}
  train = {d: {d: images[d], label_of(d): np.arange(n)} for d, n in sizes.items()}
  dataset = from_domains("four", train, images, classes=60)
  assert dataset.domains == ("photo", "x", "Monet", "_") and dataset.size == 30
  assert dataset.arrays.keys() == {*sizes, "label_photo", "label", "label_Monet", "label__"}
  np.testing.assert_array_equal(dataset.held_out, images["photo"])
  batch = {k: np.asarray(v) for k, v in jax.jit(lambda draw, key: draw(key, 10_000))(dataset.draw, KEY).items()}
  for domain, count in sizes.items():
    labels = batch[label_of(domain)]
    np.testing.assert_allclose(batch[domain][:, 0, 0, 0], labels / 127.5 - 1, atol=1e-6)
    expected = 10_000 / count
    assert ((np.bincount(labels, minlength=count) - expected) ** 2 / expected).sum() < 99  # 59 degrees: p < 0.001
  correlations = np.corrcoef([batch[label_of(d)] for d in sizes])
  assert np.abs(correlations - np.eye(4)).max() < 4.5 / np.sqrt(10_000)


def test_domains_of_different_shapes_or_shared_names():
  x, y = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 4, 5, 3), np.uint8)
  domains = {"x": {"x": x}, "z": {"z": x}, "y": {"y": y}}
  with pytest.raises(ConfigError, match=r"images \[4, 4, 3\] in domain x but \[4, 5, 3\] in domain y"):
    from_domains("three", domains, {})
  assert from_domains("three", domains, {}, crop=4).shape == (4, 4, 3)
  shared = {d: {d: x, "label": np.arange(2)} for d in "xy"}
  with pytest.raises(ConfigError, match=r"domains x and y both have \['label'\]"):
    from_domains("two", shared, {})
  with pytest.raises(ConfigError, match="one: it takes two domains at least, and there is x"):
    from_domains("one", {"x": {"x": x}}, {})


@pytest.mark.parametrize(
  ("domains", "message"),
  [
    (("x", "2"), "a domain cannot be called '2'; letters, digits and _"),
    (("x", "a b"), "a domain cannot be called 'a b'; letters"),
    (("x", ""), "a domain cannot be called ''; letters"),
    (("label", "x"), "a domain cannot be called 'label', for something else is"),
    (("x", "condition"), "a domain cannot be called 'condition', for"),
    (("a", "A"), "a domain cannot be called 'A', for"),
    (("b", "label_b"), "a domain cannot be called 'label_b', for"),
    (("a", "b", "b_in_a"), "a domain cannot be called 'b_in_a', for"),
    (("a_to_b", "a", "b"), "a domain cannot be called 'a_to_b', for"),
    ((), "it takes two domains at least, and there is none"),
  ],
)
def test_names_that_domains_cannot_have(domains, message):
  with pytest.raises(ConfigError, match=message):
    check_domains("data", domains)
  check_domains("data", ("A", "B", "summer_photo", "é"))


def test_crops_lie_within_at_every_place_and_half_are_mirrored():
  x = np.asarray(augment(jnp.asarray(coordinates(6000, 5, 7)), jax.random.key(2), 4, flip=True)).astype(int)
  assert x.shape == (6000, 4, 4, 2)
  top, left = x[:, 0, 0, 0], x[..., 1].min((1, 2))
  mirrored = x[:, 0, 0, 1] > x[:, 0, -1, 1]
  across = np.where(mirrored[:, None], np.arange(4)[::-1], np.arange(4))
  rows, columns = top[:, None] + np.arange(4), left[:, None] + across
  np.testing.assert_array_equal(x[..., 0], np.broadcast_to(rows[:, :, None], (6000, 4, 4)))
  np.testing.assert_array_equal(x[..., 1], np.broadcast_to(columns[:, None, :], (6000, 4, 4)))
  seen = np.zeros((2, 4, 2))
  np.add.at(seen, (top, left, mirrored.astype(int)), 1)
  expected = 6000 / 16
  assert ((seen - expected) ** 2 / expected).sum() < 38  # chi-squared, 15 degrees: p < 0.001


def test_augmentation_by_parts():
  images = jnp.asarray(coordinates(50, 4, 4))
  whole = augment(images, jax.random.key(0))
  np.testing.assert_array_equal(whole, images)
  assert augment(images, jax.random.key(0), 3).dtype == jnp.uint8
  assert (jnp.diff(augment(images, jax.random.key(0), 3)[..., 1].astype(int), axis=2) == 1).all()
  flipped = np.asarray(augment(images, jax.random.key(0), flip=True))
  assert {x.tobytes() for x in flipped} == {np.asarray(x).tobytes() for x in (images[0], images[0, :, ::-1])}


def test_drawn_images_are_augmented_and_the_rest_is_not():
  x = coordinates(8, 6, 6) + np.arange(8, dtype=np.uint8)[:, None, None, None] * 10
  train = {"x": x, "mask": x, "label": np.arange(8, dtype=np.int32)}
  dataset = from_arrays("eight", train, {"x": x[:, :4, :4]}, 8, crop=4, flip=True)
  assert dataset.shape == (4, 4, 2)
  draw = jax.jit(lambda draw, key: draw(key, 300))
  batch = {k: np.asarray(v) for k, v in draw(dataset.draw, jax.random.key(0)).items()}
  assert batch["x"].shape == (300, 4, 4, 2)
  np.testing.assert_array_equal(batch["x"], batch["mask"])  # all images of an example alike
  pixels = np.rint((batch["x"] + 1) * 127.5).astype(int)
  np.testing.assert_array_equal(pixels[..., 0].min((1, 2)) // 10, batch["label"])
  assert len({p.tobytes() for p in pixels[batch["label"] == 3]}) > 10
  other = draw(dataset.draw, jax.random.key(1))
  assert not np.array_equal(batch["x"], other["x"])


@pytest.mark.parametrize(
  "settings, expected",
  [((None, 0), (None, None)), ((256, 0), (256, None)), ((256, 286), (286, 256)), ((256, 256), (256, None))],
)
def test_sides(settings, expected):
  assert sides(*settings) == expected


@pytest.mark.parametrize("settings, message", [((None, 286), "no resolution says"), ((256, 255), "give more")])
def test_sides_that_cannot_be(settings, message):
  with pytest.raises(ValueError, match=f"resize is {settings[1]}, .*{message}"):
    sides(*settings)


def test_a_resolution_below_one():
  with pytest.raises(ValueError, match="resolution is 0; it has to be at least 1"):
    sides(0, 0)
