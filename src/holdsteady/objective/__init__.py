"""What is optimised: the unified accuracy–stability–robustness loss, its distances, its flow and its theory."""

from holdsteady.objective.distances import DISTANCES, Distance
from holdsteady.objective.loss import LossTerms, unified_loss

__all__ = ["DISTANCES", "Distance", "LossTerms", "unified_loss"]
