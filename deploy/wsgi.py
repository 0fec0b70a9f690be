"""What gunicorn serves, and `manage.py serve` has it load before it forks."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
application = get_wsgi_application()
# What is loaded now stays: the collector need not look at it again and again, nor does the first write to a counter
# copy its pages into each process. Requests leave few cycles, so they are looked for less often than in 700 objects.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 20)
