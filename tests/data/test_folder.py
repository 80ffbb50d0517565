"""Folders that the tests write: which files are images of which split, and what becomes of each kind of file."""

import itertools
import os
import struct
import zlib

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax.data import folder
from gan_jax.errors import ConfigError

COLOUR = np.array([[[200, 100, 50]]], np.uint8)


def save(path, pixels, **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
  image.save(path, **options)
  return path


def grey(value, height=4, width=4):
  return np.full((height, width), value, np.uint8)


def write(root, values, **size):
  """A PNG of one grey for each value, under a name that sorts as the values do."""
  for value in values:
    save(root / f"{value:03}.png", grey(value, **size))
  return root


def values(images):
  return np.asarray(images)[:, 0, 0, 0].tolist()


def trained(dataset):
  return {k: np.asarray(v) for k, v in dataset.arrays.items()}


def read_one(path, others=()):
  """What becomes of a file, in a folder with one other file of the same size and mode or in `others`."""
  for i, other in enumerate(others):
    save(path.with_name(f"zz{i}.png"), other)
  if not others:
    path.with_name(f"zz{path.suffix}").write_bytes(path.read_bytes())
  return trained(folder.load(str(path.parent)))["x"][0]


@pytest.mark.parametrize(
  "suffix, atol", [(".png", 0), (".PNG", 0), (".jpg", 3), (".JPEG", 3), (".webp", 3), (".bmp", 0), (".gif", 0)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_file(tmp_path, suffix, atol, channels):
  pixels = np.broadcast_to(COLOUR if channels == 3 else np.uint8(90), (6, 5, channels))
  image = Image.fromarray(pixels.squeeze())
  options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
  x = read_one(save(tmp_path / f"a{suffix}", image, **options))
  kept = 3 if suffix in (".webp", ".gif") else channels  # these have no grey, only colours and palettes
  assert x.dtype == np.uint8 and x.shape == (6, 5, kept)
  np.testing.assert_allclose(x.astype(int), np.broadcast_to(pixels, x.shape), atol=atol)


def test_sixteen_bit_grey_is_scaled_and_not_clipped(tmp_path):
  deep = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
  x = read_one(save(tmp_path / "a.png", deep))
  assert x[..., 0].tolist() == [[0, 0, 1, 1, 128, 255]]  # round(v / 257)


def png(bits, kind, rows, *chunks):
  """A PNG by hand, for what Pillow does not write."""
  chunk = lambda tag, data: struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
  height, width = len(rows), len(rows[0])
  content = b"".join(b"\0" + np.asarray(row, ">u2" if bits == 16 else "u1").tobytes() for row in rows)
  head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
  parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(content)), (b"IEND", b"")]
  return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_sixteen_bits_with_a_clear_grey(tmp_path):
  (tmp_path / "a.png").write_bytes(png(16, 0, [[0, 25700, 514]], (b"tRNS", struct.pack(">H", 25700))))
  assert read_one(tmp_path / "a.png")[..., 0].tolist() == [[0, 255, 2]]


def test_sixteen_bit_colour(tmp_path):
  (tmp_path / "a.png").write_bytes(png(16, 2, [[[51400, 25700, 12850]] * 2]))
  np.testing.assert_allclose(read_one(tmp_path / "a.png").astype(int), np.broadcast_to(COLOUR, (1, 2, 3)), atol=1)


def test_black_and_white(tmp_path):
  x = read_one(save(tmp_path / "a.png", Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")))
  assert x[..., 0].tolist() == [[0, 255]]


def test_palette(tmp_path):
  image = Image.new("P", (2, 1))
  image.putpalette([200, 100, 50, 1, 2, 3])
  image.putdata([1, 0])
  assert read_one(save(tmp_path / "a.png", image)).tolist() == [[[1, 2, 3], [200, 100, 50]]]


def test_palette_with_a_clear_entry_shows_white(tmp_path):
  image = Image.new("P", (3, 1))
  image.putpalette([200, 100, 50, 1, 2, 3, 0, 0, 0])
  image.putdata([1, 0, 2])
  x = read_one(save(tmp_path / "a.png", image, transparency=bytes([255, 0, 51])))
  np.testing.assert_allclose(x.astype(int), [[[255, 255, 255], [200, 100, 50], [204, 204, 204]]], atol=1)
  x = read_one(save(tmp_path / "gif" / "a.gif", image, transparency=0))
  assert x[0, 1].tolist() == [255, 255, 255] and x[0, 0].tolist() == [1, 2, 3]


def test_alpha_shows_white(tmp_path):
  """v alpha + 255 (1 - alpha)."""
  pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 51], [200, 100, 50, 0]]], np.uint8)
  x = read_one(save(tmp_path / "a.png", pixels))
  np.testing.assert_allclose(x.astype(int), [[[200, 100, 50], [244, 224, 214], [255, 255, 255]]], atol=1)


