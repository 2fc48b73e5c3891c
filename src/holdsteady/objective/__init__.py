"""What is optimised: the unified accuracy–stability–robustness loss, its distances, its flow and its theory."""

from holdsteady.objective.distances import DISTANCES, Distance
from holdsteady.objective.fit import fit_by_first
from holdsteady.objective.loss import LossTerms, unified_loss

__all__ = ["DISTANCES", "Distance", "LossTerms", "fit_by_first", "unified_loss"]
