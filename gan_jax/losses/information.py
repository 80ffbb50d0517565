"""The mutual-information bound of InfoGAN and its parts. Chen et al. 2016; all values are in nats.

L_I(G, Q) = E[log Q(c | x)] + H(c) <= I(c; x), with codes c drawn from their prior and x = G(z, c). What is missing is
E[KL(P(c | x) || Q(c | x))], so the bound is tight where the recognition head Q gives the true posterior of the codes.
The likelihoods here are per example, to be averaged by `bound`; codes that are independent have bounds that add up.
"""

import math

import chex
import jax
import jax.numpy as jnp


def bound(log_likelihood: jax.Array, entropy: float | jax.Array) -> jax.Array:
  """L_I = E[log Q(c | x)] + H(c), a lower bound of I(c; x). Chen et al. 2016.

  Args:
    log_likelihood: log Q(c | x) of the codes that were drawn, [B], or [B, D] for D codes with a bound each.
    entropy: H(c) of a code's prior.

  Returns:
    A scalar, or [D]. It is negative where Q does worse than to say the prior.
  """
  return jnp.mean(log_likelihood, axis=0) + entropy


def categorical_log_likelihood(logits: jax.Array, codes: jax.Array) -> jax.Array:
  """log Q(c | x) of a categorical code, with Q = softmax(logits): minus the cross-entropy.

  Args:
    logits: [B, K].
    codes: which of the K it was, [B] of an integer type, or one-hot, [B, K] of the logits' type.

  Returns:
    [B], at most 0.
  """
  chex.assert_rank(logits, 2)
  log_q = jax.nn.log_softmax(logits)
  if codes.ndim == 1:
    chex.assert_type(codes, int)
    chex.assert_equal_shape_prefix([logits, codes], 1)
    return jnp.take_along_axis(log_q, codes[:, None], axis=1)[:, 0]
  chex.assert_equal_shape([logits, codes])
  return jnp.sum(codes * log_q, axis=1)


def gaussian_log_likelihood(codes: jax.Array, mean: jax.Array, log_variance: float | jax.Array = 0.0) -> jax.Array:
  """log Q(c | x) of continuous codes, with Q = N(mean, exp(log_variance)) for each code by itself.

  With the variance fixed to one, the default, maximising it is least squares; the bound is then loose, and of a code
  uniform on [-1, 1] never above log 2 - log(2 pi) / 2 = -0.226. To state it as a metric take `fitted_log_variance`.

  Args:
    codes: [B, D].
    mean: [B, D].
    log_variance: [B, D], [D] or a scalar. exp(-log_variance) overflows below -88: hand a learnt one to
      `floor_variance` first.

  Returns:
    [B, D].
  """
  chex.assert_rank([codes, mean], 2)
  chex.assert_equal_shape([codes, mean])
  log_variance = jnp.broadcast_to(jnp.asarray(log_variance, mean.dtype), mean.shape)
  return -0.5 * (math.log(2 * math.pi) + log_variance + jnp.square(codes - mean) * jnp.exp(-log_variance))


def paired_information(log_p: jax.Array, log_q: jax.Array) -> jax.Array:
  """I(c'; c'') of two views of one example, each with a class drawn on its own. Ji, Henriques and Vedaldi 2019, eq. 3.

  The joint distribution of the classes is P = (E[p q^T] + E[q p^T]) / 2. To maximise its information is to be sure of
  the class, to give both views the same one, and to use all classes alike.

  Args:
    log_p: log-probabilities of the first views' classes, [B, K].
    log_q: of the second views', [B, K].

  Returns:
    A scalar between 0 and log K.
  """
  chex.assert_rank([log_p, log_q], 2)
  chex.assert_equal_shape([log_p, log_q])
  joint = jnp.exp(log_p).T @ jnp.exp(log_q) / len(log_p)
  joint = (joint + joint.T) / 2
  entropy = lambda p: -jnp.sum(jax.scipy.special.xlogy(p, jnp.maximum(p, jnp.finfo(p.dtype).tiny)))
  return 2 * entropy(joint.sum(axis=0)) - entropy(joint)


def floor_variance(log_variance: jax.Array, smallest: float | jax.Array = 1e-4) -> jax.Array:
  """log(exp(log_variance) + smallest): a learnt variance that cannot vanish.

  A generator without noise of its own can tell a continuous code exactly; I(c; x) is then infinite, and nothing else
  keeps the bound and its gradients from growing without end. With the floor it is at most
  H(c) - log(2 pi smallest) / 2, for 1e-4 and a code uniform on [-1, 1] 4.38 nats. The gradient is scaled by the share
  that exp(log_variance) has of the sum: half where the two are equal, and next to nothing far below the floor.

  Args:
    log_variance: of any shape.
    smallest: positive variance that is added, in the code's units squared.
  """
  return jnp.logaddexp(log_variance, jnp.log(jnp.asarray(smallest, log_variance.dtype)))


def fitted_log_variance(codes: jax.Array, mean: jax.Array) -> jax.Array:
  """The constant variance that maximises the likelihood of these codes: log E[(c - mean)^2].

  It makes a bound in nats of a head with fixed variance, which is H(c) - (1 + log(2 pi E[(c - mean)^2])) / 2. Because
  it is fitted to the same B examples the bound is too high by about 1 / 2B.

  Args:
    codes: [B, D].
    mean: [B, D].

  Returns:
    [D]; -inf for a code that is known exactly, which `floor_variance` makes finite.
  """
  chex.assert_rank([codes, mean], 2)
  chex.assert_equal_shape([codes, mean])
  return jnp.log(jnp.mean(jnp.square(codes - mean), axis=0))


def categorical_entropy(classes: int) -> float:
  """H(c) of a code that is uniform over so many classes: log K.

  Raises:
    ValueError: there is no class.

  Examples:
    >>> categorical_entropy(10)  # the most that a code of ten classes can tell, in nats
    2.302585...
  """
  if classes < 1:
    raise ValueError(f"a categorical code has at least 1 class, not {classes}")
  return math.log(classes)


def uniform_entropy(low: float = -1.0, high: float = 1.0) -> float:
  """Differential H(c) of a code that is uniform between low and high: log(high - low), log 2 by default.

  Raises:
    ValueError: high is not above low.
  """
  if not low < high:
    raise ValueError(f"a uniform code needs low < high, not {low} and {high}")
  return math.log(high - low)


def normal_entropy(std: float = 1.0) -> float:
  """Differential H(c) of a normal code: log(2 pi e) / 2 + log std, 1.4189 by default.

  Raises:
    ValueError: std is not positive.
  """
  if not std > 0:
    raise ValueError(f"a normal code needs a positive std, not {std}")
  return 0.5 * (1 + math.log(2 * math.pi)) + math.log(std)
