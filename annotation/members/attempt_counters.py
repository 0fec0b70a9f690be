"""Counters of sign-in attempts, when the clock of the machine was set back."""

from allauth.account import app_settings
from allauth.core.internal.ratelimit import parse_rates
from django.db import connection

TOLERANCE_SECONDS = 60.0
FROM_THE_FUTURE = "DELETE FROM annotation_counter WHERE expires > now() + make_interval(secs => %s)"


def forget_future_attempts() -> int:
    """Delete counters that last longer than any limit does; returns how many there were.

    They count attempts at a time which is still to come, and would lock their account or address until then.
    """
    longest = max(
        (rate.duration for rates in app_settings.RATE_LIMITS.values() for rate in parse_rates(rates)), default=0
    )
    with connection.cursor() as cursor:
        cursor.execute(FROM_THE_FUTURE, [longest + TOLERANCE_SECONDS])
        return int(cursor.rowcount)
