"""The same games in PyTorch, which experiments.bench times and checks against."""
