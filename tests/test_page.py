"""The page of a run: its sentences, what it embeds, and how it behaves in a browser."""

import base64
import csv
import html
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree

import numpy as np
import pytest

from gan_jax import curves, page, report

MEASURES = {
  "frechet": 41.23,
  "frechet_floor": 8.3,
  "entropy": 2.25,
  "entropy_most": 2.3026,
  "recall": None,
  "other": 1234.5,
}
EXPLAINED = {"frechet": {"label": "Fréchet distance", "meaning": "Lower is <better>."}}
WARNINGS = [
  {"step": 1000, "name": "modes are collapsing", "round": 800, "message": "they are; try <this> or that"},
  {"step": 2000, "name": "divergence", "round": 1900, "message": "numbers grow"},
]


def write(folder, rounds=4000, upto=4000, evaluated=True, every=1000, watched=True):
  """A workdir as a run leaves it."""
  (folder / "samples").mkdir(parents=True, exist_ok=True)
  (folder / "config.json").write_text(json.dumps({"train": {"rounds": rounds}, "note": "</script><b>"}))
  (folder / "environment.json").write_text(json.dumps({"experiment": "/a b/mine.py:kl", "cores": 2}))
  rng, rows = np.random.default_rng(0), []
  for step in range(100, upto + 1, 100):
    row = {"step": step, "a/loss": float(rng.normal()), "b/loss": None if step == 200 else 0.5, "seconds": 2.8}
    row |= {"a/gradient": 2.0**-step} if watched else {}
    if evaluated and step % every == 0:
      row |= {"frechet": 512.0 if step == every else 41.23, "frechet_floor": 8.3, "recall": None}
      image = rng.uniform(-1, 1, (4, 8, 8, 1))
      report.save_samples(folder / "samples" / f"{step:07d}.png", image, image)
      report.save_samples(folder / "samples" / f"{step:07d}_x_to_y.png", image, image)
    rows.append(row)
  report.write_metrics(folder / "metrics.jsonl", rows)
  last = upto - upto % every
  if evaluated and last:
    report.save_samples(folder / "samples" / "real.png", np.zeros((4, 8, 8, 1)), np.zeros((4, 8, 8, 1)))
    found = {"round": last, "rounds": rounds, "ended": "", "weights": "averaged", "measures": MEASURES}
    found |= {"explained": EXPLAINED, "headline": ["frechet", "entropy", "recall", "absent"]}
    found |= {"protocol": {"image_quality": {"samples": 1000, "reference": "the held-out split"}}}
    (folder / "evaluation.json").write_text(json.dumps(found))
  return folder


def shown(folder, title="a title"):
  page.save(folder, title)
  return (folder / "report.html").read_text()


def pictures(text):
  """The embedded pictures, by what they show."""
  found = re.findall(r'<img[^>]* alt="([^"]+)" src="data:image/png;base64,([^"]+)">', text)
  return {html.unescape(alt): base64.b64decode(data) for alt, data in found}


HEADLINE = (
  "Fréchet distance 41.2 (real data 8.3; 512 after round 1,000), entropy 2.25 (at most 2.3), recall not finite."
)


def test_the_verdict_of_a_finished_run(tmp_path):
  """Forty rows of 2.8 s are 112 s."""
  write(tmp_path)
  assert page.verdict(tmp_path) == f"All 4,000 rounds in 1 min 52 s. {HEADLINE} No warnings."
  report.append_metrics(tmp_path / "warnings.jsonl", WARNINGS[:1])
  assert page.verdict(tmp_path).endswith("finite. 1 warning: modes are collapsing (since round 800).")
  report.append_metrics(tmp_path / "warnings.jsonl", WARNINGS[1:])
  assert page.verdict(tmp_path).endswith(
    "2 warnings: modes are collapsing (since round 800); divergence (since round 1,900)."
  )


def test_the_verdict_of_a_run_that_is_not_finished(tmp_path):
  write(tmp_path, rounds=20_000, upto=3900)
  assert page.verdict(tmp_path) == (
    f"3,900 of 20,000 rounds so far in 1 min 49 s. After round 3,000: {HEADLINE} No warnings."
  )


