"""The stories of training use its fixtures; named one by one, so that a reader sees where they come from."""

from tests.training.conftest import freeze, manager, project, prompts, tiny_model, tiny_model_files

__all__ = ["freeze", "manager", "project", "prompts", "tiny_model", "tiny_model_files"]
