"""Convolutions against lax and torch, with two derivatives; and the form in which they reach the compiler."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.nets.conv import Conv, GroupedConv, UpsampleConv, conv, grouped_conv, upsample_conv

import hlo

ONE, TWO = (1, 1), (2, 2)

# Input size, kernel size, strides, padding, lhs_dilation, rhs_dilation.
GEOMETRIES = [
  ((6, 7), (3, 3), ONE, "SAME", ONE, ONE),
  ((6, 5), (4, 4), ONE, "SAME", ONE, ONE),
  ((6, 5), (4, 4), ONE, "VALID", ONE, ONE),
  ((5, 6), (1, 1), ONE, "SAME", ONE, ONE),
  ((5, 6), (1, 1), TWO, "SAME", ONE, ONE),
  ((8, 7), (3, 3), TWO, "SAME", ONE, ONE),
  ((8, 7), (3, 2), (2, 1), "VALID", ONE, ONE),
  ((8, 6), (4, 4), TWO, "SAME", ONE, ONE),  # a matrix product on the CPU, and so is the next
  ((2, 4), (4, 4), TWO, ((1, 1), (1, 1)), ONE, ONE),
  ((7, 6), (4, 4), TWO, "SAME", ONE, ONE),
  ((8, 6), (4, 4), TWO, "VALID", ONE, ONE),
  ((4, 4), (4, 4), ONE, "VALID", ONE, ONE),
  ((3, 3), (4, 4), ONE, "SAME", ONE, ONE),
  ((2, 1), (5, 4), TWO, ((3, 2), (2, 4)), ONE, ONE),
  ((1, 1), (4, 4), ONE, ((3, 3), (3, 3)), ONE, ONE),
  ((3, 5), (4, 4), ONE, ((2, 2), (2, 2)), TWO, ONE),  # its transpose
  ((1, 1), (4, 4), ONE, ((2, 2), (2, 2)), TWO, ONE),
  ((3, 4), (3, 3), ONE, ((1, 2), (2, 1)), TWO, ONE),
  ((7, 6), (3, 3), ONE, "SAME", ONE, TWO),
  ((7, 8), (3, 3), TWO, "VALID", ONE, TWO),
  ((5, 6), (3, 2), (2, 1), ((2, 1), (0, 3)), (2, 3), (1, 2)),
  ((6, 6), (3, 3), ONE, ((-1, 0), (1, -2)), ONE, ONE),
]


def normal(seed, shape, dtype=None):
  return jax.random.normal(jax.random.key(seed), shape, dtype)


def lax_conv(x, kernel, strides=ONE, padding="SAME", lhs_dilation=ONE, rhs_dilation=ONE):
  layouts = ("NHWC", "HWIO", "NHWC")
  return lax.conv_general_dilated(x, kernel, strides, padding, lhs_dilation, rhs_dilation, dimension_numbers=layouts)


def derivatives(f):
  """f(x, kernel), its gradients, and gradients of a function of those gradients, in one program."""

  def first(x, kernel):
    return jax.grad(lambda *args: jnp.sum(jnp.sin(f(*args))), (0, 1))(x, kernel)

  def second(x, kernel):
    return jax.grad(lambda *args: sum(jnp.sum(jnp.cos(g)) for g in first(*args)), (0, 1))(x, kernel)

  return jax.jit(lambda x, kernel: (f(x, kernel), first(x, kernel), second(x, kernel)))


def assert_same(actual, expected, tolerance):
  """Equal to a share of each array's largest value."""
  for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(jnp.abs(b).max()))


@pytest.mark.parametrize("size,kernel_size,strides,padding,lhs_dilation,rhs_dilation", GEOMETRIES)
def test_conv_and_two_derivatives_are_those_of_lax(size, kernel_size, strides, padding, lhs_dilation, rhs_dilation):
  geometry = dict(strides=strides, padding=padding, lhs_dilation=lhs_dilation, rhs_dilation=rhs_dilation)
  with jax.enable_x64(True):
    x, kernel = normal(0, (2, *size, 2)), normal(1, (*kernel_size, 2, 3))
    expected = derivatives(functools.partial(lax_conv, **geometry))(x, kernel)
    assert_same(derivatives(functools.partial(conv, **geometry))(x, kernel), expected, 1e-12)


