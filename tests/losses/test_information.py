"""The mutual-information bound against SciPy, and against channels whose mutual information is known."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_jax.losses import information

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(7, 5)).astype(np.float32)
CODES = RNG.integers(0, 5, 7).astype(np.int32)


def test_categorical_log_likelihood():
  q = np.exp(LOGITS.astype(np.float64))
  q /= q.sum(1, keepdims=True)
  expected = [stats.rv_discrete(values=(np.arange(5), row)).logpmf(c) for row, c in zip(q, CODES)]
  np.testing.assert_allclose(information.categorical_log_likelihood(LOGITS, jnp.asarray(CODES)), expected, rtol=1e-5)
  one_hot = jax.nn.one_hot(CODES, 5)
  np.testing.assert_allclose(information.categorical_log_likelihood(LOGITS, one_hot), expected, rtol=1e-5)


def test_categorical_by_hand():
  """Q = (1/4, 3/4) for both: log 1/4 and log 3/4."""
  logits = jnp.log(jnp.array([[0.25, 0.75], [1.0, 3.0]]))
  found = information.categorical_log_likelihood(logits, jnp.array([0, 1]))
  np.testing.assert_allclose(found, [math.log(0.25), math.log(0.75)], rtol=1e-6)


def test_gaussian_log_likelihood():
  codes, mean, log_variance = RNG.normal(size=(3, 6, 2)).astype(np.float32)
  expected = stats.norm.logpdf(codes, mean, np.exp(log_variance / 2))
  np.testing.assert_allclose(information.gaussian_log_likelihood(codes, mean, log_variance), expected, rtol=1e-4)
  unit = stats.norm.logpdf(codes, mean)
  np.testing.assert_allclose(information.gaussian_log_likelihood(codes, mean), unit, rtol=1e-5)
  each = stats.norm.logpdf(codes, mean, np.exp(log_variance[0] / 2))
  np.testing.assert_allclose(information.gaussian_log_likelihood(codes, mean, log_variance[0]), each, rtol=1e-4)


def test_entropies():
  assert information.categorical_entropy(10) == pytest.approx(stats.randint(0, 10).entropy())
  assert information.categorical_entropy(1) == 0.0
  assert information.uniform_entropy() == pytest.approx(math.log(2))
  assert information.uniform_entropy(-0.5, 3.0) == pytest.approx(stats.uniform(-0.5, 3.5).entropy())
  assert information.normal_entropy() == pytest.approx(1.4189385)
  assert information.normal_entropy(0.3) == pytest.approx(stats.norm(0, 0.3).entropy())


def test_the_bound_is_the_entropy_when_q_is_exact():
  """x tells c and Q knows it: L_I = H(c) = I(c; x), for any of the two forms of code."""
  codes = jnp.arange(30, dtype=jnp.int32) % 10
  logits = 200.0 * jax.nn.one_hot(codes, 10)
  for given in (codes, jax.nn.one_hot(codes, 10)):
    likelihood = information.categorical_log_likelihood(logits, given)
    bound = information.bound(likelihood, information.categorical_entropy(10))
    np.testing.assert_allclose(bound, math.log(10), rtol=1e-6)


@pytest.mark.parametrize("error", [0.05, 0.3, 0.5])
def test_a_symmetric_channel(error):
  """c in {0, 1} reaches x flipped with some probability: I = log 2 - H(error), reached by the true posterior alone.

  Every other Q falls short by the mean of KL(P(c | x) || Q(c | x)).
  """
  shares = jnp.array([1 - error, error, error, 1 - error]) * 2  # of the four pairs (c, x), times the batch of four
  codes, x = jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 0, 1])

  def bound(assumed):
    logits = jnp.log(jnp.where(jax.nn.one_hot(x, 2) > 0, 1 - assumed, assumed))
    return information.bound(shares * information.categorical_log_likelihood(logits, codes), math.log(2))

  truth = math.log(2) - stats.bernoulli(error).entropy()
  np.testing.assert_allclose(bound(error), truth, atol=1e-6)
  for assumed in (0.01, 0.2, 0.45, 0.9):
    missing = stats.entropy([error, 1 - error], [assumed, 1 - assumed])
    np.testing.assert_allclose(bound(assumed), truth - missing, atol=1e-5)


@pytest.mark.parametrize("noise", [0.1, 1.0, 3.0])
def test_a_gaussian_channel(noise):
  """x = c + noise: I = log(1 + SNR) / 2, reached by the posterior N(s x, s noise^2) with s = SNR / (1 + SNR).

  c and x are stood for by the nodes of a quadrature of second degree, which is exact for a Gaussian likelihood.
  """
  c, e = (jnp.array(v)[:, None] for v in ([1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]))
  x, snr = c + noise * e, 1 / noise**2
  truth = 0.5 * math.log1p(snr)
  slope = snr / (1 + snr)

  def bound(slope, variance):
    return information.bound(
      information.gaussian_log_likelihood(c, slope * x, jnp.log(variance)), information.normal_entropy()
    )

  np.testing.assert_allclose(bound(slope, slope * noise**2), [truth], atol=2e-6)
  for wrong in ((0.8, 1.0), (1.2, 1.0), (1.0, 0.7), (1.0, 1.5)):
    assert float(bound(wrong[0] * slope, wrong[1] * slope * noise**2)[0]) < truth - 1e-3
  fitted = information.fitted_log_variance(c, slope * x)
  np.testing.assert_allclose(fitted, [math.log(slope * noise**2)], atol=1e-5)
  np.testing.assert_allclose(bound(slope, jnp.exp(fitted)), [truth], atol=1e-5)


def test_a_bound_for_each_code():
  codes, mean, log_variance = (jnp.asarray(v, jnp.float32) for v in RNG.normal(size=(3, 50, 3)))
  likelihood = information.gaussian_log_likelihood(codes, mean, log_variance)
  bounds = information.bound(likelihood, information.uniform_entropy())
  chex.assert_shape([likelihood, bounds], [(50, 3), (3,)])
  expected = stats.norm.logpdf(codes, mean, np.exp(np.asarray(log_variance) / 2)).mean(0) + math.log(2)
  np.testing.assert_allclose(bounds, expected, rtol=1e-5)


def test_the_best_of_a_unit_variance_is_negative():
  """A uniform code that Q reads exactly: log 2 - log(2 pi) / 2 = -0.2258, which the fitted variance makes up for."""
  codes = jnp.linspace(-1.0, 1.0, 21)[:, None]
  best = information.bound(information.gaussian_log_likelihood(codes, codes), information.uniform_entropy())
  np.testing.assert_allclose(best, [-0.2258], atol=1e-4)
  near = codes + jnp.where(jnp.arange(21)[:, None] % 2 == 0, 0.1, -0.1)
  fitted = information.fitted_log_variance(codes, near)
  np.testing.assert_allclose(fitted, [math.log(0.01)], rtol=1e-5)
  bound = information.bound(information.gaussian_log_likelihood(codes, near, fitted), information.uniform_entropy())
  np.testing.assert_allclose(bound, [math.log(2) - 0.5 * (1 + math.log(2 * math.pi * 0.01))], rtol=1e-5)


def test_gradients_are_those_of_the_likelihood():
  """One-hot minus softmax for logits; (c - mean) / variance, and ((c - mean)^2 / variance - 1) / 2 for log-variance."""
  gradient = jax.grad(lambda v: information.categorical_log_likelihood(v, jnp.asarray(CODES)).sum())(LOGITS)
  np.testing.assert_allclose(gradient, np.eye(5)[CODES] - jax.nn.softmax(LOGITS), atol=1e-6)
  one = lambda value: jnp.array([[value]])
  mean, log_variance = jax.grad(lambda m, v: information.gaussian_log_likelihood(one(2.0), m, v).sum(), argnums=(0, 1))(
    one(0.5), one(math.log(0.5))
  )
  np.testing.assert_allclose(mean, [[3.0]], rtol=1e-6)
  np.testing.assert_allclose(log_variance, [[1.75]], rtol=1e-6)


def test_finite_for_extreme_logits():
  logits = jnp.array([[500.0, -500.0], [-500.0, 500.0], [500.0, 500.0]])
  for codes in (jnp.array([1, 1, 0]), jnp.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])):
    value, gradient = jax.value_and_grad(
      lambda v: information.bound(information.categorical_log_likelihood(v, codes), math.log(2))
    )(logits)
    np.testing.assert_allclose(value, -(1000 + math.log(2)) / 3 + math.log(2), rtol=1e-6)
    np.testing.assert_allclose(gradient, np.array([[-1, 1], [0, 0], [0.5, -0.5]]) / 3, atol=1e-6)


def test_the_floor():
  """exp(v) + 1e-4, smooth, its gradient halved where they are equal; likelihoods behind it are finite at +-500."""
  equal = math.log(1e-4)
  v = jnp.array([-500.0, equal, 0.0, 500.0])
  np.testing.assert_allclose(
    information.floor_variance(v), [equal, equal + math.log(2), math.log1p(1e-4), 500.0], rtol=1e-5, atol=1e-7
  )
  np.testing.assert_allclose(
    jax.vmap(jax.grad(information.floor_variance))(v), [0.0, 0.5, 1 / (1 + 1e-4), 1.0], rtol=1e-4, atol=1e-6
  )
  np.testing.assert_allclose(information.floor_variance(jnp.array(-jnp.inf), 0.25), math.log(0.25), rtol=1e-6)

  def likelihood(codes, raw):
    return information.gaussian_log_likelihood(codes, 0.0 * codes, information.floor_variance(raw)).sum()

  raw = jnp.array([[-500.0], [500.0]])
  for codes in (jnp.zeros((2, 1)), jnp.full((2, 1), 3.0)):
    chex.assert_tree_all_finite(jax.value_and_grad(likelihood, argnums=(0, 1))(codes, raw))
  most = likelihood(jnp.zeros((1, 1)), jnp.full((1, 1), -500.0)) + information.uniform_entropy()
  np.testing.assert_allclose(most, 4.38, atol=5e-3)


def test_paired_information_is_that_of_the_joint_distribution():
  """Against the definition in float64, in which each pair of views also counts the other way round."""
  p, q = (np.exp(log) / np.exp(log).sum(1, keepdims=True) for log in (LOGITS.astype(float), 2.0 * LOGITS[::-1]))
  joint = np.mean([(np.outer(a, b) + np.outer(b, a)) / 2 for a, b in zip(p, q)], axis=0)
  independent = np.outer(joint.sum(1), joint.sum(0))
  expected = np.sum(joint * np.log(joint / independent))
  found = information.paired_information(jnp.log(p), jnp.log(q))
  np.testing.assert_allclose(found, expected, rtol=1e-4)
  assert expected > 1e-3


def test_paired_information_by_hand():
  """log K of classes that are sure, alike and used alike; 0 where the other view says nothing of the first."""
  sure, log = jnp.log(jnp.eye(4)), np.log
  np.testing.assert_allclose(information.paired_information(sure, sure), log(4), rtol=1e-6)
  np.testing.assert_allclose(information.paired_information(sure[:2], sure[:2]), log(2), rtol=1e-6)
  np.testing.assert_allclose(information.paired_information(*[sure[jnp.array([0, 0])]] * 2), 0.0, atol=1e-6)
  every = jnp.log(jnp.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]) / 2)  # two of four classes, by a coin each
  np.testing.assert_allclose(information.paired_information(every, every), log(2), rtol=1e-6)
  unrelated = sure[jnp.array([0, 0, 1, 1])], sure[jnp.array([0, 1, 0, 1])]
  np.testing.assert_allclose(information.paired_information(*unrelated), 0.0, atol=1e-6)


def test_paired_information_has_gradients_where_classes_are_sure():
  value = lambda logits: information.paired_information(*(jax.nn.log_softmax(logits),) * 2)
  chex.assert_tree_all_finite(jax.value_and_grad(value)(1e3 * jnp.eye(4)))


def test_jit_and_vmap_agree():
  def all_of_them(logits, codes, smallest):
    continuous = logits[:, :2]
    log_variance = information.floor_variance(logits[:, 2:4], smallest)
    return jnp.concatenate(
      [
        information.bound(information.categorical_log_likelihood(logits, codes), 1.0)[None],
        information.bound(information.gaussian_log_likelihood(continuous, 0.5 * continuous, log_variance), 1.0),
        information.fitted_log_variance(continuous, 0.5 * continuous),
      ]
    )

  many = (jnp.stack([LOGITS, 2.0 * LOGITS]), jnp.stack([CODES, 4 - CODES]), jnp.array([1e-4, 0.1]))
  batched = jax.jit(jax.vmap(all_of_them))(*many)
  for i in range(2):
    np.testing.assert_allclose(batched[i], all_of_them(*(leaf[i] for leaf in many)), rtol=1e-5)


def test_refusals():
  with pytest.raises(ValueError, match="at least 1 class, not 0"):
    information.categorical_entropy(0)
  with pytest.raises(ValueError, match="low < high, not 1.0 and 1.0"):
    information.uniform_entropy(1.0, 1.0)
  with pytest.raises(ValueError, match="positive std, not 0.0"):
    information.normal_entropy(0.0)
  for wrong in (jnp.zeros(7), jnp.zeros((7, 4)), jnp.zeros(6, jnp.int32)):  # no index, not one-hot, too few
    with pytest.raises(AssertionError):
      information.categorical_log_likelihood(LOGITS, wrong)
  with pytest.raises(AssertionError):
    information.gaussian_log_likelihood(jnp.zeros((4, 2)), jnp.zeros((4, 1)))
  with pytest.raises(AssertionError):
    information.gaussian_log_likelihood(jnp.zeros(4), jnp.zeros(4))
  with pytest.raises(AssertionError):
    information.fitted_log_variance(jnp.zeros((4, 2)), jnp.zeros((4, 1)))
