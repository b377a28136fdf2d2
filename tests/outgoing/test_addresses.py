"""Which addresses and URLs are refused; the standard library's `ipaddress` and `inet_aton` are the judges."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.errors import InvalidInput
from app.outgoing.addresses import MAX_URL, check_url, permitted

STRICTER = [ip_network(block) for block in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")]
NEVER = """0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 192.0.2.1
    198.51.100.7 203.0.113.9 198.18.0.1 192.0.0.192 192.88.99.1 100.100.100.200 168.63.129.16
    :: fe80::1 fec0::1 ff02::1 ff0e::1 2001:db8::1 3fff::1 100::1 64:ff9b:1::1 4000::1 fd00:ec2::254 fd20:ce::254
    2002:7f00:1:: 2002:808:808::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001::1 ::7f00:1 ::808:808 5f00::1
    ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe ::ffff:0.0.0.0 64:ff9b::100.100.100.200 fe80::1%eth0""".split()
PRIVATE = """10.0.0.1 10.255.255.255 127.0.0.1 127.255.255.254 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1
    100.127.255.255 ::1 fc00::1 fdff::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::10.0.0.1 64:ff9b::7f00:1""".split()
PUBLIC = """1.1.1.1 8.8.8.8 93.184.216.34 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0
    192.167.255.255 192.169.0.0 223.255.255.255 2606:4700:4700::1111 2a00:1450:4014:80c::200e ::ffff:8.8.8.8
    64:ff9b::808:808""".split()


@pytest.mark.parametrize("text", NEVER)
def test_what_nothing_opens(text: str) -> None:
    assert not permitted(ip_address(text)) and not permitted(ip_address(text), True)


@pytest.mark.parametrize("text", PRIVATE)
def test_what_only_the_flag_opens(text: str) -> None:
    assert not permitted(ip_address(text)) and permitted(ip_address(text), True)


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_open(text: str) -> None:
    assert permitted(ip_address(text)) and permitted(ip_address(text), True)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_permitted_if_it_is_global_unicast(address: IPv4Address) -> None:
    stricter = any(address in block for block in STRICTER)
    assert permitted(address) == (address.is_global and not address.is_multicast and not stricter)


@given(st.ip_addresses(v=6))
@example(IPv6Address("2001:20::1"))
@example(IPv6Address("2001:4:112::1"))
def test_an_ipv6_address_is_permitted_only_if_it_is_global_unicast(address: IPv6Address) -> None:
    if permitted(address):
        in_nat64 = address in ip_network("64:ff9b::/96")
        meant = IPv4Address(int(address) & 0xFFFFFFFF) if in_nat64 else address.ipv4_mapped or address
        assert meant.is_global and not meant.is_multicast and not meant.is_reserved
        assert address.sixtofour is None and address.teredo is None


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_of_an_ipv6_one_is_no_way_around(inner: IPv4Address) -> None:
    number = int(inner)
    for allow_private in (False, True):
        allowed = permitted(inner, allow_private)
        assert permitted(IPv6Address(0xFFFF << 32 | number), allow_private) == allowed
        assert permitted(IPv6Address(int(IPv6Address("64:ff9b::")) | number), allow_private) == allowed
        assert not permitted(IPv6Address(number), allow_private) or number == 1
        assert not permitted(IPv6Address(int(IPv6Address("2002::")) | number << 80), allow_private)
        teredo = int(IPv6Address("2001::")) | 0x08080808 << 64 | number ^ 0xFFFFFFFF
        assert not permitted(IPv6Address(teredo), allow_private)


@given(st.ip_addresses())
def test_the_flag_only_ever_opens(address: IPv4Address | IPv6Address) -> None:
    assert permitted(address, True) or not permitted(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hook?token=a%20b&x=1",
        "https://hooks.example.co.uk:8443/a/b",
        "https://bücher.example/",
        "https://xn--bcher-kva.example/",
        "HTTPS://EXAMPLE.COM/",
        "https://my_service.example.com/",
        "https://1.1.1.1/hook",
        "https://[2606:4700:4700::1111]:444/",
        "https://example.com/a@b",
        "https://example.com?who=a@b",
        "https://123.example.com/",
        "https://0x7f.example/",
        "https://example.com/?u=http://127.0.0.1/@x",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    check_url(url, allow_private=False)
    check_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/x",
        "http://127.0.0.1/",
        "http://[::1]:80/",
        "http://10.0.0.8/",
        "http://web/",
        "http://example.com/",
    ],
)
def test_urls_that_only_the_flag_opens(url: str) -> None:
    check_url(url, allow_private=True)
    for refused in (url, url.replace("http:", "https:")):
        if refused.split("/")[2] not in ("web", "example.com") or refused.startswith("http:"):
            with pytest.raises(InvalidInput):
                check_url(refused)


@pytest.mark.parametrize(
    "host",
    """2130706433 0x7f.1 0x7f000001 0X7F.1 127.1 127.0.1 0 0x 0177.0.0.1 017700000001 127.0.0.01 127.0.0.1.
    127.1. 8.8.8.8. 134744072 0x08080808 8.8.2056 1.2.3 1.2.3.4.5 256.1.1.1 127.0.0.0x1
    0x7f.0.0.0x1 127。0。0。1。 １２７.0.0.1
    ①②⑦.0.0.1 １27.1 127%2e0%2e0%2e1 %31%32%37.0.0.1 [::1%25eth0] [fe80::1%eth0] [::1%eth0] [2606:4700::1%1] [v1.x]
    [127.0.0.1] [] [::1 ::1] example.com. .example.com a..b -a.example a-.example exa$mple.com ex*mple.com a%00b.com
    a,b.com ⓛocalhost. xn--ls8h.ⅼocalhost 169.254.169.254 [::ffff:169.254.169.254] 0.0.0.0 [::]
    255.255.255.255""".split(),
)
@pytest.mark.parametrize("allow_private", [False, True])
def test_hosts_that_nothing_opens(host: str, allow_private: bool) -> None:
    with pytest.raises(InvalidInput):
        check_url(f"https://{host}/", allow_private)


@pytest.mark.parametrize(
    "host",
    """127.0.0.1 127。0。0。1 127．0．0｡1 10.1.2.3 192.168.0.1 172.20.0.1 100.64.1.1 [::1] [::ffff:127.0.0.1]
    [::ffff:7f00:1] [0:0:0:0:0:ffff:10.0.0.1] [fd12::1] [64:ff9b::7f00:1] localhost LOCALHOST foo.localhost""".split(),
)
def test_private_hosts_are_refused_at_once(host: str) -> None:
    check_url(f"https://{host}/", allow_private=True)
    with pytest.raises(InvalidInput):
        check_url(f"https://{host}/")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "begin with https://"),
        ("example.com/hook", "begin with"),
        ("//example.com/", "begin with"),
        ("ftp://example.com/", "begin with"),
        ("file:///etc/passwd", "begin with"),
        ("gopher://example.com/", "begin with"),
        ("javascript:alert(1)", "begin with"),
        ("https:example.com", "no host"),
        ("https:///hook", "no host"),
        ("https://?x", "no host"),
        ("https://:443/", "no host"),
        ("https://user:sesame@example.com/", "user name or password"),
        ("https://user@example.com/", "user name or password"),
        ("https://@example.com/", "user name or password"),
        ("https://example.com#@127.0.0.1/", "user name or password|fragment"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:-1/", "port|read"),
        ("https://example.com:http/", "read"),
        ("https://example.com\\@127.0.0.1/", "backslash"),
        ("https:\\\\example.com/", "backslash"),
        ("https://exam ple.com/", "white space"),
        ("https://example.com/a\nb", "white space"),
        (" https://example.com/", "white space"),
        ("https://example.com/\u2028", "white space"),
        ("https://example.com/\x00", "read"),
        ("https://\ud800/", "read"),
        ("https://example.com/" + "a" * MAX_URL, "2000 characters"),
    ],
)
def test_urls_that_are_refused_say_why(url: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        check_url(url)
    assert "sesame" not in str(caught.value) and caught.value.__cause__ is None


def test_the_longest_url_is_taken() -> None:
    check_url("https://example.com/".ljust(MAX_URL, "a"))


@given(st.text(alphabet="0123456789abcdefx.", min_size=1, max_size=24))
@example("0x7f.0x1")
@example("08.8.8.8")
def test_whatever_the_system_takes_for_an_address_is_read_as_that_address(host: str) -> None:
    try:
        meant = IPv4Address(socket.inet_aton(host))
    except OSError:
        return
    try:
        check_url(f"https://{host}/")
    except InvalidInput:
        return
    assert str(meant) == host and permitted(meant)


@given(st.text(max_size=60) | st.text(max_size=40).map("https://{}/".format), st.booleans())
def test_any_text_is_taken_or_refused_but_never_breaks(url: str, allow_private: bool) -> None:
    try:
        check_url(url, allow_private)
    except InvalidInput:
        return
    host = httpx.URL(url).raw_host.decode("ascii")
    assert host and len(url) <= MAX_URL
    try:
        assert permitted(ip_address(host), allow_private)
    except ValueError:
        assert all(host.split("."))
