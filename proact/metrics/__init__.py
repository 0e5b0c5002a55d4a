"""What is measured: metrics of conversations with their directions, and what methods differ by."""

from proact.metrics import conversation as conversation
from proact.metrics.base import METRICS, Absent, MetricSpec, Value, Weighted, metric
from proact.metrics.subject import Subject

__all__ = ["METRICS", "Absent", "MetricSpec", "Subject", "Value", "Weighted", "conversation", "metric"]
