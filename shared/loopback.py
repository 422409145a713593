"""Which addresses only this machine can reach."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_local(address: str) -> bool:
    """Whether nobody else can reach what listens on `host:port` or on a `unix:` socket."""
    return address.startswith("unix:") or is_loopback(address.rpartition(":")[0])