@pytest.mark.parametrize("padding", ["VALID", "SAME", ((2, 0), (1, 3)), ((-1, 0), (1, -2))])
@pytest.mark.parametrize("channels", [(6, 3), (3, 6), (6, 1), (1, 6)])
def test_conv_from_or_to_few_channels(channels, padding):
  """Forms of their own on the CPU, which the gradients use the other way round."""
  with jax.enable_x64(True):
    x, kernel = normal(0, (2, 6, 7, channels[0])), normal(1, (3, 4, *channels))
    expected = derivatives(functools.partial(lax_conv, padding=padding))(x, kernel)
    assert_same(derivatives(functools.partial(conv, padding=padding))(x, kernel), expected, 1e-12)


@pytest.mark.parametrize("strides,kernel_size", [(ONE, (3, 3)), (TWO, (3, 3)), (TWO, (4, 4))])
def test_conv_in_float32(strides, kernel_size):
  x, kernel = 0.1 * normal(0, (4, 16, 16, 8)), 0.1 * normal(1, (*kernel_size, 8, 16))
  expected = derivatives(functools.partial(lax_conv, strides=strides))(x, kernel)
  assert_same(derivatives(functools.partial(conv, strides=strides))(x, kernel), expected, 1e-5)


@pytest.mark.parametrize(
  "f,size,kernel_size",
  [
    ("upsample_conv", 8, (4, 4, 64, 32)),
    ("conv", 16, (4, 4, 64, 32)),
    ("conv", 8, (3, 3, 64, 32)),
    ("conv", 8, (3, 3, 64, 3)),
  ],
)
def test_bfloat16_is_summed_in_float32(f, size, kernel_size):
  """Outputs and gradients are as far from float64's as when each is rounded once."""
  low = jnp.bfloat16
  x, kernel = normal(0, (4, size, size, 64), low), normal(1, kernel_size, low)
  strides = TWO if kernel_size[0] == 4 else ONE
  ours = {"upsample_conv": upsample_conv, "conv": functools.partial(conv, strides=strides)}[f]
  exact = {
    "upsample_conv": lambda x, kernel: lax.conv_transpose(x, kernel, TWO, "SAME"),
    "conv": functools.partial(lax_conv, strides=strides),
  }[f]
  weights = normal(2, jax.eval_shape(ours, x, kernel).shape, low)

  def outputs(f, x, kernel, weights):
    y, backward = jax.vjp(f, x, kernel)
    return y, *backward(weights)

  actual = jax.jit(functools.partial(outputs, ours))(x, kernel, weights)
  with jax.enable_x64(True):
    expected = outputs(exact, *(a.astype(jnp.float64) for a in (x, kernel, weights)))
    for y, e in zip(actual, expected, strict=True):
      rounded = jnp.linalg.norm((e.astype(low).astype(jnp.float64) - e).ravel())
      assert jnp.linalg.norm((y.astype(jnp.float64) - e).ravel()) < 1.02 * rounded


def test_refusals():
  x, kernel = jnp.zeros((1, 4, 4, 2)), jnp.zeros((4, 4, 2, 3))
  with pytest.raises(ValueError, match="give numbers"):
    conv(x, kernel, lhs_dilation=TWO)
  with pytest.raises(AssertionError):
    conv(x[0], kernel)
  with pytest.raises(AssertionError):
    conv(x, kernel[:, :, :1])
  with pytest.raises(AssertionError):
    upsample_conv(x, kernel[1:])


def test_upsample_conv_is_lax_conv_transpose():
  with jax.enable_x64(True):
    x, kernel = normal(0, (2, 3, 5, 2)), normal(1, (4, 4, 2, 3))
    expected = derivatives(lambda x, kernel: lax.conv_transpose(x, kernel, TWO, "SAME"))(x, kernel)
    assert_same(derivatives(upsample_conv)(x, kernel), expected, 1e-12)
    assert upsample_conv(x, kernel).shape == (2, 6, 10, 3)


def lax_grouped(x, kernel, groups):
  layouts = ("NHWC", "HWIO", "NHWC")
  return lax.conv_general_dilated(x, kernel, ONE, "SAME", dimension_numbers=layouts, feature_group_count=groups)


