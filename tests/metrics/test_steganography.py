"""A translation that hides everything in its last bit, and one that hides nothing, against numbers by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_jax.metrics import steganography

KEY = jax.random.key(4)
RANDOM = np.random.default_rng(2)
# Half of the pixels white, half black, and any grey.
INK = jnp.asarray(RANDOM.permutation(np.repeat([-1.0, 1.0], 8192)).reshape(64, 16, 16, 1), jnp.float32)
GREY = jnp.asarray(RANDOM.uniform(-1.0, 1.0, (64, 16, 16, 1)), jnp.float32)
MEAN = math.sqrt(2 / math.pi)  # of |n|, n normal


def hide(x):
  """Grey 126 for black and 127 for white, of 255: to the eye one flat grey."""
  return (126.0 + jnp.where(x > 0.0, 1.0, 0.0)) / 127.5 - 1.0


def read(y):
  """White where the nearest level is odd, black where it is even."""
  return 2.0 * (jnp.round((y + 1.0) * 127.5) % 2.0) - 1.0


def negate(x):
  return -x


def wrong(sigma):
  """How likely normal noise of this size, in levels, turns the last bit: it is between 1/2 and 3/2, 5/2 and 7/2, ..."""
  tail = lambda level: 2 * stats.norm.sf((level + 0.5) / sigma)
  return sum((-1) ** level * tail(level) for level in range(200))


def test_levels_by_hand():
  """Two bits have -1, -1/3, 1/3 and 1; eight keep what a file has, and no less."""
  x = jnp.array([-2.0, -1.0, -0.7, -0.6, -0.1, 0.1, 0.6, 0.7, 1.0, 1.5])
  expected = np.array([-3, -3, -3, -1, -1, 1, 1, 3, 3, 3]) / 3
  np.testing.assert_allclose(steganography.rounded(x, 2), expected, atol=1e-6)
  file = jnp.arange(256.0) / 127.5 - 1.0
  np.testing.assert_allclose(steganography.rounded(file, 8), file, atol=1e-6)
  assert len(np.unique(steganography.rounded(jnp.linspace(-1.0, 1.0, 1000), 6))) == 64


def test_what_the_last_bit_hides_is_lost_with_it():
  """Nothing is lost as it is or as a file; at 6 and 4 bits both greys are one odd level, white: half is wrong by 2."""
  y = hide(INK)
  np.testing.assert_allclose(steganography.rounding_errors(read, INK, y), [0.0, 1.0, 1.0], atol=1e-6)
  errors = steganography.noise_errors(read, INK, y, KEY)
  expected = [0.0, *(2 * wrong(steps) for steps in steganography.STEPS[1:])]
  np.testing.assert_allclose(errors, expected, atol=0.03)  # of 16,384 pixels
  assert errors[0] == 0.0 and 0.6 < errors[1] < 0.66 and errors[2] > 0.95


def test_an_honest_inverse_is_off_by_what_was_changed():
  """E|sigma n|, and of rounding a quarter of a level's width, 2 / (2^b - 1)."""
  y = negate(GREY)
  errors = steganography.noise_errors(negate, GREY, y, KEY)
  np.testing.assert_allclose(errors, MEAN * 2 / 255 * np.array(steganography.STEPS), rtol=0.03, atol=1e-7)
  found = steganography.rounding_errors(negate, GREY, y)
  np.testing.assert_allclose(found, [0.5 / (2**bits - 1) for bits in (8, 6, 4)], rtol=0.03)
  np.testing.assert_allclose(found, [np.abs(steganography.rounded(y, b) - y).mean() for b in (8, 6, 4)], rtol=1e-5)


@pytest.mark.parametrize("factor", [0.0, 1.0, 4.0])
def test_the_gain_of_a_contrast_is_its_factor(factor):
  """G divides by it and F multiplies; F that ignores its input gains nothing, however large its error is."""
  inverse = lambda y: factor * y
  errors = steganography.noise_errors(inverse, GREY, GREY / max(factor, 1.0), KEY)
  np.testing.assert_allclose(steganography.gain(errors), factor, rtol=0.02)


def test_the_gain_of_a_hidden_signal():
  """Largest at half a level, where 2 * 0.315 is lost to noise of mean size 0.5 * 2/255 * sqrt(2/pi): 201."""
  errors = steganography.noise_errors(read, INK, hide(INK), KEY)
  expected = 2 * wrong(0.5) / (MEAN * 1 / 255)
  assert expected == pytest.approx(201, abs=1)
  np.testing.assert_allclose(steganography.gain(errors), expected, rtol=0.05)


def test_the_gain_by_hand():
  """Above the error at 0, and the largest of all levels: 0.3 more at 2 of 1, 2, 4."""
  errors, steps = jnp.array([0.1, 0.15, 0.4, 0.3]), (0.0, 1.0, 2.0, 4.0)
  np.testing.assert_allclose(steganography.gain(errors, steps), 0.3 / (MEAN * 4 / 255), rtol=1e-5)


def test_jit_and_other_levels():
  of = jax.jit(lambda x, key: steganography.noise_errors(negate, x, negate(x), key, (0.0, 3.0)))
  np.testing.assert_allclose(of(GREY, KEY), steganography.noise_errors(negate, GREY, -GREY, KEY, (0.0, 3.0)), rtol=1e-5)
  assert of(GREY, KEY).shape == (2,) and steganography.rounding_errors(negate, GREY, -GREY, (1,)).shape == (1,)
  assert float(of(GREY, jax.random.key(5))[1]) != float(of(GREY, KEY)[1])
