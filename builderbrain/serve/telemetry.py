"""Metrics in Prometheus' format: vLLM's names where the meaning is the same, `bb:` for what only this project has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from builderbrain.agent.breaker import BreakerRecord
from builderbrain.agent.planning import FallbackStep
from builderbrain.agent.trace import TraceEntry
from builderbrain.decode.base import TokenDetails
from builderbrain.deferral.policy import Deferral, DeferralRecord
from builderbrain.errors import BuilderBrainError, classify
from builderbrain.grammar.base import ConstraintReport
from builderbrain.grammar.cache import CacheUse
from builderbrain.plan.repair import Repair

_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5, 10, 20, 40, 80, 160, 320)

_NATS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
_UTILITIES = (-1.0, -0.5, -0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
_SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)


class Telemetry:
    """The metrics of one server, in a registry of its own. Every method may be called from any thread."""

    def __init__(self, model_name: str) -> None:
        self._registry = CollectorRegistry()
        self._mutex = threading.Lock()
        self._model = model_name
        self._prompt_tokens = self._counter("vllm:prompt_tokens", "Prompt tokens processed.")
        self._generation_tokens = self._counter("vllm:generation_tokens", "Tokens generated.")
        self._prefix_queries = self._counter("vllm:prefix_cache_queries", "Prompt tokens looked for in the prefix cache.")
        self._prefix_hits = self._counter("vllm:prefix_cache_hits", "Prompt tokens taken over from the prefix cache.")
        self._success = self._counter("vllm:request_success", "Outputs finished.", "finished_reason")
        self._first = self._histogram("vllm:time_to_first_token_seconds", "From submission to the first token.")
        self._next = self._histogram("vllm:inter_token_latency_seconds", "Between two tokens of one output.")
        self._whole = self._histogram("vllm:e2e_request_latency_seconds", "From submission to the end of an output.")
        self._failures = self._counter("bb:output_failures", "Outputs that ended with an error.", "code")
        self._listeners: list[Callable[[str, BaseException | None, str], None]] = []
        self._incidents = self._counter("bb:incidents", "Incidents, repeated ones too.", "level", "kind")
        self._answers = self._counter("bb:incident_answers", "Answers to grave incidents, by how they ended.", "status")
        self._errors = self._counter(
            "bb:errors",
            "Errors by class, severity and code: of replies, outputs and steps of plans.",
            "where",
            "error_class",
            "severity",
            "code",
        )
        self._responses = self._counter("bb:http_responses", "Replies by status.", "status")
        self._constraints = self._counter(
            "bb:constraint_outputs",
            "Constrained outputs, by engine, enforcement and verdict.",
            "engine",
            "enforcement",
            "valid",
        )
        self._divergence = self._histogram(
            "bb:token_kl_nats", "KL of builder to base per token, of outputs that asked for token details.", _NATS
        )
        self._energy = self._histogram(
            "bb:token_grammar_energy_nats", "Grammar energy per token, of outputs that asked for token details.", _NATS
        )
        self._alpha = self._histogram(
            "bb:token_alpha", "Mean gate per token, of outputs that asked for token details.", _SHARES
        )
        self._checks = self._counter("bb:plan_checks", "Plans checked, by verdict.", "verdict")
        self._goals = self._counter("bb:goals", "Goals answered, by verdict.", "verdict")
        self._repairs = self._counter("bb:plan_repairs", "Refused plans that were to be repaired, by outcome.", "outcome")
        self._fallbacks = self._counter(
            "bb:plan_fallbacks", "What was tried in place of refused plans, by stage.", "stage", "helped"
        )
        self._runs = self._counter("bb:plan_executions", "Plans that were run, or wait for a yes, by status.", "status")
        self._breakers = self._counter(
            "bb:breaker_changes", "Changes of state of circuit breakers.", "breaker", "action", "state"
        )
        self._deferrals = self._counter(
            "bb:deferrals", "Requests judged by their confidence, by what was offered instead of an answer.", "domain", "offer"
        )
        self._moved = self._counter("bb:deferral_records", "Outcomes told and shifts found, by domain.", "domain", "kind")
        self._thresholds: list[Callable[[], Mapping[str, float | None]]] = []
        self._prompt = self._reused = 0
        self._caches: dict[str, Callable[[], Mapping[str, CacheUse]]] = {}
        self._lookups = self._histogram(
            "bb:lookup_net_utility", "Expected utility, less its cost, of the best lookup for a deferred goal.", _UTILITIES
        )

    def watch(self, running: Callable[[], int], waiting: Callable[[], int]) -> None:
        """Read the engine's gauges from these at every scrape."""
        for name, text, read in (
            ("vllm:num_requests_running", "Outputs being decoded.", running),
            ("vllm:num_requests_waiting", "Outputs waiting for a place.", waiting),
        ):
            self._gauge(name, text, read)

    def watch_pages(self, used: Callable[[], float]) -> None:
        """Read the share of cache pages that are held from this at every scrape."""
        self._gauge("vllm:kv_cache_usage_perc", "Share of the cache pages that outputs hold, 1 is all.", used)

    def watch_passes(self, counts: Mapping[str, int]) -> None:
        """Read how many passes of the model ran in which way from this at every scrape; its keys do not change."""
        self._registry.register(_PassCounter(self._model, counts))

    def watch_caches(self, cache: str, read: Callable[[], Mapping[str, CacheUse]]) -> None:
        """Read what a cache was asked for, by what it is divided into, from this at every scrape; "" where it is one."""
        if not self._caches:
            self._registry.register(_CacheFigures(self._model, self._caches))
        self._caches[cache] = read

    def prefix_use(self, entries: int, evictions: int) -> CacheUse:
        """What the prefix cache was asked for, in tokens of prompts; it holds `entries` pages."""
        with self._mutex:
            hits, misses = self._reused, self._prompt - self._reused
        return CacheUse(hits=hits, misses=misses, entries=entries, evictions=evictions)

    def watch_collector(self, collector: Collector) -> None:
        """Let another part of the server bring metrics of its own."""
        self._registry.register(collector)

    def exposition(self) -> bytes:
        """The text a Prometheus server scrapes."""
        return generate_latest(self._registry)

    def first_step(self, seconds: float) -> None:
        """See `EngineObserver`."""
        self._first.labels(self._model).observe(seconds)

    def next_step(self, seconds: float) -> None:
        """See `EngineObserver`."""
        self._next.labels(self._model).observe(seconds)

    def ended(self, seconds: float, failure: BaseException | None) -> None:
        """See `EngineObserver`."""
        self._whole.labels(self._model).observe(seconds)
        if failure is not None:
            code = failure.code if isinstance(failure, BuilderBrainError) else type(failure).__name__
            self._failures.labels(self._model, code).inc()
            self.refused(failure, where="output")

    def refused(self, error: BaseException, *, where: str) -> None:
        """An error reached whoever asked, or ended an output."""
        classed = error.classification if isinstance(error, BuilderBrainError) else classify("internal")
        code = error.code if isinstance(error, BuilderBrainError) else "internal"
        self._errors.labels(self._model, where, classed.error_class, classed.severity, code).inc()
        for listener in self._listeners:
            listener(where, error, code)

    def on_error(self, listener: Callable[[str, BaseException | None, str], None]) -> None:
        """Tell of every error: where it showed, the error where there is more than its code, and the code."""
        self._listeners.append(listener)

    def incident(self, kind: str, level: str) -> None:
        """Something happened beyond one request."""
        self._incidents.labels(self._model, level, kind).inc()

    def answered_incident(self, status: str) -> None:
        """A grave incident was answered."""
        self._answers.labels(self._model, status).inc()

    def watch_latch(self, latched: Callable[[], bool]) -> None:
        """Read whether the answer to incidents is latched from this at every scrape."""
        self._gauge(
            "bb:incidents_latched", "1 where nothing is rolled back by itself before a release.", lambda: float(latched())
        )

    def finished(self, *, prompt_tokens: int, cached_tokens: int, tokens: int, reason: str) -> None:
        """An output reached its end; `cached_tokens` of its prompt had not to be run."""
        with self._mutex:
            self._prompt, self._reused = self._prompt + prompt_tokens, self._reused + cached_tokens
        self._prompt_tokens.labels(self._model).inc(prompt_tokens)
        self._prefix_queries.labels(self._model).inc(prompt_tokens)
        self._prefix_hits.labels(self._model).inc(cached_tokens)
        self._generation_tokens.labels(self._model).inc(tokens)
        self._success.labels(self._model, reason).inc()

    def constrained(self, report: ConstraintReport) -> None:
        """A constrained output reached its end."""
        valid = {True: "true", False: "false", None: "cut"}[report.valid]
        self._constraints.labels(self._model, report.engine, report.enforcement, valid).inc()

    def explained(self, details: Iterable[TokenDetails]) -> None:
        """A finished output's tokens, where details were asked for; forced tokens say nothing."""
        for each in details:
            if each.grammar_energy is not None:
                self._energy.labels(self._model).observe(each.grammar_energy)
            if each.influence is not None:
                self._divergence.labels(self._model).observe(each.influence.divergence)
                self._alpha.labels(self._model).observe(each.influence.alpha)

    def checked(self, *, accepted: bool) -> None:
        """A plan was checked on request."""
        self._checks.labels(self._model, "accepted" if accepted else "rejected").inc()

    def answered(self, *, accepted: bool) -> None:
        """A goal was answered, or its plan refused."""
        self._goals.labels(self._model, "accepted" if accepted else "rejected").inc()

    def repaired(self, repair: Repair) -> None:
        """A refused plan was repaired, or could not be."""
        if repair.before:
            self._repairs.labels(self._model, "accepted" if repair.accepted else "refused").inc()

    def fell_back(self, steps: Iterable[FallbackStep]) -> None:
        """What was tried in place of a refused plan."""
        for step in steps:
            self._fallbacks.labels(self._model, step.stage, "true" if step.helped else "false").inc()

    def ran(self, status: str) -> None:
        """A plan was run, or waits for a yes."""
        self._runs.labels(self._model, status).inc()

    def stepped(self, entries: Iterable[TraceEntry]) -> None:
        """Steps of a plan that was run."""
        for entry in entries:
            if entry.error_code is not None:
                classed = classify(entry.error_code)
                self._errors.labels(self._model, "step", classed.error_class, classed.severity, entry.error_code).inc()
                for listener in self._listeners:
                    listener("step", None, entry.error_code)

    def breaker_changed(self, record: BreakerRecord) -> None:
        """A circuit breaker changed its state."""
        self._breakers.labels(self._model, record.name, record.action, record.after).inc()

    def deferred(self, verdict: Deferral) -> None:
        """A request was judged by its confidence."""
        self._deferrals.labels(self._model, verdict.domain, verdict.offer or "none").inc()

    def deferral_moved(self, record: DeferralRecord) -> None:
        """An outcome was told, or what is asked was found to have shifted."""
        self._moved.labels(self._model, record.domain, record.kind).inc()

    def watch_thresholds(self, read: Callable[[], Mapping[str, float | None]]) -> None:
        """Read the thresholds in force of some domains from this at every scrape; None, nothing answered, shows as 2."""
        if not self._thresholds:
            self._registry.register(_ThresholdGauge(self._model, self._thresholds))
        self._thresholds.append(read)

    def looked_up(self, net: float) -> None:
        """A lookup was weighed."""
        self._lookups.labels(self._model).observe(net)

    def responded(self, status: int) -> None:
        """A reply was sent."""
        self._responses.labels(self._model, str(status)).inc()

    def _gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        Gauge(name, text, ["model_name"], registry=self._registry).labels(self._model).set_function(read)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, ["model_name", *labels], registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...] = _LATENCIES) -> Histogram:
        return Histogram(name, text, ["model_name"], buckets=buckets, registry=self._registry)


