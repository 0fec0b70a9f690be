"""The stories of training use its fixtures."""

from tests.training.conftest import *  # noqa: F403
