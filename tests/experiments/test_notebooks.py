"""The notebooks run from top to bottom."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent.parent / "experiments" / "notebooks").glob("*.ipynb"))

EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(path, tmp_path):
  """In a process of its own, for the kernel's machinery warns of things that are errors here; its programs run long, so
  they are compiled as a reader's are."""
  out = tmp_path / "out.ipynb"
  command = [sys.executable, "-c", EXECUTE, path, out]
  as_a_reader = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
  done = subprocess.run(command, env=as_a_reader, capture_output=True, text=True, timeout=400)
  assert done.returncode == 0, done.stderr[-3000:]
  outputs = [o for cell in nbformat.read(out, as_version=4).cells for o in cell.get("outputs", [])]
  assert sum("image/png" in o.get("data", {}) for o in outputs) == 2
  text = "".join(o.get("text", "") for o in outputs)
  assert text.count("modes 8 (8 to 8)") == 3