@pytest.mark.parametrize(
  ("channels", "groups", "size"), [((4, 6), 2, (3, 3)), ((6, 3), 3, (3, 5)), ((3, 3), 3, (3, 3)), ((4, 2), 1, (1, 3))]
)
def test_grouped_conv_and_two_derivatives_are_those_of_lax(channels, groups, size):
  c, o = channels
  with jax.enable_x64(True):
    x, kernel = normal(0, (2, 4, 5, c)), normal(1, (*size, c // groups, o))
    expected = derivatives(functools.partial(lax_grouped, groups=groups))(x, kernel)
    assert_same(derivatives(functools.partial(grouped_conv, groups=groups))(x, kernel), expected, 1e-12)


def test_grouped_conv_refuses_what_does_not_divide():
  x = jnp.zeros((1, 4, 4, 4))
  for shape, groups in (((3, 3, 4, 4), 2), ((3, 3, 1, 4), 3), ((3, 3, 2, 5), 2), ((4, 4, 2, 4), 2)):
    with pytest.raises(AssertionError):
      grouped_conv(x, jnp.zeros(shape), groups)


def test_upsample_conv_is_torch_conv_transpose():
  torch = pytest.importorskip("torch", reason="compares with PyTorch")
  x, kernel = normal(0, (2, 3, 5, 2)), normal(1, (4, 4, 2, 3))
  weight = torch.tensor(np.array(kernel[::-1, ::-1].transpose(2, 3, 0, 1)))
  images = torch.tensor(np.array(x.transpose(0, 3, 1, 2)))
  expected = torch.nn.functional.conv_transpose2d(images, weight, stride=2, padding=1).permute(0, 2, 3, 1).numpy()
  assert_same(upsample_conv(x, kernel), expected, 1e-5)


@pytest.mark.parametrize("f", [conv, functools.partial(conv, strides=TWO), upsample_conv])
@pytest.mark.parametrize("axes", [(0, 0), (None, 0)])
def test_vmap_is_a_loop_over_members(f, axes):
  xs, kernels = normal(0, (3, 2, 4, 4, 2)), normal(1, (3, 4, 4, 2, 3))
  member = derivatives(f)
  args = [a if axis == 0 else a[0] for a, axis in zip((xs, kernels), axes)]
  expected = [member(*(a[i] if axis == 0 else a for a, axis in zip(args, axes))) for i in range(3)]
  assert_same(jax.vmap(member, axes)(*args), jax.tree.map(lambda *leaves: jnp.stack(leaves), *expected), 1e-5)


def critic(convolve, params, x):
  """Strides 2 and 1, kernels odd and even, down to a 4x4 map and a 4x4 kernel: 16x16 images to scores."""
  for kernel, strides in zip(params[:-1], (TWO, ONE, TWO)):
    x = jax.nn.softplus(convolve(x, kernel, strides=strides))
  return convolve(x, params[-1], padding="VALID")[:, 0, 0, 0]


def penalised_loss(convolve, params, x):
  """A Wasserstein critic's loss with its gradient penalty (Gulrajani et al. 2017), simplified to one batch."""
  slope = jax.grad(lambda x: jnp.sum(critic(convolve, params, x)))(x)
  return jnp.mean(critic(convolve, params, x)) + jnp.mean((jnp.sqrt(jnp.sum(slope**2, (1, 2, 3))) - 1.0) ** 2)


def critic_params():
  shapes = [(4, 4, 3, 4), (3, 3, 4, 4), (4, 4, 4, 8), (4, 4, 8, 1)]
  return [0.3 * normal(i, shape) for i, shape in enumerate(shapes)]


def test_gradient_penalty():
  x = normal(9, (4, 16, 16, 3))
  gradients = [jax.jit(jax.grad(functools.partial(penalised_loss, f)))(critic_params(), x) for f in (conv, lax_conv)]
  assert_same(*gradients, 1e-5)


def compiled_descent(loss, params):
  """The text of ten steps of gradient descent inside a scan."""

  def step(params, _):
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params)), None

  return jax.jit(lambda params: lax.scan(step, params, None, length=10)).lower(params).compile().as_text()


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the naive loop is the CPU's")
class TestCompiledForm:
  def test_gradient_penalty_in_a_scan_stays_canonical(self):
    text = compiled_descent(lambda params: penalised_loss(conv, params, normal(9, (4, 16, 16, 3))), critic_params())
    assert " convolution(" in text and not hlo.noncanonical_convolutions(text)

  def test_groups_in_a_scan_stay_canonical(self):
    def loss(convolve, params):
      slope = jax.grad(lambda x: jnp.sum(jnp.sin(convolve(x, params["kernel"], 2))))(params["x"])
      return jnp.sum(slope**2)

    params = {"kernel": normal(0, (3, 3, 4, 8)), "x": normal(1, (4, 8, 8, 8))}
    text = compiled_descent(functools.partial(loss, grouped_conv), params)
    assert " convolution(" in text and not hlo.noncanonical_convolutions(text)
    assert hlo.noncanonical_convolutions(compiled_descent(functools.partial(loss, lax_grouped), params))

  def test_the_check_sees_what_jax_derives(self):
    text = compiled_descent(lambda params: penalised_loss(lax_conv, params, normal(9, (4, 16, 16, 3))), critic_params())
    assert hlo.noncanonical_convolutions(text)

  @pytest.mark.parametrize("size,kernel_size", [((3, 3), (4, 4)), ((4, 1), (3, 3)), ((2, 2), (5, 5))])
  def test_a_kernel_larger_than_the_input_is_not_swapped_with_it(self, size, kernel_size):
    kernel, x = normal(0, (*kernel_size, 3, 3)), normal(1, (8, *size, 3))

    def loss(convolve, params):
      slope = jax.grad(lambda x: jnp.sum(jnp.sin(convolve(x, params["kernel"]))))(params["x"])
      return jnp.sum(slope**2)

    params = {"kernel": kernel, "x": x}
    text = compiled_descent(functools.partial(loss, conv), params)
    assert " convolution(" in text and not hlo.noncanonical_convolutions(text)
    assert hlo.noncanonical_convolutions(compiled_descent(functools.partial(loss, lax_conv), params))


