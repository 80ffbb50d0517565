"""The best single Gaussian for a mixture on the line under an f-divergence: what a linear generator ought to find.

Nowozin et al. 2016, section 2.5. Everything is by quadrature, in float64.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import norm


def grid(
  weights: np.ndarray, means: np.ndarray, scales: np.ndarray, points: int = 4_001
) -> tuple[np.ndarray, np.ndarray]:
  """Returns x [N], increasing, and the mixture's log density there.

  It is wide enough for the mixture and for a Gaussian fitted to it, with `points` points over the whole and as many
  around each component, so that a narrow one is resolved too.
  """
  reach = 10.0 * np.sqrt(_variance(weights, means, scales)) + 10.0 * np.max(scales)
  ends = [(np.sum(weights * means), reach), *zip(means, 8.0 * scales)]
  x = np.unique(np.concatenate([np.linspace(centre - away, centre + away, points) for centre, away in ends]))
  return x, logsumexp(np.log(weights) + norm.logpdf(x[:, None], means, scales), axis=1)  # pyright: ignore[reportReturnType]


def best_gaussian(
  integrate: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
  weights: np.ndarray,
  means: np.ndarray,
  scales: np.ndarray,
  data_first: bool = True,
) -> dict[str, float]:
  """The Gaussian Q nearest to a mixture P in D_f(P||Q), or in D_f(Q||P) if not `data_first`.

  Args:
    integrate: `(log_p, log_q, x) -> D_f(P||Q)` in nats by quadrature, as `losses.divergences.integrate` has it.
    weights: of the components, [K], summing to one.
    means: of the components, [K].
    scales: their standard deviations, [K].
    data_first: the orientation.

  Returns:
    mu_star, sigma_star, divergence_star (nats): the lowest of the minima found from the mixture's own moments and from
    each component, for a mode-seeking divergence has a minimum at each.
  """
  x, log_p = grid(weights, means, scales, points=20_001)

  def objective(point: np.ndarray) -> float:
    log_q = norm.logpdf(x, point[0], np.exp(point[1]))
    value = float(integrate(log_p, log_q, x) if data_first else integrate(log_q, log_p, x))
    return value if np.isfinite(value) else 1e9

  starts = [(np.sum(weights * means), 0.5 * np.log(_variance(weights, means, scales))), *zip(means, np.log(scales))]
  options = {"xatol": 1e-6, "fatol": 1e-10, "maxiter": 2_000}
  best = min(
    (minimize(objective, s, method="Nelder-Mead", options=options) for s in starts), key=lambda found: found.fun
  )
  return {"mu_star": float(best.x[0]), "sigma_star": float(np.exp(best.x[1])), "divergence_star": float(best.fun)}


def _variance(weights: np.ndarray, means: np.ndarray, scales: np.ndarray) -> float:
  centre = np.sum(weights * means)
  return float(np.sum(weights * (scales**2 + (means - centre) ** 2)))