def test_grey_with_alpha_stays_grey(tmp_path):
  x = read_one(save(tmp_path / "a.png", np.array([[[100, 255], [100, 51], [7, 0]]], np.uint8)))
  assert x.shape == (1, 3, 1)
  np.testing.assert_allclose(x[..., 0].astype(int), [[100, 224, 255]], atol=1)


@pytest.mark.parametrize("mode, clear", [("L", 90), ("RGB", (90, 90, 90))])
def test_a_clear_colour_shows_white(tmp_path, mode, clear):
  image = Image.fromarray(np.array([[90, 91]], np.uint8)).convert(mode)
  assert read_one(save(tmp_path / "a.png", image, transparency=clear))[0, :, 0].tolist() == [255, 91]


def test_cmyk(tmp_path):
  image = Image.new("CMYK", (8, 8), (255, 0, 255, 0))
  np.testing.assert_allclose(read_one(save(tmp_path / "a.jpg", image))[4, 4].astype(int), [0, 255, 0], atol=6)


def test_exif_orientation(tmp_path):
  """6: the stored left column is the top row, from right to left: a quarter turn clockwise shows it upright."""
  pixels = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
  exif = Image.Exif()
  exif[0x0112] = 6
  x = read_one(save(tmp_path / "a.png", pixels, exif=exif))
  np.testing.assert_array_equal(x[..., 0], np.rot90(pixels, -1))


def test_grey_becomes_rgb_beside_colour(tmp_path):
  x = read_one(save(tmp_path / "a.png", grey(77)), others=[np.broadcast_to(COLOUR, (4, 4, 3))] * 2)
  assert x.shape == (4, 4, 3) and (x == 77).all()


def test_a_colour_image_held_out_is_enough(tmp_path):
  write(tmp_path / "train", range(3))
  save(tmp_path / "test" / "a.png", np.broadcast_to(COLOUR, (4, 4, 3)))
  assert folder.load(str(tmp_path)).shape == (4, 4, 3)


def test_first_picture_of_an_animation(tmp_path):
  first, second = (Image.fromarray(grey(v)) for v in (10, 200))
  assert (read_one(save(tmp_path / "a.gif", first, save_all=True, append_images=[second])) == 10).all()


def test_the_last_tenth_is_held_out(tmp_path):
  dataset = folder.load(str(write(tmp_path, range(40))))
  assert (dataset.name, dataset.shape, dataset.classes, dataset.size) == (f"folder:{tmp_path}", (4, 4, 1), 0, 36)
  assert trained(dataset).keys() == dataset.test.keys() == {"x"}
  assert values(trained(dataset)["x"]) == list(range(36)) and values(dataset.test["x"]) == list(range(36, 40))
  assert dataset.test["x"].dtype == np.uint8
  batch = dataset.draw(jax.random.key(0), 300)
  assert set(np.rint((np.asarray(batch["x"])[:, 0, 0, 0] + 1) * 127.5).astype(int).tolist()) == set(range(36))


