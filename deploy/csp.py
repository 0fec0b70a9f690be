"""The content security policy, which is one and the same for nearly every answer: its header is written once."""

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from django.http import HttpRequest, HttpResponseBase

OWN_POLICY = ("_csp_config", "_csp_update", "_csp_replace", "_csp_exempt", "_csp_config_ro", "_csp_update_ro")


class OnePolicyMiddleware(CSPMiddleware):  # type: ignore[misc]  # django-csp is untyped
    """django-csp builds the header again for each response. Here that is done for the first one, and for those that
    have a nonce or a policy of their own."""

    header = ""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if getattr(request, "_csp_nonce", None) or any(hasattr(response, name) for name in OWN_POLICY):
            super().process_response(request, response)  # it writes on the response and returns the same
            return response
        if not self.header:
            super().process_response(request, response)
            self.header = response.get(HEADER, "")
            return response
        response.setdefault(HEADER, self.header)
        return response
