"""Matrix products whose sums are float32 where their factors are bfloat16, and fast on CPUs that have bfloat16.

On a core with avx512_bf16 such a product takes half the time of a float32 one, but XLA's CPU compiler (jax 0.10.2) is
particular about it: a product that emits bfloat16, a transposed factor, or one factor in float32, and it widens both to
float32; a transpose that it later folds into the product, and it refuses to run. `jax.grad` of a product would meet
all of this, so its gradients are written down here, once for every dense layer, and `conv` uses the same two functions.
"""

import jax
import jax.numpy as jnp
from jax import lax


@jax.custom_vjp
def _half_product(x, y):
  default = lambda x, y: jnp.matmul(x, y, preferred_element_type=jnp.float32)
  return lax.platform_dependent(x, y.astype(x.dtype), cpu=cpu_product, default=default)


def _half_backward(factors, dz):
  x, y = factors
  dx = _half_product(dz.astype(x.dtype), transposed(y)).astype(x.dtype)
  return dx, _half_product(transposed(x), dz).astype(y.dtype)


_half_product.defvjp(lambda x, y: (_half_product(x, y), (x, y)), _half_backward)


def product(x: jax.Array, y: jax.Array) -> jax.Array:
  """A matrix product of factors that are rounded to x's dtype, with its sums, and y's gradient, in float32.

  Its gradients are products of the same kind, to any order; in bfloat16 they are reverse-mode alone.

  Args:
    x: [N, K], float32 or bfloat16.
    y: [K, M], float32: a layer's parameter.

  Returns:
    [N, M], float32.
  """
  return _half_product(x, y) if x.dtype == jnp.bfloat16 else x @ y


def cpu_product(x: jax.Array, y: jax.Array) -> jax.Array:
  """[N, K] by [K, M], of one dtype, on the CPU -> [N, M], float32 if it was bfloat16. jax must not differentiate it."""
  if x.dtype != jnp.bfloat16:
    return x @ y
  # The barrier keeps a transpose behind the product from being folded into it.
  return lax.optimization_barrier(jnp.matmul(x, y, preferred_element_type=jnp.float32))


def transposed(matrix: jax.Array) -> jax.Array:
  """A transpose that stays one on the CPU: there XLA folds others into the product beside them, into a slower form."""
  copied = lambda matrix: lax.optimization_barrier(matrix.T.reshape(-1)).reshape(matrix.shape[::-1])
  return lax.platform_dependent(matrix, cpu=copied, default=jnp.transpose)