def test_the_verdict_of_a_run_that_ended_early_until_it_is_resumed(tmp_path):
  write(tmp_path, rounds=20_000, upto=3000)
  path = tmp_path / "evaluation.json"
  path.write_text(json.dumps(json.loads(path.read_text()) | {"ended": "early: no better for 5 evaluations"}))
  said = page.verdict(tmp_path)
  assert said.startswith("Ended early after 3,000 of 20,000 rounds in 1 min 24 s: no better for 5 evaluations. Fréchet")
  report.append_metrics(tmp_path / "metrics.jsonl", [{"step": 3100}])
  assert page.verdict(tmp_path).startswith("3,100 of 20,000 rounds so far")


def test_the_verdict_without_an_evaluation(tmp_path):
  assert page.verdict(tmp_path) == "No rounds yet. No evaluation yet."
  write(tmp_path, upto=300, evaluated=False)
  assert page.verdict(tmp_path) == "300 of 4,000 rounds so far in 8.4 s. No evaluation yet. Too early for warnings."


def test_the_first_evaluation_has_nothing_to_be_compared_with(tmp_path):
  write(tmp_path, rounds=1000, upto=1000)
  assert "Fréchet distance 41.2 (real data 8.3), entropy" in page.verdict(tmp_path)


def test_a_run_of_an_older_version(tmp_path):
  """It has no evaluation.json and no figures that warnings come from, and its rows may lack their time."""
  write(tmp_path, watched=False)
  (tmp_path / "evaluation.json").unlink()
  rows = report.read_metrics(tmp_path / "metrics.jsonl")
  report.write_metrics(tmp_path / "metrics.jsonl", [{k: v for k, v in row.items() if k != "seconds"} for row in rows])
  assert page.verdict(tmp_path) == "All 4,000 rounds."
  text = shown(tmp_path)
  assert "not watched for warnings" in text and "<td>41.23</td><td>8.3</td>" in text


@pytest.mark.parametrize(
  ("value", "said"),
  [(None, "not finite"), (0, "0"), (41.23, "41.2"), (1234.5, "1,234"), (0.71, "0.71"), (1e-9, "1e-09"), (3e8, "3e+08")],
)
def test_numbers_are_short(value, said):
  assert page._number(value) == said


