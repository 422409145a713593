"""`sonic wallet`: public addresses to watch."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.cli.connection import connected
from services.cli.output import ago, as_json, command, console, enum_name, number, print_json, table
from shared.codec import from_timestamp
from shared.names import choose

app = typer.Typer(help="Public addresses to watch. Private keys are refused.", no_args_is_help=True)

CHAINS = {name.removeprefix("CHAIN_"): number for name, number in pb.Chain.items() if number}
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command()
@command
async def add(
    name: Annotated[
        str, typer.Argument(help="Short name, used in messages instead of the address.")
    ],
    address: Annotated[str, typer.Argument(help="Public address.")] = "",
    chain: Annotated[str, typer.Option(help=f"One of {', '.join(CHAINS).lower()}.")] = "solana",
    json: Json = False,
) -> None:
    """Watch a wallet. The first one with an address turns the live sources on."""
    wanted = CHAINS[
        choose(chain, CHAINS, field="chain", aliases={"EVM": "ETHEREUM", "SOL": "SOLANA"})
    ]
    wallet = pb.Wallet(
        name=name, chain=pb.Chain.ValueType(wanted), public_address=address, active=True
    )
    async with connected() as system:
        wallets = await system.stub("positions", rpc.WalletsServiceStub)
        made = await wallets.CreateWallet(pb.CreateWalletRequest(wallet=wallet))
    if json:
        print_json(made)
    else:
        console.print(
            Text("Watching ").append(made.name, style="bold").append(" from the next cycle on")
        )


@app.command("list")
@command
async def list_wallets(json: Json = False) -> None:
    """Show the wallets."""
    found: list[pb.Wallet] = []
    async with connected() as system:
        wallets = await system.stub("positions", rpc.WalletsServiceStub)
        request = pb.ListWalletsRequest(page_size=500)
        while True:
            page = await wallets.ListWallets(request)
            found.extend(page.wallets)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    if json:
        print_json([dict(as_json(wallet)) for wallet in found])
        return
    made = table("Wallets", ["name", "chain", "address", "value USD>", "last answer", "state"])
    for wallet in found:
        state = enum_name(wallet, "last_sync_state").replace("UNSPECIFIED", "-")
        made.add_row(
            wallet.name,
            enum_name(wallet, "chain").lower(),
            abbreviated(wallet.public_address),
            number(wallet, "balance_usd"),
            ago(from_timestamp(wallet, "last_sync_time")),
            f"{state} {wallet.last_sync_reason}".strip() if wallet.active else "inactive",
        )
    console.print(made)


def abbreviated(address: str) -> str:
    """The two ends of an address: enough to recognise one's own."""
    return address if len(address) <= 12 else f"{address[:5]}...{address[-4:]}"
