"""Plots of the results by gnuplot, as small SVG files: ratios as bars, growth as lines."""
import shutil
import subprocess

from harness.figures import quartiles

HEAD = "set terminal svg size 640,{height} font 'sans,11' background '#ffffff'\nset output '{file}'\nset grid\n"


def draw(bench, output):
    """A bar chart for each section, of the first metric's ratios; and how operations grow with processes."""
    if not shutil.which("gnuplot"):
        bench.leave_out("all", "plots", "gnuplot is not installed (make deps-bench)")
        return
    for section in dict.fromkeys(measure.section for measure in bench.measures):
        rows = [row for measure in bench.measures if measure.section == section for row in _ratios(measure)]
        if rows:
            _bars(output / f"{section}.svg", section, rows)
    _growth(bench, output / "growth.svg")


def _ratios(measure):
    """Label, median and quartiles of lockshim's variants."""
    for variant in measure.variants():
        ratios = measure.ratios(variant, measure.metrics[0])
        ours = variant.startswith("lock") or variant == "rollback"
        if ours and variant != measure.baseline and ratios:
            low, middle, high = quartiles(ratios)
            yield f"{measure.subject}: {variant}", middle, low, high


def _plot(script):
    subprocess.run(["gnuplot"], input=script, text=True, check=False)


def _quoted(text):
    return text.replace('"', "'").replace("_", " ")


def _bars(file, section, rows):
    lines = "\n".join(f'{number} {middle} {low} {high} "{_quoted(label)}"'
                      for number, (label, middle, low, high) in enumerate(reversed(rows)))
    _plot(HEAD.format(height=80 + 22 * len(rows), file=file) + f"""$rows << END
{lines}
END
set title "{section}: ratios to the baseline, medians and quartiles"
set logscale x
set yrange [-1:{len(rows)}]
set arrow from 1,-1 to 1,{len(rows)} nohead lc rgb '#888888'
unset key
plot $rows using 2:1:3:4:ytic(5) with xerrorbars pt 7 lc rgb '#1f5fa8'
""")


def _growth(bench, file):
    """Time of an operation by the number of processes, against one of flock's with the fewest."""
    points = {}
    for measure in bench.measures:
        if not measure.subject.startswith("workers: "):
            continue
        count = int(measure.subject.split()[1])
        for variant in measure.variants():
            samples = measure.samples(variant, measure.metrics[0])
            if samples:
                points.setdefault(variant, []).append((count, quartiles(samples)[1]))
    if "flock" not in points:
        return
    unit = points["flock"][0][1]
    blocks = [f"$d{number} << END\n" + "\n".join(f"{count} {value / unit}" for count, value in series) + "\nEND\n"
              for number, series in enumerate(points.values())]
    plots = ", ".join(f'$d{number} with linespoints title "{_quoted(name)}"' for number, name in enumerate(points))
    _plot(HEAD.format(height=360, file=file) + "".join(blocks) + f"""set title "time of an operation, by processes"
set logscale xy
set xlabel "processes"
set ylabel "ratio to flock with the fewest"
plot {plots}
""")
