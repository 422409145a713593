"""More verbs of `sonic wallets`; accounts and brokers beside them."""

from services.cli.schema.verbs import Noun, Verb

_BROKER = ("broker.image_path", "broker.web_address", "broker.total_holding_usd")

WALLETS = Noun(
    "wallets",
    "Wallets whose positions are watched.",
    (
        Verb("show", "positions.WalletsService.GetWallet", ("name",)),
        Verb(
            "edit",
            "positions.WalletsService.UpdateWallet",
            ("wallet.name",),
            options=("wallet.active", "wallet.tags", "wallet.type", "wallet.image_path"),
            renamed={"wallet.tags": "tag"},
            example="sonic wallets edit main --no-active",
        ),
        Verb(
            "remove",
            "positions.WalletsService.DeleteWallet",
            ("name",),
            options=("force",),
            question="Remove this wallet?",
            example="sonic wallets remove main --force",
        ),
        Verb(
            "import",
            "positions.FilesService.ImportWallets",
            options=("format", "dry_run"),
            fixed={"format": "JSON"},
            file="content",
            example="sonic wallets import wallets.csv --format csv --dry-run",
        ),
        Verb(
            "export",
            "positions.FilesService.ExportWallets",
            options=("format",),
            fixed={"format": "JSON"},
            output="content",
        ),
        Verb("balances", "positions.PortfolioService.GetBalances"),
        Verb(
            "freshness",
            "positions.PortfolioService.GetFreshness",
            columns=("kind", "name", "update_time", "source", "failed", "reason"),
        ),
    ),
    "Look",
)
ACCOUNTS = Noun(
    "accounts",
    "What stands for positions together, and what liquidates all of it.",
    (
        Verb(
            "list",
            "positions.AccountsService.ListAccounts",
            options=("wallet", "venue"),
            columns=(
                "id",
                "equity_usd",
                "exposure_ratio",
                "common_down_percent",
                "common_up_percent",
                "beta_down_percent",
                "beta_up_percent",
                "estimated",
                "reason",
            ),
        ),
        Verb("show", "positions.AccountsService.GetAccount", ("id",)),
        Verb(
            "transfer",
            "positions.AccountsService.EvaluateTransfer",
            ("id",),
            options=("amount_usd", "betas"),
            renamed={"amount_usd": "amount", "betas": "beta"},
            help="What a transfer of collateral would change; moves nothing.",
            example="sonic accounts transfer ACCOUNT --amount 500",
        ),
    ),
    "Look",
)
BROKERS = Noun(
    "brokers",
    "Money held elsewhere, counted with the portfolio.",
    (
        Verb(
            "list",
            "positions.BrokersService.ListBrokers",
            columns=("name", "total_holding_usd", "web_address", "updated_time"),
        ),
        Verb("show", "positions.BrokersService.GetBroker", ("name",)),
        Verb(
            "add",
            "positions.BrokersService.CreateBroker",
            ("broker.name",),
            options=_BROKER,
            example="sonic brokers add acme --total-holding-usd 1200",
        ),
        Verb(
            "edit",
            "positions.BrokersService.UpdateBroker",
            ("broker.name",),
            options=_BROKER,
            example="sonic brokers edit acme --total-holding-usd 1300",
        ),
        Verb(
            "remove",
            "positions.BrokersService.DeleteBroker",
            ("name",),
            question="Remove this broker?",
        ),
    ),
    "Look",
)
