"""How good an avatar is, in figures: `evaluate` measures, `write_report` shows."""

from pipeline.evaluation.clip_score import ClipScore, clip_models
from pipeline.evaluation.evaluate import Evaluation, evaluate
from pipeline.evaluation.report import check_target, write_report

__all__ = ["ClipScore", "Evaluation", "check_target", "clip_models", "evaluate", "write_report"]
