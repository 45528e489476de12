"""What went wrong with the Hub, as one sentence that names the repository and what to do."""

from __future__ import annotations

import errno
import time
from email.utils import parsedate_to_datetime

import httpx2
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers

from pipeline.errors import UserError

LOG_IN = "log in with: hf auth login (or set HF_TOKEN)"
LATER = "try again later; what is on this machine already works"


class HubError(UserError):
    """The Hub could not give what was asked for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which the Hub wants to be asked again; None where it did not say."""


class Cancelled(HubError):
    """The person called it off; what has come so far is kept and goes on from there."""


class Damaged(HubError):
    """What came is not what it should be; other files of the repository may well be."""


class NoParts(HubError):
    """The server sends whole files only, and the whole was not asked for."""


def explained(error: Exception, name: str, address: str, as_stranger: bool = False) -> HubError:
    """The sentence for a failed request about the repository ``name``, whose page is ``address``.

    ``as_stranger``: it was asked without a login on purpose, so that to log in would change nothing.
    """
    if isinstance(error, OfflineModeIsEnabled):
        return HubError(f"{name} was not asked for, since HF_HUB_OFFLINE=1 forbids it; unset it to use the Hub")
    if isinstance(error, HfHubHTTPError):
        return _refused(error, name, address, as_stranger)
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return HubError(f"the Hub did not answer in time about {name}; {LATER}")
    if isinstance(error, httpx2.ConnectError):
        return HubError(f"the Hub cannot be reached for {name}; check the network; what is on this machine works")
    if isinstance(error, httpx2.HTTPError):
        return HubError(f"the connection to the Hub broke over {name}; try again, it goes on from there")
    return HubError(f"the Hub's answer about {name} cannot be understood ({error}); {LATER}")


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def disk_error(error: OSError, what: str, place: str) -> HubError:
    """The sentence for a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HubError(f"the disk became full while {what} was coming to {place}; free some space and try again")
    return HubError(f"{what} cannot be kept in {place} ({error.strerror or error}); set ANIMPORTRAIT3D_CACHE elsewhere")


def _refused(error: HfHubHTTPError, name: str, address: str, as_stranger: bool) -> HubError:
    """The order matters: gated is a kind of not found for huggingface_hub, and so is most of 401."""
    status = error.response.status_code
    if as_stranger and status in (401, 403):
        return HubError(f"the Hub does not show {name} to everybody: it is private or gated, or there is no such thing")
    if isinstance(error, GatedRepoError):
        return HubError(f"{name} is given only to those who accept its licence; do so at {address}, then {LOG_IN}")
    if status == 401 and "Invalid credentials" in str(error):
        return HubError(f"the Hub no longer accepts this machine's login, so it did not give {name}; {LOG_IN}")
    if status == 401:
        return HubError(f"the Hub does not show {name} to this login: it is private, or gone; {LOG_IN}")
    if isinstance(error, RepositoryNotFoundError):
        return HubError(f"{name} is no longer on the Hub under this name; look whether {address} was renamed")
    if isinstance(error, RevisionNotFoundError):
        return HubError(f"{name} no longer has the state that is used here; look at {address}/commits/main")
    if isinstance(error, RemoteEntryNotFoundError):
        return HubError(f"a file of {name} is gone or was renamed; look at {address}/tree/main")
    if isinstance(error, DisabledRepoError):
        return HubError(f"the Hub has disabled {name}; the reason is told at {address}")
    if status == 403:
        return HubError(f"the Hub refuses {name} to this login; look at {address}, or {LOG_IN}")
    if status == 429:
        return _too_many(error.response, name, as_stranger)
    if status < 500:
        return HubError(f"the Hub refused to give {name} (status {status}); look at {address}")
    return HubError(f"the Hub has a fault of its own ({status}) and could not give {name}; {LATER}")


def _too_many(response: httpx2.Response, name: str, as_stranger: bool) -> HubError:
    seconds = retry_after(response)
    when = "in a few minutes" if seconds is None else f"in {seconds:.0f} s"
    other = "" if as_stranger else f", or {LOG_IN}"
    return HubError(f"the Hub had too many questions from here; ask for {name} again {when}{other}", seconds)


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds to wait, from Retry-After (a number or a date, RFC 9110 §10.2.3) or the Hub's RateLimit."""
    told = response.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        limit = parse_ratelimit_headers(response.headers)
        return None if limit is None else float(limit.reset_in_seconds)
