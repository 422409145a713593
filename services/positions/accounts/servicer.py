"""AccountsService over gRPC; decides nothing."""

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.accounts.domain.account import AccountRisk
from services.positions.accounts.domain.liquidation_lines import AssetLine
from services.positions.accounts.service.accounts import AccountsService
from services.positions.servicer.mapping import Context
from shared.codec import check_mask, fill, masked, number


class AccountsServicer(rpc.AccountsServiceServicer):
    """Messages of accounts."""

    def __init__(self, service: AccountsService) -> None:
        self._service = service

    async def ListAccounts(
        self, request: pb.ListAccountsRequest, context: Context
    ) -> pb.ListAccountsResponse:
        check_mask(pb.Account, request.read_mask)
        page = await self._service.list(
            request.wallet, request.venue, request.page_size, request.page_token
        )
        return pb.ListAccountsResponse(
            accounts=masked(map(_account, page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.Account:
        return _account(await self._service.get(request.id))

    async def EvaluateTransfer(
        self, request: pb.EvaluateTransferRequest, context: Context
    ) -> pb.EvaluateTransferResponse:
        amount = number(request, "amount_usd") or 0.0
        done = await self._service.transfer(request.id, amount, dict(request.betas))
        return pb.EvaluateTransferResponse(
            amount_usd=done.amount_usd, before=_account(done.before), after=_account(done.after)
        )


def _account(account: AccountRisk) -> pb.Account:
    source = account.source
    return fill(
        pb.Account,
        account,
        wallet=source.wallet,
        venue=source.venue,
        observed_time=source.observed_time,
        stale=source.stale,
        unwatched=source.unwatched,
        common_down_percent=account.common.down_percent,
        common_up_percent=account.common.up_percent,
        distance_percent=account.common.nearest_percent,
        beta_down_percent=account.by_beta.down_percent,
        beta_up_percent=account.by_beta.up_percent,
        betas=account.betas.by_asset,
        beta_source=account.betas.source or pb.BETA_SOURCE_UNSPECIFIED,
        lines=[_line(line) for line in account.lines],
    )


def _line(line: AssetLine) -> pb.AccountLine:
    moves = line.moves
    return fill(pb.AccountLine, line, down_percent=moves.down_percent, up_percent=moves.up_percent)
