"""What the learner tells Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from builderbrain.learn.learner import RailLearner


class LearnMetrics(Collector):
    """Reads everything from the learner at every scrape."""

    def __init__(self, learner: RailLearner) -> None:
        self._learner = learner

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """See `Collector`."""
        learner = self._learner
        counts, traces, gaps = learner.counts, learner.traces, learner.background.counts
        for name, text, value in (
            ("bb:learner_traces", "Goals written down.", traces.kept),
            ("bb:learner_traces_lost", "Goals that could not be written down.", traces.refused),
            ("bb:learner_outcomes", "Outcomes written down.", traces.outcomes),
            ("bb:learner_steps", "Training steps of candidates.", counts.steps),
            ("bb:learner_tokens", "Tokens that candidates were trained on.", counts.tokens),
            ("bb:learner_failures", "Turns of the learner that failed.", counts.failures),
            ("bb:learner_rollbacks", "Versions that were taken back.", counts.rollbacks),
            ("bb:learner_micro_steps", "Micro-steps in the gaps of decoding.", gaps.micro_steps),
            ("bb:learner_micro_step_seconds", "Seconds of micro-steps.", gaps.background_seconds),
            (
                "bb:learner_micro_steps_under_load",
                "Micro-steps between two rounds that followed on one another.",
                gaps.between_rounds,
            ),
        ):
            family = CounterMetricFamily(name, text)
            family.add_metric([], float(value))
            yield family
        for name, text, values, label in (
            ("bb:learner_candidates", "Candidates by what became of them.", counts.candidates, "decision"),
            ("bb:learner_examples_removed", "Examples that a defence took away.", counts.removed, "reason"),
        ):
            family = CounterMetricFamily(name, text, labels=[label])
            for key, number in sorted(values.items()):
                family.add_metric([key], float(number))
            yield family
        for name, text, value in (
            ("bb:learner_trace_bytes", "Bytes of traces on disk.", traces.log.num_bytes),
            ("bb:learner_swap_seconds", "Seconds that the last promotion took.", counts.swap_seconds),
        ):
            gauge = GaugeMetricFamily(name, text)
            gauge.add_metric([], float(value))
            yield gauge
        phase = GaugeMetricFamily("bb:learner_phase", "1 for what the learner does now.", labels=["phase"])
        phase.add_metric([learner.phase], 1.0)
        yield phase