@pytest.mark.parametrize(
  ("seconds", "said"),
  [(0.84, "0.8 s"), (25.4, "25 s"), (59.6, "1 min 0 s"), (112, "1 min 52 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds, said):
  assert page._duration(seconds) == said


def test_a_page_is_one_file_with_the_pictures_byte_by_byte(tmp_path):
  write(tmp_path)
  text = shown(tmp_path)
  samples = tmp_path / "samples"
  assert pictures(text) == {"Real images, held out": (samples / "real.png").read_bytes()} | {
    f"{title} after round {step:,}": (samples / f"{step:07d}{kind}.png").read_bytes()
    for title, kind in (("Samples", ""), ("X to y", "_x_to_y"))
    for step in (1000, 2000, 3000, 4000)
  }
  assert not re.search(r'(src|href)="(?!data:|#)', text) and "@import" not in text and "url(" not in text


def test_without_scripts_the_newest_picture_alone_is_seen(tmp_path):
  text = shown(write(tmp_path))
  assert re.findall(r'<img(?: class="small")?(?: data-caption="round ([\d,]+)")', text) == ["4,000", "4,000"]
  assert text.count("<img hidden") == 6


def test_a_page_shows_only_whole_pictures_of_rounds(tmp_path):
  write(tmp_path)
  samples = tmp_path / "samples"
  for name in ("mine", "best_x_to_y", "0001000 copy", "12000000"):
    shutil.copy(samples / "0001000.png", samples / f"{name}.png")
  (samples / "0005000.png").touch()
  (samples / "0006000.png").write_bytes((samples / "0001000.png").read_bytes()[:-40])  # it is being written
  found = pictures(shown(tmp_path))
  assert [alt for alt in found if alt.startswith("Samples")] == [
    f"Samples after round {step}" for step in ("1,000", "2,000", "3,000", "4,000", "12,000,000")
  ]
  assert len(found) == 10


def test_a_slider_has_at_most_forty_pictures_evenly_spaced(tmp_path):
  write(tmp_path, evaluated=False)
  report.save_samples(tmp_path / "samples" / "0000000.png", np.zeros((1, 8, 8, 1)), np.zeros((1, 8, 8, 1)))
  for step in range(1, 79):
    shutil.copy(tmp_path / "samples" / "0000000.png", tmp_path / "samples" / f"{step:07d}.png")
  steps = [int(alt.split()[-1]) for alt in pictures(shown(tmp_path))]
  assert steps == list(range(0, 79, 2))


def test_pictures_that_are_large_are_fewer(tmp_path, monkeypatch):
  write(tmp_path)
  size = max(path.stat().st_size for path in (tmp_path / "samples").iterdir())
  monkeypatch.setattr(page, "_BYTES", 6 * size + 1)  # of two kinds
  steps = [alt.split()[-1] for alt in pictures(shown(tmp_path)) if alt.startswith("Samples")]
  assert len(steps) in (3, 4) and (steps[0], steps[-1]) == ("1,000", "4,000")


def test_what_others_write_is_escaped(tmp_path):
  write(tmp_path)
  report.append_metrics(tmp_path / "warnings.jsonl", [WARNINGS[0] | {"name": "<i>"}])
  report.append_metrics(tmp_path / "metrics.jsonl", [{"step": 4100, '"><i>/<u>': 1.0, "<u>": 2.0}])
  shutil.copy(tmp_path / "samples" / "0001000.png", tmp_path / "samples" / '0001000_"><i>.png')
  text = shown(tmp_path, '<script>alert("x")</script>')
  assert not re.search(
    r"<(i|u|b|this|better)>(?!</i>|\w)", text.replace("<b>&lt;i&gt;</b>", "")
  )  # the name of a warning
  assert text.count("<script>") == 1 and "&lt;script&gt;alert(" in text and "&lt;better&gt;" in text
  assert "&lt;/script&gt;&lt;b&gt;" in text and "try &lt;this&gt; or that" in text


def test_a_warning_says_its_name_once_and_marks_settings(tmp_path):
  write(tmp_path)
  message = "modes are collapsing since round 800. Try --config.a.b=c.d or --config.e=1e-4."
  report.append_metrics(tmp_path / "warnings.jsonl", [WARNINGS[0] | {"message": message}, WARNINGS[1]])
  items = re.findall(r'<li id="warning-\d">(.*?)</li>', shown(tmp_path))
  assert items == [
    "<b>Modes are collapsing</b> since round 800. Try <code>--config.a.b=c.d</code> or <code>--config.e=1e-4</code>.",
    "<b>Divergence</b>. Numbers grow",
  ]


def test_measures_have_their_floor_first_value_meaning_and_protocol(tmp_path):
  text = shown(write(tmp_path))
  table = re.sub(r"<[^>]+>", "|", text[text.index("<tbody>") : text.index("</tbody>")])
  cells = [cell for cell in table.split("|") if cell]
  assert cells[:6] == ["Fréchet distance", "41.23", "8.3", "512", "Lower is &lt;better&gt;.", "Entropy"]
  assert ">round 1,000</th></tr></thead>" in text
  assert "at most 2.303" in table and "not finite" in table and "1,234" in table
  assert "Image quality" in text and "<dt>samples</dt><dd>1,000</dd>" in text
  report.append_metrics(tmp_path / "metrics.jsonl", [{"step": 2000, "entropy": 1.5}])
  text = shown(tmp_path)
  assert ">at first</th>" in text and '<td>512<br><span class="quiet">round 1,000</span></td>' in text
  assert '<td>1.5<br><span class="quiet">round 2,000</span></td>' in text


def test_commands_are_quoted(tmp_path):
  folder = write(tmp_path / "my runs")
  text = html.unescape(shown(folder))
  place = f"'--workdir={folder}'"
  assert f"python -m experiments.sample {place}" in text and f"python -m experiments.evaluate {place}" in text
  assert f"python -m experiments.run '--config=/a b/mine.py:kl' {place}" in text


def test_warnings_are_marked_in_every_curve_and_listed(tmp_path):
  write(tmp_path)
  report.append_metrics(tmp_path / "warnings.jsonl", [WARNINGS[0], WARNINGS[1] | {"round": "unknown"}])
  text = shown(tmp_path)
  panels = re.findall(r"<svg.*?</svg>", text)
  assert len(panels) == 4  # losses, gradients, seconds, the distance
  for panel in panels:
    marks = re.findall(r'href="#warning-(\d)"><line x1="([\d.]+)"', panel)
    assert [(number, float(x)) for number, x in marks] == [("1", 108.4), ("2", 199.0)]  # from 48 to 350, over 4,000
    xml.etree.ElementTree.fromstring(panel)
  assert text.count('id="warning-1"') == text.count('id="warning-2"') == 1
  assert page.EXPLAINED["gradient"] in html.unescape(text)


@pytest.mark.parametrize(
  ("file", "content", "message"),
  [
    ("config.json", "{", r"config\.json is damaged"),
    ("environment.json", "[1]", r"environment\.json is damaged"),
    ("evaluation.json", '{"round": 1', r"evaluation\.json is damaged"),
    ("evaluation.json", '{"measures": [1]}', r"evaluation\.json is damaged \('measures' is \[1\]\)"),
    ("warnings.jsonl", '[1]\n{"step": 1}\n', r"warnings\.jsonl, line 1 is damaged"),
    ("metrics.jsonl", '{"st\n{"step": 1}\n', r"metrics\.jsonl, line 1 is damaged"),
  ],
)
def test_damaged_files_are_named_and_an_older_page_stays(tmp_path, file, content, message):
  before = shown(write(tmp_path))
  (tmp_path / file).write_text(content)
  with pytest.raises(ValueError, match=message):
    page.save(tmp_path, "a title")
  assert (tmp_path / "report.html").read_text() == before


# Curves


def test_thinning_keeps_the_ends_and_the_extremes():
  rng = np.random.default_rng(0)
  points = [(i, float(value)) for i, value in enumerate(rng.normal(size=5000))]
  points[1234], points[3210] = (1234, 90.0), (3210, -80.0)
  kept = curves.thinned(points, 200)
  assert 150 < len(kept) <= 200 and set(kept) <= set(points) and kept == sorted(kept)
  assert (kept[0], kept[-1]) == (points[0], points[-1])
  assert {(1234, 90.0), (3210, -80.0)} <= set(kept)
  assert curves.thinned(points[:200], 200) == points[:200]


def test_smoothing_is_a_mean_over_neighbours():
  values = [3.0, 0.0, 6.0, 9.0, 3.0]
  smooth = curves.smoothed(list(enumerate(values)), 3)
  assert smooth == [(0, 1.5), (1, 3.0), (2, 5.0), (3, 6.0), (4, 6.0)]


def test_ticks_are_round_numbers_within():
  np.testing.assert_allclose(curves.ticks(0.0, 1.0), [0, 0.2, 0.4, 0.6, 0.8, 1.0])
  np.testing.assert_allclose(curves.ticks(-130.0, 270.0), [-100, 0, 100, 200])
  np.testing.assert_allclose(curves.ticks(2.31, 2.42), [2.35, 2.40])


def coordinates(svg):
  return [tuple(map(float, p.split(","))) for p in re.findall(r'<polyline points="([^"]+)"', svg)[-1].split()]


def test_a_panel_places_points_linearly_or_by_their_logarithm():
  """1, 10, 19 rise evenly on a linear axis, which 1, 10, 100 still has, and 1, 100, 10,000 on a logarithmic one."""
  for values, evenly in (((1.0, 10.0, 19.0), True), ((1.0, 10.0, 100.0), False), ((1.0, 1e2, 1e4), True)):
    (x0, y0), (x1, y1), (x2, y2) = coordinates(curves.panel({"a": [*zip((0, 50, 100), values, strict=True)]}, 100))
    assert y0 > y1 > y2 and (abs((y0 - y1) - (y1 - y2)) < 0.3) == evenly
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11) and x2 <= curves.WIDTH


@pytest.mark.parametrize("values", [[0.0], [5.0] * 3, [1e-30, 1e30], [-3e38, 3e38], [0.0, 1e-12], list(range(1000))])
def test_a_panel_of_any_values_stays_within_its_box(values):
  svg = curves.panel({"a": list(enumerate(values)), "none": []}, len(values) - 1)
  assert "nan" not in svg and "inf" not in svg
  assert all(0 <= x <= curves.WIDTH and 0 <= y <= curves.HEIGHT for x, y in coordinates(svg))
  xml.etree.ElementTree.fromstring(svg)
  assert curves.panel({"none": []}, 10) == ""


# A sweep


def write_sweep(folder):
  """Four members, of which best/ holds the third."""
  (folder / "samples").mkdir(parents=True)
  (folder / "best").mkdir()
  config = {"train": {"rounds": 4000}, "seed": 5, "game": {"weight": 0.5}, "eval": {"best": "frechet"}}
  (folder / "config.json").write_text(json.dumps({"grid": {"game.weight": [0.5, 10.0]}, "seeds": 2} | config))
  (folder / "best" / "config.json").write_text(json.dumps(config | {"game": {"weight": 10}}))
  members = [{"game.weight": w, "seed": s, "a/loss": w + s, "frechet": "nan"} for w in (0.5, 10.0) for s in (5, 6)]
  summary = [{"game.weight": w, "metric": "a/<loss>", "median": 1234.56, "min": 0.1, "max": 2e4} for w in (0.5, 10.0)]
  protocol = {"images": {"samples": 1000, "split": "<held out>"}}
  (folder / "evaluation.json").write_text(json.dumps({"protocol": protocol}))
  for file, rows in (("members.csv", members), ("sweep.csv", summary)):
    with (folder / file).open("w", newline="") as opened:
      writer = csv.DictWriter(opened, list(rows[0]))
      writer.writeheader()
      writer.writerows(rows)
  for i in range(4):
    image = np.full((4, 8, 8, 1), i / 4)
    report.save_samples(folder / "samples" / f"member_{i:03d}.png", image, image)
  report.save_image(folder / "sweep.png", np.zeros((700, 500, 1)))
  return folder


def test_a_sweep_shows_its_members_side_by_side_and_names_the_best(tmp_path):
  folder = write_sweep(tmp_path / "sweep")
  page.save_sweep(folder, "<i>")
  text = (folder / "report.html").read_text()
  assert pictures(text) == {"Metrics over rounds, of each setting": (folder / "sweep.png").read_bytes()} | {
    f"Samples of member {i}": (folder / "samples" / f"member_{i:03d}.png").read_bytes() for i in range(4)
  }
  assert "The best by frechet is member 2: game.weight 10, seed 5." in text and text.count('class="best"') == 1
  assert f"python -m experiments.sample --workdir={folder / 'best'}" in text
  assert "game.weight 0.5, seed 6" in text and "a/loss 6.5<br>frechet not finite" in text
  assert "a/&lt;loss&gt;</td><td>1,235</td><td>0.1</td><td>20,000</td>" in text and "<i>" not in text
  assert "4 members, 4,000 rounds each." in text
  assert "<h2>How they were measured</h2><h3>Images</h3><dl><dt>samples</dt><dd>1,000</dd>" in text
  assert "<dt>split</dt><dd>&lt;held out&gt;</dd>" in text


def test_a_sweep_without_pictures_or_a_best_member(tmp_path):
  folder = write_sweep(tmp_path / "sweep")
  shutil.rmtree(folder / "samples")
  shutil.rmtree(folder / "best")
  (folder / "sweep.png").unlink()
  (folder / "evaluation.json").unlink()
  page.save_sweep(folder, "a title")
  text = (folder / "report.html").read_text()
  assert "The best" not in text and "<img" not in text and "Member 3" in text
  (folder / "members.csv").unlink()
  (folder / "sweep.csv").unlink()
  page.save_sweep(folder, "a title")
  assert "No members yet." in (folder / "report.html").read_text()


@pytest.mark.parametrize("content", ["a,b\n1\n", "a,b\n1,2,3\n", 'a,b\n"1,2\n', "a,b\n\xff"])
def test_a_damaged_table_is_named(tmp_path, content):
  folder = write_sweep(tmp_path / "sweep")
  (folder / "members.csv").write_bytes(content.encode("latin-1"))
  with pytest.raises(ValueError, match=r"members\.csv is damaged"):
    page.save_sweep(folder, "a title")


# In a browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# Opens each page in a frame of a given width, looks at it, moves its first slider to the left, and writes down what it
# found. A frame without "allow-scripts" shows what is seen without scripts.
HARNESS = """<!doctype html><title>harness</title><body>FRAMES<script>
const look = (frame) => {
  const page = frame.contentDocument, view = frame.contentWindow;
  const images = [...page.images], input = page.querySelector("input");
  for (const details of page.querySelectorAll("details")) details.open = true;
  const visible = () => images.filter((image) => image.checkVisibility()).map((image) => image.alt);
  const found = {
    images: images.length, broken: images.filter((image) => !image.complete || !image.naturalWidth).length,
    width: page.documentElement.scrollWidth, window: view.innerWidth, visible: visible(),
    slider: input ? view.getComputedStyle(input).display : "", paper: view.getComputedStyle(page.body).backgroundColor,
  };
  if (input) {
    input.value = input.min;
    input.dispatchEvent(new view.Event("input"));
    found.moved = visible();
    found.caption = page.querySelector("output").textContent;
    found.spoken = input.getAttribute("aria-valuetext");
  }
  return found;
};
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(look);
  document.body.textContent = "FOUND" + JSON.stringify(found) + "END";
});
</script>"""


def seen(folder, pages, *options):
  """What the browser sees of (page, width, sandbox) each, and what it says."""
  frames = [
    f'<iframe src="{path.as_uri()}" style="width:{w}px;height:900px" {more}></iframe>' for path, w, more in pages
  ]
  harness = folder / "harness.html"
  harness.write_text(HARNESS.replace("FRAMES", "".join(frames)))
  command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
  command += ["--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=10000"]
  done = subprocess.run([*command, *options, harness.as_uri()], capture_output=True, text=True, timeout=120)
  found = re.search("FOUND(.*)END", done.stdout)
  assert found, done.stdout[:2000] + done.stderr[-2000:]
  return json.loads(html.unescape(found[1])), done.stderr


@pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the PATH")
def test_pages_in_a_browser(tmp_path):
  """A finished run, an interrupted one and a sweep: nothing is wider than the window, and sliders change pictures."""
  finished, interrupted = write(tmp_path / "finished"), write(tmp_path / "interrupted", rounds=20_000, upto=2500)
  report.append_metrics(finished / "warnings.jsonl", [WARNINGS[0] | {"message": "--config." + "x" * 300}])
  for folder in (finished, interrupted):
    page.save(folder, "a title " + "y" * 200)
  page.save_sweep(write_sweep(tmp_path / "sweep"), "a title")
  paths = [folder / "report.html" for folder in (finished, interrupted, tmp_path / "sweep")]
  pages = [(path, width, "") for path in paths for width in (400, 1400)]
  pages.append((paths[0], 400, 'sandbox="allow-same-origin"'))
  found, said = seen(tmp_path, pages)
  assert "Uncaught" not in said
  assert [(each["images"], each["broken"]) for each in found] == [(n, 0) for n in (9, 9, 5, 5, 5, 5, 9)]
  assert all(each["width"] <= each["window"] for each in found)
  assert [each["window"] for each in found] == [400, 1400] * 3 + [400]
  for each, last in zip(found[:4], ("4,000", "4,000", "2,000", "2,000"), strict=True):
    others = ["Real images, held out", f"X to y after round {last}"]
    assert each["visible"] == [others[0], f"Samples after round {last}", others[1]]
    assert each["moved"] == [others[0], "Samples after round 1,000", others[1]]
    assert each["slider"] == "block" and each["caption"] == each["spoken"] == "round 1,000"
  assert found[6]["slider"] == "none" and found[6]["visible"] == found[0]["visible"]
  dark, _ = seen(tmp_path, pages[:1], "--blink-settings=preferredColorScheme=0")
  assert {each["paper"] for each in found} == {"rgb(255, 255, 255)"} and dark[0]["paper"] == "rgb(21, 24, 27)"
