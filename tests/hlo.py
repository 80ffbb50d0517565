"""What XLA made of a program, read from its text."""

import re


def noncanonical_convolutions(compiled_text: str) -> list[str]:
  """The convolutions that XLA's CPU backend runs as a naive loop, about a hundred times slower than the others.

  Args:
    compiled_text: `jax.jit(f).lower(...).compile().as_text()`.

  Returns:
    Every line with a convolution that is not of NHWC by HWIO to NHWC, row-major and unreversed, also inside fusions. A
    program whose convolutions have become matrix products or calls of a library has none.
  """
  canonical = re.compile(r"= \w+\[[\d,]*\](\{3,2,1,0\})? convolution\(.* dim_labels=b01f_01io->b01f(,|$)")
  lines = [line.strip() for line in compiled_text.splitlines() if " convolution(" in line]
  return [line for line in lines if not canonical.search(line) or "rhs_reversal" in line]


def host_transfers(compiled_text: str) -> list[str]:
  """The lines in which a program hands data to the host or waits for it: feeds, messages and calls back into Python."""
  transfer = re.compile(r" (infeed|outfeed|send|recv)(-done)?\(|custom_call_target=\"[^\"]*callback")
  return [line.strip() for line in compiled_text.splitlines() if transfer.search(line)]


def doubles(compiled_text: str) -> list[str]:
  """The lines that compute or hold float64."""
  return [line.strip() for line in compiled_text.splitlines() if re.search(r"\b(f64|c128)\[", line)]


def slow(compiled_text: str) -> list[str]:
  """The lines that nobody wants in a scan: those of the three above."""
  return noncanonical_convolutions(compiled_text) + host_transfers(compiled_text) + doubles(compiled_text)


def factors(compiled_text: str) -> list[tuple[str, str]]:
  """The types of each matrix product's two factors, such as ("bf16", "bf16")."""
  found, types = [], {}
  for line in compiled_text.splitlines():
    if line.endswith("{"):
      types = {}  # names are a computation's own
    defined = re.search(r"%?([\w.-]+) = (\w+)\[", line)
    if defined:
      types[defined[1]] = defined[2]
    if product := re.search(r" dot\(%?([\w.-]+), %?([\w.-]+)\)", line):
      found.append((types[product[1]], types[product[2]]))
  return found