def test_classes_are_subfolders_and_each_is_split(tmp_path):
  write(tmp_path / "cat", range(20))
  write(tmp_path / "ant" / "deeper", range(100, 104))
  dataset = folder.load(str(tmp_path))
  train = trained(dataset)
  assert (dataset.classes, dataset.size) == (2, 21) and train["label"].dtype == dataset.test["label"].dtype == np.int32
  assert dict(zip(values(train["x"]), train["label"].tolist())) == dict.fromkeys(range(18), 1) | dict.fromkeys(
    range(100, 103), 0
  )
  assert dict(zip(values(dataset.test["x"]), dataset.test["label"].tolist())) == {103: 0, 18: 1, 19: 1}


def test_train_and_test_folders(tmp_path):
  for split, first in (("train", 0), ("test", 100)):
    write(tmp_path / split / "b", range(first, first + 3))
    write(tmp_path / split / "a", range(first + 3, first + 5))
  write(tmp_path, [250])  # beside them, and not read
  dataset = folder.load(str(tmp_path))
  assert dataset.classes == 2
  assert values(trained(dataset)["x"]) == [3, 4, 0, 1, 2] and trained(dataset)["label"].tolist() == [0, 0, 1, 1, 1]
  assert values(dataset.test["x"]) == [103, 104, 100, 101, 102] and dataset.test["label"].tolist() == [0, 0, 1, 1, 1]


def test_a_train_folder_alone_is_split(tmp_path):
  write(tmp_path / "train", range(10))
  assert values(folder.load(str(tmp_path)).test["x"]) == [9]


def test_a_test_folder_of_fewer_classes_keeps_their_numbers(tmp_path):
  for name, value in (("a", 1), ("b", 2), ("c", 3)):
    write(tmp_path / "train" / name, [value])
  write(tmp_path / "test" / "c", [4])
  assert folder.load(str(tmp_path)).test["label"].tolist() == [2]


@pytest.mark.parametrize("beside", ["", "train", "test"])
def test_no_labels_unless_every_image_has_one(tmp_path, beside):
  for split in ("train", "test"):
    write(tmp_path / split / "a", [1, 2])
    write(tmp_path / split / "b", [3, 4])
  if beside:
    write(tmp_path / beside, [5])
  dataset = folder.load(str(tmp_path))
  assert ("label" in dataset.test) == ("label" in trained(dataset)) == (not beside)
  assert dataset.classes == (0 if beside else 2)


def test_one_subfolder_is_no_class(tmp_path):
  write(tmp_path / "images", range(5))
  dataset = folder.load(str(tmp_path))
  assert dataset.classes == 0 and "label" not in dataset.test


def test_other_files_are_passed_over(tmp_path):
  write(tmp_path, range(10))
  (tmp_path / "README.md").write_text("no image")
  (tmp_path / "labels.csv").write_text("0,1")
  (tmp_path / "._000.png").write_text("left by another system")
  (tmp_path / ".thumbnails").mkdir()
  (tmp_path / ".thumbnails" / "a.png").write_text("a viewer's")
  assert folder.load(str(tmp_path)).size == 9


def test_linked_folders_are_followed(tmp_path):
  write(tmp_path / "elsewhere", range(10))
  (tmp_path / "here").mkdir()
  (tmp_path / "here" / "linked").symlink_to(tmp_path / "elsewhere")
  assert folder.load(str(tmp_path / "here")).size == 9


def domains(root, test=True):
  write(root / "trainA", range(20))
  write(root / "trainB", range(100, 110))
  if test:
    write(root / "testA", range(20, 25))
    write(root / "testB", range(110, 112))
  return root


def test_unpaired(tmp_path):
  dataset = folder.load(str(domains(tmp_path)))
  assert (dataset.shape, dataset.classes, dataset.size) == ((4, 4, 1), 0, 10)
  assert values(dataset.test["x"]) == [20, 21, 22, 23, 24] and values(dataset.test["y"]) == [110, 111]
  batch = dataset.draw(jax.random.key(0), 300)
  assert batch.keys() == dataset.test.keys() == {"x", "y"}
  x, y = (np.rint((np.asarray(batch[k])[:, 0, 0, 0] + 1) * 127.5).astype(int) for k in "xy")
  assert set(x.tolist()) == set(range(20)) and set(y.tolist()) == set(range(100, 110))