@pytest.mark.parametrize(
  "module,shape,size",
  [
    (Conv(5), (4, 4, 3, 5), (8, 6)),
    (Conv(5, (3, 3), TWO, ((1, 1), (1, 1))), (3, 3, 3, 5), (4, 3)),
    (Conv(5, (2, 2), padding="VALID"), (2, 2, 3, 5), (7, 5)),
    (UpsampleConv(5), (4, 4, 3, 5), (16, 12)),
    (GroupedConv(5, 1, (1, 3)), (1, 3, 3, 5), (8, 6)),
  ],
)
@pytest.mark.parametrize("use_bias", [True, False])
def test_modules(module, shape, size, use_bias):
  module = module.clone(use_bias=use_bias, kernel_init=nn.initializers.normal())
  x = normal(0, (2, 8, 6, 3))
  params = module.init(jax.random.key(1), x)["params"]
  assert params["kernel"].shape == shape and ("bias" in params) == use_bias
  y = module.apply({"params": params}, x)
  assert y.shape == (2, *size, 5)
  if use_bias:
    shifted = module.apply({"params": {**params, "bias": jnp.arange(5.0)}}, x)
    np.testing.assert_allclose(shifted - y, jnp.broadcast_to(jnp.arange(5.0), y.shape), atol=1e-5)


@pytest.mark.parametrize("module", [Conv, UpsampleConv])
def test_modules_compute_in_bfloat16_with_float32_parameters(module):
  x = normal(0, (2, 8, 8, 3))
  params = module(5).init(jax.random.key(1), x)
  exact = module(5).apply(params, x)
  low = module(5, dtype=jnp.bfloat16).apply(params, x)
  assert low.dtype == jnp.float32 and 0.0 < np.abs(low - exact).max() < 0.05
  gradients = jax.grad(lambda p: jnp.sum(module(5, dtype=jnp.bfloat16).apply(p, x)))(params)
  assert all(g.dtype == jnp.float32 for g in jax.tree.leaves((params, gradients)))
