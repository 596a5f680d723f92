"""What was measured: samples round by round, and what follows from them. A ratio is that of one round's
figures; the median of the rounds' ratios stands for all, because what else the machine does meanwhile
hits both sides of a round alike."""
import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    best: str = "lower"


WALL = Metric("time", "ns")
PROCESSOR = Metric("processor", "ns")


def quartiles(values):
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


@dataclasses.dataclass
class Measure:
    """One subject, several variants of doing it. `rounds` has for each round and variant its figures by
    the metric's name; `facts` has what needs no repetition, such as a count of instructions."""
    section: str
    subject: str
    baseline: str
    metrics: list
    rounds: list = dataclasses.field(default_factory=list)
    facts: dict = dataclasses.field(default_factory=dict)

    def variants(self):
        names = {}
        for figures in self.rounds:
            names |= dict.fromkeys(figures)
        return list(names) + [name for name in self.facts if name not in names]

    def samples(self, variant, metric):
        return [figures[variant][metric.name] for figures in self.rounds
                if metric.name in figures.get(variant, {})]

    def ratios(self, variant, metric, to=None):
        """Of every round that has both."""
        to = to or self.baseline
        pairs = [(figures[variant].get(metric.name), figures[to].get(metric.name))
                 for figures in self.rounds if variant in figures and to in figures]
        return [mine / theirs for mine, theirs in pairs if mine is not None and theirs]

    def drop(self, variant):
        """Forgets a variant that failed on the way: half a series is none."""
        for figures in self.rounds:
            figures.pop(variant, None)
        self.facts.pop(variant, None)

    def as_json(self):
        return {"section": self.section, "subject": self.subject, "baseline": self.baseline,
                "variants": [self._variant_json(name) for name in self.variants()]}

    def _variant_json(self, name):
        told = {"variant": name, "metrics": [], "facts": self.facts.get(name, {})}
        for metric in self.metrics:
            samples = self.samples(name, metric)
            if not samples:
                continue
            entry = {"metric": metric.name, "unit": metric.unit, "best": metric.best, "samples": samples}
            entry["quartiles"] = quartiles(samples)
            ratios = self.ratios(name, metric)
            if ratios:
                entry["ratios"], entry["ratio_quartiles"] = ratios, quartiles(ratios)
            told["metrics"].append(entry)
        return told


@dataclasses.dataclass
class Target:
    """What the project promises of a figure. `value` is None where it could not be measured."""
    section: str
    text: str
    limit: float
    value: float | None
    spread: tuple | None = None
    bound: bool = False  # the value is not below the true one: the other side was not waited for

    @property
    def met(self):
        return None if self.value is None else self.value <= self.limit

    def as_json(self):
        return {"section": self.section, "target": self.text, "limit": self.limit, "value": self.value,
                "quartiles": self.spread, "bound": self.bound, "met": self.met}