def test_unpaired_without_test_folders(tmp_path):
  dataset = folder.load(str(domains(tmp_path, test=False)))
  assert values(dataset.test["x"]) == [18, 19] and values(dataset.test["y"]) == [109]
  assert dataset.size == 9


@pytest.mark.parametrize("missing, other", [("trainA", "trainB"), ("trainB", "trainA")])
def test_half_of_unpaired_data(tmp_path, missing, other):
  domains(tmp_path).joinpath(missing).rename(tmp_path / "elsewhere")
  with pytest.raises(ValueError, match=f"has {other} alone: unpaired data has two such folders or more, as trainA"):
    folder.load(str(tmp_path))


def many(root, *names):
  """Folders of 6 training images and 2 held out each, of greys from 0, 20, 40, ..."""
  for i, name in enumerate(names):
    write(root / f"train{name}", range(20 * i, 20 * i + 6))
    write(root / f"test{name}", range(20 * i + 10, 20 * i + 12))
  return root


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
  ("names", "domains"),
  [
    ("CAB", "xyz"),
    ("BA", "xy"),
    ("ABCD", "ABCD"),
    ("AC", "AC"),
    (("winter", "Monet", "_photo", "B"), ("B", "Monet", "_photo", "winter")),
  ],
)
def test_any_number_of_domains(tmp_path, names, domains, streamed):
  """NAMEs in sorted order; the papers' letters where these are A and B, or A, B and C."""
  many(tmp_path, *sorted(names))
  dataset = folder.load(str(tmp_path), resolution=4 if streamed else None, memory=0.0 if streamed else 1.0)
  assert (dataset.domains, dataset.size, dataset.classes) == (tuple(domains), 6, 0)
  assert (dataset.draw is None) == streamed and dataset.test.keys() == set(domains)
  if streamed:
    batch = next(dataset.stream(12, 0, 0, (0, 1)))
  else:
    drawn = dataset.draw(jax.random.key(0), 200)
    batch = {k: np.rint((np.asarray(v) + 1) * 127.5).astype(int) for k, v in drawn.items()}
  assert batch.keys() == set(domains)
  for i, domain in enumerate(domains):
    assert set(values(batch[domain])) == set(range(20 * i, 20 * i + 6))
    assert values(dataset.test[domain]) == [20 * i + 10, 20 * i + 11]
  orders = {tuple(v % 20 for v in values(batch[domain])) for domain in domains}
  assert len(orders) == len(domains)  # each in an order of its own


def test_domains_that_cannot_be(tmp_path):
  many(tmp_path, "A", "B")
  write(tmp_path / "testC", range(3))
  with pytest.raises(ConfigError, match="has testC but no trainC to go with it: it has trainA and trainB"):
    folder.load(str(tmp_path))
  (tmp_path / "testC").rename(tmp_path / "train photo")
  with pytest.raises(ConfigError, match="a domain cannot be called ' photo'; letters, digits and _"):
    folder.load(str(tmp_path))
  (tmp_path / "train photo").rename(tmp_path / "traina")
  with pytest.raises(ConfigError, match="a domain cannot be called 'a', for something else is"):
    folder.load(str(tmp_path))


def test_a_folder_train_is_one_domain_whatever_lies_beside_it(tmp_path):
  many(tmp_path, "A", "_masks")
  write(tmp_path / "train", range(100, 106))
  dataset = folder.load(str(tmp_path))
  assert dataset.domains == ("x",) and values(trained(dataset)["x"]) == list(range(100, 105))


