"""Rounds, runs, checkpoints, evaluations. The arrow points down only: training → annotation."""

from training.models.checkpoint import Checkpoint
from training.models.engine_job import EngineJob
from training.models.evaluation import Evaluation
from training.models.generation import Generation
from training.models.round import Round
from training.models.run import Run

__all__ = ["Checkpoint", "EngineJob", "Evaluation", "Generation", "Round", "Run"]
