"""The walks in a browser use the fixtures of the browser's stories."""

from tests.stories.browser.conftest import quiet_server

__all__ = ["quiet_server"]