def test_resize_is_for_training_and_resolution_for_testing(tmp_path):
  dataset = folder.load(str(domains(tmp_path)), resolution=8, resize=10, flip=True)
  assert dataset.shape == dataset.test["x"].shape[1:] == dataset.test["y"].shape[1:] == (8, 8, 1)
  assert {leaf.shape[1:] for leaf in jax.tree.leaves(dataset.draw)} == {(10, 10, 1)}
  batch = dataset.draw(jax.random.key(0), 3)
  assert batch["x"].shape == batch["y"].shape == (3, 8, 8, 1)


def test_flip_alone(tmp_path):
  for i in range(2):
    save(tmp_path / f"{i}.png", np.array([[10, 20]], np.uint8))
  x = np.asarray(folder.load(str(tmp_path), flip=True).draw(jax.random.key(0), 400)["x"])
  assert 140 < (x[:, 0, 0, 0] > x[:, 0, 1, 0]).sum() < 260  # 200 expected, standard deviation 10


def test_images_of_several_sizes_need_a_resolution(tmp_path):
  write(tmp_path, range(3))
  wide = save(tmp_path / "1.png", grey(1, 4, 6))
  with pytest.raises(ValueError, match=rf"{wide} is \[4, 6, 1\], but others are \[4, 4, 1\]: give a resolution"):
    folder.load(str(tmp_path))
  assert folder.load(str(tmp_path), resolution=5).shape == (5, 5, 1)


def test_held_out_images_of_another_size(tmp_path):
  write(tmp_path / "train", range(3))
  write(tmp_path / "test", range(3), height=5)
  with pytest.raises(ValueError, match=r"test/000.png is \[5, 4, 1\], but others are \[4, 4, 1\]"):
    folder.load(str(tmp_path))


