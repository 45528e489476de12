"""Who somebody is to this app: an id that says nothing about them, and that nobody else can come by.

A browser makes a secret key once and keeps it; who logs in is known by the login instead, in every browser. The server
keeps only hashes of either.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import time
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

KEY = re.compile(r"[0-9a-f]{32}")
"""128 random bits, lower-case hexadecimal."""
NOBODY = ""
"""The person of a call without a key: nothing is listed for them."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
RELAYED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers that say that somebody else passed a request on."""
READ_KEY = """
() => {
  const name = 'animportrait3d-person', made = () =>
    Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  let key = window.animportrait3dPerson;  // a browser that keeps nothing is one person until the page is left
  try {
    key = localStorage.getItem(name);
    if (!/^[0-9a-f]{32}$/.test(key || '')) localStorage.setItem(name, key = made());
  } catch {
    key = key || made();
  }
  window.animportrait3dPerson = key;
  return [key, new URLSearchParams(location.search).get('avatar') || ''];
}
"""
"""JavaScript: the browser's key, made when there is none yet, and the ``avatar`` of the page's address."""


def person_of(key: str | None, request: gr.Request | None) -> str:
    """The person behind a call: their ids, `NOBODY` without a usable key and login.

    What they make belongs to the first id: the login's where there is one, else the browser's. What the browser made
    before its owner logged in stays reachable in it, by the second.
    """
    ids = []
    if (login := _login(request)) is not None:
        ids.append(_hash("login", login))
    if isinstance(key, str) and KEY.fullmatch(key):
        ids.append(_hash("browser", key))
    return " ".join(ids)


def ids_of(person: str) -> tuple[str, ...]:
    """The ids of a person, the one that owns what they make first."""
    return tuple(person.split())


def user_name(request: gr.Request | None) -> str | None:
    """What a logged-in visitor is called on Hugging Face, None for who is not logged in."""
    return _userinfo(request).get("preferred_username")


def is_at_this_machine(request: gr.Request | None) -> bool:
    """Whether a request comes from a page of this app in a browser on this machine, and from nowhere else.

    The address alone would let in whoever comes by a tunnel or a proxy, and another site's page in this browser.
    """
    if request is None or request.client is None or any(request.headers.get(name) for name in RELAYED):
        return False
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    if urlsplit(f"//{host}").hostname not in LOCAL_NAMES or (origin is not None and urlsplit(origin).netloc != host):
        return False
    return _is_loopback(request.client.host)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _login(request: gr.Request | None) -> str | None:
    """What Hugging Face calls the user for good (``sub``; the name can change), None for who is not logged in."""
    return _userinfo(request).get("sub")


def _userinfo(request: gr.Request | None) -> dict[str, Any]:
    scope: Any = getattr(getattr(request, "request", None), "scope", None) or {}
    info = (scope.get("session") or {}).get("oauth_info") or {}
    expired = info.get("expires_at") is not None and info["expires_at"] < time.time()
    return {} if expired else (info.get("userinfo") or {})


def _hash(kind: str, secret: str) -> str:
    return hashlib.sha256(f"{kind}:{secret}".encode()).hexdigest()
