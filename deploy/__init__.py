"""Settings, and how the site is put together and run: `manage.py serve`, the database, Celery, static files.

May import both apps; no app imports this package.
"""

from deploy.celery import app as celery_app

__all__ = ["celery_app"]
