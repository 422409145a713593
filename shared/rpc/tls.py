"""Certificates from files, for servers and channels; read again when the files change."""

from __future__ import annotations

import grpc

from shared.errors import Unavailable
from shared.tls_files import Pems, Renewals, TlsFiles

# How often a channel looks whether its files are others; a server looks at each handshake.
_LOOK_SECONDS = 5.0


class ChannelTls:
    """The credentials of a channel."""

    def __init__(self, files: TlsFiles) -> None:
        self._renewals = Renewals(files, look_seconds=_LOOK_SECONDS)

    def credentials(self) -> grpc.ChannelCredentials:
        """As the files are now. Raises Unavailable CERTIFICATE_UNREADABLE."""
        try:
            return _of_channel(self._renewals.first())
        except (OSError, ValueError) as error:
            raise Unavailable(
                "CERTIFICATE_UNREADABLE",
                f"TLS_CERT, TLS_KEY and TLS_CA are no certificate to call with: {error}",
            ) from error

    def renewed(self) -> grpc.ChannelCredentials | None:
        """Others than before, or None."""
        pems = self._renewals.later()
        return None if pems is None else _of_channel(pems)


def server_credentials(
    files: TlsFiles, *, asks_certificates: bool = True
) -> grpc.ServerCredentials:
    """Every client shows a certificate of the authority, unless none is asked for one. Raises
    OSError, ValueError.
    """
    renewals = Renewals(files)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        pems = renewals.later()
        return None if pems is None else _of_server(pems)

    first = _of_server(renewals.first())
    return grpc.dynamic_ssl_server_credentials(
        first,
        fetch,  # type: ignore[arg-type]  # None is its word for "as before"; the stubs know it not
        require_client_authentication=asks_certificates,
    )


def _of_channel(pems: Pems) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(pems.ca, pems.key, pems.cert)


def _of_server(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.cert)], pems.ca)
