"""Rounds, runs, checkpoints, evaluations, learning curves. The arrow points down only: training → annotation."""

from training.models.checkpoint import Checkpoint
from training.models.engine_job import EngineJob
from training.models.evaluation import Evaluation
from training.models.generation import Generation
from training.models.learning_curve import LearningCurve
from training.models.margin_scoring import MarginScoring
from training.models.round import Round
from training.models.run import Run

__all__ = ["Checkpoint", "EngineJob", "Evaluation", "Generation", "LearningCurve", "MarginScoring", "Round", "Run"]
