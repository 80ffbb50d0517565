"""Measures: pure functions of samples, features, codes and games, and the networks that features come from."""
