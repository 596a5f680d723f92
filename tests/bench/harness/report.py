"""Tables on the terminal: ratios first, and never a time without the one that it is held against."""
from harness.figures import quartiles

SCALES = {"ns": ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns")), "bytes": ((1 << 20, "MB"), (1 << 10, "KB"), (1, "B"))}


def shown(value, unit):
    for size, name in SCALES.get(unit, ()):
        if abs(value) >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.4g} {unit}".rstrip()


def table(lines):
    """Columns aligned; the first to the left, the others to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  " + "  ".join(cells).rstrip())


def _main_cells(measure, variant, metric):
    """Ratio, its quartiles, the median and its spread."""
    samples = measure.samples(variant, metric)
    if not samples:
        return ["-", "", ""]
    low, middle, high = quartiles(samples)
    spread = f" +-{(high - low) / 2 / middle * 100:.1f}%" if middle else ""
    absolute = shown(middle, metric.unit) + spread
    ratios = measure.ratios(variant, metric)
    if not ratios or variant == measure.baseline:
        return ["1" if ratios else "-", "", absolute]
    low, middle, high = quartiles(ratios)
    return [f"{middle:.3f}", f"{low:.3f} .. {high:.3f}", absolute]


def _short_cells(measure, variant, metric):
    """Ratio and median."""
    samples, ratios = measure.samples(variant, metric), measure.ratios(variant, metric)
    if not samples:
        return ["-", ""]
    ratio = f"{quartiles(ratios)[1]:.3g}" if ratios else "-"
    return [ratio, shown(quartiles(samples)[1], metric.unit)]


def tell(measure):
    """One measure, a line a variant."""
    print(f"\n{measure.section}: {measure.subject} ({len(measure.rounds)} rounds, ratios to {measure.baseline})")
    facts = list(dict.fromkeys(name for found in measure.facts.values() for name in found))
    measured = [metric for metric in measure.metrics
                if any(measure.samples(variant, metric) for variant in measure.variants())]
    if not measured:
        print("  nothing could be measured")
        return
    first, *others = measured
    heading = ["variant", first.name, "quartiles", "median"]
    for metric in others:
        heading += [metric.name, "median"]
    lines = [heading + facts]
    for variant in measure.variants():
        line = [variant, *_main_cells(measure, variant, first)]
        for metric in others:
            line += _short_cells(measure, variant, metric)
        own = measure.facts.get(variant, {})
        lines.append(line + [f"{own[name]:g}" if name in own else "" for name in facts])
    table(lines)


def tell_targets(targets):
    if not targets:
        return
    print("\ntargets")
    lines = [["", "limit", "measured", "quartiles", ""]]
    for target in targets:
        value = "-" if target.value is None else ("<= " if target.bound else "") + f"{target.value:.4g}"
        spread = f"{target.spread[0]:.4g} .. {target.spread[2]:.4g}" if target.spread else ""
        judged = {True: "met", False: "NOT MET", None: "not measured"}[target.met]
        lines.append([f"{target.section}: {target.text}", f"{target.limit:g}", value, spread, judged])
    table(lines)


def tell_left_out(left_out):
    if left_out:
        print("\nleft out")
        table([[f"{entry['section']}: {entry['subject']}", entry["what"] + ":", entry["why"]] for entry in left_out])