def truncate(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def corrupt_head(path):
  path.write_bytes(b"<html>not found</html>")


def corrupt_middle(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 0xFF
  path.write_bytes(content)


def noise(path, suffix):
  pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
  return save(path / f"bad{suffix}", pixels)


@pytest.mark.parametrize(
  "corrupt, suffix",
  [
    *itertools.product([truncate, corrupt_head], folder.SUFFIXES),
    (corrupt_middle, ".png"),
    (lambda path: path.write_bytes(b""), ".png"),
    (lambda path: path.unlink() or path.symlink_to("nowhere"), ".png"),
  ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_damaged_file_is_named(tmp_path, corrupt, suffix, split):
  write(tmp_path / "train", range(3))
  write(tmp_path / "test", range(3))
  path = noise(tmp_path / split, suffix)
  corrupt(path)
  with pytest.raises(ValueError, match=rf"{path} cannot be read as an image \(.*\): repair or remove it"):
    folder.load(str(tmp_path), resolution=4)


def test_a_png_with_a_broken_chunk_is_named(tmp_path):
  write(tmp_path, range(3))
  broken = (b"IDAT", zlib.compress(bytes(9))[:4]), (b"\1\2\3\4", b"")
  (tmp_path / "a.png").write_bytes(png(8, 0, np.zeros((4, 4)), *broken))
  with pytest.raises(ValueError, match="a.png cannot be read as an image"):
    folder.load(str(tmp_path))


def test_no_image_counts_twice(tmp_path):
  """Not by links that lead in a circle, to a folder beside, or to a file."""
  write(tmp_path / "a", range(12))
  write(tmp_path / "b", range(12, 20))
  (tmp_path / "a" / "round").symlink_to(tmp_path)
  (tmp_path / "c").symlink_to(tmp_path / "b")
  (tmp_path / "b" / "again.png").symlink_to(next((tmp_path / "a").glob("*.png")))
  found = folder._find(tmp_path)
  real = [path.resolve() for path in found]
  assert len(found) == 20 == len(set(real))
  assert found == folder._find(tmp_path)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
  write(tmp_path, range(3))
  os.mkfifo(tmp_path / "pipe.png")
  with pytest.raises(ConfigError, match=r"pipe.png cannot be read as an image \(it is no file\)"):
    folder.load(str(tmp_path))


def test_an_image_that_is_too_large_is_refused(tmp_path, monkeypatch):
  write(tmp_path, range(3))
  save(tmp_path / "large.png", grey(7, 40, 30))
  monkeypatch.setattr(folder, "_LARGEST", 1_199)
  with pytest.raises(ConfigError, match="large.png is 30x40"):
    folder.load(str(tmp_path), resolution=4)
  monkeypatch.setattr(folder, "_LARGEST", 1_200)
  folder.load(str(tmp_path), resolution=4)


def test_missing_folder_gets_the_nearest(tmp_path):
  write(tmp_path / "horses", range(3))
  with pytest.raises(ValueError, match=f"no folder {tmp_path}/horse: did you mean {tmp_path}/horses"):
    folder.load(str(tmp_path / "horse"))
  with pytest.raises(ValueError, match=f"no folder {tmp_path}/a/b: give the path of a folder"):
    folder.load(str(tmp_path / "a" / "b"))


@pytest.mark.parametrize("empty", ["", "test"])
def test_a_folder_without_images(tmp_path, empty):
  write(tmp_path / "train", range(3 if empty else 0))
  (tmp_path / empty).mkdir(exist_ok=True)
  (tmp_path / empty / "a.txt").write_text("no image")
  with pytest.raises(ValueError, match="holds no images: there is no file that ends in .png, .jpg"):
    folder.load(str(tmp_path))


def test_a_test_folder_alone(tmp_path):
  write(tmp_path / "test", range(3))
  with pytest.raises(ValueError, match="has a folder test but no folder train"):
    folder.load(str(tmp_path))


def test_a_class_that_cannot_be_learnt(tmp_path):
  for name in ("a", "b"):
    write(tmp_path / "train" / name, [1])
  write(tmp_path / "test" / "c", [1])
  with pytest.raises(ValueError, match="a class 'c' that .*train has not: its classes are a, b"):
    folder.load(str(tmp_path))


def test_one_image_is_too_few(tmp_path):
  with pytest.raises(ValueError, match="has 1 images to train with, and none can be held out"):
    folder.load(str(write(tmp_path, [0])))


def test_too_much_for_memory_is_streamed(tmp_path):
  """20 training images of 6 * 6 bytes: 720 bytes are held, and one less is not enough."""
  write(tmp_path / "train" / "a", range(10))
  write(tmp_path / "train" / "b", range(100, 110))
  write(tmp_path / "test" / "a", range(50, 53))
  held, streamed = (folder.load(str(tmp_path), resolution=6, memory=n / 2**30) for n in (720, 719))
  assert held.stream is None and streamed.draw is None
  assert streamed[:4] == held[:4] and streamed.size == 20
  for name, value in held.test.items():
    np.testing.assert_array_equal(value, streamed.test[name])
  (epoch,) = itertools.islice(streamed.stream(20, seed=0, start=0), 1)
  assert epoch["x"].dtype == np.uint8 and epoch["x"].shape == (20, 6, 6, 1)
  seen = dict(zip(values(epoch["x"]), epoch["label"].tolist()))
  assert seen == dict.fromkeys(range(10), 0) | dict.fromkeys(range(100, 110), 1)


def test_unpaired_data_is_streamed_cropped(tmp_path):
  dataset = folder.load(str(domains(tmp_path)), resolution=4, resize=6, flip=True, memory=0.0)
  assert (dataset.shape, dataset.size, dataset.draw) == ((4, 4, 1), 10, None)
  batches = list(itertools.islice(dataset.stream(10, 0, 0, (0, 1)), 2))
  assert all(batch["x"].shape == batch["y"].shape == (10, 4, 4, 1) for batch in batches)
  x, y = (np.concatenate([batch[k] for batch in batches]) for k in "xy")
  assert sorted(values(x)) == list(range(20)) and sorted(values(y)[:10]) == list(range(100, 110))


def test_both_domains_count_and_colour_takes_thrice(tmp_path):
  """(20 + 10) * 16 bytes in grey."""
  domains(tmp_path)
  assert folder.load(str(tmp_path), resolution=4, memory=480 / 2**30).draw is not None
  assert folder.load(str(tmp_path), resolution=4, memory=479 / 2**30).draw is None
  assert folder.load(str(tmp_path), resolution=4, resize=6, memory=1080 / 2**30).draw is not None
  assert folder.load(str(tmp_path), resolution=4, resize=6, memory=1079 / 2**30).draw is None
  assert folder.load(str(tmp_path), memory=480 / 2**30).draw is not None
  with pytest.raises(ValueError, match="to be streamed they need a resolution"):
    folder.load(str(tmp_path), memory=479 / 2**30)
  save(tmp_path / "testB" / "a.png", np.broadcast_to(COLOUR, (4, 4, 3)))
  assert folder.load(str(tmp_path), resolution=4, memory=1440 / 2**30).draw is not None
  assert folder.load(str(tmp_path), resolution=4, memory=1439 / 2**30).draw is None


def test_a_file_damaged_behind_its_head_is_named_when_it_is_streamed(tmp_path):
  write(tmp_path / "train", range(3))
  write(tmp_path / "test", range(3))
  path = noise(tmp_path / "train", ".png")
  path.write_bytes(path.read_bytes()[:-100])
  dataset = folder.load(str(tmp_path), resolution=4, memory=0.0)
  with pytest.raises(ValueError, match=f"{path} cannot be read as an image"):
    next(dataset.stream(4, 0, 0))


def test_streaming_needs_a_resolution(tmp_path):
  with pytest.raises(ValueError, match="more than memory, 0 GiB, and to be streamed they need a resolution"):
    folder.load(str(write(tmp_path, range(3))), memory=0.0)


@pytest.mark.parametrize("memory", [-1.0, float("nan")])
def test_memory_that_cannot_be(tmp_path, memory):
  with pytest.raises(ValueError, match="memory is .*; it has to be a number of GiB of at least 0"):
    folder.load(str(write(tmp_path, range(3))), memory=memory)


def test_sizes_that_cannot_be(tmp_path):
  write(tmp_path, range(3))
  with pytest.raises(ValueError, match="resize is 4, and no squares of resolution 6"):
    folder.load(str(tmp_path), resolution=6, resize=4)
  with pytest.raises(ValueError, match="resolution is -2; it has to be at least 1"):
    folder.load(str(tmp_path), resolution=-2)


def pairs(root, values, side=4):
  """Files of two greys: v on the left and 100 + v on the right."""
  for value in values:
    save(root / f"{value:03}.png", np.concatenate([grey(value, side, side), grey(100 + value, side, side)], 1))
  return root


@pytest.mark.parametrize("paired, condition, x", [("AtoB", 0, 100), ("BtoA", 100, 0)])
def test_pairs_side_by_side(tmp_path, paired, condition, x):
  """A is on the left; the first named is the condition of the other."""
  pairs(tmp_path / "train", range(5))
  pairs(tmp_path / "test", [50, 51])
  dataset = folder.load(str(tmp_path), paired=paired)
  assert (dataset.shape, dataset.condition, dataset.size, dataset.domains) == ((4, 4, 1), (4, 4, 1), 5, ("x",))
  for split, first in ((trained(dataset), range(5)), (dataset.test, (50, 51))):
    assert split.keys() == {"condition", "x"} and split["condition"].shape[1:] == (4, 4, 1)
    assert values(split["condition"]) == [condition + v for v in first]
    assert values(split["x"]) == [x + v for v in first]
  batch = dataset.draw(jax.random.key(0), 50)
  greys = {k: np.rint((np.asarray(batch[k])[:, 0, 0, 0] + 1) * 127.5).astype(int) for k in batch}
  np.testing.assert_array_equal(greys["x"] - greys["condition"], x - condition)


def test_a_folder_val_is_held_out_where_there_is_no_test(tmp_path):
  pairs(tmp_path / "train", range(5))
  pairs(tmp_path / "val", [50])
  assert values(folder.load(str(tmp_path), paired="AtoB").test["condition"]) == [50]
  pairs(tmp_path / "test", [60, 61])
  assert values(folder.load(str(tmp_path), paired="AtoB").test["x"]) == [160, 161]
  write(tmp_path / "other" / "train", range(5))
  write(tmp_path / "other" / "val", [70])
  assert values(folder.load(str(tmp_path / "other")).test["x"]) == [70]


def test_without_a_folder_train_val_is_a_class(tmp_path):
  for name in ("sol", "val"):
    write(tmp_path / name, range(3))
  assert folder.load(str(tmp_path)).classes == 2


def test_pairs_have_classes_too(tmp_path):
  for name, value in (("a", 1), ("b", 2)):
    pairs(tmp_path / "train" / name, [value])
    pairs(tmp_path / "test" / name, [value + 10])
  dataset = folder.load(str(tmp_path), paired="AtoB")
  assert dataset.classes == 2 and dataset.test["label"].tolist() == [0, 1]
  assert values(dataset.test["condition"]) == [11, 12]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_pair_is_cropped_and_mirrored_as_one(tmp_path, streamed):
  """Left and right halves are one picture, the right one 100 brighter: so are the squares that are cut from them."""
  picture = np.arange(100, dtype=np.uint8).reshape(10, 10)
  for i in range(3):
    save(tmp_path / f"{i}.png", np.concatenate([picture, picture + 100], 1))
  settings = {"resolution": 8, "resize": 10, "flip": True, "paired": "AtoB", "memory": 0.0 if streamed else 1.0}
  dataset = folder.load(str(tmp_path), **settings)
  assert dataset.shape == dataset.condition == dataset.test["condition"].shape[1:] == (8, 8, 1)
  if streamed:
    assert dataset.draw is None
    batch = next(dataset.stream(40, 0, 0, (0, 1)))
    found = {k: v.astype(int) for k, v in batch.items()}
  else:
    batch = dataset.draw(jax.random.key(0), 40)
    found = {k: np.rint((np.asarray(v) + 1) * 127.5).astype(int) for k, v in batch.items()}
  np.testing.assert_array_equal(found["x"], found["condition"] + 100)
  assert len({image.tobytes() for image in found["x"]}) > 5


def test_both_pictures_of_a_pair_count(tmp_path):
  """Of 9 training files 9 * 2 * 16 bytes."""
  pairs(tmp_path, range(10))
  assert folder.load(str(tmp_path), resolution=4, paired="AtoB", memory=288 / 2**30).draw is not None
  assert folder.load(str(tmp_path), resolution=4, paired="AtoB", memory=287 / 2**30).draw is None
  assert folder.load(str(tmp_path), paired="AtoB", memory=288 / 2**30).draw is not None
  with pytest.raises(ValueError, match="to be streamed they need a resolution"):
    folder.load(str(tmp_path), paired="AtoB", memory=287 / 2**30)


def test_pictures_that_are_no_pair_are_named(tmp_path):
  pairs(tmp_path, range(5))
  wide = save(tmp_path / "wide.png", grey(1, 4, 9))
  for resolution in (None, 4):
    with pytest.raises(ValueError, match=f"{wide} is 9x4, and a pair of square pictures is twice as wide as high"):
      folder.load(str(tmp_path), resolution=resolution, paired="AtoB")


def test_pairs_that_cannot_be(tmp_path):
  pairs(tmp_path / "pairs", range(3))
  with pytest.raises(ValueError, match="paired is 'AtoC'; it is 'AtoB' or 'BtoA'"):
    folder.load(str(tmp_path / "pairs"), paired="AtoC")
  with pytest.raises(ValueError, match="paired is 'AtoB', of pairs in one file each, but .* has trainA and trainB"):
    folder.load(str(domains(tmp_path / "domains")), paired="AtoB")
