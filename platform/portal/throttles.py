"""How often one visitor or studio may ask. Rates come from the one table of limits in settings."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from media.errors import CountersignError


class TooManyRequests(CountersignError):
    """A visitor asked more often than the limit allows."""

    code = "too_many_requests"
    permanent = False


class AddressThrottle(SimpleRateThrottle):
    """Counts requests by the address they come from."""

    def get_cache_key(self, request: Request, view: APIView) -> str:
        """One count per address."""
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class VerifyThrottle(AddressThrottle):
    """Examinations of files, by page and by API together."""

    scope = "verify"

    def get_rate(self) -> str:
        """Per hour, from settings."""
        return f"{settings.REQUEST_LIMITS.verify_per_hour}/hour"


class RequestThrottle(AddressThrottle):
    """All requests to the API."""

    scope = "requests"

    def get_rate(self) -> str:
        """Per minute, from settings."""
        return f"{settings.REQUEST_LIMITS.requests_per_minute}/min"


class SignInThrottle(AddressThrottle):
    """Attempts to sign in: enough for a forgetful person, too few to guess passwords."""

    scope = "sign_in"
    rate = "20/hour"


def require_quota(throttle: SimpleRateThrottle, request: HttpRequest) -> None:
    """Count a request to a plain page. Raises TooManyRequests."""
    # the throttle reads the address alone, which both kinds of request carry
    if not throttle.allow_request(request, None):  # type: ignore[arg-type]
        wait_s = throttle.wait() or 60
        raise TooManyRequests(f"Too many requests from your address; try again in {max(1, round(wait_s / 60))} min.")
