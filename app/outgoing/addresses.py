"""Which addresses a webhook may call. Pure: no name is looked up here."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx

from app.core.errors import InvalidInput

MAX_URL = 2000
"""Characters of a webhook's URL."""

IPAddress = IPv4Address | IPv6Address

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label of this form makes a host an IPv4 address (URL standard, "ends in a number")."""
_MAX_HOST = 253

_PRIVATE = tuple(
    ip_network(block)
    for block in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers' customers
        "::1/128",
        "fc00::/7",
    )
)
"""What the flag for private addresses opens."""

_NEVER = tuple(
    ip_network(block)
    for block in (
        # Services of clouds to their own machines, which hand out credentials. Some lie inside of private blocks, and
        # one inside of the public ones; 169.254.169.254 is link-local, which nothing opens.
        "100.100.100.200/32",
        "168.63.129.16/32",
        "fd00:ec2::/64",
        "fd20:ce::254/128",
        # Not for the public Internet by IANA's registries, but `is_global` for some releases of Python.
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2002::/16",  # 6to4: its packets go on to any IPv4 address
        "3fff::/20",
    )
)

_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


def permitted(address: IPAddress, allow_private: bool = False) -> bool:
    """Whether a webhook may be sent to this address.

    Globally routable unicast always is; with `allow_private`, loopback, the private blocks, unique local and shared
    addresses are too. Link-local, multicast, reserved, documentation and clouds' metadata addresses never are. An
    IPv6 address that stands for an IPv4 one (mapped, NAT64) is judged by that.
    """
    address = _meant(address)
    if any(address in block for block in _NEVER):
        return False
    if any(address in block for block in _PRIVATE):
        return allow_private
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def check_url(url: str, allow_private: bool = False) -> None:
    """Raise `InvalidInput` for a URL that no webhook may have.

    It is `https` (with `allow_private` also `http`), has a host, no credentials and no fragment, and at most 2000
    characters. An address in place of a name must be in its usual form and permitted. Where a name leads is checked
    when the connection is opened, not here.
    """
    host = _parse(url, allow_private).raw_host.decode("ascii")
    address = _literal(host)
    if address is None:
        _check_name(host, allow_private)
    elif not permitted(address, allow_private):
        raise InvalidInput("The URL's address is not one of the public Internet.")


def _meant(address: IPAddress) -> IPAddress:
    """The IPv4 address behind a mapped or NAT64 one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _parse(url: str, allow_private: bool) -> httpx.URL:
    """The URL as the sender will read it, checked in all but its host."""
    if len(url) > MAX_URL:
        raise InvalidInput(f"The URL is longer than {MAX_URL} characters.")
    if any(character.isspace() or character == "\\" for character in url):
        raise InvalidInput("The URL has white space or a backslash in it.")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        # Not chained: that error may quote the URL, which may hold a token.
        raise InvalidInput("The URL cannot be read.") from None
    schemes = ("https", "http") if allow_private else ("https",)
    if parsed.scheme not in schemes:
        raise InvalidInput(f"The URL must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
    if not parsed.raw_host:
        raise InvalidInput("The URL has no host.")
    if parsed.userinfo or "@" in re.split(r"[/?#]", url.split("://", 1)[-1], maxsplit=1)[0]:
        raise InvalidInput("The URL must not carry a user name or password.")
    if "#" in url:
        raise InvalidInput("The URL must not have a fragment.")
    if parsed.port is not None and not 1 <= parsed.port <= 65535:
        raise InvalidInput("The URL's port must be from 1 to 65535.")
    return parsed


def _literal(host: str) -> IPAddress | None:
    """The address that the host is, or None for a name. Raises `InvalidInput` for unusual forms of an address."""
    try:
        address = ip_address(host)
    except ValueError:
        if ":" in host or _NUMBER.fullmatch(host.rstrip(".").rsplit(".", 1)[-1]):
            raise InvalidInput(
                "Write the URL's address in its usual form, such as 192.0.2.1 or [2001:db8::1]."
            ) from None
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise InvalidInput("The URL's address must not have a zone.")
    return address


def _check_name(host: str, allow_private: bool) -> None:
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise InvalidInput("The URL's host is not a name that can be looked up; it must not end with a dot.")
    if not allow_private and host.rsplit(".", 1)[-1] == "localhost":
        raise InvalidInput("The URL's host is this machine.")
