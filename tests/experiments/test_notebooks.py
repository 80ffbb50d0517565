"""The notebooks run from top to bottom."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "experiments" / "notebooks").glob("*.ipynb"))

EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


PICTURES_AND_TEXT = {  # of a notebook how many pictures it shows, and what it says
  "a_gan_in_one_page": (2, r"(penalty_weight.*modes 8 \(8 to 8\).*\n?){3}"),
  "a_paper_in_a_cell": (1, r"All 1,000 rounds"),
  "choosing_a_divergence": (
    1,
    r"KL\(P\|\|Q\) +mu +0\.[34]\d .*sigma 2\.\d\d(.*\n)+.*KL\(Q\|\|P\) +mu +(1\.9|2\.0)\d .*sigma 0\.[67]",
  ),
  "cyclegan_on_a_folder": (1, r"All 150 rounds"),
  "did_it_work": (1, r"healthy +modes 8 of 8.*\n.*collapsing +modes [1-6] of 8"),
  "sweeps_as_vmap": (1, ""),
  "why_gans_diverge": (
    1,
    r"both at once +distance .*first, 2\.\d in the end(.*\n)+.*R1 +distance .*first, \d\.?\d*e-05 in",
  ),
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(path, tmp_path):
  """In a process of its own, for the kernel's machinery warns of things that are errors here; its programs run long, so
  they are compiled as a reader's are. What is kept of its outputs is pictures alone."""
  pictures, said = PICTURES_AND_TEXT[path.stem]
  kept = [o for cell in nbformat.read(path, as_version=4).cells for o in cell.get("outputs", [])]
  assert sum("image/png" in o.get("data", {}) for o in kept) == pictures
  out = tmp_path / "out.ipynb"
  command = [sys.executable, "-c", EXECUTE, path, out]
  as_a_reader = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
  done = subprocess.run(command, env=as_a_reader, capture_output=True, text=True, timeout=400, cwd=ROOT)
  assert done.returncode == 0, done.stderr[-3000:]
  outputs = [o for cell in nbformat.read(out, as_version=4).cells for o in cell.get("outputs", [])]
  assert sum("image/png" in o.get("data", {}) for o in outputs) == pictures
  text = "".join(o.get("text", "") for o in outputs)
  assert re.search(said, text), text[-2000:]
