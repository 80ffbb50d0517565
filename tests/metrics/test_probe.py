"""The linear probe on features that separate perfectly, not at all, and linearly or not."""

import numpy as np
import pytest

from gan_jax.metrics.probe import STRENGTHS, probe

RNG = np.random.RandomState(5)
LABELS, TEST_LABELS = np.arange(60) % 3, np.arange(300) % 3


def split(make):
  return make(LABELS), LABELS, make(TEST_LABELS), TEST_LABELS


def test_features_that_are_the_label():
  """Off the origin and of any size: 3 corners of a simplex, a thousandth as large as their distance from 0."""
  assert probe(*split(lambda label: 5.0 + 1e-3 * np.eye(3)[label])).accuracy == 1.0


def test_features_that_know_nothing():
  """A third of 300, and its standard deviation is 0.027."""
  found = probe(*split(lambda label: RNG.normal(size=(len(label), 4))))
  assert abs(found.accuracy - 1 / 3) < 0.11
  assert probe(*split(lambda label: np.zeros((len(label), 2)))).accuracy == pytest.approx(1 / 3)


def test_what_is_not_linear_is_not_read():
  """On the line the middle class lies between the others: two of three are named, and all with squares beside."""
  line = lambda label: np.array([0.0, 1.0, -1.0])[label][:, None]
  rings = lambda label: np.where(label == 0, 0.1, np.where(RNG.rand(len(label)) < 0.5, 1.0, -1.0))[:, None]
  two = lambda label: np.minimum(label, 1)
  assert probe(*split(line)).accuracy == 1.0
  x, test_x = rings(LABELS), rings(TEST_LABELS)
  alone = probe(x, two(LABELS), test_x, two(TEST_LABELS))
  squared = probe(np.concatenate([x, x**2], 1), two(LABELS), np.concatenate([test_x, test_x**2], 1), two(TEST_LABELS))
  assert alone.accuracy == pytest.approx(2 / 3) and squared.accuracy == 1.0


def test_scale_and_rotation_do_not_matter():
  """Nor does what is beside the span of the training features: more features than examples."""
  basis = np.linalg.qr(RNG.normal(size=(100, 100)))[0]
  noisy = split(lambda label: np.eye(100)[label] + 0.3 * RNG.normal(size=(len(label), 100)))
  turned = tuple(7.0 + 1e4 * each @ basis if each.ndim == 2 else each for each in noisy)
  found, other = probe(*noisy), probe(*turned)
  assert 0.6 < found.accuracy < 0.99
  assert found.accuracy == pytest.approx(other.accuracy, abs=0.011) and found.strength == other.strength


def test_the_penalty_is_chosen_by_the_training_part_alone():
  """Noisy labels in many dimensions ask for a strong penalty, clean ones for a weak one; whatever the test part is."""
  wrong = np.where(RNG.rand(60) < 0.4, RNG.randint(0, 3, 60), LABELS)
  noisy = np.eye(30)[LABELS] + 0.2 * RNG.normal(size=(60, 30))
  strengths = {probe(noisy, wrong, noisy[:9], other).strength for other in (LABELS[:9], 2 - LABELS[:9])}
  assert len(strengths) == 1 and strengths < set(STRENGTHS) and max(strengths) <= 10.0


@pytest.mark.parametrize("labels", [np.zeros(60, int), (np.arange(60) < 4).astype(int)])
def test_too_few_of_a_class(labels):
  with pytest.raises(ValueError, match="needs two classes and 5 examples of each"):
    probe(np.zeros((60, 2)), labels, np.zeros((1, 2)), labels[:1])
