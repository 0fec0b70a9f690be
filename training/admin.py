"""Every table of training to search and read, on the administration pages."""

from annotation.web.administration import look
from training import models

look(
    models.Run,
    "id project trainer name status dataset parent created_by created_at",
    "=id name project__slug",
    "trainer status",
)
look(models.Checkpoint, "id project run parent form promoted_at created_at", "=id =sha256 project__slug", "form")
look(models.Evaluation, "id project checkpoint dataset status created_by created_at", "=id project__slug", "status")
look(models.Generation, "id project checkpoint round status candidates_added created_at", "=id project__slug", "status")
look(models.MarginScoring, "id project checkpoint status margins_count created_at", "=id project__slug", "status")
look(models.Round, "id project number status checkpoint created_at", "=id project__slug", "status")
look(models.LearningCurve, "id project dataset created_by created_at", "=id project__slug")
