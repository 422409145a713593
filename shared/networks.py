"""Whose an address is, for whoever counts what one client does."""

from ipaddress import IPv6Address, IPv6Network, ip_address

# A customer of a provider has this much of IPv6, and as many addresses in it as there are.
_PREFIX_BITS = 64


def network_of(host: str) -> str:
    """An IPv4 address itself, of IPv6 the network it is in; what is no address stays as it is."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    # What listens on both kinds of addresses sees the old kind written as the new one.
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.is_loopback:
        return str(address)
    return str(IPv6Network((int(address), _PREFIX_BITS), strict=False))
