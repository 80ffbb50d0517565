"""A linear probe: how well classes can be read off features by a linear classifier. Alain and Bengio 2016."""

from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

STRENGTHS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)  # C, the inverse of the penalty, for features of unit length
FOLDS = 5


class Probe(NamedTuple):
  """What was found.

  Attributes:
    accuracy: the share of the test features whose label is named rightly.
    strength: the C that cross-validation chose.
  """

  accuracy: float
  strength: float


def probe(features: np.ndarray, labels: np.ndarray, test_features: np.ndarray, test_labels: np.ndarray) -> Probe:
  """Multinomial logistic regression with an L2 penalty, its strength the best of `STRENGTHS` in five folds.

  Features are centred, and divided by one number so that the mean of their squared lengths is 1: `STRENGTHS` then
  mean the same for features of any size and number. Test features have no part in the choice.

  Args:
    features: to train on, [N, d], finite.
    labels: theirs, [N] integers, of at least two classes, and each class at least five times.
    test_features: [M, d].
    test_labels: [M].

  Raises:
    ValueError: there are too few of a class, or features are not finite.
  """
  counts = np.unique(labels, return_counts=True)[1]
  if len(counts) < 2 or counts.min() < FOLDS:
    raise ValueError(f"a probe needs two classes and {FOLDS} examples of each; there are {counts.tolist()}")
  x, test_x = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (features, test_features))
  centre = x.mean(0, keepdims=True)
  length = np.sqrt(np.square(x - centre).sum(1).mean()) or 1.0  # all may be alike
  x, test_x = (x - centre) / length, (test_x - centre) / length
  # The penalty sees lengths and angles alone, so in the span of the training features nothing changes but the cost.
  span = np.linalg.svd(x, full_matrices=False)[2].T
  # Small products, for which threads that wait for each other take ten times as long where cores are shared.
  with threadpool_limits(1):
    search = GridSearchCV(LogisticRegression(max_iter=10_000), {"C": STRENGTHS}, cv=FOLDS).fit(x @ span, labels)
    return Probe(float(search.score(test_x @ span, test_labels)), float(search.best_params_["C"]))  # pyright: ignore[reportArgumentType]