class _ThresholdGauge(Collector):
    """The thresholds in force, of all who know some."""

    def __init__(self, model: str, reads: Sequence[Callable[[], Mapping[str, float | None]]]) -> None:
        self._model, self._reads = model, reads

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See `Collector`."""
        text = "Confidence under which requests of a domain are deferred; 2 where all are."
        family = GaugeMetricFamily("bb:deferral_threshold", text, labels=["model_name", "domain"])
        for read in self._reads:
            for domain, threshold in sorted(read().items()):
                family.add_metric([self._model, domain], 2.0 if threshold is None else threshold)
        yield family


class _CacheFigures(Collector):
    """What caches keep count of themselves: the same figures of every cache."""

    def __init__(self, model: str, caches: Mapping[str, Callable[[], Mapping[str, CacheUse]]]) -> None:
        self._model, self._caches = model, caches

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """See `Collector`."""
        labels = ["model_name", "cache", "part"]
        found = [
            ([self._model, cache, part], use)
            for cache, read in sorted(self._caches.items())
            for part, use in sorted(read().items())
        ]
        for name, text, figure in (
            ("bb:cache_hits", "What caches were asked for and had.", "hits"),
            ("bb:cache_misses", "What caches were asked for and had not.", "misses"),
            ("bb:cache_evictions", "What caches dropped for want of room.", "evictions"),
        ):
            counter = CounterMetricFamily(name, text, labels=labels)
            for values, use in found:
                if getattr(use, figure) is not None:
                    counter.add_metric(values, getattr(use, figure))
            yield counter
        for name, text, figure in (
            ("bb:cache_entries", "What caches hold.", "entries"),
            ("bb:cache_bytes", "What caches hold, in bytes.", "size_bytes"),
        ):
            gauge = GaugeMetricFamily(name, text, labels=labels)
            for values, use in found:
                if getattr(use, figure) is not None:
                    gauge.add_metric(values, getattr(use, figure))
            yield gauge


class _PassCounter(Collector):
    """A counter whose values somebody else keeps."""

    def __init__(self, model: str, counts: Mapping[str, int]) -> None:
        self._model, self._counts = model, counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See `Collector`."""
        text = "Passes of the model: captured in a CUDA graph, or why they ran operation by operation."
        family = CounterMetricFamily("bb:model_passes", text, labels=["model_name", "kind"])
        for kind, count in sorted(self._counts.items()):
            family.add_metric([self._model, kind], count)
        yield family
