"""Counts, as settings give them."""

import re

import numpy as np
import pytest

from gan_jax.errors import ConfigError, at_least_one


@pytest.mark.parametrize(
  ("value", "message"),
  [(0, "at least 1"), (2.0, "an integer"), (True, "an integer"), (2**31, "below 2^31"), (10**30, "below 2^31")],
)
def test_a_count_is_a_positive_integer_that_arrays_can_have(value, message):
  with pytest.raises(ConfigError, match=f"n is .*{re.escape(message)}"):
    at_least_one("n", value)
  at_least_one("n", 1, 2**31 - 1, np.int64(7))
