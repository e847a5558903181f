"""Statistics of evaluations: figures with intervals that are as wide as the questions warrant.

It knows arrays alone: scores from 0 to 1 with one value for each question, labels of clusters, verdicts. Everything
random takes a seed and has the same result each time. Nothing on the way to a server's start imports this package,
since scipy and statsmodels take a second.
"""

from moa_mcp.evaluation.statistics.arrays import Clusters, Floats
from moa_mcp.evaluation.statistics.calibration import AgreementLevel, Calibration, agreement_calibration
from moa_mcp.evaluation.statistics.detectable import Detectable, detectable
from moa_mcp.evaluation.statistics.families import Conclusion, CorrectedGain, compared
from moa_mcp.evaluation.statistics.figures import Figure
from moa_mcp.evaluation.statistics.intervals import MeanScore, mean_score, wilson
from moa_mcp.evaluation.statistics.joint import JointErrors, aggregator_efficiency, joint_errors, oracle_rate
from moa_mcp.evaluation.statistics.judging import Preference, preference
from moa_mcp.evaluation.statistics.lengths import LengthControl, NotControlled
from moa_mcp.evaluation.statistics.paired import PairedGain, paired_gain
from moa_mcp.evaluation.statistics.samples import SampleBaselines, sample_baselines
from moa_mcp.evaluation.statistics.thresholds import CascadeReport, ThresholdChoice, choose_threshold

__all__ = [
    "AgreementLevel",
    "Calibration",
    "CascadeReport",
    "Clusters",
    "Conclusion",
    "CorrectedGain",
    "Detectable",
    "Figure",
    "Floats",
    "JointErrors",
    "LengthControl",
    "MeanScore",
    "NotControlled",
    "PairedGain",
    "Preference",
    "SampleBaselines",
    "ThresholdChoice",
    "aggregator_efficiency",
    "agreement_calibration",
    "choose_threshold",
    "compared",
    "detectable",
    "joint_errors",
    "mean_score",
    "oracle_rate",
    "paired_gain",
    "preference",
    "sample_baselines",
    "wilson",
]
